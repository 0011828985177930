"""The fit loop. The whole training set is resident, so a batch is one gather and no worker process is needed."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from vidrnn.errors import TrainingError
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.sequences.sequence_set import Batch, SequenceSet
from vidrnn.sequences.steps import choose_steps, shuffle_steps
from vidrnn.settings import ModelSettings, TrainingSettings
from vidrnn.training.checkpoint import FitState, History, State, load_checkpoint, save_checkpoint
from vidrnn.training.objective import learning_rate, make_loss, make_optimiser, step_loss

_EVALUATION_BATCH = 256
_SHUFFLE_SEED = 0  # the shuffled-time baseline meets each video in one fixed wrong order at evaluation


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


def fit(
    train: SequenceSet,
    val: SequenceSet | None,
    *,
    num_classes: int,
    model_settings: ModelSettings,
    settings: TrainingSettings,
    shuffled_time: bool = False,
    checkpointing: Checkpointing | None = None,
    on_epoch: Callable[[dict[str, float]], None] = lambda _row: None,
) -> FitResult:
    """Fit a sequence classifier.

    Args:
        train: the sequences to learn from.
        val: chooses the best epoch and stops early; None fits all epochs and keeps the last.
        num_classes: length of the logits.
        model_settings: the model.
        settings: the fit.
        shuffled_time: give every sequence in random order (the baseline that has no time).
        checkpointing: keep the state after every epoch, and continue from it.
        on_epoch: gets each row of the log.

    Raises:
        TrainingError: the loss is not finite, or a checkpoint does not fit.
    """
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    device = train.features.device
    model = SequenceClassifier(model_settings, dim=train.dim, num_classes=num_classes).to(device)
    optimiser = make_optimiser(model, settings)
    loss = make_loss(settings, train.targets, num_classes)
    state = FitState(checkpointing.fingerprint if checkpointing else "", 0, [], None, 0)
    if checkpointing and checkpointing.resume and checkpointing.path.exists():
        state = load_checkpoint(checkpointing.path, checkpointing.fingerprint, model, optimiser, generator)
    while state.epoch < settings.epochs and not _stops_early(state, settings):
        started = time.perf_counter()
        row = _train_epoch(
            model,
            train,
            loss,
            optimiser,
            settings,
            state.epoch,
            generator=generator,
            shuffled_time=shuffled_time,
        )
        if val is not None:
            row |= _validate(model, val, settings, shuffled_time=shuffled_time)
            if state.best is None or row["val_loss"] < min(each["val_loss"] for each in state.history):
                state.best, state.best_epoch = _copy(model), state.epoch + 1
        row["seconds"] = time.perf_counter() - started
        state.epoch += 1
        state.history.append(row)
        if checkpointing:
            save_checkpoint(checkpointing.path, state, model, optimiser, generator)
        on_epoch(row)
    last = _copy(model)
    if settings.select == "best" and state.best is not None:
        model.load_state_dict(state.best)
    return FitResult(model.eval(), state.best, last, state.history, state.best_epoch or state.epoch)


def _copy(model: nn.Module) -> State:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _stops_early(state: FitState, settings: TrainingSettings) -> bool:
    return bool(settings.patience and state.best is not None and state.epoch - state.best_epoch >= settings.patience)


def _train_epoch(
    model: SequenceClassifier,
    train: SequenceSet,
    loss: nn.Module,
    optimiser: torch.optim.Optimizer,
    settings: TrainingSettings,
    epoch: int,
    *,
    generator: torch.Generator,
    shuffled_time: bool,
) -> dict[str, float]:
    model.train()
    device = train.features.device
    batches = torch.split(torch.randperm(len(train), generator=generator), settings.batch_size)
    losses, norms = torch.zeros(len(batches), device=device), torch.zeros(len(batches), device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    rate = 0.0
    for number, positions in enumerate(batches):
        batch = _batch(
            train,
            positions,
            model.settings,
            settings,
            generator if settings.jitter else None,
            shuffle=generator if shuffled_time else None,
        )
        step = epoch * len(batches) + number
        rate = learning_rate(step, total_steps=settings.epochs * len(batches), settings=settings)
        for group in optimiser.param_groups:
            group["lr"] = rate
        logits, value = _logits_and_loss(model, batch, loss, settings)
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]  # torch gives it no type
        norms[number] = nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimiser.step()
        losses[number] = value.detach()
        correct += (logits.argmax(1) == batch.targets).sum()
    row = {
        "epoch": epoch + 1.0,
        "learning_rate": rate,
        "train_loss": float(losses.mean()),
        "train_top1": float(correct) / len(train),
        "gradient_norm_mean": float(norms.mean()),
        "gradient_norm_max": float(norms.max()),
    }
    if not math.isfinite(row["train_loss"]) or not math.isfinite(row["gradient_norm_max"]):
        raise TrainingError(
            f"the loss became {row['train_loss']} in epoch {epoch + 1}, the largest gradient norm "
            f"{row['gradient_norm_max']}; lower training.learning_rate or training.clip_norm"
        )
    return row


def _logits_and_loss(
    model: SequenceClassifier, batch: Batch, loss: nn.Module, settings: TrainingSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    step_logits = None
    with torch.autocast(batch.features.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
        if settings.step_loss_weight:
            logits, step_logits = model.with_step_logits(batch.features, batch.lengths)
        else:
            logits = model(batch.features, batch.lengths)
    value = loss(logits.float(), batch.targets)
    if step_logits is not None:
        of_steps = step_loss(loss, step_logits.float(), lengths=batch.lengths, targets=batch.targets)
        value = value + settings.step_loss_weight * of_steps
    return logits, value


def _batch(
    sequences: SequenceSet,
    positions: torch.Tensor,
    model: ModelSettings,
    settings: TrainingSettings,
    jitter: torch.Generator | None,
    *,
    shuffle: torch.Generator | None,
) -> Batch:
    choice = choose_steps(sequences.totals[positions], settings.steps, generator=jitter)
    if shuffle is not None:
        choice = shuffle_steps(choice, generator=shuffle)
    return sequences.batch(positions, choice, model)


@torch.inference_mode()
def predict(
    model: SequenceClassifier,
    sequences: SequenceSet,
    settings: TrainingSettings,
    *,
    shuffled_time: bool = False,
) -> torch.Tensor:
    """Logits of all sequences from their middle steps.

    Returns:
        (n, num_classes) float32 on the CPU, in the order of the set.
    """
    model.eval()
    shuffle = torch.Generator().manual_seed(_SHUFFLE_SEED) if shuffled_time else None
    rows = []
    for positions in torch.split(torch.arange(len(sequences)), _EVALUATION_BATCH):
        batch = _batch(sequences, positions, model.settings, settings, None, shuffle=shuffle)
        rows.append(model(batch.features, batch.lengths).float().cpu())
    return torch.cat(rows)


def _validate(
    model: SequenceClassifier, val: SequenceSet, settings: TrainingSettings, *, shuffled_time: bool
) -> dict[str, float]:
    logits, targets = predict(model, val, settings, shuffled_time=shuffled_time), val.targets.cpu()
    return {
        "val_loss": float(nn.functional.cross_entropy(logits, targets)),
        "val_top1": float((logits.argmax(1) == targets).float().mean()),
    }
