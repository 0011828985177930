"""The verbs ``train`` and ``crossval``: configuration and store in, a run folder out."""

import copy
import hashlib
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import vidrnn
from vidrnn.annotations import Annotation, LabelMap, Split, read_annotations
from vidrnn.config import dump_yaml
from vidrnn.device import choose_device
from vidrnn.errors import AnnotationError
from vidrnn.evaluation.report import draw_confusion, write_json, write_log, write_predictions
from vidrnn.features.store import FeatureFolder, FeatureStore
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.model_file import TrainedModel, save_model
from vidrnn.sequences.sequence_set import SequenceSet, load_sequences
from vidrnn.sequences.splits import make_folds, split_annotations
from vidrnn.settings import RunSettings
from vidrnn.training.checkpoint import State
from vidrnn.training.crossval import CrossValidation, crossvalidate, seeds_of
from vidrnn.training.fit import Checkpointing, FitResult, fit


def versions() -> dict[str, str]:
    """What a number depends on besides the configuration."""
    return {
        "vidrnn": vidrnn.__version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def config_digest(settings: RunSettings) -> str:
    """12 hexadecimal digits of the resolved configuration."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:12]


def describe_data(settings: RunSettings, spec_digest: str) -> str:
    """The part of a protocol string that says which videos and features a number belongs to."""
    source = settings.data.annotations or settings.data.root.name
    return f"{source}; features {settings.features.backbone} {spec_digest}, {settings.training.steps} steps per video"


@dataclass(frozen=True)
class TrainingRun:
    """What `train` made.

    Attributes:
        model: with the selected weights.
        history: one row per epoch.
        metrics: the content of metrics.json.
        files: what was written.
    """

    model: TrainedModel
    history: list[dict[str, float]]
    metrics: dict[str, Any]
    files: tuple[Path, ...]


def train(
    settings: RunSettings,
    *,
    output: Path,
    resume: bool = False,
    on_epoch: Callable[[dict[str, float]], None] = lambda _row: None,
) -> TrainingRun:
    """Train on the stored features of the training split, choosing the epoch on the validation split.

    Writes ``model.safetensors`` (the selected weights), ``best.safetensors``, ``last.safetensors``, ``config.yaml``,
    ``log.csv``, ``metrics.json`` and the checkpoint that ``resume`` continues from.

    Raises:
        AnnotationError, StoreError, MissingPathError, TrainingError: see the parts; nothing computed before is lost.
    """
    splits = split_annotations(read_annotations(settings.data), settings.data)
    folder = FeatureStore(settings.features.store).find(settings.features)
    label_map = LabelMap.from_annotations(splits["train"])
    device = choose_device(settings.training.device)
    train_set = load_sequences(splits["train"], folder, label_map, device=device)
    val_set = load_sequences(splits["val"], folder, label_map, device=device) if splits["val"] else None
    output.mkdir(parents=True, exist_ok=True)
    fingerprint = fingerprint_of(settings, train_set, val_set, folder)
    checkpointing = Checkpointing(output / "checkpoint.safetensors", fingerprint, resume)
    result = fit(
        train_set,
        val_set,
        num_classes=len(label_map),
        model_settings=settings.model,
        settings=settings.training,
        checkpointing=checkpointing,
        on_epoch=on_epoch,
    )
    metrics = _training_metrics(settings, result, train_set, val_set, splits, folder)
    model = TrainedModel(result.model, label_map, folder.spec, settings, metrics, versions())
    files = [output / "model.safetensors", output / "last.safetensors"]
    save_model(model, files[0])
    save_model(replace(model, classifier=_with_weights(result.model, result.last)), files[1])
    if result.best is not None:
        files.append(output / "best.safetensors")
        save_model(replace(model, classifier=_with_weights(result.model, result.best)), files[-1])
    # Not before the fit: a refused --resume must leave the folder of another run as it is.
    (output / "config.yaml").write_text(dump_yaml(settings), encoding="utf-8")
    write_log(output / "log.csv", result.history)
    write_json(output / "metrics.json", metrics)
    files += [output / "config.yaml", output / "log.csv", output / "metrics.json", checkpointing.path]
    return TrainingRun(model, result.history, metrics, tuple(files))


def _with_weights(model: SequenceClassifier, weights: State) -> SequenceClassifier:
    other = copy.deepcopy(model)
    other.load_state_dict(weights)
    return other


def fingerprint_of(
    settings: RunSettings, train_set: SequenceSet, val_set: SequenceSet | None, folder: FeatureFolder
) -> str:
    """Of all that the fit depends on; where the data lies and which device runs it may change."""
    parts = [
        settings.model.model_dump_json(),
        settings.training.model_dump_json(exclude={"device"}),
        folder.spec.digest,
        *(f"{annotation.path} {annotation.label}" for annotation in train_set.annotations),
        *(f"val {annotation.path} {annotation.label}" for annotation in (val_set.annotations if val_set else ())),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _training_metrics(
    settings: RunSettings,
    result: FitResult,
    train_set: SequenceSet,
    val_set: SequenceSet | None,
    splits: dict[Split, list[Annotation]],
    folder: FeatureFolder,
) -> dict[str, Any]:
    chosen = result.history[result.best_epoch - 1] if settings.training.select == "best" else result.history[-1]
    missing = train_set.missing + (val_set.missing if val_set else ())
    return {
        "protocol": f"{describe_data(settings, folder.spec.digest)}; epoch chosen on the validation split, "
        f"so val numbers are optimistic; seed {settings.training.seed}",
        "n": {split: len(members) for split, members in splits.items()},
        "missing_features": list(missing),
        "epoch": int(chosen["epoch"]),
        "train_top1": chosen["train_top1"],
        "val_top1": chosen.get("val_top1"),
        "val_loss": chosen.get("val_loss"),
        "config_digest": config_digest(settings),
        "versions": versions(),
    }


def run_crossval(
    settings: RunSettings,
    *,
    output: Path,
    on_total: Callable[[int], None] = lambda _fits: None,
    on_fit: Callable[[], None] = lambda: None,
) -> CrossValidation:
    """Cross-validate on the stored features; writes crossval.json, predictions.csv, confusion.png and config.yaml.

    Args:
        settings: the configuration.
        output: folder of the results.
        on_total: gets the number of fits before the first.
        on_fit: called after each fit.

    Raises:
        AnnotationError, StoreError, MissingPathError: see the parts.
    """
    annotations = read_annotations(settings.data)
    folder = FeatureStore(settings.features.store).find(settings.features)
    label_map = LabelMap.from_annotations(annotations)
    sequences = load_sequences(annotations, folder, label_map, device=choose_device(settings.training.device))
    folds = make_folds(sequences.annotations, settings.evaluation, root=settings.data.root)
    seeds = seeds_of(settings.evaluation, settings.training)
    on_total(len(folds) * len(seeds) * (3 if settings.evaluation.baselines else 1))
    protocol = (
        f"{describe_data(settings, folder.spec.digest)}; {settings.evaluation.protocol}, {len(folds)} folds, "
        f"every video tested once per seed, no validation, last epoch; seeds {', '.join(map(str, seeds))}; "
        "top1_mean and top1_std over seeds of the accuracy pooled over folds"
    )
    result = crossvalidate(sequences, folds, label_map=label_map, settings=settings, protocol=protocol, on_fit=on_fit)
    output.mkdir(parents=True, exist_ok=True)
    values = result.as_dict() | {
        "config_digest": config_digest(settings),
        "versions": versions(),
    }
    write_json(output / "crossval.json", values)
    (output / "config.yaml").write_text(dump_yaml(settings), encoding="utf-8")
    logits = torch.from_numpy(result.scores["model"][0]).double()
    write_predictions(
        output / "predictions.csv",
        paths=[annotation.path for annotation in sequences.annotations],
        labels=label_map.names,
        targets=sequences.targets.cpu().numpy(),
        probabilities=logits.softmax(1).numpy(),
    )
    title = f"top-1 {result.pooled[0].top1:.3f}, n = {result.pooled[0].n}, seed {seeds[0]}"
    draw_confusion(output / "confusion.png", result.pooled[0], title=title)
    return result


def require_split(annotations: list[Annotation], split: Split) -> list[Annotation]:
    """The videos of a split. Raises AnnotationError when it is empty, with the ways to get one."""
    if not annotations:
        raise AnnotationError(
            f"there is no {split} split: name it in the annotations, set data.{split}_fraction, or use crossval"
        )
    return annotations
