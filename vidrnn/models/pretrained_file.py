"""Weights of temporal layers that learned from unlabelled features, in one file, and a model that starts from them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from vidrnn.atomic import write_atomically
from vidrnn.errors import MissingPathError, ModelFileError
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.model_header import parse_header
from vidrnn.names import quoted
from vidrnn.settings.model import ModelSettings

FORMAT_VERSION = 1
_HEADER = "vidrnn_pretrained"
# What stands behind the temporal layers, or changes no weight of them.
_FREE = frozenset({"head", "pooling", "pooling_heads", "dropout", "stages", "late_weights"})
_BEHIND = ("output.", "pooling.", "refinements.", "scale", "mixture.")


@dataclass(frozen=True)
class Pretrained:
    """What a file holds.

    Attributes:
        weights: of everything before the pooling, by their names in `SequenceClassifier`.
        model: the settings that decide them.
        specs: stream to digest of the features that they learned from.
        facts: what is known of the fit.
    """

    weights: Mapping[str, torch.Tensor]
    model: Mapping[str, Any]
    specs: Mapping[str, str]
    facts: Mapping[str, Any]


def encoder_weights(classifier: SequenceClassifier) -> dict[str, torch.Tensor]:
    """Everything before the pooling."""
    return {name: value for name, value in classifier.state_dict().items() if not name.startswith(_BEHIND)}


def encoder_settings(settings: ModelSettings) -> dict[str, Any]:
    """The settings that decide the weights before the pooling."""
    tree: dict[str, Any] = settings.model_dump(mode="json", exclude=set(_FREE))
    return tree


def save_pretrained(
    path: Path,
    weights: Mapping[str, torch.Tensor],
    *,
    settings: ModelSettings,
    specs: Mapping[str, str],
    facts: Mapping[str, Any],
) -> None:
    """Write atomically. Raises OSError."""
    header = {
        "format_version": FORMAT_VERSION,
        "model": encoder_settings(settings),
        "specs": dict(specs),
        "facts": dict(facts),
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    write_atomically(path, save(tensors, metadata={_HEADER: json.dumps(header)}))


def load_pretrained(path: Path) -> Pretrained:
    """Read a file that `save_pretrained` wrote.

    Raises:
        MissingPathError: there is none. ModelFileError: it is something else, damaged, or holds nan.
    """
    if not path.is_file():
        raise MissingPathError(
            f"training.init {quoted(path)} does not exist; `vidrnn pretrain` writes a pretrained.safetensors"
        )
    try:
        with safe_open(path, framework="pt") as file:
            header = parse_header((file.metadata() or {})[_HEADER])
            if header["format_version"] != FORMAT_VERSION:
                raise ValueError(f"it has format {header['format_version']}, allowed is {FORMAT_VERSION}")
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a mapping
        if not all(bool(value.isfinite().all()) for value in weights.values()):
            raise ValueError("it holds nan or inf")
        return Pretrained(weights, dict(header["model"]), dict(header["specs"]), dict(header["facts"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"training.init {quoted(path)} holds no pretrained weights ({error}); give a pretrained.safetensors, which "
            "`vidrnn pretrain` writes"
        ) from error


def refuse_other_features(path: Path, specs: Mapping[str, str]) -> None:
    """Raise ModelFileError when pretrained weights learned from other features than a model will be shown."""
    if (known := load_pretrained(path).specs) != dict(specs):
        raise ModelFileError(
            f"training.init {quoted(path)} learned from features {_named(known)}, and the configuration asks for "
            f"{_named(specs)}; pretrain again with this configuration"
        )


def start_from(classifier: SequenceClassifier, path: Path, *, frozen: bool) -> None:
    """Put pretrained weights into a model.

    Args:
        classifier: of fresh weights.
        path: of the file.
        frozen: no fit changes them.

    Raises:
        ModelFileError: the settings of the two differ; each difference is named. As `load_pretrained`.
    """
    found, wanted = load_pretrained(path), encoder_settings(classifier.settings)
    other = [
        f"model.{key} {found.model.get(key)!r}, here {value!r}"
        for key, value in wanted.items()
        if found.model.get(key) != value
    ]
    if other:
        raise ModelFileError(
            f"training.init {quoted(path)} was pretrained with other settings ({'; '.join(other)}); use the same, or "
            "pretrain again"
        )
    expected = encoder_weights(classifier)
    sizes = {name: tuple(value.shape) for name, value in expected.items()}
    if sizes != {name: tuple(value.shape) for name, value in found.weights.items()}:
        raise ModelFileError(
            f"training.init {quoted(path)} holds weights of other sizes: its features have another length; pretrain "
            "again with this configuration"
        )
    classifier.load_state_dict(dict(found.weights), strict=False)
    if frozen:
        for name, parameter in classifier.named_parameters():
            if name in expected:
                parameter.requires_grad_(False)


def digest_of(path: Path) -> str:
    """The sha256 of a file. Raises MissingPathError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise MissingPathError(f"training.init {quoted(path)} does not exist; `vidrnn pretrain` writes one") from None


def _named(specs: Mapping[str, str]) -> str:
    return " + ".join(f"{stream} {digest}" for stream, digest in specs.items())
