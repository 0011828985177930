"""`vidrnn.preflight.thumbnails`: grey, without what changes slowly, and mirrored exactly."""

import numpy as np
import torch
from scipy.ndimage import correlate1d

from vidrnn.preflight.thumbnails import Thumbnails, mirror
from vidrnn.settings.base import validate
from vidrnn.settings.features import FeatureSettings


def embedder() -> Thumbnails:
    return Thumbnails(FeatureSettings())


def frames(number: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (number, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_grey_minus_its_gaussian_blur() -> None:
    """SciPy's correlation with mirrored edges is the reference."""
    taps = np.exp(-0.5 * (np.arange(-6, 7) / 2.0) ** 2)
    grey = np.tensordot(frames().numpy().astype(np.float64), [0.299, 0.587, 0.114], axes=([1], [0]))
    slow = correlate1d(
        correlate1d(grey, taps / taps.sum(), axis=1, mode="mirror"), taps / taps.sum(), axis=2, mode="mirror"
    )
    np.testing.assert_allclose(embedder().embed(frames()).numpy(), (grey - slow).reshape(3, 1024), atol=1e-3)


def test_light_and_plain_colour_leave_nothing() -> None:
    plain = torch.full((1, 3, 32, 32), 200, dtype=torch.uint8)
    assert embedder().embed(plain).abs().max() < 1e-3
    torch.testing.assert_close(
        embedder().embed(frames() // 2 + 100), embedder().embed(frames() // 2), atol=1e-3, rtol=0
    )


def test_mirrored_thumbnails_are_those_of_the_mirrored_frames() -> None:
    direct = embedder().embed(frames().flip(3)).numpy()
    np.testing.assert_allclose(mirror(embedder().embed(frames()).numpy()), direct, atol=1e-4)


def test_each_frame_is_on_its_own() -> None:
    torch.testing.assert_close(embedder().embed(frames())[1:2], embedder().embed(frames()[1:2]), atol=1e-4, rtol=0)


def test_settings_of_the_network_change_nothing_and_those_of_frames_do() -> None:
    digests = {
        name: Thumbnails(validate(FeatureSettings, changes)).spec.digest
        for name, changes in {
            "plain": {},
            "network": {"image_size": 64, "stride": 3, "sampling": "every"},
            "frames": {"frame_rate": 12.0},
        }.items()
    }
    assert digests["plain"] == digests["network"] != digests["frames"]
