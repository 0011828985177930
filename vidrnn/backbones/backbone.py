"""The frozen backbone as the pipeline sees it: frames in, features out, and the identity of what it computes."""

import torch

from vidrnn.backbones.executor import Executor
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.frames.views import Views
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.streams import BACKBONE_STREAMS, Stream
from vidrnn.stages import stage
from vidrnn.store.spec import FeatureSpec


class Backbone:
    """A frozen network that turns frames into feature vectors, and how it looks at them.

    Attributes:
        spec: the identity of what this backbone computes.
        preprocessing: from frame to network input.
    """

    def __init__(self, executor: Executor, spec: FeatureSpec) -> None:
        self._executor = executor
        self.spec = spec
        self.preprocessing = Preprocessing.from_dict(spec.preprocessing)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self._executor.device

    @property
    def executor(self) -> Executor:
        """The loaded network, which all views and streams share."""
        return self._executor

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about the choice of the engine."""
        return self._executor.notes

    def mirrored(self) -> "Backbone":
        """The other view, with frames mirrored left to right, of the same loaded network and engine."""
        return Backbone(self._executor, self.spec.mirrored())

    def of_stream(self, stream: Stream) -> "Backbone":
        """The same network and engine over another stream of pictures, with the frames in the same view.

        Raises:
            ConfigError: the installed OpenCV does not have the method that ``features.flow`` names.
        """
        if stream == self.spec.stream:
            return self
        spec = self._executor.spec_of(stream)
        return Backbone(self._executor, spec.mirrored() if self.spec.is_mirrored else spec)

    def embed(self, frames: torch.Tensor) -> torch.Tensor:
        """Compute features, in batches of exactly ``extraction.batch_size``: the last one is filled up.

        One size means that a frame's features do not depend on its company, and that the CPU libraries, which keep
        prepared code for each size that they meet, stay small.

        Args:
            frames: (B, 3, S, S) uint8 from `Preprocessing.fit`.

        Returns:
            (B, D) float32 on the CPU, node after node. A node with a grid of n has n*n times its channels, its cells in
            row-major order.

        Raises:
            ConfigError: the engine that was asked for does not give the features of eager PyTorch.
        """
        return self._executor(frames, Views.plain(len(frames)))


@stage("load the backbone")
def load_backbone(features: FeatureSettings, extraction: ExtractionSettings) -> Backbone:
    """The backbone that a configuration names, with frames as they are: `views` also gives the mirrored one.

    Args:
        features: which network, with which weights.
        extraction: its device, engine and batch size.

    Raises:
        ConfigError: no such backbone, ``cuda`` without a GPU, or an engine that does not fit.
        WeightsError: the weights are not at hand or do not fit; names the file to fetch.
    """
    executor = Executor(features, extraction)
    return Backbone(executor, executor.spec)


def views(backbone: Backbone, settings: FeatureSettings) -> tuple[Backbone, ...]:
    """The passes of an extraction through the network, in the order of ``features.streams``.

    Each stream of pictures that needs the network has a plain view, and with ``features.mirrored`` then a mirrored one.
    """
    plain = [backbone.of_stream(stream) for stream in settings.streams if stream in BACKBONE_STREAMS]
    return tuple(view for stream in plain for view in ((stream, stream.mirrored()) if settings.mirrored else (stream,)))
