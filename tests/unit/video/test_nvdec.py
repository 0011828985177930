"""What a GPU makes of decoded pictures is what the CPU makes of them, within one grey level; here without a GPU."""

import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from tests.media import pictures, write_clip
from vidrnn.frames.preprocessing import Preprocessing, resize_in_floats
from vidrnn.video.nvdec import hardware_for, rgb_of
from vidrnn.video.probe import probe

MATRICES = {"BT.709": 1, "untagged": 2, "FCC": 4, "BT.470BG": 5, "SMPTE 170M": 6, "SMPTE 240M": 7, "BT.2020": 9}


def drawn(size: tuple[int, int]) -> VideoFrame:
    """A picture with many colours and hard edges."""
    width, height = size
    picture = pictures(1, width=width, height=height)[0]
    noise = np.random.default_rng(0).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    picture[: height // 2] = noise.repeat(8, 0).repeat(8, 1)[: height // 2, :width]
    return VideoFrame.from_ndarray(picture)


def as_on_a_gpu(frame: VideoFrame) -> tuple[torch.Tensor, torch.Tensor]:
    """A frame in three planes as two, as PyAV hands those over on a GPU."""
    y, u, v = (np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, -1) for plane in frame.planes)
    chroma = np.stack([u, v], axis=2)[:, : frame.width // 2]
    return torch.from_numpy(y[:, : frame.width].copy()), torch.from_numpy(chroma)


def apart(frame: VideoFrame, *, matrix: int, full_range: bool = False) -> np.ndarray:
    """Grey levels between both ways."""
    frame.colorspace, frame.color_range = matrix, 2 if full_range else 1
    found = rgb_of(*as_on_a_gpu(frame), matrix=matrix, full_range=full_range).numpy()
    expected = VideoReformatter().reformat(frame, format="rgb24", threads=1).to_ndarray()
    assert found.shape == expected.shape
    return np.abs(found.astype(int) - expected)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_colours_are_those_of_the_cpu(matrix, full_range):
    assert apart(drawn((320, 240)).reformat(format="yuv420p"), matrix=matrix, full_range=full_range).max() <= 1


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(640, 480), (200, 300), (224, 1080), (100, 60)])
def test_squares_are_those_of_the_cpu(size, interpolation):
    rgb = drawn(size).to_ndarray()
    how = Preprocessing(224, 224, "warp", interpolation, (0.5,) * 3, (0.5,) * 3)
    found = resize_in_floats(torch.from_numpy(rgb).permute(2, 0, 1), 224, 224, interpolation)
    levels = (found.int() - how.fit(rgb).int()).abs()
    assert levels.max() <= (1 if min(size) >= 224 else 2)  # enlarged, at a hard edge
    assert (levels > 1).float().mean() < 1e-4


def test_circuits_are_asked_only_for_forms_that_can_be_read(tmp_path):
    usual = probe(write_clip(tmp_path / "usual.mp4", pictures(3)))
    assert hardware_for(usual, None) is None
    assert hardware_for(usual, 0).is_hw_owned
    for form in ("yuv444p", "yuv420p10le"):
        assert hardware_for(probe(write_clip(tmp_path / f"{form}.mp4", pictures(3), pix_fmt=form)), 0) is None
    odd = write_clip(tmp_path / "odd.mkv", pictures(3, width=33), codec="mpeg4")
    assert hardware_for(probe(odd), 0) is None
