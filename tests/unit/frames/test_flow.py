"""Optical flow of pictures whose motion is known, and what is left of it without the camera."""

import cv2
import numpy as np
import pytest

from vidrnn.errors import ConfigError
from vidrnn.frames.flow import flow_estimator, without_camera

SIZE = 96
METHODS = ["dis", "farneback"]
needs_no_contrib = pytest.mark.skipif(hasattr(cv2, "optflow"), reason="this OpenCV has the contributed modules")


def texture(seed: int = 0, *, size: int = 2 * SIZE) -> np.ndarray:
    """Soft random blobs with a different value everywhere, (size, size) uint8."""
    noise = np.random.default_rng(seed).normal(size=(size, size)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def moved(picture: np.ndarray, matrix: list[list[float]]) -> np.ndarray:
    """The middle of a picture whose points went from x to ``matrix`` @ (x, 1), counted from its own corner."""
    shift = np.array([[1, 0, SIZE / 2], [0, 1, SIZE / 2], [0, 0, 1]])
    whole = shift @ np.vstack([matrix, [0, 0, 1]]) @ np.linalg.inv(shift)
    warped = cv2.warpAffine(picture, whole[:2], picture.shape[::-1], flags=cv2.INTER_CUBIC)
    return np.ascontiguousarray(warped[SIZE // 2 : -SIZE // 2, SIZE // 2 : -SIZE // 2])


REST = [[1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("across", "down"), [(3, 0), (0, 2), (-4, 1.5)])
def test_a_shift_to_the_right_and_down_is_positive(method, across, down):
    """The texture goes right by ``across`` and down by ``down`` pixels: so says the flow, away from the border."""
    picture = texture()
    flow = flow_estimator(method)(moved(picture, REST), moved(picture, [[1, 0, across], [0, 1, down]]))
    assert flow.shape == (SIZE, SIZE, 2) and flow.dtype == np.float32
    inner = flow[12:-12, 12:-12].reshape(-1, 2)
    np.testing.assert_allclose(np.median(inner, axis=0), [across, down], atol=0.1)
    assert np.abs(inner - [across, down]).mean() < 0.2


@pytest.mark.parametrize("method", METHODS)
def test_equal_pictures_do_not_move(method):
    picture = moved(texture(), REST)
    assert np.abs(flow_estimator(method)(picture, picture)).max() < {"dis": 1e-3, "farneback": 0.1}[method]


@pytest.mark.parametrize("method", METHODS)
def test_the_bits_depend_neither_on_threads_nor_on_what_came_before(method):
    picture = texture()
    first, second = moved(picture, REST), moved(picture, [[1.02, 0, 2], [0, 1, -1]])
    estimate, before = flow_estimator(method), cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        expected = estimate(first, second)
        cv2.setNumThreads(4)
        estimate(second, first)
        np.testing.assert_array_equal(estimate(first, second), expected)
        assert cv2.getNumThreads() == 4
    finally:
        cv2.setNumThreads(before)


PAN, ZOOM, TURN = [[1, 0, 3], [0, 1, -2]], [[1.03, 0, -1], [0, 1.01, 2]], [[1, -0.02, 1], [0.02, 1, 0]]


@pytest.mark.parametrize("matrix", [PAN, ZOOM, TURN])
def test_without_the_camera_only_what_moves_by_itself_is_left(matrix):
    """A pan, an uneven zoom and a turn over a texture, before which a patch goes its own way."""
    picture = texture()
    first, second = moved(picture, REST), moved(picture, matrix)
    patch = texture(1)[:30, :30]
    first[30:60, 30:60] = patch
    second[30:60, 34:64] = patch
    flow = flow_estimator("dis")(first, second)
    left = without_camera(flow)
    background = np.ones((SIZE, SIZE), bool)
    background[22:68, 22:72] = background[:8] = background[-8:] = background[:, :8] = background[:, -8:] = False
    assert np.abs(left[background]).mean() < 0.15
    assert np.abs(flow[background]).mean() > 0.5
    rows, columns = np.mgrid[40:50, 40:50]
    points = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    own = [4, 0] - (points @ np.transpose(matrix) - points[..., :2])
    assert np.abs(left[40:50, 40:50] - own).mean() < 0.5


def test_a_camera_without_noise_is_taken_away_exactly():
    """Affine motion is a plane in each direction; written out here with NumPy."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    flow = np.stack([2 + 0.03 * columns - 0.01 * rows, -1 + 0.02 * rows], axis=-1)
    np.testing.assert_allclose(without_camera(flow), 0.0, atol=1e-3)


@needs_no_contrib
def test_a_method_that_opencv_does_not_have_is_named():
    with pytest.raises(ConfigError, match=r"'tvl1' is not part of the installed OpenCV .*; use 'dis' or 'farneback'"):
        flow_estimator("tvl1")
