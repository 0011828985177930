"""Settings of the section `features`: how a video becomes features. `extraction` holds what decides the speed alone."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vidrnn.frame_folders import template_form
from vidrnn.settings.base import Positive, Settings
from vidrnn.settings.streams import (
    AudioSettings,
    DifferenceSettings,
    ExternalSettings,
    FlowSettings,
    RowSettings,
    Stream,
    TextSettings,
)

Grid = Literal[1, 2, 3, 4]

LAST_NODE = "last"
"""In ``features.nodes`` the last feature map, whatever a network calls it."""
SHORT_FLOATS = frozenset({"float16", "bfloat16"})
"""The values of ``features.precision`` that are floats of 16 bits."""
_BEST_NODES: dict[str, dict[str, Grid]] = {"efficientnet_lite0": {"blocks.4": 2, "blocks.6": 1}}


class FeatureSettings(Settings):
    """How a video becomes features: what decides the numbers, and which of several specs is meant."""

    streams: Annotated[tuple[Stream, ...], Field(min_length=1)] = ("rgb",)
    """What is extracted and shown to the model, each under a spec of its own. docs/streams.md explains them."""
    flow: FlowSettings = FlowSettings()
    """How the stream ``flow`` is drawn."""
    rgb_diff: DifferenceSettings = DifferenceSettings()
    """How the stream ``rgb_diff`` is drawn."""
    rows: RowSettings = RowSettings()
    """How the stream ``rows`` reads a still image."""
    backbone: str = "efficientnet_lite0"
    """``efficientnet_lite0`` (weights installed with vidrnn), a torchvision name, or ``timm/NAME``."""
    weights: str = "default"
    """``default``: the pretrained weights; ``random``: seeded, for tests; else the path of a weights file."""
    square: Literal["center_crop", "pad", "warp"] = "warp"
    """How a frame becomes a square: cut the sides off, add grey bars, or squeeze."""
    image_size: Positive | None = None
    """Edge of the square in pixels; null takes the size that belongs to the weights."""
    nodes: Annotated[dict[str, Grid], Field(min_length=1)] | None = None
    """Layers whose outputs are averaged and put side by side, each with its grid: the cells per side that are averaged
    apart. ``{last: 1}`` is global average pooling of the last feature map; any other name is a layer of the network.
    Earlier layers see pose and parts where the last sees things. null: ``{blocks.4: 2, blocks.6: 1}`` for
    ``efficientnet_lite0``, which measured best (docs/decisions.md), and ``{last: 1}`` for all others."""
    sampling: Literal["fps", "uniform", "every"] = "fps"
    """Kept instants: at ``rate`` per second, ``count`` spread evenly, or each ``stride``-th frame."""
    rate: Annotated[float, Field(gt=0.0)] = 10.0
    """Frames per second for ``sampling: fps``; a video with fewer keeps all of its frames, once each."""
    count: Positive = 16
    """Frames per video for ``sampling: uniform``; a video with fewer keeps all of its frames, once each."""
    stride: Positive = 1
    """Distance in frames for ``sampling: every``."""
    max_frames: Positive | None = None
    """Cap on kept frames per video for ``fps`` and ``every``: a longer video is thinned evenly to it."""
    frame_rate: Annotated[float, Field(gt=0.0)] | None = None
    """Pictures per second in folders of numbered pictures (``img_00001.jpg`` ...), each of which is one video; null: no
    such folder is read. docs/annotations.md says more."""
    frame_template: str | None = None
    """Names of the frames in such folders, as ``img_{:05}.jpg``, where other numbered pictures (flow) lie beside
    them; null: all are named alike."""
    precision: Literal["auto", "float32", "bfloat16", "float16", "int8"] = "auto"
    """Arithmetic of the backbone: ``auto`` is float16 on a GPU and float32 on a CPU, int8 is for CPUs (needs NNCF).
    Features are stored in float16 in any case."""
    mirrored: bool | Literal["auto"] = False
    """Also cache every video mirrored left to right, under a spec of its own. ``vidrnn extract`` makes both views of
    one decode, and the features of the plain one are the same as without. ``auto`` caches both, and training takes
    the mirror where it helps on folds inside the training split."""
    audio: AudioSettings = AudioSettings()
    """How the stream ``audio`` turns sound into steps: how many per second, and how many bands."""
    text: TextSettings = TextSettings()
    """Where the stream ``text`` finds its texts, and what turns them into numbers."""
    external: ExternalSettings = ExternalSettings()
    """Where the stream ``external`` finds the arrays of the user, and when their steps are."""
    spec_digest: str | dict[Stream, str] | None = None
    """Digest (or its start) of one spec in the store, when several fit the keys above. Several ``streams`` have one
    each, by name: ``{rgb: 26a6, flow: 2b7a}``."""

    @model_validator(mode="after")
    def _check(self) -> "FeatureSettings":
        if "external" in self.streams and self.external.folder is None:
            raise ValueError("the stream external needs features.external.folder, where its arrays are")
        if isinstance(self.spec_digest, str) and len(set(self.streams)) > 1:
            raise ValueError(
                f"features.spec_digest {self.spec_digest!r} does not say to which stream it belongs: "
                f"{', '.join(self.streams)}; name it, such as {{{self.streams[0]}: {self.spec_digest}}}"
            )
        if self.frame_template is not None:
            try:
                template_form(self.frame_template)
            except ValueError as error:
                raise ValueError(f"features.frame_template: {error}") from None
        return self

    def spec_digest_of(self, stream: Stream) -> str | None:
        """The part of ``spec_digest`` that is about a stream."""
        return self.spec_digest.get(stream) if isinstance(self.spec_digest, dict) else self.spec_digest

    @property
    def chosen_nodes(self) -> dict[str, Grid]:
        """``nodes``, or the layers that belong to the backbone."""
        return self.nodes or _BEST_NODES.get(self.backbone, {LAST_NODE: 1})
