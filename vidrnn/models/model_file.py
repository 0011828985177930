"""The one file of a trained model: weights as safetensors, all else as JSON in its header. Nothing is pickled."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from vidrnn.annotations import LabelMap
from vidrnn.atomic import write_atomically
from vidrnn.device import FixedRandom
from vidrnn.errors import MissingPathError, ModelFileError, VidrnnError
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.ensemble import Ensemble, Model
from vidrnn.models.model_header import (
    answering,
    check_counts,
    find_weights,
    label_names,
    mirrored_flow,
    parse_header,
    public_config,
    public_metrics,
    read_specs,
)
from vidrnn.models.segment_decoder import ReadSteps, SegmentDecoder
from vidrnn.names import quoted
from vidrnn.settings.base import validate
from vidrnn.settings.moved import with_moved_keys
from vidrnn.settings.run import RunSettings
from vidrnn.stages import stage
from vidrnn.store.spec import MIRRORED_FLOW_VERSION, FeatureSpec

FORMAT_VERSION = 2
# Where the weights of format 1 are now: it had one run of rnn, gru or lstm layers and one head of attention.
_FLOATS = {"F16", "BF16", "F32", "F64"}  # as safetensors names them
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
        versions: the versions of vidrnn and PyTorch.
        thresholds: (classes,) probability from which a class of ``multilabel`` or ``step_multilabel`` counts as said;
            None means 0.5.
        temperature: the number that divides the logits of ``label``, after all averaging.
        unknown_below: answers of ``label`` with a lower probability are ``unknown``; None answers always.
        trained_on, chosen_on: the videos of the training split and of the validation split, which chose the epoch, as
            `vidrnn.sequences.identity` writes them; empty in older files.
        others: specs of the further streams, in canonical order.
        decoder: what the segments in training tell, for ``step_labels``; None for others, and in older files.
        mirrored_flow: version of the mirrored view of flow that it learned from, see `MIRRORED_FLOW_VERSION`.
        clip_s: median length of the training videos, in seconds; None where they have none, and in older files.
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
    decoder: SegmentDecoder | None = None
    mirrored_flow: int = MIRRORED_FLOW_VERSION
    clip_s: float | None = None

    @property
    def specs(self) -> tuple[FeatureSpec, ...]:
        """The specs of all streams, in canonical order."""
        return (self.spec, *self.others)

    @property
    def read_steps(self) -> ReadSteps | None:
        """What makes (T,) classes of the (T, C) outputs for a video; None: the likeliest class of each step."""
        inference = self.settings.inference
        if inference.decoding == "argmax":
            return None
        assert self.decoder is not None, "a configuration that asks for it is refused without"
        return partial(self.decoder.decode, weight=inference.decoding_weight)

    def refuse_earlier_mirror(self) -> None:
        """Raise ModelFileError when it looks at mirrored flow, and learned from one that was made in another way."""
        inference = self.settings.inference
        streams = inference.streams or [spec.stream for spec in self.specs]
        looks = self.settings.features.mirrored and inference.views == "both" and "flow" in streams
        if looks and self.mirrored_flow != MIRRORED_FLOW_VERSION:
            raise ModelFileError(
                f"the model learned from mirrored flow of version {self.mirrored_flow}, and this vidrnn makes version "
                f"{MIRRORED_FLOW_VERSION}: drawn from the flow of the plain view, not searched for again; train again "
                "with the config.yaml beside the model: `vidrnn extract --config config.yaml`, then "
                "`vidrnn train --config config.yaml --output NEW_RUN`"
            )


@stage("write a model file")
def save_model(model: TrainedModel, path: Path) -> None:
    """Write a model file atomically; absolute paths and the command line stay out of it. Raises OSError."""
    header = {
        "format_version": FORMAT_VERSION,
        "config": public_config(model.settings),
        "label_map": list(model.label_map.names),
        "spec": json.loads(model.spec.to_json()),
        "specs": [json.loads(spec.to_json()) for spec in model.specs],
        "metrics": public_metrics(model.metrics),
        "versions": model.versions,
        "thresholds": model.thresholds,
        "temperature": model.temperature,
        "unknown_below": model.unknown_below,
        "trained_on": sorted(model.trained_on),
        "chosen_on": sorted(model.chosen_on),
        "segments": None if model.decoder is None else asdict(model.decoder),
        "mirrored_flow": model.mirrored_flow,
        "clip_s": model.clip_s,
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.classifier.state_dict().items()}
    write_atomically(path, save(tensors, metadata={"vidrnn_model": json.dumps(header)}))


@stage("read the model file")
def load_model(path: Path, *, device: torch.device) -> TrainedModel:
    """Read a model file.

    Raises:
        MissingPathError: there is no such file, or it is a folder.
        ModelFileError: it is no vidrnn model, is damaged, holds nan, is of another format version, or has sizes that
            differ from its settings (found before anything is allocated).
    """
    if path.is_dir():
        raise MissingPathError(
            f"model {quoted(path)} is a folder; give the model.safetensors that `vidrnn train` wrote"
        )
    if not path.is_file():
        raise MissingPathError(f"model {quoted(path)} does not exist; `vidrnn train` writes a model.safetensors")
    try:
        with safe_open(path, framework="pt") as file:
            header = parse_header((file.metadata() or {})["vidrnn_model"])
            _check_format(header, path)
            model = _read(file, header, path, device)
    except ModelFileError:
        raise
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ModelFileError(f"{quoted(path)} is not a vidrnn model file: {error}; give a model.safetensors") from error
    return model


def _check_format(header: dict[str, Any], path: Path) -> None:
    found = header.get("format_version")
    if type(found) is not int or found not in (1, FORMAT_VERSION):
        raise ModelFileError(
            f"{quoted(path)} has model format {found}, allowed are 1 and {FORMAT_VERSION}; "
            "use the vidrnn that wrote it, or train again"
        )


def _read(file: Any, header: dict[str, Any], path: Path, device: torch.device) -> TrainedModel:  # noqa: ANN401
    """The model of an opened file; its sizes are compared before anything of them is allocated."""
    moved = {name: _moved_since_1(name) if header["format_version"] == 1 else name for name in file.keys()}  # noqa: SIM118
    try:
        check_counts(header, len(moved))
        settings = validate(RunSettings, with_moved_keys(header["config"]), origin=str(path))
        settings = find_weights(settings, path.parent)
        label_map, specs = LabelMap(label_names(header)), read_specs(header)
        learned = {"others": specs[1:], "mirrored_flow": mirrored_flow(header)}
        rest = answering(header, settings, label_map.names) | learned
        metrics, versions = header["metrics"], header["versions"]
        if not isinstance(metrics, dict) or not isinstance(versions, dict):
            raise ValueError("metrics or versions are no object")
        with torch.device("meta"):  # shapes alone
            expected = _build(settings, specs, len(label_map)).state_dict()
        _check_sizes(file, moved, expected)
        with FixedRandom(seed=0):  # another thread may be training
            classifier = _build(settings, specs, len(label_map))
        classifier.load_state_dict({now: _finite(file.get_tensor(then), now) for then, now in moved.items()})
    except (VidrnnError, KeyError, TypeError, ValueError, OverflowError, RecursionError, RuntimeError) as error:
        raise ModelFileError(f"{quoted(path)} is inconsistent: {error}") from error
    return TrainedModel(classifier.to(device).eval(), label_map, specs[0], settings, metrics, versions, **rest)


def _build(settings: RunSettings, specs: Sequence[FeatureSpec], num_classes: int) -> Model:
    dims, members = {spec.stream: spec.dim for spec in specs}, settings.training.members
    if members > 1:
        return Ensemble.create(settings.model, members=members, dim=dims, num_classes=num_classes)
    return SequenceClassifier(settings.model, dim=dims, num_classes=num_classes)


_FLOATS = {"F16", "BF16", "F32", "F64"}  # as safetensors names them


def _check_sizes(file: Any, moved: Mapping[str, str], expected: Mapping[str, torch.Tensor]) -> None:  # noqa: ANN401
    """Raise ValueError where weights and settings disagree. Only the file's header is read."""
    there = {now: file.get_slice(then) for then, now in moved.items()}
    if lacking := sorted(expected.keys() - there.keys()):
        raise ValueError(f"its settings need the weights {', '.join(lacking[:3])}, which it does not hold")
    if unknown := sorted(there.keys() - expected.keys()):
        raise ValueError(f"it holds the weights {', '.join(unknown[:3])}, which its settings do not know")
    for name, wanted in expected.items():
        shape = tuple(there[name].get_shape())
        if shape != tuple(wanted.shape):
            raise ValueError(f"its {name} is of size {shape}, and its settings say {tuple(wanted.shape)}")
        numbers = str(there[name].get_dtype())
        if wanted.is_floating_point() != (numbers in _FLOATS):
            expected_kind = "floating-point numbers" if wanted.is_floating_point() else "whole numbers"
            raise ValueError(f"its {name} holds numbers of type {numbers}, and {expected_kind} are expected")


def _finite(values: torch.Tensor, name: str) -> torch.Tensor:
    if values.is_floating_point() and not bool(values.isfinite().all()):
        raise ValueError(f"its {name} holds nan or inf; train again, or give another model")
    return values


def _moved_since_1(name: str) -> str:
    for before, now in _MOVED_SINCE_1.items():
        if name.startswith(before):
            return now + name.removeprefix(before)
    return name
