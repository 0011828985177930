"""Frame to network input: the same as the pictures that the weights were trained and published with."""

import itertools
import json
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data.transforms_factory import create_transform
from torchvision import models
from torchvision.transforms.v2 import functional as pil_functional

from tests.media import flat, pictures, turn_mp4, write_clip
from vidrnn.backbones.backbone import load_backbone
from vidrnn.frames.fitting import Drawing, Step, draw
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.frames.rendering import DifferenceRendering
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.video.probe import Video, probe
from vidrnn.video.sampling import Sampling

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def preprocessing(square, **changes) -> Preprocessing:
    values = {"image_size": 32, "resize_size": 36, "interpolation": "bilinear", "mean": MEAN, "std": STD}
    return Preprocessing(**{**values, "square": square, **changes})


def scene(height: int, width: int) -> np.ndarray:
    """Waves of all lengths with a little noise: what a resize without antialiasing gets wrong."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [np.sin(rows / 3 + columns**1.4 / 50), np.cos(columns / 2), np.sin((rows * columns) / 900)]
    noise = np.random.default_rng(0).normal(0, 8, (height, width, 3))
    return np.clip(128 + 100 * np.stack(waves, axis=-1) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(180, 320), (320, 180), (49, 90), (700, 701), (224, 224), (21, 60)])
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "efficientnet_b1", "swin_t"])
def test_center_crop_equals_the_transform_of_torchvisions_weights(name, height, width):
    transform = models.get_model_weights(name).DEFAULT.transforms()
    own = Preprocessing(
        image_size=transform.crop_size[0],
        resize_size=transform.resize_size[0],
        square="center_crop",
        interpolation=transform.interpolation.value,
        mean=tuple(transform.mean),
        std=tuple(transform.std),
    )
    compare_with_pillow(own, transform, scene(height, width))


@pytest.mark.parametrize(("height", "width"), [(180, 320), (49, 90), (300, 200)])
def test_center_crop_equals_the_transform_of_timm(height, width):
    own = load_backbone(
        FeatureSettings(backbone="timm/test_resnet", weights="random", square="center_crop"),
        ExtractionSettings(device="cpu"),
    ).preprocessing
    assert (own.image_size, own.resize_size) == (160, 168)
    transform = create_transform(
        (3, 160, 160), interpolation=own.interpolation, mean=own.mean, std=own.std, crop_pct=0.95
    )
    compare_with_pillow(own, transform, scene(height, width))


def compare_with_pillow(own: Preprocessing, transform, rgb: np.ndarray) -> None:
    """Mean difference below one grey level, before and after the normalisation."""
    expected = transform(Image.fromarray(rgb))
    fitted = own.fit(rgb)
    got = own.normalise(fitted[None])[0]
    assert got.shape == expected.shape == (3, own.image_size, own.image_size)
    one_level = 1 / 255 / torch.tensor(own.std)[:, None, None]
    assert ((got - expected).abs() / one_level).mean() < 1.0
    levels = expected * torch.tensor(own.std)[:, None, None] * 255 + torch.tensor(own.mean)[:, None, None] * 255
    assert (fitted.float() - levels).abs().mean() < 1.0


@pytest.mark.parametrize("short", range(20, 700, 7))
def test_the_shorter_side_becomes_exactly_the_resize_size(monkeypatch, short):
    """49 * (256 / 49) is 255.99999999999997: truncated, the picture would be one row short."""
    sizes: list[tuple[int, int]] = []

    def resize(_self, frame, height, width):
        sizes.append((height, width))
        return torch.zeros(3, height, width, dtype=torch.uint8)

    monkeypatch.setattr(Preprocessing, "_resize", resize)
    own = preprocessing("center_crop", image_size=224, resize_size=256)
    own.fit(np.zeros((short, 2 * short, 3), np.uint8))
    own.fit(np.zeros((2 * short, short, 3), np.uint8))
    assert sizes == [(256, 512), (512, 256)]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resize_is_the_one_of_pillow(interpolation):
    rgb = scene(90, 133)
    filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
    expected = np.asarray(Image.fromarray(rgb).resize((32, 32), filters[interpolation])).astype(int)
    own = preprocessing("warp", interpolation=interpolation).fit(rgb).permute(1, 2, 0).numpy()
    assert np.abs(own - expected).mean() < 1.0
    assert np.abs(own - expected).max() <= 3


@pytest.mark.parametrize(("height", "width", "inner"), [(48, 96, (16, 32)), (96, 48, (32, 16)), (64, 64, (32, 32))])
def test_pad_keeps_the_aspect_and_adds_bars_of_the_mean_colour(height, width, inner):
    fitted = preprocessing("pad").fit(flat((255, 0, 255), width=width, height=height)).permute(1, 2, 0).numpy()
    top, left = (32 - inner[0]) // 2, (32 - inner[1]) // 2
    expected = np.full((32, 32, 3), [round(255 * value) for value in MEAN])
    expected[top : top + inner[0], left : left + inner[1]] = (255, 0, 255)
    np.testing.assert_array_equal(fitted, expected)


def test_bars_are_about_zero_for_the_network():
    batch = preprocessing("pad").fit(flat((255, 255, 255), width=64, height=16))[None]
    bar = preprocessing("pad").normalise(batch)[0, :, 0]
    assert bar.abs().max() < 0.5 / 255 / min(STD)


def test_pad_of_an_extreme_shape_keeps_at_least_one_row():
    fitted = preprocessing("pad").fit(flat((255, 0, 0), width=4000, height=2))
    assert (fitted[0] == 255).all(dim=1).sum() == 1


def test_warp_uses_all_pixels_of_any_shape():
    """The left half is red, the right half blue, whatever the shape."""
    for width, height in ((64, 16), (16, 64), (32, 32), (10, 8)):
        rgb = flat((255, 0, 0), width=width, height=height)
        rgb[:, width // 2 :] = (0, 0, 255)
        fitted = preprocessing("warp").fit(rgb)
        assert fitted.shape == (3, 32, 32)
        assert fitted[:, :, 0].unique(dim=1).T.tolist() == [[255, 0, 0]]
        assert fitted[:, :, -1].unique(dim=1).T.tolist() == [[0, 0, 255]]


def test_a_picture_of_the_right_size_is_left_alone():
    rgb = scene(32, 32)
    for square in ("warp", "pad"):
        np.testing.assert_array_equal(preprocessing(square).fit(rgb).permute(1, 2, 0).numpy(), rgb)


def test_normalise_is_pixel_over_255_minus_mean_over_std():
    batch = torch.randint(0, 256, (2, 3, 5, 5), dtype=torch.uint8)
    expected = (batch.double() / 255 - torch.tensor(MEAN).double()[:, None, None]) / torch.tensor(STD)[:, None, None]
    got = preprocessing("warp").normalise(batch)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-5)


def test_normalise_agrees_with_torchvision_and_leaves_its_input_alone():
    batch = torch.randint(0, 256, (1, 3, 4, 4), dtype=torch.uint8)
    before = batch.clone()
    expected = pil_functional.normalize(batch.float() / 255, list(MEAN), list(STD))
    torch.testing.assert_close(preprocessing("warp").normalise(batch), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(batch, before)


@pytest.mark.parametrize("square", ["center_crop", "pad", "warp"])
def test_survives_a_trip_through_json(square):
    own = preprocessing(square)
    assert Preprocessing.from_dict(json.loads(json.dumps(own.as_dict()))) == own


@pytest.mark.parametrize("square", ["center_crop", "pad", "warp"])
@pytest.mark.parametrize(("height", "width"), [(48, 64), (144, 180), (33, 61)])
def test_the_mirrored_square_is_the_plain_one_turned_over(square, height, width):
    """Also where the crop leaves out an odd number of columns: both views show the same part of the frame."""
    rgb = scene(height, width)
    plain, mirrored = (preprocessing(square, mirrored=mirrored).fit(rgb).numpy() for mirrored in (False, True))
    assert not np.array_equal(plain, plain[:, :, ::-1])
    np.testing.assert_array_equal(mirrored, plain[:, :, ::-1])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_mirrored_square_is_the_one_of_the_mirrored_frame(interpolation):
    rgb = scene(72, 96)
    got = preprocessing("warp", interpolation=interpolation, mirrored=True).fit(rgb)
    expected = preprocessing("warp", interpolation=interpolation).fit(np.ascontiguousarray(rgb[:, ::-1]))
    np.testing.assert_array_equal(got, expected)


def test_mirroring_is_named_only_where_it_happens():
    """A new key in the plain values would change the digest of every spec there is."""
    plain, mirrored = preprocessing("warp"), preprocessing("warp", mirrored=True)
    assert "mirrored" not in plain.as_dict()
    assert mirrored.as_dict() == {**plain.as_dict(), "mirrored": True}
    assert Preprocessing.from_dict(json.loads(json.dumps(mirrored.as_dict()))) == mirrored


def test_a_crop_larger_than_the_picture_is_refused():
    with pytest.raises(ValueError, match=r"^resize_size 30 must be at least image_size 32$"):
        preprocessing("center_crop", resize_size=30)


def test_fit_gives_contiguous_memory_of_the_frames_own():
    """A crop that only looks into the decoded frame would keep all of it in memory."""
    for square, mirrored in itertools.product(("center_crop", "pad", "warp"), (False, True)):
        fitted = preprocessing(square, mirrored=mirrored).fit(scene(60, 80))
        assert fitted.untyped_storage().nbytes() <= 36 * 48 * 3


def disc(*, width: int, height: int) -> np.ndarray:
    """A disc that is as wide and high as half the picture, black on white."""
    rows, columns = np.mgrid[0:height, 0:width]
    inside = ((columns + 0.5) / width - 0.5) ** 2 + ((rows + 0.5) / height - 0.5) ** 2 < 0.25**2
    return np.repeat(np.where(inside, 0, 255)[..., None], 3, axis=-1).astype(np.uint8)


def first_step(video: Video, own: Preprocessing) -> Step:
    return next(draw(video, {0: Drawing(Sampling("every", stride=1), own)}))[1]


@pytest.mark.parametrize("turn", [0, 90, 180])
@pytest.mark.parametrize("square", ["center_crop", "pad", "warp"])
@pytest.mark.parametrize("pixel_aspect", [Fraction(2), Fraction(1, 2)])
def test_pixels_that_are_not_square_are_shown_as_players_do(tmp_path, square, pixel_aspect, turn):
    """A disc that was squeezed on the way into the file is round again, also where the picture is turned."""
    width, height = (48, 96) if pixel_aspect > 1 else (96, 48)
    path = write_clip(tmp_path / "a.mp4", [disc(width=width, height=height)], qp="1", pixel_aspect=pixel_aspect)
    video = probe(turn_mp4(path, clockwise=turn))
    name = f"{pixel_aspect.numerator}:{pixel_aspect.denominator}"
    assert video.notes == (f"its pixels are {name} and not square; shown in the proportions of players",)
    step = first_step(video, preprocessing(square, image_size=64, resize_size=64))
    dark = step.pixels[1] < 100
    assert [int(dark.any(0).sum()), int(dark.any(1).sum())] == pytest.approx([32, 32], abs=3)
    assert step.size == ((width, height) if turn != 90 else (height, width))


def test_motion_is_seen_in_the_same_proportions(tmp_path):
    images = [disc(width=48, height=96), np.roll(disc(width=48, height=96), 4, axis=1)]
    video = probe(write_clip(tmp_path / "a.mkv", images, qp="1", pixel_aspect=Fraction(2)))
    rendering = DifferenceRendering(gap_s=0.04, bound=255.0)
    own = preprocessing("pad", image_size=64, resize_size=64, rendering=rendering)
    step = first_step(video, own)
    changed = np.abs(step.pixels[1].astype(int) - 128) > 20
    # The disc is 32 wide and high, and moves by 5.
    assert [int(changed.any(0).sum()), int(changed.any(1).sum())] == pytest.approx([37, 32], abs=4)


@pytest.mark.parametrize("claim", [Fraction(224, 225), Fraction(1216, 1215)])
def test_square_pixels_whose_shape_was_rounded_are_square(tmp_path, claim):
    video = probe(write_clip(tmp_path / "a.mp4", pictures(1), pixel_aspect=claim))
    assert (video.pixel_aspect, video.notes) == (1.0, ())


@pytest.mark.parametrize("claim", [Fraction(1, 5), Fraction(5)])
def test_pixels_that_no_camera_has_are_taken_as_square(tmp_path, claim):
    video = probe(write_clip(tmp_path / "a.mp4", pictures(1), pixel_aspect=claim))
    assert video.pixel_aspect == 1.0
    name = f"{claim.numerator}:{claim.denominator}"
    assert video.notes == (f"claims pixels of {name}, which no camera has; taken as square",)
