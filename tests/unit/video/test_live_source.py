"""`vidrnn.video.live_source`: what a user may name, and a clock that goes forward whatever the sender's does."""

import time
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.media import pictures, write_clip
from vidrnn.errors import ConfigError, MissingPathError, VideoError
from vidrnn.video.live_source import _Clock, find_source


def picture(seconds: float | None) -> av.VideoFrame:
    frame = av.VideoFrame(32, 24, "rgb24")
    frame.time_base = Fraction(1, 1000)
    frame.pts = None if seconds is None else round(seconds * 1000)
    return frame


def test_a_clock_takes_the_sender_s_times_from_the_first_picture_on() -> None:
    clock = _Clock()
    assert [round(clock(picture(seconds)), 3) for seconds in (70.0, 70.04, 70.08, 71.0)] == [0.0, 0.04, 0.08, 1.0]


@pytest.mark.parametrize("odd", [[3.0], [70.04], [500.0], [None], [None, None, 1.0]])
def test_a_clock_goes_on_where_the_sender_s_steps_back_leaps_or_is_missing(odd: list[float | None]) -> None:
    """By the time that passed here; then it follows the sender again."""
    clock = _Clock()
    times = [clock(picture(70.0)), clock(picture(70.04))]
    for seconds in odd:
        time.sleep(0.01)
        times.append(clock(picture(seconds)))
    assert times == sorted(set(times))
    assert 0.01 < times[2] - times[1] < 5
    if odd[-1] is not None:
        assert clock(picture(odd[-1] + 0.5)) == pytest.approx(times[-1] + 0.5, abs=1e-6)


def test_a_file_has_the_times_that_extraction_gives_it(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", pictures(5), pts=[0, 2, 3, 7, 9])
    source = find_source(str(clip))
    assert not source.is_live
    found = list(source.arrivals())
    assert [round(arrival.timestamp_s, 3) for arrival in found] == [0.0, 0.08, 0.12, 0.28, 0.36]
    assert found[0].size == (32, 24)
    assert found[3].frame().rgb.shape == (24, 32, 3)


def test_sources_have_names_without_passwords(tmp_path: Path) -> None:
    assert find_source("3").name == "camera 3"
    assert find_source("rtsp://me:secret@host:8554/a?b=c").name == "rtsp://host:8554/a?b=c"
    assert find_source("http://host/a.ts").is_live
    for wrong, kind in (
        ("gone.mp4", MissingPathError),
        (str(tmp_path), ConfigError),
        ("file:///etc/hostname", ConfigError),
        ("concat://a|b", ConfigError),
    ):
        with pytest.raises(kind):
            find_source(wrong)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"broken\.mp4': "):
        next(find_source(str(path)).arrivals())
