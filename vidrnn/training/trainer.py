"""What changes during a fit: weights, optimiser and random draws, and the epoch that changes them."""

import math

import torch
from torch import nn

from vidrnn.errors import TrainingError
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.sequences.augmentation import augment, draw_order, draw_steps
from vidrnn.sequences.sequence_set import Batch, SequenceSet
from vidrnn.sequences.steps import shuffle_steps, similar_lengths
from vidrnn.settings.model import ModelSettings
from vidrnn.settings.training import TrainingSettings
from vidrnn.training.averaging import AveragedWeights
from vidrnn.training.objective import Objective, learning_rate, make_optimiser


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

        A long sequence is kept apart from short ones: each part of similar lengths adds its gradients, and the sum is
        divided by the answers of the whole batch. What mixup mixes then comes from one part.
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
        """Outputs and loss of a batch; the losses of several stages are added, as in MS-TCN (Farha & Gall 2019)."""
        settings, step_outputs = self._settings, None
        with torch.autocast(batch.features.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
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
