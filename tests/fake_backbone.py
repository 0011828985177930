"""A backbone that needs no network: a frame's feature is its average colour, so every pixel's way can be followed."""

import torch

from vidrnn.extraction.embedder import Alone
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.store.spec import FeatureSpec


class AverageColour(Alone):
    """(B, 3, S, S) uint8 to (B, 3): the mean of each channel on the 0..1 scale. Each frame is on its own, exactly."""

    def __init__(self, *, sampling: dict[str, object] | None = None, image_size: int = 8) -> None:
        self.preprocessing = Preprocessing(image_size, image_size, "warp", "bilinear", (0.5,) * 3, (0.5,) * 3)
        self.spec = FeatureSpec(
            stream="rgb",
            backbone="average_colour",
            weights="default",
            weights_digest="0" * 64,
            node="input",
            dim=3,
            grid=1,
            preprocessing=self.preprocessing.as_dict(),
            sampling=sampling or {"kind": "every", "stride": 1},
            precision="float32",
        )
        self.batch_sizes: list[int] = []

    def mirrored(self) -> "AverageColour":
        """As of `Backbone`: the average of a mirrored frame is the same, but it belongs to another spec."""
        view = AverageColour(sampling=self.spec.sampling, image_size=self.preprocessing.image_size)
        view.spec = self.spec.mirrored()
        view.preprocessing = Preprocessing.from_dict(view.spec.preprocessing)
        return view

    def embed(self, frames: torch.Tensor) -> torch.Tensor:
        self.batch_sizes.append(len(frames))
        return frames.double().mean(dim=(2, 3)).div(255).float()
