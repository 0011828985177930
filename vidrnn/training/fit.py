"""The fit loop. Features are in memory or mapped, so a batch is one gather and no worker process is needed."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vidrnn.device import alone, repeatable
from vidrnn.errors import TrainingError
from vidrnn.evaluation.measures import HEADLINES, headline, measure_outputs
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.ensemble import Model
from vidrnn.sequences.augmentation import augment, draw_order, draw_steps
from vidrnn.sequences.sequence_set import Batch, SequenceSet
from vidrnn.sequences.steps import shuffle_steps, similar_lengths
from vidrnn.settings.model import ModelSettings
from vidrnn.settings.training import TrainingSettings
from vidrnn.training.averaging import AveragedWeights
from vidrnn.training.checkpoint import FitState, History, State, load_checkpoint, save_checkpoint
from vidrnn.training.checks import check_inputs, check_transcripts
from vidrnn.training.losses import ctc_loss
from vidrnn.training.objective import Objective, learning_rate, make_optimiser
from vidrnn.training.predict import PredictOptions, predict


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
        on_epoch: gets each row of the log.

    Raises:
        TrainingError: the loss is not finite, a checkpoint does not fit, a transcript does not fit into its steps, no
            video of a side has a number, or the model's inputs show nothing because every video has one step.
    """
    check_inputs(train, model_settings)
    for sequences in (train, val):
        if sequences is not None and model_settings.head == "transcript":
            check_transcripts(sequences, settings)
    trainer = Trainer(train, num_classes, model_settings, settings, shuffled_time=shuffled_time)
    state = FitState(checkpointing.fingerprint if checkpointing else "", 0, [], None, 0)
    parts = trainer.model, trainer.average.model if trainer.average else None, trainer.optimiser, trainer.generator
    if checkpointing and checkpointing.resume and checkpointing.path.exists():
        state = load_checkpoint(checkpointing.path, checkpointing.fingerprint, *parts)
    epochs = settings.epochs_of(len(train))
    while state.epoch < epochs and not _stops_early(state, settings):
        started = time.perf_counter()
        row = trainer.train_epoch(state.epoch)
        if val is not None:
            options = PredictOptions(settings.steps, shuffled_time=shuffled_time)
            row |= validate(trainer.result, val, options, num_classes=num_classes)
            if state.best is None or row["val_loss"] < min(earlier["val_loss"] for earlier in state.history):
                state.best, state.best_epoch = _copy(trainer.result), state.epoch + 1
        row["seconds"] = time.perf_counter() - started
        state.epoch += 1
        state.history.append(row)
        if checkpointing:
            save_checkpoint(checkpointing.path, state, *parts)
        on_epoch(row)
    last, model = _copy(trainer.result), trainer.result
    if settings.select == "best" and state.best is not None:
        model.load_state_dict(state.best)
    return FitResult(model.eval(), state.best, last, state.history, state.best_epoch or state.epoch)


def _copy(model: nn.Module) -> State:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _stops_early(state: FitState, settings: TrainingSettings) -> bool:
    return bool(settings.patience and state.best is not None and state.epoch - state.best_epoch >= settings.patience)


