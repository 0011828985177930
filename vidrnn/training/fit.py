"""The fit loop. Features are in memory or mapped, so a batch is one gather and no worker process is needed."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vidrnn.errors import TrainingError
from vidrnn.evaluation.measures import HEADLINES, headline, measure_outputs
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.sequences.sequence_set import Batch, SequenceSet
from vidrnn.sequences.steps import StepChoice, choose_steps, nearest_chosen, shuffle_steps
from vidrnn.settings import ModelSettings, TrainingSettings
from vidrnn.training.checkpoint import FitState, History, State, load_checkpoint, save_checkpoint
from vidrnn.training.objective import Objective, learning_rate, make_optimiser

_EVALUATION_STEPS = 8192  # of all sequences in a batch
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
        num_classes: classes that the head tells apart.
        model_settings: the model.
        settings: the fit.
        shuffled_time: give every sequence in random order (the baseline that has no time).
        checkpointing: keep the state after every epoch, and continue from it.
        on_epoch: gets each row of the log.

    Raises:
        TrainingError: the loss is not finite, a checkpoint does not fit, a transcript does not fit into its steps, or
            no video of a side has a number.
    """
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    device = train.features.device
    model = SequenceClassifier(model_settings, dim=train.dim, num_classes=num_classes).to(device)
    optimiser = make_optimiser(model, settings)
    objective = Objective(settings, model_settings.head, train=train, num_classes=num_classes)
    if model.scale is not None and objective.scale is not None:
        model.scale.copy_(objective.scale)
    for sequences in (train, val):
        if sequences is not None and model_settings.head == "transcript":
            _check_transcripts(sequences, settings)
    state = FitState(checkpointing.fingerprint if checkpointing else "", 0, [], None, 0)
    if checkpointing and checkpointing.resume and checkpointing.path.exists():
        state = load_checkpoint(checkpointing.path, checkpointing.fingerprint, model, optimiser, generator)
    while state.epoch < settings.epochs and not _stops_early(state, settings):
        started = time.perf_counter()
        row = _train_epoch(
            model,
            train,
            objective,
            optimiser,
            settings,
            state.epoch,
            generator=generator,
            shuffled_time=shuffled_time,
        )
        if val is not None:
            row |= _validate(model, val, objective, settings, shuffled_time=shuffled_time)
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
    objective: Objective,
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
        choice = _choose(
            train,
            positions,
            settings,
            generator if settings.jitter else None,
            shuffle=generator if shuffled_time else None,
        )
        batch = train.batch(positions, choice, model.settings)
        step = epoch * len(batches) + number
        rate = learning_rate(step, total_steps=settings.epochs * len(batches), settings=settings)
        for group in optimiser.param_groups:
            group["lr"] = rate
        outputs, value = _outputs_and_loss(model, batch, objective, settings)
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]  # torch gives it no type
        norms[number] = nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimiser.step()
        losses[number] = value.detach()
        if objective.head == "label":
            correct += (outputs.argmax(1) == batch.targets).sum()
    row = {
        "epoch": epoch + 1.0,
        "learning_rate": rate,
        "train_loss": float(losses.mean()),
        **({"train_top1": float(correct) / len(train)} if objective.head == "label" else {}),
        "gradient_norm_mean": float(norms.mean()),
        "gradient_norm_max": float(norms.max()),
    }
    if not math.isfinite(row["train_loss"]) or not math.isfinite(row["gradient_norm_max"]):
        raise TrainingError(
            f"the loss became {row['train_loss']} in epoch {epoch + 1}, the largest gradient norm "
            f"{row['gradient_norm_max']}; lower training.learning_rate or training.clip_norm"
        )
    return row


