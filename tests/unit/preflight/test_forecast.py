"""What `check` predicts is what `extract` then takes."""

import shutil
import time
from collections import namedtuple
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fake_backbone import AverageColour
from tests.media import pictures, write_clip
from vidrnn.annotations import Annotation
from vidrnn.errors import VideoError
from vidrnn.extraction.extract import extract
from vidrnn.preflight.forecast import Forecast, forecast
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.store.video_features import VideoMetadata
from vidrnn.video.probe import probe

Usage = namedtuple("Usage", ["total", "used", "free"])
LENGTHS = (4, 8, 12, 4, 8, 12)


class Slow(AverageColour):
    def embed(self, frames):
        time.sleep(0.05 * len(frames))
        return super().embed(frames)


@pytest.fixture
def annotations(tmp_path: Path) -> list[Annotation]:
    names = [f"{number}.mkv" for number in range(len(LENGTHS))]
    for name, length in zip(names, LENGTHS, strict=True):
        write_clip(tmp_path / "videos" / name, pictures(length), codec="ffv1", pix_fmt="bgr0")
    return [Annotation(name, "any", None, name) for name in names]


def known(annotations, root: Path) -> dict[str, VideoMetadata]:
    """What the thumbnails tell of the videos that can be decoded."""
    found = {}
    for each in annotations:
        with suppress(VideoError):
            video = probe(each.source(root))
            found[each.path] = VideoMetadata(video.width, video.height, video.num_frames, video.duration_s)
    return found


def predict(annotations, tmp_path, backbone=None) -> Forecast:
    settings, root = ExtractionSettings(store=tmp_path / "not" / "yet", batch_size=4, workers=2), tmp_path / "videos"
    passes = [backbone or AverageColour()]
    return forecast(annotations, passes, root=root, settings=settings, videos=known(annotations, root))


def test_frames_and_bytes_are_those_of_the_extraction(annotations, tmp_path):
    expected = predict(annotations, tmp_path)
    settings = ExtractionSettings(store=tmp_path / "store", batch_size=4, workers=2)
    report = extract(annotations, [AverageColour()], root=tmp_path / "videos", settings=settings, weights="default")
    assert (expected.videos, expected.frames) == (6, report.speed.throughput.frames) == (6, sum(LENGTHS))
    files = sum(file.stat().st_size for file in report.folders[0].path.glob("*.safetensors"))
    assert expected.num_bytes == pytest.approx(files, rel=0.1)
    assert not (tmp_path / "not").exists(), "a forecast leaves nothing behind"


def test_the_disk_must_hold_what_all_passes_take(annotations, tmp_path, monkeypatch):
    """Each of two passes alone would fit; a video that has one of them needs the other alone."""
    settings = ExtractionSettings(store=tmp_path / "store", batch_size=4, workers=2)
    both, root = [AverageColour(), AverageColour().mirrored()], tmp_path / "videos"
    videos = known(annotations, root)
    one = forecast(annotations, both[:1], root=root, settings=settings, videos=videos)
    free = one.num_bytes * 3 // 2
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(free, 0, free))
    two = forecast(annotations, both, root=root, settings=settings, videos=videos)
    assert (two.videos, two.frames, two.num_bytes) == (6, 2 * one.frames, 2 * one.num_bytes)
    assert next(two.lines()).startswith("features: 6 videos to extract, about 96 frames in 2 passes and ")
    warnings = [[line for line in each.lines() if line.startswith("warning: ")] for each in (one, two)]
    assert [len(each) for each in warnings] == [0, 1]
    extract(annotations, both[:1], root=root, settings=settings, weights="default")
    rest = forecast(annotations, both, root=root, settings=settings, videos=videos)
    assert (rest.videos, rest.frames, rest.num_bytes) == (6, one.frames, one.num_bytes)


def test_seconds_follow_the_speed_of_the_backbone(annotations, tmp_path):
    expected = predict(annotations, tmp_path, Slow())
    assert expected.seconds is not None
    assert expected.seconds >= 0.05 * sum(LENGTHS) * 0.9


def test_what_is_there_is_not_counted(annotations, tmp_path):
    settings = ExtractionSettings(store=tmp_path / "not" / "yet", batch_size=4, workers=2)
    extract(annotations[:4], [AverageColour()], root=tmp_path / "videos", settings=settings, weights="default")
    expected = predict(annotations, tmp_path)
    assert (expected.videos, expected.frames) == (2, 20)
    extract(annotations, [AverageColour()], root=tmp_path / "videos", settings=settings, weights="default")
    expected = predict(annotations, tmp_path)
    assert list(expected.lines()) == ["features: nothing left to extract"]


def test_videos_that_cannot_be_read_are_seen(annotations, tmp_path):
    (tmp_path / "videos" / "0.mkv").write_text("no video")
    expected = predict(annotations, tmp_path)
    assert expected.readable == pytest.approx(5 / 6)
    assert expected.frames == sum(LENGTHS[1:])
    assert "1 of these 6 cannot be decoded" in expected.lines()


def test_what_cannot_be_read_is_no_share_of_all_videos(annotations, tmp_path):
    """After an extraction only the videos that failed are left: none of them reads, and all others did."""
    (tmp_path / "videos" / "0.mkv").write_text("no video")
    settings = ExtractionSettings(store=tmp_path / "not" / "yet", batch_size=4, workers=2)
    extract(annotations, [AverageColour()], root=tmp_path / "videos", settings=settings, weights="default")
    assert "1 of these 1 cannot be decoded" in predict(annotations, tmp_path).lines()


def test_nothing_readable_gives_no_time(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "0.mkv").write_text("no video")
    expected = predict([Annotation("0.mkv", "any", None, "0")], tmp_path)
    assert (expected.frames, expected.seconds) == (0, None)


def test_lines_are_in_units_that_people_read():
    expected = Forecast(1000, 1.0, 150_000, 390_000_000, 5000.0, "decoding", 100_000_000)
    assert list(expected.lines()) == [
        "features: 1000 videos to extract, about 150000 frames and 390 MB (100 MB free)",
        "time: about 83 min with the machine as busy as now; decoding limits",
        "warning: the disk of extraction.store is too small; free some space, or set it to a folder elsewhere",
    ]
    assert "about 3.0 h with" in list(Forecast(1, 1.0, 1, 1, 10_800.0, "backbone", 10**13).lines())[1]
