"""Decoded pictures to RGB, the right way up."""

import math
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideData, SideDataContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from vidrnn.video.colours import BT709, LIMITED, UNTAGGED, is_grey, is_hd
from vidrnn.video.nvdec import is_on_gpu, to_rgb

if TYPE_CHECKING:
    import torch

_STRETCHED = np.rint((np.arange(256.0) - 16) * 255 / 219).clip(0, 255).astype(np.uint8)


class Upright:
    """Turns the pictures of one video into RGB arrays. One object per video."""

    def __init__(self, *, pixel_aspect: float, guess_matrix: bool) -> None:
        """Prepare for the pictures of one video.

        Args:
            pixel_aspect: width of a stored pixel over its height.
            guess_matrix: whether untagged frames in HD are converted with BT.709. False for formats of pictures, which
                are BT.601 by their standards.
        """
        self._pixel_aspect, self._guess_matrix = pixel_aspect, guess_matrix
        self._reformatter = VideoReformatter()  # one for all frames: each would start threads of its own

    def __call__(self, frame: VideoFrame) -> "tuple[npt.NDArray[np.uint8] | torch.Tensor, float]":
        """Convert with the colour matrix that the frame names, and show it as the file's display matrix says.

        Returns:
            (H, W, 3) uint8, a tensor where the frame lies on a GPU, else contiguous; the width of its pixels over their
            height.
        """
        mirrored, quarter_turns = placement(frame)
        pixel_aspect = 1 / self._pixel_aspect if quarter_turns % 2 else self._pixel_aspect
        if self._guess_matrix and frame.colorspace == UNTAGGED and is_hd(frame.width, frame.height):
            frame.colorspace = BT709
        if is_on_gpu(frame):
            on_gpu = to_rgb(frame)
            return (on_gpu.flip(1) if mirrored else on_gpu).rot90(quarter_turns), pixel_aspect
        rgb = np.asarray(self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray(), dtype=np.uint8)
        if frame.color_range == LIMITED and is_grey(frame.format.name):
            rgb = _STRETCHED[rgb]  # FFmpeg takes frames without colour as full range, whatever they say
        if not mirrored and not quarter_turns:
            return rgb, pixel_aspect
        turned = np.ascontiguousarray(np.rot90(rgb[:, ::-1] if mirrored else rgb, quarter_turns))
        return turned, pixel_aspect


def placement(frame: VideoFrame) -> tuple[bool, int]:
    """Whether a picture is to be mirrored, and then how many quarter turns counter-clockwise.

    ISO/IEC 14496-12, 6.2.2: x' = a x + c y, y' = b x + d y, with y downwards. A negative determinant is a mirror
    (front cameras), which `VideoFrame.rotation` would report as a half turn.
    """
    # `frame.side_data` would tie the frame to its side data and back, which keeps its pixels until a full garbage
    # collection, and that is rare beside torch's many objects. A container made here is tied one way only.
    side_data = SideDataContainer.__new__(SideDataContainer)
    # PyAV 18 does not know the EXIF block that FFmpeg puts behind the matrix, and gives up there (PyAV #2392).
    with suppress(ValueError):
        side_data.__init__(frame)  # type: ignore[misc]  # the stub leaves the argument out
    matrix = side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, SideData):
        return False, 0
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(matrix), dtype=np.int32)[:5])
    mirrored = a * d < b * c
    if mirrored:
        a, b = -a, -b
    return mirrored, round(-math.degrees(math.atan2(b, a)) / 90) % 4
