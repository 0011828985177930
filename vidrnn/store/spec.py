"""The identity of an extraction: everything that changes the numbers, and nothing else."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any

from vidrnn.json_text import parse_json
from vidrnn.settings.features import LAST_NODE, FeatureSettings
from vidrnn.settings.streams import Stream
from vidrnn.store.stream_specs import identity_of, stream_values

FORMAT_VERSION = 1

MIRRORED_FLOW_VERSION = 2
"""How the mirrored view of flow is made: from the flow of the plain view. In version 1, which specs and model files
do not name, mirrored frames were searched again."""

_OF_A_MIRROR = frozenset({"mirrored", "mirrored_version"})


def node_name(nodes: Mapping[str, int]) -> str:
    """How several nodes with their grids are written in a spec."""
    return ",".join(f"{name}/{grid}" for name, grid in nodes.items())


def sampling_values(settings: FeatureSettings) -> dict[str, Any]:
    """The sampling settings that apply: settings of other kinds would change the digest for nothing.

    The two that concern frame folders are only there when they are set, as in specs from before there were any.
    """
    key = {"fps": "rate", "uniform": "count", "every": "stride"}[settings.sampling]
    values: dict[str, Any] = {"kind": settings.sampling, key: getattr(settings, key)}
    if settings.sampling != "uniform" and settings.max_frames is not None:
        values["max_frames"] = settings.max_frames
    return values | frame_folder_values(settings)


def frame_folder_values(settings: FeatureSettings) -> dict[str, Any]:
    """The part of the sampling that says how folders of frames are read; empty when nothing is set."""
    folders = {"frame_rate": settings.frame_rate, "frame_template": settings.frame_template}
    return {key: value for key, value in folders.items() if value is not None}


def _as_stored(values: Any) -> Any:  # noqa: ANN401  what JSON can hold
    """Values as they come back from JSON with sorted keys, so that what is here and what is asked read alike."""
    return json.loads(json.dumps(values, sort_keys=True))


class NewerSpecError(ValueError):
    """A spec that a later version of vidrnn wrote: it is no damage, and nothing here can read its features."""


@dataclass(frozen=True)
class FeatureSpec:
    """Feature spec of one stream.

    Attributes:
        stream: modality, as in ``features.streams``.
        backbone: name as in ``features.backbone``.
        weights: where the weights came from (``default``, ``random`` or a file name).
        weights_digest: sha256 over names, types and values of the loaded state dict.
        node: the layer whose output is averaged; of several, ``name/grid`` each, with commas between them.
        dim: length D of a feature vector, grid cells included.
        grid: spatial cells per side.
        preprocessing: values of `vidrnn.frames.preprocessing.Preprocessing`.
        sampling: what `sampling_values` gives.
        precision: arithmetic of the backbone; for ``int8`` also what quantized it.
        format_version: of the feature file.
        parts: length of the features of each node; empty when there is one.
    """

    stream: str
    backbone: str
    weights: str
    weights_digest: str
    node: str
    dim: int
    grid: int
    preprocessing: dict[str, Any]
    sampling: dict[str, Any]
    precision: str
    format_version: int = FORMAT_VERSION
    parts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Hold values as JSON gives them back, so that a spec equals the one that is read from a file."""
        for name in ("preprocessing", "sampling"):
            object.__setattr__(self, name, _as_stored(getattr(self, name)))
        object.__setattr__(self, "parts", tuple(self.parts))

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that name the spec's folder."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    @property
    def is_mirrored(self) -> bool:
        """Whether the frames are turned over left to right."""
        return bool(self.preprocessing.get("mirrored", False))

    @property
    def nodes(self) -> str:
        """The averaged layers with their grids, as `node_name` writes them."""
        return self.node if self.parts else node_name({LAST_NODE: self.grid})

    def mirrored(self) -> "FeatureSpec":
        """The spec of the other view: the same in all but that the frames are mirrored; twice is the spec itself."""
        values = {key: value for key, value in self.preprocessing.items() if key not in _OF_A_MIRROR}
        if not self.is_mirrored:
            values["mirrored"] = True
            if self.stream == "flow":
                values["mirrored_version"] = MIRRORED_FLOW_VERSION
        return replace(self, preprocessing=values)

    @property
    def is_superseded(self) -> bool:
        """Whether an earlier version made this view in another way: nothing reads its features any more."""
        return self.is_mirrored and self.mirrored().mirrored() != self

    def at_frame_rate(self, rate: float | None) -> "FeatureSpec":
        """The same for frame folders of another rate, which is a fact of the footage."""
        values = {key: value for key, value in self.sampling.items() if key != "frame_rate"}
        return replace(self, sampling=values if rate is None else {**values, "frame_rate": rate})

    def to_json(self) -> str:
        """Canonical JSON: equal specs give equal text."""
        values = asdict(self)
        if not self.parts:  # as in the specs that were written before there were several nodes
            del values["parts"]
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "FeatureSpec":
        """Inverse of `to_json`. Raises TypeError or ValueError when the text is something else, or `NewerSpecError`."""
        values = parse_json(text)
        if not isinstance(values, dict):
            raise TypeError(f"expected an object, got {type(values).__name__}")
        known = {field.name for field in fields(cls)}
        version = values.get("format_version")
        is_later = isinstance(version, int) and version > FORMAT_VERSION
        if is_later or (known - {"parts"} <= values.keys() and values.keys() - known):
            raise NewerSpecError(f"format {version} with {', '.join(sorted(values.keys() - known)) or 'no other keys'}")
        return cls(**values)

    def differences(self, settings: FeatureSettings, *, stream: Stream = "rgb") -> list[str]:
        """Where this spec is not what a configuration asks for, as ``key: here, asked`` texts; empty when it fits.

        A spec of another stream than ``stream`` has that one difference.

        The weights' digest is not compared: whoever only reads features may not have the weights. A mirrored spec
        never fits, with or without ``features.mirrored``: it belongs to the plain one (`FeatureStore.find_mirrored`).
        """
        if self.stream != stream:
            return [f"stream: {self.stream!r}, asked {stream!r}"]
        if (identity := identity_of(settings, stream)) is not None:
            pairs = [(key, getattr(self, key), _as_stored(asked)) for key, asked in identity.items()]
            return [f"{key}: {here!r}, asked {asked!r}" for key, here, asked in pairs if here != asked]
        pairs = self._pairs_of_rows(settings) if stream == "rows" else self._pairs(settings, stream)
        if self.is_mirrored:
            pairs.append(("mirrored", True, False))
        found = [f"{key}: {here!r}, asked {asked!r}" for key, here, asked in pairs if here != asked]
        if (asked := settings.spec_digest_of(stream)) and not self.digest.startswith(asked):
            found.append(f"spec_digest: {self.digest!r}, asked {asked!r}")
        return found

    def _pairs(self, settings: FeatureSettings, stream: Stream) -> list[tuple[str, Any, Any]]:
        """What is here and what is asked for, by the name of the setting."""
        name = settings.weights if settings.weights in {"default", "random"} else settings.weights.rsplit("/", 1)[-1]
        arithmetic = self.precision.split("/", maxsplit=1)[0]
        # Which of the two `auto` was depends on the machine that extracted, and training may run on another.
        fits_device = settings.precision == "auto" and arithmetic in {"float32", "float16"}
        pairs: list[tuple[str, Any, Any]] = [
            ("backbone", self.backbone, settings.backbone),
            ("weights", self.weights, name),
            ("square", self.preprocessing["square"], settings.square),
            ("nodes", self.nodes, node_name(settings.chosen_nodes)),
            ("sampling", self.sampling, _as_stored(sampling_values(settings))),
            ("precision", arithmetic, arithmetic if fits_device else settings.precision),
        ]
        if settings.image_size is not None:
            pairs.append(("image_size", self.preprocessing["image_size"], settings.image_size))
        return pairs + self._pairs_of_stream(settings, stream)

    def _pairs_of_rows(self, settings: FeatureSettings) -> list[tuple[str, Any, Any]]:
        """The same where no network and no choice of frames is involved."""
        return [
            ("square", self.preprocessing["square"], settings.square),
            ("rows.image_size", self.preprocessing["image_size"], settings.rows.image_size),
            *self._pairs_of_stream(settings, "rows"),
        ]

    def _pairs_of_stream(self, settings: FeatureSettings, stream: Stream) -> list[tuple[str, Any, Any]]:
        here = self.preprocessing.get("rendering") or {}
        return [
            (f"{stream}.{key}", here.get(key), asked)
            for key, asked in (stream_values(settings, stream) or {}).items()
            if key != "stream"
        ]