class Trainer:
    """All that changes during a fit, and the epoch that changes it.

    Attributes:
        model: that the optimiser changes.
        average: of its weights, None unless the settings ask for it.
        optimiser: of the model.
        objective: what is minimised.
        generator: draws order, steps and augmentations; dropout is drawn by PyTorch's own.
    """

    def __init__(
        self,
        train: SequenceSet,
        num_classes: int,
        model_settings: ModelSettings,
        settings: TrainingSettings,
        *,
        shuffled_time: bool,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self._train, self._settings, self._num_classes = train, settings, num_classes
        self._shuffled_time = shuffled_time
        model = SequenceClassifier(model_settings, dim=train.dims, num_classes=num_classes)
        self.model = model.to(train.device)
        self.optimiser = make_optimiser(self.model, settings)
        self.objective = Objective(settings, model_settings.head, train=train, num_classes=num_classes)
        if self.model.scale is not None and self.objective.scale is not None:
            self.model.scale.copy_(self.objective.scale)
        decay = settings.ema_decay
        self.average = AveragedWeights(self.model, decay=decay) if decay else None

    @property
    def result(self) -> SequenceClassifier:
        """The model whose weights count."""
        return self.average.model if self.average else self.model

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """One pass over the training set; the row of the log. Raises TrainingError when the loss is not finite."""
        self.model.train()
        settings, device = self._settings, self._train.device
        balanced = settings.sampling == "balanced"
        order = draw_order(self._train.targets.values, len(self._train), balanced=balanced, generator=self.generator)
        batches = torch.split(order, settings.batch_size)
        epochs = settings.epochs_of(len(self._train))
        losses, norms = torch.zeros(len(batches), device=device), torch.zeros(len(batches), device=device)
        correct = torch.zeros((), dtype=torch.int64, device=device)
        rate = 0.0
        for number, positions in enumerate(batches):
            step = epoch * len(batches) + number
            rate = learning_rate(step, total_steps=epochs * len(batches), settings=settings)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            losses[number], right = self._descend(positions)
            correct += right
            norms[number] = nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
            self.optimiser.step()
            if self.average:
                self.average.update(self.model, number=step + 1)
        row = {
            "epoch": epoch + 1.0,
            "updates": (epoch + 1.0) * len(batches),
            "learning_rate": rate,
            "train_loss": float(losses.mean()),
            **({"train_top1": float(correct) / len(order)} if self.objective.head == "label" else {}),
            "gradient_norm_mean": float(norms.mean()),
            "gradient_norm_max": float(norms.max()),
        }
        if not math.isfinite(row["train_loss"]) or not math.isfinite(row["gradient_norm_max"]):
            raise TrainingError(
                f"the loss became {row['train_loss']} in epoch {epoch + 1}, the largest gradient norm "
                f"{row['gradient_norm_max']}; lower training.learning_rate or training.clip_norm"
            )
        return row

    def _descend(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Put the gradients of a batch into the model; its loss, and of ``label`` how many videos were right.

        A long sequence is not padded together with short ones: each part of similar lengths adds its gradients, and
        the mean is that over the whole batch. What mixup mixes then comes from one part.
        """
        self.optimiser.zero_grad()
        totals, steps = self._train.totals[positions], self._settings.steps
        parts = similar_lengths(totals if steps is None else totals.clamp(max=steps))
        device, answers = self._train.device, 0
        loss, correct = torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device)
        for part in parts:
            batch = self._draw(positions[part])
            outputs, value = self._forward(batch)
            count = self.objective.count(batch.targets) if len(parts) > 1 else 1
            (value * count).backward()  # type: ignore[no-untyped-call]  # torch gives it no type
            loss, answers = loss + value.detach() * count, answers + count
            if self.objective.head == "label":
                targets = batch.targets.argmax(1) if self._settings.mixup else batch.targets
                correct = correct + (outputs.argmax(1) == targets).sum()
        if answers > 1:
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    parameter.grad /= answers
        return loss / max(answers, 1), correct

    def _draw(self, positions: torch.Tensor) -> Batch:
        train, model = self._train, self.model.settings
        choice = draw_steps(train.totals[positions], self._settings, generator=self.generator)
        if self._shuffled_time:
            choice = shuffle_steps(choice, generator=self.generator)
        mirrored = torch.rand(len(positions), generator=self.generator) < 0.5 if train.has_both_views else None
        batch = train.batch(positions, choice, model, mirrored=mirrored)
        return augment(batch, self._settings, head=model.head, num_classes=self._num_classes, generator=self.generator)

    def _forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Outputs and loss of a batch."""
        settings, step_outputs = self._settings, None
        with torch.autocast(batch.features.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
            if settings.step_loss_weight:
                outputs, step_outputs = self.model.with_step_logits(batch.features, batch.lengths, batch.present)
            else:
                outputs = self.model.unscaled(batch.features, batch.lengths, batch.present)
        value = self.objective(outputs, batch.targets, batch.lengths)
        if step_outputs is not None:
            of_steps = self.objective.of_steps(step_outputs, batch.targets, batch.lengths)
            value = value + settings.step_loss_weight * of_steps
        return outputs, value


def validate(
    model: Model,
    val: SequenceSet,
    options: PredictOptions,
    *,
    num_classes: int,
) -> dict[str, float]:
    """Loss and headline metric on validation sequences.

    The loss is the one of the head, whatever the fit minimises, so that it compares between runs and between the
    candidates of a search: cross-entropy without smoothing and weights, binary cross-entropy, that of CTC, or the
    squared error in units of the deviation that the model holds of its training set.

    Args:
        model: what is validated.
        val: on what.
        options: how the model answers.
        num_classes: classes that the head tells apart.

    Returns:
        ``val_loss`` and ``val_`` with the name of the metric, as in log.csv.

    Raises:
        TrainingError: no step of a video has a number.
    """
    head = model.settings.head
    truth = val.targets.per_video(val.totals)
    if head == "step_regression" and all(np.isnan(numbers).all() for numbers in truth):
        raise TrainingError(
            "no validation video has a number at any step, so no epoch can be chosen; annotate some, or set "
            "data.val_fraction to 0"
        )
    outputs = predict(model, val, options)
    loss = _common_loss(model, outputs, val, blank=num_classes)
    metrics = measure_outputs(
        head,
        [output.numpy() for output in outputs],
        truth,
        labels=[str(number) for number in range(num_classes)],
        groups=[annotation.group for annotation in val.annotations],
        bootstrap=1,
    )
    return {"val_loss": float(loss), f"val_{HEADLINES[head].name}": headline(head, metrics)}


def _common_loss(model: Model, outputs: list[torch.Tensor], val: SequenceSet, *, blank: int) -> torch.Tensor:
    """See `validate`."""
    head, truth = model.settings.head, val.targets.per_video(val.totals)
    if head == "transcript":
        lengths = torch.tensor([len(output) for output in outputs])
        padded = nn.utils.rnn.pad_sequence(outputs, batch_first=True)
        return ctc_loss(padded, lengths, val.targets.values.cpu(), blank=blank)
    flat = torch.cat(outputs) if model.per_step else torch.stack(outputs)
    targets = torch.from_numpy(np.concatenate(truth) if model.per_step else np.stack(truth))
    if head == "multilabel":
        return nn.functional.binary_cross_entropy_with_logits(flat, targets)
    if model.scale is None:
        return nn.functional.cross_entropy(flat, targets)
    known = ~targets.isnan()
    return (((flat[:, 0] - targets)[known] / model.scale[1].cpu()) ** 2).mean()
