"""Pictures of motion, of change and rows: levels, times, views, and that specs of plain frames stay what they were."""

import json

import numpy as np
import pytest
import torch

from tests.media import picture, pictures, write_clip
from tests.unit.frames.test_flow import texture
from vidrnn.errors import ConfigError, VideoError
from vidrnn.frames.fitting import Drawing, Step, draw
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.frames.rendering import DifferenceRendering, FlowRendering, RowRendering
from vidrnn.frames.views import Views
from vidrnn.settings.base import validate
from vidrnn.settings.features import FeatureSettings
from vidrnn.streams.pixel_rows import Rows
from vidrnn.video.probe import probe
from vidrnn.video.sampling import Sampling

SIZE = 64
FLOW = FlowRendering("dis", "keep", bound=8.0, gap_s=0.0)
RENDERINGS = [FLOW, FlowRendering("farneback", "remove", 4.0, 0.08), DifferenceRendering(64.0, 0.04), RowRendering(16)]


def preprocessing(rendering=None, **changes) -> Preprocessing:
    values = {"image_size": SIZE, "resize_size": SIZE, "square": "warp", "interpolation": "bicubic"}
    return Preprocessing(**{**values, "mean": (0.5,) * 3, "std": (0.5,) * 3, "rendering": rendering, **changes})


def sliding(count: int, *, across: int) -> list[np.ndarray]:
    """A texture that goes ``across`` pixels to the right from frame to frame, (S, S, 3)."""
    wide = np.repeat(texture(size=2 * SIZE)[:SIZE, :, None], 3, axis=2)
    return [np.ascontiguousarray(wide[:, 60 - across * number :][:, :SIZE]) for number in range(count)]


def drawn(video, how: Preprocessing, *, stride: int = 1) -> list[Step]:
    """One drawing alone, of every frame or of each ``stride`` th."""
    return [step for _, step in draw(video, {0: Drawing(Sampling("every", stride=stride), how)})]


def steps_of(path, how: Preprocessing) -> np.ndarray:
    return np.stack([step.pixels for step in drawn(probe(path), how)])


def turned_steps_of(path, how: Preprocessing) -> np.ndarray:
    """What the network sees of the mirrored view: what is drawn of it, and then turned over."""
    pixels = torch.from_numpy(steps_of(path, how.drawn))
    return Views(torch.arange(len(pixels)), torch.full((len(pixels),), how.turn, dtype=torch.uint8)).of(pixels).numpy()


def lossless(path, images, **options):
    return write_clip(path, images, codec="ffv1", pix_fmt="bgr0", **options)


def test_levels_of_motion():
    """Right and down are brighter than 128, rest is 128 and dark in the third, and the bound clips."""
    flow = np.array([[[0, 0], [8, 0], [-8, 0], [0, 4], [80, -80], [3, 4]]], np.float32)
    expected = [[128, 255, 1, 128, 255, 176], [128, 128, 128, 192, 1, 192], [0, 255, 255, 128, 255, 159]]
    np.testing.assert_allclose(FLOW.draw(flow)[:, 0], expected, atol=1)


def test_motion_of_a_known_slide(tmp_path):
    """2 pixels to the right per frame at 25 frames per second is a quarter of the bound of 8."""
    got = steps_of(lossless(tmp_path / "v.mkv", sliding(5, across=2)), preprocessing(FLOW))
    inner = got[:, :, 8:-8, 8:-8].reshape(5, 3, -1)
    np.testing.assert_allclose(np.median(inner, axis=2), np.tile([128 + 127 / 4, 128, 255 / 4], (5, 1)), atol=2)


def test_motion_is_per_time_and_not_per_frame(tmp_path):
    """The same frames at half the rate show half the speed; the last frame looks back and tells the same."""
    slide = sliding(4, across=4)
    fast = steps_of(lossless(tmp_path / "fast.mkv", slide), preprocessing(FLOW))
    slow = steps_of(lossless(tmp_path / "slow.mkv", slide, pts=[0, 2, 4, 6]), preprocessing(FLOW))
    middles = [np.median(each[:, 0, 8:-8, 8:-8], axis=(1, 2)) - 128 for each in (fast, slow)]
    np.testing.assert_allclose(middles[0], 127 / 2, atol=3)
    np.testing.assert_allclose(middles[1], 127 / 4, atol=3)


def test_a_pan_is_taken_away_on_request(tmp_path):
    clip = lossless(tmp_path / "v.mkv", sliding(3, across=3))
    got = steps_of(clip, preprocessing(FlowRendering("dis", "remove", 8.0, 0.0)))
    assert np.abs(got[:, :2, 8:-8, 8:-8].astype(int) - 128).mean() < 3
    assert got[:, 2, 8:-8, 8:-8].mean() < 6


@pytest.mark.parametrize("camera", ["keep", "remove"])
def test_stills_and_single_frames_do_not_move(tmp_path, camera):
    """One frame has nothing to move against; three equal ones do not move: both are drawn as rest, to the bit."""
    rest = np.repeat(np.uint8([128, 128, 0]), SIZE * SIZE).reshape(1, 3, SIZE, SIZE)
    how = preprocessing(FlowRendering("dis", camera, 8.0, 0.08))
    np.testing.assert_array_equal(steps_of(lossless(tmp_path / "one.mkv", sliding(1, across=1)), how), rest)
    still = steps_of(lossless(tmp_path / "still.mkv", sliding(1, across=1) * 3), how)
    np.testing.assert_array_equal(still, np.repeat(rest, 3, axis=0))


