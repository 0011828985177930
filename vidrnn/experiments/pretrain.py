"""The verb ``pretrain``: stored features without labels to weights that a training may start from."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vidrnn.annotations import Annotation, LabelMap, read_annotations
from vidrnn.annotations.splits import split_annotations
from vidrnn.device import choose_device
from vidrnn.errors import AnnotationError, ConfigError, MissingPathError, StoreError
from vidrnn.evaluation.report import write_json, write_log
from vidrnn.experiments.provenance import provenance, versions, write_config
from vidrnn.experiments.stored_sets import find_folders, find_mirrored_folders, fingerprint_of
from vidrnn.experiments.suggest import UNKNOWN_LABEL, unlabelled
from vidrnn.models.pretrained_file import save_pretrained
from vidrnn.sequences.loading import load_sequences
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.outputs import refuse_foreign_results
from vidrnn.settings.run import RunSettings
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.training.checkpoint import History
from vidrnn.training.fit import Checkpointing
from vidrnn.training.masking import Masking
from vidrnn.training.pretraining import PretrainResult
from vidrnn.training.pretraining import pretrain as fit

WEIGHTS = "pretrained.safetensors"
_RECORDS = (WEIGHTS, "config.yaml", "log.csv", "metrics.json")
_LEAST = 5  # videos, or groups of them, from which some are kept for validation


@dataclass(frozen=True)
class Pretraining:
    """What `pretrain` made.

    Attributes:
        weights: the file for ``training.init``.
        history: one row per epoch, as in log.csv.
        figures: as of `vidrnn.training.pretraining.PretrainResult`.
        best_epoch: whose weights these are, from 1.
        num_train, num_val: videos that were learned from, and that chose the epoch.
        left_out: annotated videos of the validation and test splits, which were not looked at.
    """

    weights: Path
    history: History
    figures: dict[str, float]
    best_epoch: int
    num_train: int
    num_val: int
    left_out: int


def pretrain(
    settings: RunSettings,
    *,
    output: Path,
    masking: Masking | None = None,
    val_fraction: float = 0.1,
    resume: bool = False,
    on_total: Callable[[int], object] = lambda _epochs: None,
    on_epoch: Callable[[dict[str, float]], object] = lambda _row: None,
    on_note: Callable[[str], object] = lambda _note: None,
) -> Pretraining:
    """Fit everything before the pooling on all stored videos, but for the annotated ones that validate or test.

    Writes ``pretrained.safetensors``, ``config.yaml``, ``log.csv``, ``metrics.json`` and the checkpoint that ``resume``
    continues from. The same settings and features give the same weights.

    Args:
        settings: name store, features, model and how it is fitted; the labels are not looked at.
        output: folder for the files.
        masking: how much is hidden; None: `Masking` as it is.
        val_fraction: share of the groups that chooses the epoch; 0: none, and the last epoch counts.
        resume: continue from the checkpoint.
        on_total: called with the number of epochs.
        on_epoch: called with each row of the log.
        on_note: called with what deserves a second look.

    Raises:
        ConfigError: a share is not between 0 and 1, or the model cannot be pretrained. StoreError, MissingPathError:
            there are no features. TrainingError: see `vidrnn.training.pretraining.pretrain`.
    """
    masking = masking or Masking()
    _check(masking, val_fraction)
    refuse_foreign_results(output, (*_RECORDS, "checkpoint.safetensors"))
    settings = settings.model_copy(
        update={"training": settings.training.model_copy(update={"init": None, "frozen": False})}
    )
    folders = find_folders(settings.features, store=settings.extraction.store)
    groups, left_out = _groups_of(settings, on_note)
    videos = sorted({path for folder in folders for path in folder.videos()} - left_out)
    if not videos:
        raise StoreError(f"the store {settings.extraction.store} has no features of videos to learn from")
    annotations = [replace(unlabelled(path), group=groups.get(path, path)) for path in videos]
    learned, chosen = _divide(annotations, val_fraction, seed=settings.training.seed)
    train_set = _load(learned, settings, folders)
    val_set = _load(chosen, settings, folders) if chosen else None
    output.mkdir(parents=True, exist_ok=True)
    on_total(settings.training.epochs_of(len(train_set)))
    fingerprint = f"pretrain {masking} {fingerprint_of(settings, train_set, val_set, folders)}"
    result = fit(
        train_set,
        val_set,
        model_settings=settings.model,
        settings=settings.training,
        masking=masking,
        checkpointing=Checkpointing(output / "checkpoint.safetensors", fingerprint, resume),
        on_epoch=on_epoch,
    )
    num_val = 0 if val_set is None else len(val_set)
    facts: dict[str, Any] = {
        "n": {"train": len(train_set), "val": num_val},
        "epoch": result.best_epoch,
        "seed": settings.training.seed,
        "masking": asdict(masking),
        "versions": versions(),
        **result.figures,
    }
    file = _write(result, facts, settings, folders, output)
    return Pretraining(file, result.history, result.figures, result.best_epoch, len(train_set), num_val, len(left_out))


def _write(
    result: PretrainResult, facts: dict[str, Any], settings: RunSettings, folders: Sequence[FeatureFolder], output: Path
) -> Path:
    """Write the weights and their records, and give the path of the weights."""
    files = [output / name for name in _RECORDS]
    specs = {folder.spec.stream: folder.spec.digest for folder in folders}
    save_pretrained(files[0], result.weights, settings=settings.model, specs=specs, facts=facts)
    write_config(files[1], settings)
    write_log(files[2], result.history)
    write_json(files[3], facts | provenance(settings))
    return files[0]


def _check(masking: Masking, val_fraction: float) -> None:
    if not 0.0 < masking.share < 1.0:
        raise ConfigError(f"--mask-share {masking.share}: give a share between 0 and 1, such as 0.4")
    if masking.span < 1:
        raise ConfigError(f"--mask-span {masking.span}: give a number of steps from 1 on, such as 4")
    if not 0.0 <= val_fraction < 1.0:
        raise ConfigError(f"--val-fraction {val_fraction}: give a share from 0 to less than 1, such as 0.1")


def _groups_of(settings: RunSettings, on_note: Callable[[str], object]) -> tuple[dict[str, str], set[str]]:
    """The groups of the annotated videos, and which of these validate or test."""
    try:
        annotations = read_annotations(settings.data)
    except (AnnotationError, MissingPathError) as error:
        on_note(f"no annotations, so each video is a group of its own: {error}")
        return {}, set()
    try:
        splits = split_annotations(annotations, settings.data)
    except AnnotationError as error:
        on_note(f"the annotations are not split, so all annotated videos are learned from: {error}")
        return {annotation.path: annotation.group for annotation in annotations}, set()
    held = {annotation.path for annotation in (*splits["val"], *splits["test"])}
    if not held:
        on_note(
            "the annotations name no test split, so all videos are learned from, without their labels; a "
            "cross-validation that starts from these weights has seen the videos that it tests on"
        )
    return {annotation.path: annotation.group for annotation in annotations}, held


def _divide(
    annotations: Sequence[Annotation], val_fraction: float, *, seed: int
) -> tuple[list[Annotation], list[Annotation]]:
    """Videos to learn from, and those of some groups that choose the epoch."""
    groups = sorted({annotation.group for annotation in annotations})
    if not val_fraction or len(groups) < _LEAST:
        return list(annotations), []
    count = max(1, math.floor(val_fraction * len(groups)))
    chosen = set(np.random.default_rng(seed).permutation(groups)[:count].tolist())
    return (
        [annotation for annotation in annotations if annotation.group not in chosen],
        [annotation for annotation in annotations if annotation.group in chosen],
    )


def _load(annotations: Sequence[Annotation], settings: RunSettings, folders: Sequence[FeatureFolder]) -> SequenceSet:
    return load_sequences(
        annotations,
        folders,
        LabelMap((UNKNOWN_LABEL,)),
        device=choose_device(settings.training.device),
        mirrored=find_mirrored_folders(settings.features, store=settings.extraction.store),
        causal=not settings.model.bidirectional,
    )
