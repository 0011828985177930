"""Dense optical flow between two pictures, and the part of it that the camera makes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidrnn.errors import ConfigError
from vidrnn.settings.streams import FlowMethod

Grey = npt.NDArray[np.uint8]
FlowField = npt.NDArray[np.float32]

_GRID = 14  # pixels between the points that the camera's motion is fitted to
_INLIER = 0.5  # pixels that such a point may be off


def flow_estimator(method: FlowMethod) -> Callable[[Grey, Grey], FlowField]:
    """A function from two (H, W) uint8 pictures to the (H, W, 2) motion between them, in pixels, to the right and down.

    What is at (x, y) in the first picture is at (x, y) + flow[y, x] in the second. For one thread at a time; the same
    pictures always give the same bits.

    The methods:

    - ``dis``: Kroeger et al., Fast Optical Flow using Dense Inverse Search (ECCV 2016).
    - ``farneback``: Farnebäck, Two-Frame Motion Estimation Based on Polynomial Expansion (SCIA 2003).
    - ``tvl1``: Zach et al., A Duality Based Approach for Realtime TV-L1 Optical Flow (DAGM 2007).

    Raises:
        ConfigError: this OpenCV does not have the method.
    """
    estimate = _estimate(method)

    def calculate(first: Grey, second: Grey) -> FlowField:
        with _one_thread():
            return np.asarray(estimate(first, second), np.float32)

    return calculate


def without_camera(flow: FlowField) -> FlowField:
    """Take away the affine motion that most of the picture follows: pan, zoom, turn and tilt of the camera.

    It is fitted by RANSAC, so that whoever moves against the background does not count; affine, because the squeeze
    to a square makes any zoom uneven. Where nothing can be fitted, the median motion is taken.

    Args:
        flow: (H, W, 2) pixels.

    Returns:
        (H, W, 2): what moves against the background.
    """
    height, width = flow.shape[:2]
    rows, columns = np.mgrid[_GRID // 2 : height : _GRID, _GRID // 2 : width : _GRID]
    points = np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(np.float32)
    motion = flow[rows, columns].reshape(-1, 2)
    matrix, _ = cv2.estimateAffine2D(points, points + motion, method=cv2.RANSAC, ransacReprojThreshold=_INLIER)
    if matrix is None:
        return np.asarray(flow - np.median(motion, axis=0), np.float32)
    across, down = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    (a, b, c), (d, e, f) = np.asarray(matrix, np.float32)
    camera = np.stack([(a - 1) * across + b * down + c, d * across + (e - 1) * down + f], axis=-1)
    return np.asarray(flow - camera, np.float32)


def _estimate(method: FlowMethod) -> Callable[[Grey, Grey], npt.ArrayLike]:
    opencv: Any = cv2  # its type information lacks DIS, and that no picture need be given to write into
    if method == "dis":
        dis = opencv.DISOpticalFlow_create(opencv.DISOPTICAL_FLOW_PRESET_MEDIUM)
        return lambda first, second: dis.calc(first, second, None)
    if method == "farneback":
        return lambda first, second: opencv.calcOpticalFlowFarneback(first, second, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    if not hasattr(opencv, "optflow"):
        raise ConfigError(
            f"features.flow.method: 'tvl1' is not part of the installed OpenCV {opencv.__version__}; use 'dis' or "
            "'farneback', or install opencv-contrib-python-headless in place of opencv-python-headless"
        )
    tvl1 = opencv.optflow.DualTVL1OpticalFlow_create()
    return lambda first, second: tvl1.calc(first, second, None)


@contextmanager
def _one_thread() -> Iterator[None]:
    """DIS cuts the picture into one stripe per thread, which changes the numbers. Decoders are one per core anyway."""
    before = cv2.getNumThreads()
    if before == 1:
        yield
        return
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
