"""The fit of temporal layers on sequences without labels: masked steps predicted, epoch after epoch."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from vidrnn.device import alone, repeatable
from vidrnn.errors import ConfigError, TrainingError
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.pretrained_file import encoder_weights
from vidrnn.sequences.augmentation import draw_order, draw_steps
from vidrnn.sequences.sequence_set import Batch, SequenceSet
from vidrnn.sequences.steps import StepChoice, choose_steps
from vidrnn.settings.model import ModelSettings
from vidrnn.settings.training import TrainingSettings
from vidrnn.stages import stage
from vidrnn.training.checkpoint import FitState, History, State, load_checkpoint, save_checkpoint
from vidrnn.training.fit import Checkpointing
from vidrnn.training.masking import MaskedSteps, Masking, draw_mask
from vidrnn.training.objective import learning_rate, make_optimiser

_WINDOW = 256  # steps of a stretch where all cached steps are asked for
_MEASURED = 2000  # sequences that mean and deviation are taken from
_VALIDATION_SEED = 7


@dataclass(frozen=True)
class PretrainResult:
    """Pretrained layers.

    Attributes:
        weights: everything before the pooling, of the epoch with the lowest validation loss, or the last one.
        history: one row per epoch.
        best_epoch: from 1.
        figures: ``val_loss`` of that epoch and, beside it, ``val_copy``, the loss of who copies the nearest step that
            is not hidden; 1 is the loss of who always says the mean. Empty without validation.
    """

    weights: State
    history: History
    best_epoch: int
    figures: dict[str, float]


@stage("pretrain")
@alone()
@repeatable()
def pretrain(
    train: SequenceSet,
    val: SequenceSet | None,
    *,
    model_settings: ModelSettings,
    settings: TrainingSettings,
    masking: Masking,
    checkpointing: Checkpointing | None = None,
    on_epoch: Callable[[dict[str, float]], object] = lambda _row: None,
) -> PretrainResult:
    """Fit everything before the pooling to predict hidden steps; targets and labels of the sets are not looked at.

    Of ``settings`` epochs, batches, learning rate, schedule, clipping, weight decay, patience, steps and seed count.

    Raises:
        ConfigError: the model has no layers over time, or layers for each stream. TrainingError: the loss is not
            finite, no sequence has two steps, or a checkpoint is of another run.
    """
    _refuse_unfit(model_settings, train)
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    classifier = SequenceClassifier(model_settings, dim=train.dims, num_classes=1)
    mean, deviation = _mean_and_deviation(train, model_settings, settings)
    model = MaskedSteps(classifier, mean=mean, deviation=deviation).to(train.device)
    optimiser = make_optimiser(model, settings)
    state = FitState(checkpointing.fingerprint if checkpointing else "", 0, [], None, 0)
    if checkpointing and checkpointing.resume and checkpointing.path.exists():
        state = load_checkpoint(checkpointing.path, checkpointing.fingerprint, model, None, optimiser, generator)
    epochs = settings.epochs_of(len(train))
    while state.epoch < epochs and not _stops_early(state, settings):
        started = time.perf_counter()
        row = _train_epoch(model, optimiser, train, state.epoch, settings, masking, generator)
        if val is not None:
            row |= _validate(model, val, settings, masking)
            if state.best is None or row["val_loss"] < min(earlier["val_loss"] for earlier in state.history):
                state.best, state.best_epoch = _copy(encoder_weights(model.classifier)), state.epoch + 1
        row["seconds"] = time.perf_counter() - started
        state.epoch += 1
        state.history.append(row)
        if checkpointing:
            save_checkpoint(checkpointing.path, state, model, None, optimiser, generator)
        on_epoch(row)
    best = state.best_epoch or state.epoch
    figures = {key: state.history[best - 1][key] for key in ("val_loss", "val_copy") if val is not None}
    weights = state.best if state.best is not None else _copy(encoder_weights(model.classifier))
    return PretrainResult(weights, state.history, best, figures)


def _refuse_unfit(model: ModelSettings, train: SequenceSet) -> None:
    if not model.layer_names:
        raise ConfigError("model.cell 'none' has no layers over time that could be pretrained; name a layer")
    if model.fusion == "late" and len(train.streams) > 1:
        raise ConfigError(
            "model.fusion 'late' has layers of its own for each stream, which are not pretrained; choose another fusion"
        )
    if int(train.totals.max()) < 2:
        raise TrainingError("no sequence has two steps: what is hidden cannot be told from what is not")


def _train_epoch(
    model: MaskedSteps,
    optimiser: torch.optim.Optimizer,
    train: SequenceSet,
    epoch: int,
    settings: TrainingSettings,
    masking: Masking,
    generator: torch.Generator,
) -> dict[str, float]:
    model.train()
    order = draw_order(train.targets.values, len(train), balanced=False, generator=generator)
    batches = torch.split(order, settings.batch_size)
    total_steps = settings.epochs_of(len(train)) * len(batches)
    losses, rate = [], 0.0
    for number, positions in enumerate(batches):
        batch = _batch(train, positions, model.classifier.settings, settings, generator=generator)
        masked = draw_mask(batch.lengths, batch.features.shape[1], masking, generator=generator)
        if not bool(masked.any()):
            continue
        rate = learning_rate(epoch * len(batches) + number, total_steps=total_steps, settings=settings)
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad()
        with torch.autocast(train.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
            total, count = model.errors(batch, masked.to(train.device))
        loss = total / count.clamp(min=1.0)
        loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no type
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimiser.step()
        losses.append(float(loss.detach()))
    value = sum(losses) / max(len(losses), 1)
    if not math.isfinite(value):
        raise TrainingError(f"the loss became {value} in epoch {epoch + 1}; lower training.learning_rate")
    return {"epoch": epoch + 1.0, "learning_rate": rate, "train_loss": value}


@torch.inference_mode()
def _validate(model: MaskedSteps, val: SequenceSet, settings: TrainingSettings, masking: Masking) -> dict[str, float]:
    """The loss where the same steps are hidden in every epoch."""
    model.eval()
    generator = torch.Generator().manual_seed(_VALIDATION_SEED)
    total, copied, count = 0.0, 0.0, 0.0
    for positions in torch.split(torch.arange(len(val)), settings.batch_size):
        batch = _batch(val, positions, model.classifier.settings, settings, generator=None)
        masked = draw_mask(batch.lengths, batch.features.shape[1], masking, generator=generator).to(val.device)
        errors, counted = model.errors(batch, masked)
        total, count = total + float(errors), count + float(counted)
        copied += float(model.errors_of_copies(batch, masked))
    return {"val_loss": total / max(count, 1.0), "val_copy": copied / max(count, 1.0)}


def _batch(
    sequences: SequenceSet,
    positions: torch.Tensor,
    model: ModelSettings,
    settings: TrainingSettings,
    *,
    generator: torch.Generator | None,
) -> Batch:
    """What is shown of some sequences: drawn in training, the middle steps of the plain view in validation."""
    totals = sequences.totals[positions]
    mirrored = None
    if generator is not None and sequences.has_both_views:
        mirrored = torch.rand(len(positions), generator=generator) < 0.5
    if settings.steps is None:
        choice = _stretch(totals, generator=generator)
    elif generator is None:
        choice = choose_steps(totals, settings.steps)
    else:
        choice = draw_steps(totals, settings, generator=generator)
    return sequences.batch(positions, choice, model, mirrored=mirrored)


def _stretch(totals: torch.Tensor, *, generator: torch.Generator | None) -> StepChoice:
    """Neighbouring steps, at most `_WINDOW`: anywhere, or in the middle."""
    lengths = totals.clamp(max=_WINDOW)
    free = totals - lengths
    starts = free // 2
    if generator is not None:
        starts = (torch.rand(len(totals), dtype=torch.float64, generator=generator) * (free + 1)).to(torch.int64)
    slots = torch.minimum(torch.arange(int(lengths.max())), (lengths - 1).unsqueeze(1))
    return StepChoice(starts.unsqueeze(1) + slots, lengths)


def _mean_and_deviation(
    train: SequenceSet, model: ModelSettings, settings: TrainingSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    """(C,) each, over steps of sequences that are spread evenly over all."""
    places = torch.linspace(0, len(train) - 1, min(_MEASURED, len(train))).round().to(torch.int64)
    total = squares = count = torch.zeros((), dtype=torch.float64)
    for positions in torch.split(places, settings.batch_size):
        batch = _batch(train, positions, model, settings, generator=None)
        inside = (torch.arange(batch.features.shape[1]) < batch.lengths.unsqueeze(1)).to(batch.features.device)
        there = inside.unsqueeze(2).expand_as(batch.features)
        if batch.present is not None:
            there = there & batch.present.repeat_interleave(torch.tensor(batch.widths, device=there.device), dim=2)
        values = batch.features.double() * there
        total, squares = total + values.sum((0, 1)).cpu(), squares + values.square().sum((0, 1)).cpu()
        count = count + there.sum((0, 1)).cpu()
    mean = total / count.clamp(min=1)
    deviation = (squares / count.clamp(min=1) - mean.square()).clamp(min=0.0).sqrt()
    deviation = torch.where(deviation > 0, deviation.clamp(min=1e-3 * float(deviation.max())), 1.0)
    return mean.float(), deviation.float()


def _copy(weights: dict[str, torch.Tensor]) -> State:
    return {name: value.detach().clone() for name, value in weights.items()}


def _stops_early(state: FitState, settings: TrainingSettings) -> bool:
    return bool(settings.patience and state.best is not None and state.epoch - state.best_epoch >= settings.patience)