def test_differences_are_those_of_the_frames(tmp_path):
    """NumPy on the frames themselves is the reference; the last frame looks back."""
    images = pictures(4, width=SIZE, height=SIZE)
    got = steps_of(lossless(tmp_path / "v.mkv", images), preprocessing(DifferenceRendering(64.0, 0.0)))
    for step, (first, second) in enumerate([(0, 1), (1, 2), (2, 3), (2, 3)]):
        change = images[second].astype(float) - images[first]
        expected = 128 + 127 * np.clip(change / 64, -1, 1)
        assert np.abs(got[step] - expected.transpose(2, 0, 1)).max() <= 0.5


@pytest.mark.parametrize("rendering", [None, RENDERINGS[2]])
def test_the_mirrored_view_of_frames_and_differences_is_that_of_mirrored_frames(tmp_path, rendering):
    got, expected = of_mirrored_view_and_mirrored_clip(tmp_path, rendering)
    np.testing.assert_array_equal(got, expected)


def of_mirrored_view_and_mirrored_clip(tmp_path, rendering) -> tuple[np.ndarray, np.ndarray]:
    images = sliding(4, across=2)
    clip = lossless(tmp_path / "v.mkv", images)
    turned = lossless(tmp_path / "turned.mkv", [np.ascontiguousarray(image[:, ::-1]) for image in images])
    return turned_steps_of(clip, preprocessing(rendering, mirrored=True)), steps_of(turned, preprocessing(rendering))


@pytest.mark.parametrize("rendering", RENDERINGS[:2])
def test_the_mirrored_view_of_flow_shows_what_a_search_in_mirrored_frames_finds(tmp_path, rendering):
    """What went to the right goes to the left, as fast; a search begins elsewhere, so single pixels may differ."""
    got, searched = (
        each[:, :, 8:-8, 8:-8].astype(float) for each in of_mirrored_view_and_mirrored_clip(tmp_path, rendering)
    )
    np.testing.assert_allclose(np.median(got, axis=(2, 3)), np.median(searched, axis=(2, 3)), atol=2)
    if rendering is FLOW:
        assert np.median(got[:, 0]) < 128 - 127 / 8


def test_rows_of_the_mirrored_view_are_cut_from_the_mirrored_picture(tmp_path):
    """Patches too: the one that was last in its line comes first. So they are drawn mirrored, and not turned after."""
    image = picture(3, width=SIZE, height=SIZE)
    path = lossless(tmp_path / "v.mkv", [image])
    turned = lossless(tmp_path / "turned.mkv", [np.ascontiguousarray(image[:, ::-1])])
    for rendering in (RowRendering(16), RowRendering(None)):
        got = turned_steps_of(path, preprocessing(rendering, mirrored=True))
        np.testing.assert_array_equal(got, steps_of(turned, preprocessing(rendering)))


@pytest.mark.parametrize("rendering", RENDERINGS[:3])
def test_sparse_and_dense_sampling_give_the_same_pictures_at_the_same_times(tmp_path, rendering):
    """And the times are those of the plain frames."""
    video = probe(write_clip(tmp_path / "v.mp4", sliding(12, across=1), g="4"))
    how = preprocessing(rendering)
    every = drawn(video, how)
    plain = drawn(video, preprocessing(), stride=5)
    for step, frame, index in zip(drawn(video, how, stride=5), plain, (0, 5, 10), strict=True):
        np.testing.assert_array_equal(step.pixels, every[index].pixels)
        assert (step.timestamp_s, step.size) == (frame.timestamp_s, frame.size)


@pytest.mark.parametrize("patch", [None, 16])
def test_rows_and_patches_hold_the_picture(tmp_path, patch):
    """Put together again, the steps are the fitted picture; their times go up by one."""
    image = picture(3, width=SIZE, height=SIZE)
    how = preprocessing(RowRendering(patch))
    steps = drawn(probe(lossless(tmp_path / "v.mkv", [image])), how)
    assert [step.timestamp_s for step in steps] == list(range(SIZE if patch is None else 16))
    pixels = np.stack([step.pixels for step in steps])
    assert pixels.shape[1:] == how.shape
    if patch is None:
        whole = pixels[:, :, 0]
    else:
        whole = pixels.reshape(4, 4, 3, 16, 16).transpose(0, 3, 2, 1, 4).reshape(SIZE, 3, SIZE)
    np.testing.assert_array_equal(whole.transpose(0, 2, 1), image)


def test_rows_are_refused_to_videos(tmp_path):
    video = probe(lossless(tmp_path / "v.mkv", pictures(3)))
    with pytest.raises(VideoError, match=r"'rows' reads still images, and this video has 3 frames; take it out of"):
        drawn(video, preprocessing(RowRendering(None)))


@pytest.mark.parametrize(("rows", "dim"), [({"image_size": 8}, 24), ({"image_size": 8, "patch": 4}, 48)])
def test_features_of_rows_are_pixels_from_minus_one_to_one(rows, dim):
    embedder = Rows(validate(FeatureSettings, {"streams": ["rows"], "rows": rows}))
    _, height, width = embedder.preprocessing.shape
    pixels = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8)
    got = embedder.embed(pixels)
    assert got.shape == (2, dim) == (2, embedder.spec.dim)
    torch.testing.assert_close(got, pixels.reshape(2, -1) / 127.5 - 1)


def test_a_patch_must_divide_the_picture():
    with pytest.raises(ConfigError, match=r"features.rows.patch: 5 does not divide image_size 32"):
        validate(FeatureSettings, {"rows": {"patch": 5}})


@pytest.mark.parametrize("rendering", [None, *RENDERINGS])
def test_preprocessing_survives_json(rendering):
    how = preprocessing(rendering, mirrored=True)
    assert Preprocessing.from_dict(json.loads(json.dumps(how.as_dict()))) == how
    assert ("rendering" in how.as_dict()) == (rendering is not None)
