"""The one file of a trained model: weights as safetensors, all else as JSON in its header. Nothing is pickled."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from vidrnn.annotations import LabelMap
from vidrnn.atomic import write_atomically
from vidrnn.errors import MissingPathError, ModelFileError, VidrnnError
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.ensemble import Ensemble, Model
from vidrnn.settings.base import validate
from vidrnn.settings.run import RunSettings
from vidrnn.store.spec import FeatureSpec

FORMAT_VERSION = 2
# Where the weights of format 1 are now: it had one run of rnn, gru or lstm layers and one head of attention.
_MOVED_SINCE_1 = {"recurrent.": "layers.runs.0.", "attention.": "pooling.attention."}


@dataclass(frozen=True)
class TrainedModel:
    """A classifier with all that is needed to use it on new videos.

    Attributes:
        classifier: one or an ensemble, in eval mode.
        label_map: the order of the logits, the only source of class names.
        spec: the features that it takes, preprocessing and sampling included; of several streams the first.
        settings: the resolved configuration that it was trained with.
        metrics: what was measured when it was saved.
        versions: of vidrnn and PyTorch.
        thresholds: (classes,) probability from which a class of ``multilabel`` counts as said; None means 0.5.
        temperature: that the logits of ``label`` are divided by, after all averaging.
        unknown_below: answers of ``label`` with a lower probability are ``unknown``; None answers always.
        trained_on, chosen_on: the videos of the training split and of the validation split, which chose the epoch, as
            `vidrnn.sequences.identity` writes them; empty in older files.
        others: specs of the further streams, in canonical order.
    """

    classifier: Model
    label_map: LabelMap
    spec: FeatureSpec
    settings: RunSettings
    metrics: dict[str, Any]
    versions: dict[str, str]
    thresholds: tuple[float, ...] | None = None
    temperature: float = 1.0
    unknown_below: float | None = None
    trained_on: frozenset[str] = frozenset()
    chosen_on: frozenset[str] = frozenset()
    others: tuple[FeatureSpec, ...] = ()

    @property
    def specs(self) -> tuple[FeatureSpec, ...]:
        """Of all streams, in canonical order."""
        return (self.spec, *self.others)


def save_model(model: TrainedModel, path: Path) -> None:
    """Write a model file atomically. Raises OSError."""
    header = {
        "format_version": FORMAT_VERSION,
        "config": model.settings.model_dump(mode="json"),
        "label_map": list(model.label_map.names),
        "spec": json.loads(model.spec.to_json()),
        "specs": [json.loads(spec.to_json()) for spec in model.specs],
        "metrics": model.metrics,
        "versions": model.versions,
        "thresholds": model.thresholds,
        "temperature": model.temperature,
        "unknown_below": model.unknown_below,
        "trained_on": sorted(model.trained_on),
        "chosen_on": sorted(model.chosen_on),
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.classifier.state_dict().items()}
    write_atomically(path, save(tensors, metadata={"vidrnn_model": json.dumps(header)}))


def load_model(path: Path, *, device: torch.device) -> TrainedModel:
    """Read a model file.

    Raises:
        MissingPathError: there is no such file.
        ModelFileError: it is not a vidrnn model, is damaged, or is of another format version.
    """
    if not path.is_file():
        raise MissingPathError(f"model {str(path)!r} does not exist; `vidrnn train` writes a model.safetensors")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["vidrnn_model"])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a mapping
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ModelFileError(f"{str(path)!r} is not a vidrnn model file: {error}; give a model.safetensors") from error
    if (found := header.get("format_version")) not in {1, FORMAT_VERSION}:
        raise ModelFileError(
            f"{str(path)!r} has model format {found}, allowed are 1 and {FORMAT_VERSION}; "
            "use the vidrnn that wrote it, or train again"
        )
    if found == 1:
        state = {_moved_since_1(name): value for name, value in state.items()}
    try:
        settings = validate(RunSettings, header["config"], origin=str(path))
        label_map, spec = LabelMap(tuple(header["label_map"])), FeatureSpec(**header["spec"])
        others = tuple(FeatureSpec(**each) for each in header.get("specs", ())[1:])  # older files have one stream
        dims, classes = {each.stream: each.dim for each in (spec, *others)}, len(label_map)
        members = settings.training.members
        classifier: Model = SequenceClassifier(settings.model, dim=dims, num_classes=classes)
        if members > 1:
            classifier = Ensemble.create(settings.model, members=members, dim=dims, num_classes=classes)
        classifier.load_state_dict(state)
        metrics, versions = header["metrics"], header["versions"]
        rest = _answering(header) | {"others": others}
    except (VidrnnError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelFileError(f"{str(path)!r} is inconsistent: {error}") from error
    return TrainedModel(classifier.to(device).eval(), label_map, spec, settings, metrics, versions, **rest)


def _answering(header: dict[str, Any]) -> dict[str, Any]:
    """What turns outputs into answers; files that are older than some of it lack the key. Raises ValueError."""
    temperature, unknown_below = float(header.get("temperature", 1.0)), header.get("unknown_below")
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature {temperature} is not a number above 0")
    return {
        "thresholds": tuple(map(float, header["thresholds"])) if header.get("thresholds") else None,
        "temperature": temperature,
        "unknown_below": None if unknown_below is None else float(unknown_below),
        "trained_on": frozenset(header.get("trained_on", ())),
        "chosen_on": frozenset(header.get("chosen_on", ())),
    }


def _moved_since_1(name: str) -> str:
    for before, now in _MOVED_SINCE_1.items():
        if name.startswith(before):
            return now + name.removeprefix(before)
    return name
