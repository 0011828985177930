"""Decoded pictures to RGB, the right way up."""

import math
from contextlib import suppress

import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideData, SideDataContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter


class Upright:
    """Turns the pictures of one video into RGB arrays. One object per video."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()  # one for all frames: each would start threads of its own

    def __call__(self, frame: VideoFrame) -> npt.NDArray[np.uint8]:
        """Convert with the colour matrix that the frame names, and show it as the file's display matrix says.

        Returns:
            (H, W, 3) uint8, contiguous.
        """
        mirrored, quarter_turns = _placement(frame)
        rgb = np.asarray(self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray(), dtype=np.uint8)
        if not mirrored and not quarter_turns:
            return rgb
        return np.ascontiguousarray(np.rot90(rgb[:, ::-1] if mirrored else rgb, quarter_turns))


def _placement(frame: VideoFrame) -> tuple[bool, int]:
    """Whether a picture is to be mirrored, and then how many quarter turns counter-clockwise.

    ISO/IEC 14496-12, 6.2.2: x' = a x + c y, y' = b x + d y, with y downwards. A negative determinant is a mirror
    (front cameras), which `VideoFrame.rotation` would report as a half turn.
    """
    # `frame.side_data` would tie the frame to its side data and back, which keeps its pixels until a full garbage
    # collection, rare beside torch's many objects; a container made here is tied one way only.
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
