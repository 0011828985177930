"""The fit loop. Features are in memory or mapped, so a batch is one gather and no worker process is needed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from vidrnn.device import alone, repeatable
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.model import ModelSettings
from vidrnn.settings.training import TrainingSettings
from vidrnn.stages import LOG, stage
from vidrnn.training.checkpoint import FitState, History, State, load_checkpoint, save_checkpoint
from vidrnn.training.checks import check_inputs, check_transcripts
from vidrnn.training.curves import open_curves
from vidrnn.training.predict import PredictOptions
from vidrnn.training.trainer import Trainer
from vidrnn.training.validation import validate


@dataclass(frozen=True)
class Checkpointing:
    """Where a fit keeps its state, and whether to continue from there."""

    path: Path
    fingerprint: str
    resume: bool


@dataclass(frozen=True)
class FitResult:
    """A fitted model.

    Attributes:
        model: holds the selected weights, in eval mode.
        best: weights with the lowest validation loss, None without validation.
        last: weights after the last epoch.
        history: one row per epoch, as in log.csv.
        best_epoch: from 1; the last epoch without validation.
    """

    model: SequenceClassifier
    best: State | None
    last: State
    history: History
    best_epoch: int


@stage("fit")
@alone()
@repeatable()
def fit(
    train: SequenceSet,
    val: SequenceSet | None,
    *,
    num_classes: int,
    model_settings: ModelSettings,
    settings: TrainingSettings,
    shuffled_time: bool = False,
    checkpointing: Checkpointing | None = None,
    curves: Path | None = None,
    on_epoch: Callable[[dict[str, float]], None] = lambda _row: None,
) -> FitResult:
    """Fit a sequence classifier; with ``training.ema_decay`` its weights are the averaged ones.

    Args:
        train: the sequences to learn from.
        val: chooses the best epoch and stops early; None fits all epochs and keeps the last.
        num_classes: classes that the head tells apart.
        model_settings: the model.
        settings: the fit.
        shuffled_time: give every sequence in random order (the baseline that has no time).
        checkpointing: keep the state after every epoch, and continue from it.
        curves: folder for the event files of TensorBoard; None writes none.
        on_epoch: gets each row of the log.

    Raises:
        TrainingError: the loss becomes nan or infinite, a checkpoint is of another run, or the data cannot be learned.
            That is so where a transcript is longer than its steps, a side has no number, or every video has one step
            and ``model.inputs`` show changes alone.
    """
    _check(train, val, model_settings, settings)
    LOG.info("fit %s on %d videos, seed %d", model_settings.cell, len(train), settings.seed)
    trainer = Trainer(train, num_classes, model_settings, settings, shuffled_time=shuffled_time)
    state = FitState(checkpointing.fingerprint if checkpointing else "", 0, [], None, 0)
    parts = trainer.model, trainer.average.model if trainer.average else None, trainer.optimiser, trainer.generator
    if checkpointing and checkpointing.resume and checkpointing.path.exists():
        state = load_checkpoint(checkpointing.path, checkpointing.fingerprint, *parts)
    epochs, options = settings.epochs_of(len(train)), PredictOptions(settings.steps, shuffled_time=shuffled_time)
    with open_curves(curves, model_settings=model_settings, settings=settings, history=state.history) as drawn:
        while state.epoch < epochs and not _stops_early(state, settings):
            row = _run_epoch(trainer, state, val, options, num_classes=num_classes)
            if checkpointing:
                save_checkpoint(checkpointing.path, state, *parts)
            if drawn:
                drawn.add(row)
            on_epoch(row)
    last, model = _copy(trainer.result), trainer.result
    if settings.select == "best" and state.best is not None:
        model.load_state_dict(state.best)
    return FitResult(model.eval(), state.best, last, state.history, state.best_epoch or state.epoch)


def _check(
    train: SequenceSet, val: SequenceSet | None, model_settings: ModelSettings, settings: TrainingSettings
) -> None:
    check_inputs(train, model_settings)
    for sequences in (train, val):
        if sequences is not None and model_settings.head == "transcript":
            check_transcripts(sequences, settings)


def _run_epoch(
    trainer: Trainer, state: FitState, val: SequenceSet | None, options: PredictOptions, *, num_classes: int
) -> dict[str, float]:
    """Train for one epoch, validate, and bring the state up to date. The row of the log."""
    started = time.perf_counter()
    row = trainer.train_epoch(state.epoch, updates=int(state.history[-1]["updates"]) if state.history else 0)
    if val is not None:
        row |= validate(trainer.result, val, options, num_classes=num_classes)
        if state.best is None or row["val_loss"] < min(earlier["val_loss"] for earlier in state.history):
            state.best, state.best_epoch = _copy(trainer.result), state.epoch + 1
    row["seconds"] = time.perf_counter() - started
    state.epoch += 1
    state.history.append(row)
    return row


def _copy(model: nn.Module) -> State:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _stops_early(state: FitState, settings: TrainingSettings) -> bool:
    return bool(settings.patience and state.best is not None and state.epoch - state.best_epoch >= settings.patience)
