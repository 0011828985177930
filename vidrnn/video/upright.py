"""Decoded pictures to RGB, the right way up."""

import math

import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter


class Upright:
    """Turns the pictures of one video into RGB arrays. One object per video."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()  # one for all frames: each would start threads of its own
        self._placements: dict[int, tuple[bool, int]] = {}

    def __call__(self, frame: VideoFrame) -> npt.NDArray[np.uint8]:
        """Convert with the colour matrix that the frame names, and show it as the file's display matrix says.

        Returns:
            (H, W, 3) uint8, contiguous.
        """
        # Looking at a frame's side data ties it into a reference cycle, which keeps its pixels until the next garbage
        # collection: so once per video (and again when the rotation changes), not once per frame.
        rotation = frame.rotation
        if rotation not in self._placements:
            self._placements[rotation] = _placement(frame)
        mirrored, quarter_turns = self._placements[rotation]
        rgb = np.asarray(self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray(), dtype=np.uint8)
        if not mirrored and not quarter_turns:
            return rgb
        return np.ascontiguousarray(np.rot90(rgb[:, ::-1] if mirrored else rgb, quarter_turns))


def _placement(frame: VideoFrame) -> tuple[bool, int]:
    """Whether a picture is to be mirrored, and then how many quarter turns counter-clockwise.

    ISO/IEC 14496-12, 6.2.2: x' = a x + c y, y' = b x + d y, with y downwards. A negative determinant is a mirror
    (front cameras), which `VideoFrame.rotation` would report as a half turn.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, SideData):
        return False, 0
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(matrix), dtype=np.int32)[:5])
    mirrored = a * d < b * c
    if mirrored:
        a, b = -a, -b
    return mirrored, round(-math.degrees(math.atan2(b, a)) / 90) % 4
