"""The circuits of a GPU give the frames that the CPU gives, of whole and of damaged files, and leave the rest to it."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.media import cut, pictures, turn_mp4, write_clip
from vidrnn.backbones.backbone import load_backbone
from vidrnn.backbones.engines import similarity
from vidrnn.errors import VideoError
from vidrnn.extraction.drawing import draw_video
from vidrnn.extraction.jobs import Job
from vidrnn.extraction.messages import Drawn, Pixels
from vidrnn.extraction.pipeline import embed_passes
from vidrnn.frames.fitting import Drawing
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.video.sampling import Sampling

CODECS = ("libx264", "libx265", "libvpx", "libvpx-vp9")
SQUARE = Preprocessing(224, 224, "warp", "bicubic", (0.5,) * 3, (0.5,) * 3)
EVERY_OTHER = Sampling("every", stride=2)


def drawn(path: Path, gpu: int | None, *, square: Preprocessing = SQUARE) -> tuple[np.ndarray, list[float], Drawn]:
    """All frames that are drawn of a file, their times, and how it ended."""
    if gpu is not None:
        torch.zeros(1, device=gpu)  # as in a decoder process: PyTorch comes first
    *chunks, end = draw_video(path, {0: Drawing(EVERY_OTHER, square)}, 8, lambda: None, gpu=gpu)
    assert all(isinstance(chunk, Pixels) for chunk in chunks)
    assert isinstance(end, Drawn)
    frames = [frame for chunk in chunks for frame in chunk.frames]
    return np.stack(frames).astype(int), [time for chunk in chunks for time in chunk.timestamps_s], end


def assert_alike(path: Path, *, square: Preprocessing = SQUARE) -> None:
    expected, times, _ = drawn(path, None, square=square)
    found, found_times, end = drawn(path, 0, square=square)
    assert found_times == times
    levels = np.abs(found - expected)
    assert levels.max() <= 2
    assert (levels > 1).mean() < 1e-4
    assert not [note for note in end.notes if "GPU" in note]


@pytest.mark.parametrize("codec", CODECS)
def test_frames_are_those_of_the_cpu(tmp_path, codec):
    assert_alike(write_clip(tmp_path / "clip.mkv", pictures(40, width=640, height=480), codec=codec))


@pytest.mark.parametrize("fit", ["center_crop", "pad", "warp"])
def test_in_every_way_of_fitting(tmp_path, fit):
    clip = write_clip(tmp_path / "clip.mp4", pictures(20, width=640, height=360), pixel_aspect=Fraction(4, 3))
    assert_alike(clip, square=Preprocessing(224, 256, fit, "bicubic", (0.5,) * 3, (0.5,) * 3, mirrored=True))


def test_of_a_turned_and_a_mirrored_video(tmp_path):
    for number, change in enumerate(({"clockwise": 90}, {"clockwise": 270, "mirror": True})):
        clip = write_clip(tmp_path / f"{number}.mp4", pictures(20, width=640, height=360))
        turn_mp4(clip, **change)
        assert_alike(clip)


OTHERS = [("libx264", "h264", "yuv444p"), ("libx264", "h264", "yuv420p10le"), ("mpeg4", "mpeg4", "yuv420p")]


@pytest.mark.parametrize(("encoder", "codec", "form"), OTHERS)
def test_what_it_cannot_decode_alike_comes_from_the_cpu_with_a_note(tmp_path, encoder, codec, form):
    clip = write_clip(tmp_path / "clip.mp4", pictures(20, width=320, height=240), codec=encoder, pix_fmt=form)
    expected, times, _ = drawn(clip, None)
    found, found_times, end = drawn(clip, 0)
    assert np.array_equal(found, expected)
    assert found_times == times
    assert end.notes[-1] == f"the GPU does not decode it ({codec}, {form}); decoded on the CPU"


def test_a_tiny_video_comes_from_the_cpu(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", pictures(20, width=16, height=16))
    expected, _, _ = drawn(clip, None)
    found, _, end = drawn(clip, 0)
    assert np.array_equal(found, expected)
    assert end.notes[-1].endswith("decoded on the CPU")


def test_damaged_files_cost_themselves(tmp_path):
    """Each ends with frames or with a cause. The circuits hide damage that the CPU reports, so the two may differ."""
    whole = write_clip(tmp_path / "clip.ts", pictures(60, width=320, height=240), container="mpegts").read_bytes()
    for number in range(12):
        damaged = bytearray(whole)
        for place in np.random.default_rng(number).integers(2000, len(whole), 20):
            damaged[place] ^= 0xFF
        path = tmp_path / f"{number}.ts"
        path.write_bytes(bytes(damaged))
        with suppress(VideoError):
            frames, times, _ = drawn(path, 0)
            assert len(frames) == len(times) <= 30
    assert_alike(write_clip(tmp_path / "after.mp4", pictures(20, width=640, height=480)))  # the GPU is as it was


def test_a_video_that_was_cut_off(tmp_path):
    assert_alike(cut(write_clip(tmp_path / "cut.mkv", pictures(60, width=320, height=240)), 0.6))


def test_features_of_both_ways_agree_and_a_broken_file_costs_itself(tmp_path):
    clips = [write_clip(tmp_path / f"{number}.mp4", pictures(30, width=640, height=480)) for number in range(6)]
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clips[0].read_bytes()[:3000])
    found = {}
    for decoder in ("cpu", "nvdec"):
        how = ExtractionSettings(decoder=decoder, workers=3)
        backbone = load_backbone(FeatureSettings(), how)
        jobs = [Job(path.name, path, (0,)) for path in (*clips, broken)]
        found[decoder] = {name: result[0] for name, result in embed_passes(jobs, [backbone], settings=how)}
    assert found["nvdec"]["broken.mp4"].cause == found["cpu"]["broken.mp4"].cause
    for clip in clips:
        ours, theirs = (torch.from_numpy(found[each][clip.name].features).float() for each in ("nvdec", "cpu"))
        assert similarity(ours, theirs) > 0.9999
        assert not found["nvdec"][clip.name].notes
