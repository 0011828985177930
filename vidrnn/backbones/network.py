"""A frozen network from frames to feature vectors, whatever pretrained network it is made of."""

import math
import threading
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn import functional

from vidrnn.errors import ConfigError
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.names import quoted
from vidrnn.settings.features import LAST_NODE, FeatureSettings
from vidrnn.store.spec import node_name


class Caught:
    """What layers put out in the forward pass under way, by name; kept apart for each thread that runs the network."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def watch(self, layer: nn.Module, name: str) -> None:
        """Keep what this layer puts out from now on."""
        layer.register_forward_hook(partial(self._keep, name))

    def take(self, name: str) -> torch.Tensor:
        """What the layer put out in this thread's last pass; it is not kept any longer."""
        output: torch.Tensor = getattr(self._of_thread, name)
        setattr(self._of_thread, name, None)
        return output

    def _keep(self, name: str, _layer: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        setattr(self._of_thread, name, output)


class Network(nn.Module):
    """A frozen network from frames to feature vectors: normalise, feature maps, average over each cell of a grid.

    Always in eval mode, never tracks gradients. Several threads may run it at the same time.

    Args:
        model: the pretrained network.
        feature_map: gives its last feature map for a normalised batch.
        node: what that map is called.
        preprocessing: what belongs to the weights.
        settings: ``nodes`` say which maps are averaged and how.

    Attributes:
        model: the pretrained network.
        node: the layer whose output is averaged; of several, ``name/grid`` each, with commas between them.
        preprocessing: what belongs to the weights.

    Raises:
        ConfigError: the network has no layer of such a name.
    """

    def __init__(
        self,
        model: nn.Module,
        feature_map: Callable[[torch.Tensor], torch.Tensor],
        *,
        node: str,
        preprocessing: Preprocessing,
        settings: FeatureSettings,
    ) -> None:
        super().__init__()
        self.model, self.preprocessing = model, preprocessing
        self._grids = settings.chosen_nodes
        self.node = node if set(self._grids) == {LAST_NODE} else node_name(self._grids)
        self._feature_map = feature_map
        self._caught = Caught()
        for name in self._grids:
            if name != LAST_NODE:
                self._caught.watch(self._layer(name), name)
        # Buffers, so that they lie where the network does; they are not part of its weights.
        self._mean: torch.Tensor
        self._std: torch.Tensor
        for name, values in zip(("_mean", "_std"), preprocessing.scales(), strict=True):
            self.register_buffer(name, values, persistent=False)
        self.dtype = torch.float32
        self.eval().requires_grad_(False)

    def to_precision(self, dtype: torch.dtype) -> "Network":
        """Keep weights and compute feature maps in this type; normalising and averaging stay in float32."""
        self.model.to(dtype)
        self.dtype = dtype
        return self

    def _layer(self, name: str) -> nn.Module:
        try:
            return self.model.get_submodule(name)
        except AttributeError:
            layers = [known for known, _ in self.model.named_modules() if known and known.count(".") <= 1]
            raise ConfigError(
                f"features.nodes: the backbone has no layer {quoted(name)}; use {LAST_NODE!r} or one of "
                f"{', '.join(layers)}"
            ) from None

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Compute features.

        Args:
            frames: (B, 3, S, S) uint8 from `Preprocessing.fit`.

        Returns:
            (B, D) float32, node after node; with a grid of n, n*n times the channels of a node, cells in row-major
            order.
        """
        return torch.cat(self._parts(frames), dim=1)

    def _parts(self, frames: torch.Tensor) -> list[torch.Tensor]:
        batch = self.preprocessing.normalise(frames, (self._mean, self._std)).to(self.dtype)
        # Channels-last runs EfficientNet-Lite0 1.5 to 2 times as fast in PyTorch on CPU (docs/decisions.md).
        last = self._feature_map(batch.contiguous(memory_format=torch.channels_last))
        parts: list[torch.Tensor] = []
        for name, grid in self._grids.items():
            feature_map = last if name == LAST_NODE else self._caught.take(name)
            if feature_map.ndim == 3:
                feature_map = tokens_to_map(feature_map, num_prefix=int(getattr(self.model, "num_prefix_tokens", 1)))
            pooled = functional.adaptive_avg_pool2d(feature_map.float(), grid)
            parts.append(pooled.permute(0, 2, 3, 1).flatten(1))
        return parts

    def dims(self) -> list[int]:
        """Length of the features of each node, found by trying. Raises RuntimeError for a size that is refused."""
        size = self.preprocessing.image_size
        with torch.inference_mode():
            return [part.shape[1] for part in self._parts(torch.zeros(1, 3, size, size, dtype=torch.uint8))]


def tokens_to_map(tokens: torch.Tensor, *, num_prefix: int) -> torch.Tensor:
    """(B, prefix + N, C) patch tokens in row-major order to (B, C, sqrt N, sqrt N); class tokens are left out."""
    patches = tokens[:, num_prefix:]
    edge = math.isqrt(patches.shape[1])
    if edge * edge != patches.shape[1]:
        raise ConfigError(f"features.backbone gives {patches.shape[1]} tokens, which is not a square grid; use another")
    # shape[0], not len(): a trace keeps it open, so that it serves other batch sizes.
    return patches.transpose(1, 2).reshape(patches.shape[0], -1, edge, edge)
