"""What the pipeline needs of whatever turns frames into features."""

from typing import Protocol

import torch

from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.store.spec import FeatureSpec


class Embedder(Protocol):
    """Frames in, features out: a frozen network (`vidrnn.backbones.backbone`) or something simpler."""

    @property
    def spec(self) -> FeatureSpec:
        """The identity of what it computes."""

    @property
    def preprocessing(self) -> Preprocessing:
        """From frame to what `embed` takes."""

    @property
    def lanes(self) -> int:
        """How many threads may call `embed` at the same time to good effect."""

    def embed(self, frames: torch.Tensor) -> torch.Tensor:
        """(B, 3, S, S) uint8 to (B, D) float32 on the CPU."""
