"""Thumbnails as features: what two copies of a video still share after re-encoding, cutting and mirroring.

Features of a network tell what is seen, and two actors who do the same are meant to look the same to it. A copy shows
itself in the pixels. docs/splitting.md has the figures of both.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from vidrnn.extraction.embedder import Alone
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.settings.features import FeatureSettings
from vidrnn.store.spec import FeatureSpec, frame_folder_values

EDGE = 32
"""Pixels per side."""
RATE = 30.0
"""Frames per second that are kept: the order of a trimmed copy's frames must be found again to the frame."""
MOST_FRAMES = 3000
"""Frames that are kept of a video; a longer one is thinned evenly."""
_BLUR, _REACH = 2.0, 6  # pixels: deviation and reach of the Gaussian that is taken away
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class Thumbnails(Alone):
    """(B, 3, 32, 32) uint8 to (B, 1024): grey levels without what changes slowly over the picture (light, shade)."""

    def __init__(self, settings: FeatureSettings) -> None:
        self.preprocessing = Preprocessing(EDGE, EDGE, "warp", "bilinear", (0.5,) * 3, (0.5,) * 3)
        self.spec = FeatureSpec(
            stream="rgb",
            backbone="thumbnail",
            weights="default",
            weights_digest="",
            node=f"grey minus gaussian {_BLUR:g}",
            dim=EDGE * EDGE,
            grid=1,
            preprocessing=self.preprocessing.as_dict(),
            sampling={"kind": "fps", "rate": RATE, "max_frames": MOST_FRAMES, **frame_folder_values(settings)},
            precision="float32",
        )
        taps = torch.arange(-_REACH, _REACH + 1, dtype=torch.float32)
        self._kernel = functional.normalize(torch.exp(-0.5 * (taps / _BLUR) ** 2), p=1.0, dim=0)

    def embed(self, frames: torch.Tensor) -> torch.Tensor:
        """See `Alone`."""
        grey = (frames.float() * torch.tensor(_LUMA)[:, None, None]).sum(1, keepdim=True)
        around = functional.pad(grey, (_REACH,) * 4, mode="reflect")
        slow = functional.conv2d(around, self._kernel.view(1, 1, 1, -1))
        slow = functional.conv2d(slow, self._kernel.view(1, 1, -1, 1))
        return (grey - slow).flatten(1)


def mirror(thumbnails: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(T, 1024) to the thumbnails of the mirrored video, exactly."""
    return thumbnails.reshape(-1, EDGE, EDGE)[:, :, ::-1].reshape(-1, EDGE * EDGE)
