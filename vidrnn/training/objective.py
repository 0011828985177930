"""What is minimised, with which optimiser, at which learning rate."""

import math

import torch
from torch import nn

from vidrnn.settings import TrainingSettings


def make_loss(settings: TrainingSettings, targets: torch.Tensor, num_classes: int) -> nn.CrossEntropyLoss:
    """Cross-entropy on logits (never on probabilities), with label smoothing (Szegedy et al. 2016).

    Args:
        settings: ``label_smoothing`` and ``class_weight``.
        targets: (n,) classes of the whole training set; ``balanced`` weighs class c by n / (classes * n_c).
        num_classes: length of the logits.
    """
    weight = None
    if settings.class_weight == "balanced":
        counts = torch.bincount(targets, minlength=num_classes).float()
        weight = targets.numel() / (num_classes * counts.clamp(min=1.0))
    return nn.CrossEntropyLoss(weight=weight, label_smoothing=settings.label_smoothing)


def step_loss(
    loss: nn.Module, step_logits: torch.Tensor, *, lengths: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """The loss of every true step as if it alone had to name the video's class, averaged over all steps of a batch.

    Args:
        loss: from `make_loss`.
        step_logits: (B, S, num_classes).
        lengths: (B,) int64 on the CPU, true steps.
        targets: (B,) class of each video.
    """
    valid = (torch.arange(step_logits.shape[1]) < lengths.unsqueeze(1)).to(targets.device)
    value: torch.Tensor = loss(step_logits[valid], targets.repeat_interleave(lengths.to(targets.device)))
    return value


def make_optimiser(model: nn.Module, settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019); biases and norms are not decayed."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    others = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def learning_rate(step: int, *, total_steps: int, settings: TrainingSettings) -> float:
    """Learning rate of optimiser step ``step`` (from 0), a pure function so that a resumed run needs no state.

    ``one_cycle``: from peak / 25 up to the peak in the first 30 % of the steps, then down to peak / 250 000, both as
    half a cosine (Smith & Topin 2018, with the constants of PyTorch's OneCycleLR). ``cosine``: linear warm-up, then
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
