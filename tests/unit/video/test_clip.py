"""A clip holds the frames of its stretch, the first at time 0, with the sound of that time, copied or encoded."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media import pictures, turn_mp4
from tests.media import write_clip as write_video
from tests.sounds import click, write_sound
from tests.unit.video.test_overlay import loudest_s, shown
from vidrnn.video import clip as clip_module
from vidrnn.video.clip import How, Stretch, write_clip
from vidrnn.video.probe import probe


def cut(source: Path, first: int, last: int, *, exact: bool = False) -> tuple[Path, How]:
    target = source.with_name(f"clip_{first}_{last}.mp4")
    return target, write_clip(probe(source), Stretch(first, last), target, exact=exact)


def assert_is_stretch(target: Path, source: Path, first: int, last: int, *, tolerance: float) -> None:
    """Read again as any video: number of frames, their times, their pixels."""
    wanted, made = probe(source), probe(target)
    assert made.num_frames == last - first
    assert made.timestamps_s == pytest.approx(wanted.timestamps_s[first:last] - wanted.timestamps_s[first], abs=1e-3)
    for new, old in zip(shown(target), shown(source)[first:last], strict=True):
        assert np.abs(new[: old.shape[0], : old.shape[1]] - old).mean() <= tolerance


@pytest.mark.parametrize(
    ("first", "last"), [(0, 60), (0, 7), (12, 24), (17, 31), (18, 32), (19, 33), (59, 60), (31, 32)]
)
def test_a_copy_shows_the_very_frames_wherever_the_key_frames_are(tmp_path: Path, first: int, last: int) -> None:
    """With B-frames, so that frames behind the stretch are in the file, and hidden."""
    source = write_video(tmp_path / "a.mp4", pictures(60, width=64, height=48), bf="2", g="12")
    target, how = cut(source, first, last)
    assert how == "copied"
    assert_is_stretch(target, source, first, last, tolerance=0.0)


@pytest.mark.parametrize(("first", "last"), [(0, 7), (17, 31), (59, 60)])
def test_an_exact_clip_holds_nothing_else(tmp_path: Path, first: int, last: int) -> None:
    source = write_video(tmp_path / "a.mp4", pictures(60, width=64, height=48), bf="2", g="12")
    target, how = cut(source, first, last, exact=True)
    assert how == "encoded"
    assert_is_stretch(target, source, first, last, tolerance=4.0)
    with av.open(str(target)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert len(packets) == last - first and packets[0].is_keyframe


@pytest.mark.parametrize("rate", [Fraction(1001, 30000), Fraction(1001, 24000), Fraction(1, 50)])
def test_frame_rates_that_are_no_whole_milliseconds(tmp_path: Path, rate: Fraction) -> None:
    source = write_video(tmp_path / "a.mp4", pictures(40, width=64, height=48), time_base=rate, bf="2")
    for first, last in ((5, 16), (11, 29), (13, 14)):
        target, how = cut(source, first, last)
        assert how == "copied"
        assert_is_stretch(target, source, first, last, tolerance=0.0)


def test_a_variable_frame_rate_keeps_its_times(tmp_path: Path) -> None:
    pts = [0, 40, 47, 300, 311, 1000, 1033, 2500, 2533, 2600]
    source = write_video(tmp_path / "a.mkv", pictures(10), pts=pts, time_base=Fraction(1, 1000))
    for exact in (False, True):
        target, _ = cut(source, 3, 8, exact=exact)
        assert probe(target).timestamps_s == pytest.approx((np.array(pts[3:8]) - 300) / 1000, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "how"),
    [
        ("a.mkv", "libx265", "yuv420p", "copied"),
        ("a.webm", "libvpx-vp9", "yuv420p", "copied"),
        ("a.ts", "libx264", "yuv420p", "copied"),
        ("a.mkv", "libvpx", "yuv420p", "encoded"),
        ("a.avi", "mjpeg", "yuvj420p", "encoded"),
        ("a.mkv", "ffv1", "yuv420p", "encoded"),
    ],
)
def test_what_cannot_be_copied_is_encoded(tmp_path: Path, name: str, codec: str, pix_fmt: str, how: How) -> None:
    source = write_video(tmp_path / name, pictures(30, width=64, height=48), codec=codec, pix_fmt=pix_fmt)
    target, made = cut(source, 11, 20)
    assert made == how
    assert_is_stretch(target, source, 11, 20, tolerance=0.0 if how == "copied" else 6.0)


def test_a_copy_that_shows_something_else_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_video(tmp_path / "a.mp4", pictures(60, width=64, height=48), bf="2", g="12")
    monkeypatch.setattr(clip_module, "set_shown_seconds", lambda *_arguments: True)  # a frame behind the end shows
    target, how = cut(source, 17, 31)
    assert how == "encoded"
    assert_is_stretch(target, source, 17, 31, tolerance=4.0)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("clockwise", [90, 180])
def test_a_turned_video_stays_upright(tmp_path: Path, clockwise: int, exact: bool) -> None:
    source = turn_mp4(write_video(tmp_path / "a.mp4", pictures(20, width=64, height=48)), clockwise=clockwise)
    target, how = cut(source, 5, 12, exact=exact)
    assert how == ("encoded" if exact else "copied")
    assert_is_stretch(target, source, 5, 12, tolerance=4.0)


@pytest.mark.parametrize("exact", [False, True])
def test_wide_pixels_stay_wide(tmp_path: Path, exact: bool) -> None:
    source = write_video(tmp_path / "a.mp4", pictures(20, width=64, height=48), pixel_aspect=Fraction(3, 2))
    made = probe(cut(source, 5, 12, exact=exact)[0])
    assert (made.width, made.height, made.pixel_aspect) == (64, 48, 1.5)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    ("name", "codec", "rate"), [("a.mp4", "aac", 44100), ("a.mkv", "libopus", 48000), ("a.avi", "pcm_s16le", 44100)]
)
def test_sound_is_that_of_the_time(tmp_path: Path, name: str, codec: str, rate: int, exact: bool) -> None:
    """The click at 1.6 s is 0.6 s behind frame 25, and the sound ends with the clip."""
    source = write_sound(tmp_path / name, click(1.6, 3.0, rate=rate), codec=codec, rate=rate, images=75)
    target, _ = cut(source, 25, 50, exact=exact)
    assert loudest_s(source) == pytest.approx(1.6, abs=0.01)
    assert loudest_s(target) == pytest.approx(0.6, abs=0.01)
    with av.open(str(target)) as container:
        assert container.duration / av.time_base == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize(("first", "last"), [(7, 8), (5, 8), (59, 60), (50, 60)])
def test_an_encoded_clip_lasts_as_long_as_its_frames(tmp_path: Path, first: int, last: int) -> None:
    """Also the last frame, which is shown until the next one of the video, or until its end."""
    source = write_video(tmp_path / "a.mp4", pictures(60, width=64, height=48), time_base=Fraction(1, 10), bf="2")
    target, _ = cut(source, first, last, exact=True)
    assert probe(target).duration_s == pytest.approx((last - first) / 10, abs=1e-3)
