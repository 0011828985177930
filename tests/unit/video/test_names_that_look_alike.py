"""A path whose accents are written in another form of Unicode than the file's is named as the cause."""

import unicodedata

import pytest

from vidrnn.errors import VideoError
from vidrnn.names import of_unicode
from vidrnn.video.container import size_of

LETTERS = ("NFC", "NFD")


@pytest.mark.parametrize("there", LETTERS)
@pytest.mark.parametrize("name", ["café/a.mp4", "a/café.mp4"])
def test_a_name_in_the_other_form_is_pointed_out(tmp_path, name, there):
    (wanted,) = set(LETTERS) - {there}
    stored, asked = (tmp_path / unicodedata.normalize(form, name) for form in (there, wanted))
    stored.parent.mkdir()
    stored.touch()
    assert size_of(stored) == 0
    with pytest.raises(VideoError, match=r"^does not exist; .* is there, with its accents in another form of Unicode"):
        size_of(asked)


def test_nothing_is_said_of_names_that_are_not_there_at_all(tmp_path):
    for name in ("cafe.mp4", "café.mp4", "no/café.mp4"):
        assert of_unicode(tmp_path / name) == ""
