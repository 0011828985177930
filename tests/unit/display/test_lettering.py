"""Names of classes in any script are drawn as they are, or in Latin letters where the font has no sign for them."""

from pathlib import Path

import pytest
from PIL import features

from vidrnn.display.lettering import Lettering, fitted
from vidrnn.errors import ConfigError


@pytest.mark.parametrize("text", ["cut tomato", "Öl ñandú", "Шагать", "βήμα", "a → b"])
def test_what_the_font_has_is_drawn_as_it_is(text: str) -> None:
    assert Lettering().readable(text) == text


@pytest.mark.parametrize(("text", "written"), [("切る", "Qieru"), ("नमस्ते", "nmste"), ("걷기", "Geodgi")])
def test_what_the_font_lacks_is_written_in_latin_letters(text: str, written: str) -> None:
    assert Lettering().readable(text).casefold() == written.casefold()


def test_letters_that_join_are_drawn_only_where_they_can_be_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    if features.check("raqm"):
        assert Lettering().readable("مرحبا") == "مرحبا"
    monkeypatch.setattr(features, "check", lambda _name: False)
    assert Lettering().readable("مرحبا") == "mrhb"


def test_bytes_that_are_no_text_and_breaks_are_shown() -> None:
    assert Lettering().readable("caf\udce9\nau lait") == r"caf\xe9 au lait"


def test_a_font_of_ones_own_is_asked_instead(tmp_path: Path) -> None:
    from matplotlib import get_data_path

    file = Path(get_data_path(), "fonts", "ttf", "cmr10.ttf")  # Latin only
    assert Lettering(file).readable("Шаг a") == "Shag a"
    (tmp_path / "a.ttf").write_text("no font")
    with pytest.raises(ConfigError, match=r"--font .*a\.ttf.* cannot be read as a font"):
        Lettering(tmp_path / "a.ttf")


def test_what_is_too_long_ends_with_dots() -> None:
    font = Lettering().font(20)
    short = fitted("reach for the plate", font, 100)
    assert short.endswith("…") and "reach for".startswith(short[:-1])
    assert font.getlength(short) <= 100
    assert fitted("cut", font, 100) == "cut"
    assert fitted("cut", font, 3) == ""
