"""What changes during a fit: weights, optimiser and random draws, and the epoch that changes them."""

import math
from collections.abc import Iterator, Mapping
from functools import partial

import torch
from torch import nn

from vidrnn.errors import TrainingError
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.pretrained_file import start_from
from vidrnn.models.states import map_state
from vidrnn.sequences.augmentation import augment, draw_hiding, draw_order, draw_steps
from vidrnn.sequences.sequence_set import Batch, SequenceSet
from vidrnn.sequences.steps import StepChoice, shuffle_steps, similar_lengths
from vidrnn.settings.model import ModelSettings
from vidrnn.settings.training import TrainingSettings
from vidrnn.training.averaging import AveragedWeights
from vidrnn.training.objective import Objective, learning_rate, make_optimiser
from vidrnn.training.windows import window_steps, windows_of


class Trainer:
    """All that changes during a fit, and the epoch that changes it.

    Attributes:
        model: the one that the optimiser changes.
        average: the running average of its weights; None when the settings name no decay.
        optimiser: the optimiser of the model.
        objective: the loss that is minimised.
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
        if settings.init is not None:
            start_from(model, settings.init, frozen=settings.frozen)
        self.model = model.to(train.device)
        self.optimiser = make_optimiser(self.model, settings)
        self.objective = Objective(settings, model_settings.head, train=train, num_classes=num_classes)
        if self.model.scale is not None and self.objective.scale is not None:
            self.model.scale.copy_(self.objective.scale)
        self._window = window_steps(train, model_settings, settings)
        decay = settings.ema_decay
        self.average = AveragedWeights(self.model, decay=decay) if decay else None

    @property
    def result(self) -> SequenceClassifier:
        """The model whose weights count."""
        return self.average.model if self.average else self.model

    def train_epoch(self, epoch: int, *, updates: int = 0) -> dict[str, float]:
        """One pass over the training set.

        Args:
            epoch: its number, from 0.
            updates: optimiser steps that were made before.

        Returns:
            The row of the log.

        Raises:
            TrainingError: the loss is not finite, or no step of any video is known.
        """
        self.model.train()
        settings = self._settings
        balanced = settings.sampling == "balanced"
        order = draw_order(self._train.targets.values, len(self._train), balanced=balanced, generator=self.generator)
        batches = torch.split(order, settings.batch_size)
        epochs = settings.epochs_of(len(self._train))
        losses: list[torch.Tensor] = []
        norms: list[torch.Tensor] = []
        correct = torch.zeros((), dtype=torch.int64, device=self._train.device)
        rate = 0.0
        for number, positions in enumerate(batches):
            for progress, loss, right in self._descents(positions):
                step = epoch * len(batches) + number + progress
                rate = learning_rate(step, total_steps=epochs * len(batches), settings=settings)
                for group in self.optimiser.param_groups:
                    group["lr"] = rate
                losses.append(loss)
                correct += right
                norms.append(nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_norm))
                self.optimiser.step()
                updates += 1
                if self.average:
                    self.average.update(self.model, number=updates)
        row = {
            "epoch": epoch + 1.0,
            "updates": float(updates),
            "learning_rate": rate,
            "train_loss": float(torch.stack(losses).mean()),
            **({"train_top1": float(correct) / len(order)} if self.objective.head == "label" else {}),
            "gradient_norm_mean": float(torch.stack(norms).mean()),
            "gradient_norm_max": float(torch.stack(norms).max()),
        }
        _refuse_infinite(row)
        return row

    def _descents(self, positions: torch.Tensor) -> Iterator[tuple[float, torch.Tensor, torch.Tensor]]:
        """Put gradients into the model, once for each update that a batch is worth.

        Yields:
            The share of the batch that was done before, the loss, and of ``label`` how many videos were right.
        """
        if self._window is None:
            yield 0.0, *self._descend(positions)
            return
        for progress, loss in self._descend_in_windows(positions, self._window):
            yield progress, loss, torch.zeros((), dtype=torch.int64, device=self._train.device)

    def _descend_in_windows(self, positions: torch.Tensor, size: int) -> Iterator[tuple[float, torch.Tensor]]:
        """See `vidrnn.training.windows`; a window without a known step changes nothing.

        What is chosen for a video holds for all its windows: its view, and the streams that are hidden.
        """
        model = self.model.settings
        choice, mirrored = self._choose(positions)
        hiding = self._draw_hiding(len(positions))
        state, before = None, torch.arange(len(positions))
        for window in windows_of(choice, size=size, context=size // 2 if model.bidirectional else 0):
            self.optimiser.zero_grad()
            views = None if mirrored is None else mirrored[window.rows]
            hidden = None if hiding is None else hiding[window.rows]
            batch = self._batch(positions[window.rows], window.choice, views, hiding=hidden)
            targets = window.only_counted(batch.targets)
            with self._autocast():
                if model.bidirectional:
                    stages = self.model.stage_outputs(batch.features, batch.lengths, batch.present)
                else:
                    if state is not None:  # only videos that go on
                        kept = torch.isin(before, window.rows)
                        state = map_state(partial(_rows, kept=kept), state)
                    before = window.rows
                    stages, state = self.model.advance_stages(
                        batch.features, state, present=batch.present, lengths=batch.lengths
                    )
                    state = map_state(torch.Tensor.detach, state)
            if not self.objective.count(targets):
                continue
            value = torch.stack([self.objective(outputs, targets, batch.lengths) for outputs in stages]).sum()
            (value * window.share).backward()  # type: ignore[no-untyped-call]  # torch gives it no type
            yield window.progress, value.detach()

    def _descend(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Put the gradients of a batch into the model; its loss, and of ``label`` how many videos were right.

        A long sequence is kept apart from short ones: each part of similar lengths adds its gradients, and the sum is
        divided by the answers of the whole batch. What mixup mixes then comes from one part.
        """
        self.optimiser.zero_grad()
        totals, steps = self._train.totals[positions], self._settings.steps
        parts = similar_lengths(totals if steps is None else totals.clamp(max=steps))
        device, answers = self._train.device, 0
        loss, correct = torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device)
        for part in parts:
            batch = self._batch(positions[part], *self._choose(positions[part]))
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

    def _choose(self, positions: torch.Tensor) -> tuple[StepChoice, torch.Tensor | None]:
        """Steps of a batch, and which of its videos are seen in a mirror."""
        train = self._train
        choice = draw_steps(train.totals[positions], self._settings, generator=self.generator)
        if self._shuffled_time:
            choice = shuffle_steps(choice, generator=self.generator)
        both = train.has_both_views
        return choice, torch.rand(len(positions), generator=self.generator) < 0.5 if both else None

    def _draw_hiding(self, videos: int) -> torch.Tensor | None:
        """What decides which streams of videos are hidden; None where none are."""
        streams = len(self._train.streams)
        hides = self._settings.stream_dropout and streams > 1
        return draw_hiding(videos, streams, generator=self.generator) if hides else None

    def _batch(
        self,
        positions: torch.Tensor,
        choice: StepChoice,
        mirrored: torch.Tensor | None,
        *,
        hiding: torch.Tensor | None = None,
    ) -> Batch:
        model, settings, generator = self.model.settings, self._settings, self.generator
        batch = self._train.batch(positions, choice, model, mirrored=mirrored)
        return augment(
            batch, settings, head=model.head, num_classes=self._num_classes, generator=generator, hiding=hiding
        )

    def _autocast(self) -> torch.autocast:
        device = self._train.device.type
        return torch.autocast(device, torch.bfloat16, enabled=self._settings.precision == "bfloat16")

    def _forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Outputs and loss of a batch; the losses of several stages are added, as in MS-TCN (Farha & Gall 2019)."""
        settings, step_outputs = self._settings, None
        with self._autocast():
            if settings.step_loss_weight:
                outputs, step_outputs = self.model.with_step_logits(batch.features, batch.lengths, batch.present)
                earlier: list[torch.Tensor] = []
            else:
                *earlier, outputs = self.model.stage_outputs(batch.features, batch.lengths, batch.present)
        value = self.objective(outputs, batch.targets, batch.lengths)
        for stage in earlier:
            value = value + self.objective(stage, batch.targets, batch.lengths)
        if step_outputs is not None:
            of_steps = self.objective.of_steps(step_outputs, batch.targets, batch.lengths)
            value = value + settings.step_loss_weight * of_steps
        return outputs, value


def _rows(part: torch.Tensor, *, kept: torch.Tensor) -> torch.Tensor:
    return part[kept.to(part.device)]


def _refuse_infinite(row: Mapping[str, float]) -> None:
    if not math.isfinite(row["train_loss"]) or not math.isfinite(row["gradient_norm_max"]):
        raise TrainingError(
            f"the loss became {row['train_loss']} in epoch {row['epoch']:.0f}, the largest gradient norm "
            f"{row['gradient_norm_max']}; lower training.learning_rate or training.clip_norm"
        )
