"""Odd files of other projects: every one gives frames, upright and at the right times, or a named error."""

import json
import runpy
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from vidrnn.errors import VideoError
from vidrnn.video.decode import Frame, decode
from vidrnn.video.probe import Video, probe
from vidrnn.video.sampling import Sampling


@dataclass(frozen=True)
class Good:
    """What a readable file holds: upright (height, width), first and last time in seconds."""

    frames: int
    size: tuple[int, int]
    first_s: float
    last_s: float
    notes: tuple[str, ...] = ()


EXPECTED = {
    "animated.gif": Good(4, (48, 64), 0.0, 0.3),
    "av1_video.mkv": Good(125, (360, 640), 0.0, 4.96),
    "discard_first_keyframe.mp4": Good(25, (64, 64), 0.0, 0.96),
    "frame_exceeds_screen.gif": Good(1, (4, 4), 0.0, 0.0),
    "gradient.webp": Good(1, (720, 1280), 0.0, 0.0),
    "h264_10bits.mp4": Good(30, (200, 200), 0.0, 29 / 30),
    "h265_video.mp4": Good(10, (128, 128), 0.0, 0.9),
    "nasa_13013_rotated.mp4": Good(17, (480, 270), 0.0, 16 * 1001 / 30000),
    "sine_stereo_mp2.mpg": Good(100, (128, 128), 0.010911, 3.970911),
    "test_non_zero_start.mp4": Good(12, (112, 200), 0.0, 11 / 30),
    "testsrc2_odd_height_and_width_mpeg2.mp4": Good(10, (81, 121), 0.0, 0.36),
    "testsrc2_vp9.webm": Good(30, (720, 1280), 0.0, 0.967),
    "video_90.mov": Good(3, (568, 320), 0.0, 2 / 30),
}
SAMPLINGS = (
    *(Sampling(kind="uniform", count=count) for count in (1, 3, 8)),
    Sampling(kind="fps", rate=1.0),
    Sampling(kind="every", stride=7),
)
CORRUPTED = (
    "decoding stopped after 2.70 s of 4.90 s: Invalid data found when processing input; "
    "the file is damaged, re-encode or replace it"
)


@pytest.fixture(scope="module")
def folder(data_root):
    return data_root / "odd_media"


def read(path) -> tuple[Video, list[Frame]]:
    video = probe(path)
    return video, list(decode(video, np.arange(video.num_frames)))


def test_the_table_covers_every_file(folder):
    assert {path.name for path in folder.iterdir()} == {*EXPECTED, "corrupted.mp4"}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_readable_file_gives_all_its_frames(folder, name):
    expected = EXPECTED[name]
    video, frames = read(folder / name)
    assert (video.num_frames, len(frames)) == (expected.frames, expected.frames)
    assert {frame.rgb.shape for frame in frames} == {(*expected.size, 3)}
    assert frames[0].timestamp_s == pytest.approx(expected.first_s, abs=1e-6)
    assert frames[-1].timestamp_s == pytest.approx(expected.last_s, abs=1e-6)
    assert [frame.timestamp_s for frame in frames] == video.timestamps_s.tolist()
    assert video.notes == expected.notes
    assert max(int(np.ptp(frame.rgb)) for frame in frames) > 20, "every picture is blank"


def test_the_damaged_file_names_how_far_it_could_be_read(folder):
    with pytest.raises(VideoError) as caught:
        read(folder / "corrupted.mp4")
    assert str(caught.value) == CORRUPTED


def test_what_lies_before_the_damage_can_be_read(folder):
    video = probe(folder / "corrupted.mp4")
    assert len(list(decode(video, np.arange(20)))) == 20


@pytest.mark.parametrize("name", EXPECTED)
def test_chosen_frames_equal_those_of_reading_all(folder, name):
    """However few are chosen, and whatever way is taken to them."""
    video, frames = read(folder / name)
    assert len(frames) == len(list(decode(replace(video, packets=None), np.arange(video.num_frames))))
    single = [np.array([index]) for index in range(0, video.num_frames, 5)]
    for indices in (*(sampling.select(video.timestamps_s) for sampling in SAMPLINGS), *single):
        chosen = list(decode(video, indices))
        assert [frame.timestamp_s for frame in chosen] == video.timestamps_s[indices].tolist()
        for frame, index in zip(chosen, indices, strict=True):
            np.testing.assert_array_equal(frame.rgb, frames[index].rgb)


def test_the_document_tells_what_happens_to_each_file(folder, capsys, monkeypatch):
    """The table is what `python -m benchmarks.odd_files FOLDER` prints."""
    repository = Path(__file__).parents[2]
    monkeypatch.setattr(sys, "argv", ["odd_files.py", str(folder)])
    runpy.run_path(str(repository / "benchmarks" / "odd_files.py"), run_name="__main__")
    table, _, figures = capsys.readouterr().out.partition("\n\n")
    assert table in (repository / "docs" / "odd_files.md").read_text()
    assert json.loads(figures) == {"files": 14, "failed": 1}
