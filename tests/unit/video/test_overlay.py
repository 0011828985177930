"""An annotated copy keeps times, pixels, turn, shape, colours and sound of the video; only what is drawn is new."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from tests.media import cut, flat, pictures, turn_mp4, write_clip, write_flat, write_pictures
from tests.sounds import click, write_sound
from vidrnn.errors import VideoError
from vidrnn.video.audio import Sound
from vidrnn.video.decode import decode
from vidrnn.video.overlay import Sheet, Written, write_annotated
from vidrnn.video.probe import probe

STRIP = 20
GREEN = (40, 200, 60)


class Plain:
    """A green strip below, a red half transparent panel in the corner, a playhead that moves 2 columns a frame."""

    def __init__(self, width: int, height: int) -> None:
        self.size = width, height
        self.panel = np.zeros((4, 8, 4), np.uint8)
        self.panel[...] = (255, 0, 0, 128)
        self.strip = np.full((STRIP, width, 3), GREEN, np.uint8)

    def at(self, time_s: float) -> Sheet:
        left = int(time_s * 25) % (self.size[0] // 2) * 2
        return Sheet(self.panel, self.strip, (left, left + 2, 4, 16))


def annotate(path: Path, *, scale: int = 1) -> tuple[Path, Written]:
    target = path.with_name("annotated.mp4")
    (*_, written) = write_annotated(probe(path, frame_rate=25.0), target, Plain, scale=scale)
    assert isinstance(written, Written)
    return target, written


def shown(path: Path) -> list[npt.NDArray[np.int64]]:
    video = probe(path, frame_rate=25.0)
    return [np.asarray(frame.rgb).astype(np.int64) for frame in decode(video, np.arange(video.num_frames))]


def assert_same_pictures(target: Path, source: Path, *, tolerance: float = 4.0) -> None:
    """Without the strip, and without the corner of the panel."""
    made, wanted = shown(target), shown(source)
    assert len(made) == len(wanted)
    for new, old in zip(made, wanted, strict=True):
        height, width = old.shape[:2]
        assert new.shape == (height + height % 2 + STRIP, width + width % 2, 3)
        error = np.abs(new[:height, :width] - old)
        error[:6, :10] = 0
        assert error.mean() < tolerance, error.mean()


def test_times_and_pixels_are_those_of_the_video(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", pictures(12, width=64, height=48))
    target, written = annotate(source)
    assert (written.width, written.height, written.num_frames) == (64, 48 + STRIP, 12)
    assert np.array_equal(probe(target).timestamps_s, probe(source).timestamps_s)
    assert probe(target).duration_s == probe(source).duration_s == written.duration_s
    assert_same_pictures(target, source)


def test_a_variable_frame_rate_is_kept_to_the_tick(tmp_path: Path) -> None:
    pts = [0, 40, 47, 300, 311, 1000, 1033, 2500]
    source = write_clip(tmp_path / "a.mkv", pictures(8), pts=pts, time_base=Fraction(1, 1000))
    target, _ = annotate(source)
    assert probe(target).timestamps_s == pytest.approx(np.array(pts) / 1000, abs=1e-9)


def test_what_is_drawn_is_there_and_the_picture_shows_through(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", [flat((0, 0, 255), width=64, height=48)] * 8)
    target, _ = annotate(source)
    for number, picture in enumerate(shown(target)):
        assert picture[1:3, 2:6].mean(axis=(0, 1)) == pytest.approx((128, 0, 127), abs=16)
        strip = picture[48:]
        left = 2 * number
        assert strip[6:14, left : left + 2].min() > 200, "the playhead is white"
        assert strip[8, left + 8] == pytest.approx(GREEN, abs=12)


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_a_turned_video_is_drawn_upright(tmp_path: Path, clockwise: int) -> None:
    source = turn_mp4(write_clip(tmp_path / "a.mp4", pictures(5, width=64, height=48)), clockwise=clockwise)
    target, _ = annotate(source)
    assert_same_pictures(target, source)
    with av.open(str(target)) as container:
        assert next(container.decode(video=0)).rotation == 0


def test_a_mirrored_video_is_drawn_as_players_show_it(tmp_path: Path) -> None:
    source = turn_mp4(write_clip(tmp_path / "a.mp4", pictures(5, width=64, height=48)), mirror=True)
    assert_same_pictures(annotate(source)[0], source)


@pytest.mark.parametrize(("width", "height"), [(33, 25), (34, 25), (33, 24)])
def test_odd_sizes_gain_a_row_or_column(tmp_path: Path, width: int, height: int) -> None:
    source = write_clip(tmp_path / "a.mkv", pictures(4, width=width, height=height), codec="ffv1")
    assert_same_pictures(annotate(source)[0], source, tolerance=6.0)


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv422p10le", "bgr0", "gray"])
def test_other_pixel_formats_look_the_same(tmp_path: Path, pix_fmt: str) -> None:
    source = write_clip(tmp_path / "a.mkv", pictures(3, width=64, height=48), codec="ffv1", pix_fmt=pix_fmt)
    assert_same_pictures(annotate(source)[0], source, tolerance=8.0)


def test_wide_pixels_become_wide_pictures(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", pictures(3, width=64, height=48), pixel_aspect=Fraction(3, 2))
    _, written = annotate(source)
    assert (written.width, written.height) == (96, 48 + STRIP)


def test_a_small_picture_is_enlarged(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", pictures(3, width=32, height=24))
    _, written = annotate(source, scale=3)
    assert (written.width, written.height) == (96, 72 + STRIP)


@pytest.mark.parametrize(("matrix", "tag"), [(1, 1), (6, 6), (6, 2)])
def test_colours_are_those_of_the_file(tmp_path: Path, matrix: int, tag: int) -> None:
    """Also of one that names no matrix, although the strip makes the picture larger."""
    source = write_flat(tmp_path / "a.mp4", (200, 60, 30), matrix=matrix, tag=tag, size=(64, 570))
    target, _ = annotate(source)
    assert shown(target)[0][40, 40] == pytest.approx((200, 60, 30), abs=5)
    assert shown(target)[0][580, 40] == pytest.approx(GREEN, abs=8)


def test_a_folder_of_pictures_can_be_annotated(tmp_path: Path) -> None:
    source = write_pictures(tmp_path / "frames", pictures(5, width=64, height=48))
    target, _ = annotate(source)
    assert probe(target).timestamps_s == pytest.approx(np.arange(5) / 25)
    assert_same_pictures(target, source)


def loudest_s(path: Path) -> float:
    """When the click sounds."""
    blocks = list(Sound(path, rate=8000).blocks())
    samples, times = (
        np.concatenate([block.samples for block in blocks]),
        np.concatenate([block.start_s + np.arange(len(block.samples)) / 8000 for block in blocks]),
    )
    return float(times[np.abs(samples).argmax()])


@pytest.mark.parametrize(
    ("name", "codec", "rate", "copied"),
    [
        ("a.mp4", "aac", 44100, True),
        ("a.mkv", "libmp3lame", 44100, True),
        ("a.ts", "aac", 44100, True),
        ("a.mkv", "libopus", 48000, True),
        ("a.mkv", "flac", 44100, True),
        ("a.avi", "pcm_s16le", 44100, False),
        ("a.mkv", "ac3", 48000, False),
    ],
)
def test_sound_stays_in_time(tmp_path: Path, name: str, codec: str, rate: int, copied: bool) -> None:
    source = write_sound(tmp_path / name, click(1.2, 2.0, rate=rate), codec=codec, rate=rate, images=50)
    target, written = annotate(source)
    assert loudest_s(target) == pytest.approx(loudest_s(source), abs=0.004)
    with av.open(str(target)) as container, av.open(str(source)) as before:
        codecs = [each.streams.audio[0].codec_context.codec.canonical_name for each in (container, before)]
    assert codecs[0] == (codecs[1] if copied else "aac")
    assert any("AAC" in note for note in written.notes) == (not copied)


def test_sound_that_begins_late_begins_late(tmp_path: Path) -> None:
    source = write_sound(tmp_path / "a.mkv", click(0.5, 1.0), codec="libmp3lame", images=50, from_s=0.7)
    target, _ = annotate(source)
    assert loudest_s(source) == pytest.approx(1.2, abs=0.01)
    assert loudest_s(target) == pytest.approx(1.2, abs=0.01)


def test_the_index_stands_in_front(tmp_path: Path) -> None:
    """So that a browser plays while it loads."""
    data = annotate(write_clip(tmp_path / "a.mp4", pictures(5)))[0].read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_a_damaged_video_is_a_named_error(tmp_path: Path) -> None:
    noise = list(np.random.default_rng(0).integers(0, 256, (20, 24, 32, 3), dtype=np.uint8))
    source = write_clip(tmp_path / "a.mkv", noise, codec="ffv1")
    video = probe(source)
    cut(source, 0.3)
    with pytest.raises(VideoError, match="only 5 of 20 wanted frames"):
        list(write_annotated(video, tmp_path / "annotated.mp4", Plain))
