"""`vidrnn.reporting.filmstrips`: the pictures of a clip, and what stands in their place."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.media import cut, flat, pictures, plain_decode, write_clip, write_pictures
from vidrnn.reporting.clips import Seconds, Span
from vidrnn.reporting.filmstrips import FRAMES, HEIGHT, Filmstrip, Shown, make_filmstrips
from vidrnn.settings.features import FeatureSettings

EVERY_SECOND = FeatureSettings(sampling="every", stride=2)


def strips(root: Path, *wanted: Shown, features: FeatureSettings | None = None) -> list[Filmstrip]:
    return list(make_filmstrips(wanted, [root], features=features, workers=2).values())


def shown(strip: Filmstrip, count: int = FRAMES) -> list[np.ndarray]:
    """The pictures, without the gaps between them."""
    assert not strip.problem, strip.problem
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(strip.image.split(",")[1]))).convert("RGB"))
    assert sheet.shape[:2] == (HEIGHT, strip.width)
    width = (strip.width + 4) // count
    return [sheet[:, place * width : (place + 1) * width - 4] for place in range(count)]


def test_the_pictures_are_those_in_the_middle_of_equal_parts(tmp_path: Path) -> None:
    """Compared with frames that PyAV decodes, by the mean colour: WebP keeps no more."""
    clip = write_clip(tmp_path / "a.mp4", [flat((8 * n % 256, 255 - 4 * n % 256, 5 * n % 256)) for n in range(60)])
    (strip,) = strips(tmp_path, ("a.mp4", None))
    reference = plain_decode(clip)
    for picture, number in zip(shown(strip), (5, 15, 25, 35, 45, 55), strict=True):
        assert picture.mean((0, 1)) == pytest.approx(reference[number].mean((0, 1)), abs=6)
    assert (strip.start_s, strip.end_s) == (pytest.approx(0.2), pytest.approx(2.2))


def test_a_stretch_of_steps_shows_the_frames_of_these_steps(tmp_path: Path) -> None:
    """Steps 10 to 15 of every second frame are frames 20 to 31, whole and in the stretch of another clip too."""
    write_clip(tmp_path / "a.mp4", pictures(60))
    whole, part, short, by_time = strips(
        tmp_path,
        ("a.mp4", None),
        ("a.mp4", Span(10, 16, 30)),
        ("a.mp4", Span(29, 30, 30)),
        ("a.mp4", Seconds(0.8, 1.28)),
        features=EVERY_SECOND,
    )
    assert 0.8 <= part.start_s < part.end_s < 32 / 25
    assert (whole.num_pictures, part.num_pictures, short.num_pictures) == (FRAMES, FRAMES, 2)
    assert (by_time.start_s, by_time.end_s) == (part.start_s, part.end_s)
    assert short.end_s == pytest.approx(59 / 25)


def test_what_cannot_be_shown_says_why(tmp_path: Path) -> None:
    """A video that moved, one that is damaged, one that is none; the others are shown all the same."""
    write_clip(tmp_path / "good.mp4", pictures(30))
    (tmp_path / "text.mp4").write_text("no video")
    cut(write_clip(tmp_path / "cut.mkv", pictures(100)), 0.5)
    wanted = [(name, None) for name in ("good.mp4", "text.mp4", "gone.mp4", "cut.mkv", "good.mp4\0")]
    good, text, gone, damaged, impossible = strips(tmp_path, *wanted)
    assert good.image and not good.problem
    assert text.problem.startswith("The video cannot be shown: ") and not text.image
    assert gone.problem == impossible.problem == "The video is not where it was."
    assert damaged.image or damaged.problem


def test_a_decoder_that_crashes_costs_its_video_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process goes on behind it."""
    from vidrnn.reporting import filmstrips

    for name in ("a", "b", "c"):
        write_clip(tmp_path / f"{name}.mp4", pictures(12))
    monkeypatch.setattr(filmstrips, "_work", crashing)
    found = make_filmstrips([(f"{n}.mp4", None) for n in "abc"], [tmp_path], features=None, workers=1)
    assert [bool(strip.image) for strip in found.values()] == [True, False, True]
    assert "crashed (SIGSEGV)" in found["b.mp4", None].problem


def crashing(tasks, features, alive):
    """Decoders that die of one video."""
    import os
    import signal

    from vidrnn.reporting.filmstrips import _strips_of

    for task in tasks:
        if task.path == "b.mp4":
            os.kill(os.getpid(), signal.SIGSEGV)
        yield _strips_of(task, features, alive)


def test_folders_of_frames_are_shown(tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", pictures(20))
    (strip,) = strips(tmp_path, ("a", None), features=FeatureSettings(frame_rate=10))
    assert strip.image and strip.end_s < 2.0
