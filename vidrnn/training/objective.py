"""What is minimised, with which optimiser, at which learning rate."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vidrnn.errors import TrainingError
from vidrnn.evaluation.segmentation import to_segments
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.targets import IGNORED, known_answers
from vidrnn.settings.model import FRAMEWISE_HEADS, REGRESSION_HEADS, Head
from vidrnn.settings.training import LOSSES, TrainingSettings
from vidrnn.training.losses import AsymmetricLoss, FocalLoss, ctc_loss, smoothing_loss

_ASYMMETRIC = {"gamma_positive": 0.0, "gamma_negative": 4.0, "margin": 0.05}  # of the paper, Ridnik et al. 2021


class Objective:
    """The loss of a head, on the outputs of a batch and its targets.

    Classes are taught by cross-entropy on logits (never on probabilities) with label smoothing (Szegedy et al. 2016) or
    by `FocalLoss`. Any number of labels is taught by binary cross-entropy on logits or by `AsymmetricLoss`, transcripts
    by `ctc_loss`. Numbers are taken as deviations from their mean, in units of their standard deviation. They are
    taught by the squared error or by Huber's (1964), which is linear beyond one deviation. In these units the model
    gives them too, see `vidrnn.models.classifier.SequenceClassifier.unscaled`.

    Args:
        settings: ``loss``, ``focal_gamma``, ``label_smoothing``, ``class_weight``, ``smoothing_weight``,
            ``smoothing_limit``.
        head: what is answered.
        train: the whole training set; ``balanced`` weighs an example of class c by n / (classes that occur * n_c) of
            it, which is 1 on average over the set. So is ``segments``.
        num_classes: classes that the head tells apart.

    Raises:
        TrainingError: the training set has no known answer, at any step of any video.
    """

    def __init__(self, settings: TrainingSettings, head: Head, *, train: SequenceSet, num_classes: int) -> None:
        self.head, self.num_classes = head, num_classes
        name = LOSSES[head][0] if settings.loss == "auto" else settings.loss
        values = train.targets.values
        if train.targets.offsets is not None:
            values = torch.from_numpy(np.concatenate(train.targets.per_video(train.totals)))
        self._partly_known = head in FRAMEWISE_HEADS | REGRESSION_HEADS
        if self._partly_known:
            values = values[known_answers(values)]
            if not len(values):
                raise TrainingError(
                    "no video to learn from has a known answer at any step; annotate some, or use other folds"
                )
        weight = None
        if head in {"label", "step_labels"} and settings.class_weight != "none":
            weight = _balanced(values, num_classes)
            if settings.class_weight == "segments":
                weight = _by_segment(train.targets.per_video(train.totals), num_classes)
            weight = weight.to(train.targets.values.device)
        self._smoothing = settings.smoothing_weight, settings.smoothing_limit
        self.scale = _mean_and_deviation(values) if name in {"mse", "huber"} else None
        self._loss: nn.Module
        if name == "cross_entropy" and weight is None:
            self._loss = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
        elif name in {"cross_entropy", "focal"}:
            gamma = settings.focal_gamma if name == "focal" else 0.0
            self._loss = FocalLoss(gamma=gamma, weight=weight, label_smoothing=settings.label_smoothing)
        elif name == "binary_cross_entropy":
            self._loss = nn.BCEWithLogitsLoss()
        elif name == "asymmetric":
            self._loss = AsymmetricLoss(**_ASYMMETRIC)
        else:
            self._loss = nn.MSELoss() if name == "mse" else nn.HuberLoss()

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """The loss of a batch.

        Args:
            outputs: (B, outputs), or (B, S, outputs) from a head that answers at every step; unscaled.
            targets: see `vidrnn.sequences.targets.Targets`; for ``label`` also (B, classes) shares.
            lengths: (B,) int64 on the CPU, true steps.

        Returns:
            A number, at least float32.
        """
        outputs = outputs.to(torch.promote_types(outputs.dtype, torch.float32))
        if self.head == "transcript":
            return ctc_loss(outputs, lengths, targets, blank=self.num_classes)
        smoothing = outputs.new_zeros(())
        if self._partly_known:
            known = known_answers(targets)
            if self._smoothing[0]:
                smoothing = self._smoothing[0] * smoothing_loss(outputs, known, limit=self._smoothing[1])
            if self.scale is not None:
                outputs = outputs.squeeze(-1)
            outputs, targets = outputs[known], targets[known]
            if not len(targets):  # the mean over nothing would be nan
                return outputs.sum()
            if self.head == "step_multilabel":  # decisions by themselves, a row for each
                outputs, targets = outputs.unsqueeze(1), targets.unsqueeze(1)
        if self.scale is not None:
            mean, deviation = self.scale.tolist()
            # In float64, where a large mean costs no digits.
            targets = ((targets.double() - mean) / deviation).to(outputs.dtype)
        value: torch.Tensor = self._loss(outputs, targets)
        return value + smoothing

    def count(self, targets: torch.Tensor) -> int:
        """How many answers the loss of a batch is the mean over; ``targets`` as there."""
        return int(known_answers(targets).sum()) if self._partly_known else len(targets)

    def of_steps(self, step_outputs: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """The loss of every true step as if it alone had to answer for its video, averaged over all steps of a batch.

        Args:
            step_outputs: (B, S, outputs).
            targets: (B, ...) of the videos.
            lengths: (B,) int64 on the CPU, true steps.
        """
        valid = (torch.arange(step_outputs.shape[1]) < lengths.unsqueeze(1)).to(targets.device)
        return self(step_outputs[valid], targets.repeat_interleave(lengths.to(targets.device), dim=0), lengths)


def _balanced(values: torch.Tensor, num_classes: int) -> torch.Tensor:
    """(classes,) weights with which all classes that occur weigh the same; 0 for the others."""
    counts = torch.bincount(values.cpu(), minlength=num_classes).float()
    present = counts > 0
    return torch.where(present, values.numel() / (present.sum() * counts.clamp(min=1.0)), 0.0)


def _by_segment(videos: Sequence[npt.NDArray[np.generic]], num_classes: int) -> torch.Tensor:
    """(classes,) weights with which the segments of all classes weigh the same on average; 0 for absent classes."""
    steps, segments = np.zeros(num_classes), np.zeros(num_classes)
    for labels in videos:
        for start, end, label in to_segments(labels.astype(np.int64)):
            if label != IGNORED:
                steps[label] += end - start
                segments[label] += 1
    weights = steps.sum() * segments / (segments.sum() * np.maximum(steps, 1.0))
    return torch.from_numpy(weights).float()


def _mean_and_deviation(values: torch.Tensor) -> torch.Tensor:
    numbers = values.double()
    deviation = numbers.std(correction=0)
    return torch.stack([numbers.mean(), deviation if deviation > 0 else torch.ones_like(deviation)]).cpu()


def make_optimiser(model: nn.Module, settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019); biases and norms are not decayed, and what is frozen is left out."""
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in learned if parameter.ndim >= 2]
    others = [parameter for parameter in learned if parameter.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def learning_rate(step: float, *, total_steps: int, settings: TrainingSettings) -> float:
    """Learning rate of step ``step`` (from 0), a pure function so that a resumed run needs no state.

    Windows of long videos are parts of a step.

    ``one_cycle``: from peak / 25 up to the peak in the first 30 % of the steps, then down to peak / 250 000. Both ways
    are half a cosine (Smith & Topin 2018, with the constants of PyTorch's OneCycleLR). ``cosine``: linear warm-up, then
    half a cosine to 0 (Loshchilov & Hutter 2017).
    """
    peak, last = settings.learning_rate, max(total_steps - 1, 1)
    if settings.schedule == "one_cycle":
        turn = 0.3 * total_steps - 1
        if step <= turn:
            return _half_cosine(peak / 25, peak, step / turn if turn > 0 else 1.0)
        return _half_cosine(peak, peak / 25 / 1e4, (step - turn) / (last - turn))
    warmup = settings.warmup_fraction * total_steps
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return _half_cosine(peak, 0.0, (step - warmup) / max(last - warmup, 1))


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
