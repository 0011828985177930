"""The stream ``rows``: a still image row by row, or patch by patch, as it is; a recurrent network reads the rest."""

import torch

from vidrnn.extraction.embedder import Alone
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.frames.rendering import RowRendering
from vidrnn.settings.features import FeatureSettings
from vidrnn.store.spec import FeatureSpec, frame_folder_values


class Rows(Alone):
    """(B, 3, h, w) uint8 to (B, 3 h w) from -1 to 1: channel after channel, each row by row.

    Attributes:
        spec: what it computes; nothing that concerns networks or the choice of frames is in it.
        preprocessing: from picture to steps.
    """

    def __init__(self, settings: FeatureSettings, *, mirrored: bool = False) -> None:
        size, rendering = settings.rows.image_size, RowRendering(settings.rows.patch)
        self.preprocessing = Preprocessing(
            size, size, settings.square, "bicubic", (0.5,) * 3, (0.5,) * 3, mirrored=mirrored, rendering=rendering
        )
        _, height, width = self.preprocessing.shape
        self.spec = FeatureSpec(
            stream="rows",
            backbone="none",
            weights="none",
            weights_digest="",
            node="pixels",
            dim=3 * height * width,
            grid=1,
            preprocessing=self.preprocessing.as_dict(),
            sampling={"kind": "every", "stride": 1, **frame_folder_values(settings)},
            precision="float32",
        )

    def embed(self, frames: torch.Tensor) -> torch.Tensor:
        """See `Alone`."""
        return self.preprocessing.normalise(frames).flatten(1)