def _outputs_and_loss(
    model: SequenceClassifier, batch: Batch, objective: Objective, settings: TrainingSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    step_outputs = None
    with torch.autocast(batch.features.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
        if settings.step_loss_weight:
            outputs, step_outputs = model.with_step_logits(batch.features, batch.lengths)
        else:
            outputs = model(batch.features, batch.lengths)
    value = objective(outputs, batch.targets, batch.lengths)
    if step_outputs is not None:
        of_steps = objective.of_steps(step_outputs, batch.targets, batch.lengths)
        value = value + settings.step_loss_weight * of_steps
    return outputs, value


def _check_transcripts(sequences: SequenceSet, settings: TrainingSettings) -> None:
    """CTC puts one label at most on a step, and a blank between two equal ones."""
    lengths = choose_steps(sequences.totals, settings.steps).lengths.tolist()
    for annotation, length in zip(sequences.annotations, lengths, strict=True):
        names = annotation.names
        needed = len(names) + sum(before == after for before, after in pairwise(names))
        if needed > length:
            raise TrainingError(
                f"transcript of {annotation.path!r} has {len(names)} labels and needs {needed} steps, but the video "
                f"gives {length}; raise training.steps, or extract at a higher features.rate"
            )


def _choose(
    sequences: SequenceSet,
    positions: torch.Tensor,
    settings: TrainingSettings,
    jitter: torch.Generator | None,
    *,
    shuffle: torch.Generator | None,
) -> StepChoice:
    choice = choose_steps(sequences.totals[positions], settings.steps, generator=jitter)
    return choice if shuffle is None else shuffle_steps(choice, generator=shuffle)


@torch.inference_mode()
def predict(
    model: SequenceClassifier,
    sequences: SequenceSet,
    settings: TrainingSettings,
    *,
    shuffled_time: bool = False,
) -> list[torch.Tensor]:
    """Outputs of all sequences from their middle steps.

    Returns:
        n tensors, float32 on the CPU, in the order of the set: (outputs,) each; from a head that answers at every
        step (T, outputs), where each of the T cached steps has the answer of the chosen step nearest to it; from
        ``transcript`` (S, outputs) of the chosen steps.
    """
    model.eval()
    shuffle = torch.Generator().manual_seed(_SHUFFLE_SEED) if shuffled_time else None
    longest = int(sequences.totals.max()) if settings.steps is None else settings.steps
    rows: list[torch.Tensor] = []
    for positions in torch.split(torch.arange(len(sequences)), max(_EVALUATION_STEPS // longest, 1)):
        choice = _choose(sequences, positions, settings, None, shuffle=shuffle)
        batch = sequences.batch(positions, choice, model.settings)
        outputs = model(batch.features, batch.lengths).float().cpu()
        if not model.per_step:
            rows += outputs.unbind()
            continue
        for number, (own, total) in enumerate(zip(outputs, sequences.totals[positions].tolist(), strict=True)):
            indices = choice.indices[number, : choice.lengths[number]]
            own = own[indices.argsort()]  # noqa: PLW2901  back in the order of time
            whole = model.settings.head != "transcript"
            rows.append(own[nearest_chosen(indices.sort().values, total)] if whole else own)
    return rows


def _validate(
    model: SequenceClassifier,
    val: SequenceSet,
    objective: Objective,
    settings: TrainingSettings,
    *,
    shuffled_time: bool,
) -> dict[str, float]:
    outputs = predict(model, val, settings, shuffled_time=shuffled_time)
    truth, head = val.targets.per_video(val.totals), objective.head
    if head == "step_regression" and all(np.isnan(own).all() for own in truth):
        raise TrainingError(
            "no validation video has a number at any step, so no epoch can be chosen; annotate some, or set "
            "data.val_fraction to 0"
        )
    if head == "transcript":
        lengths = torch.tensor([len(own) for own in outputs])
        loss = objective(nn.utils.rnn.pad_sequence(outputs, batch_first=True), val.targets.values.cpu(), lengths)
    else:
        flat = torch.cat(outputs) if model.per_step else torch.stack(outputs)
        targets = torch.from_numpy(np.concatenate(truth) if model.per_step else np.stack(truth))
        plain = head in {"label", "step_labels"}  # without smoothing and weights, so that it compares between runs
        loss = nn.functional.cross_entropy(flat, targets) if plain else objective(flat, targets, val.totals)
    metrics = measure_outputs(
        head,
        [own.numpy() for own in outputs],
        truth,
        labels=[str(number) for number in range(objective.num_classes)],
        groups=[annotation.group for annotation in val.annotations],
        bootstrap=1,
    )
    return {"val_loss": float(loss), f"val_{HEADLINES[head].name}": headline(head, metrics)}
