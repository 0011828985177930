"""Losses beyond cross-entropy: for rare labels (asymmetric, focal), for transcripts (CTC), against flicker."""

import torch
from torch import nn
from torch.nn import functional


class AsymmetricLoss(nn.Module):
    """Binary cross-entropy in which easy negatives count little or nothing (Ridnik et al. 2021), eq. 7.

    With p = sigmoid(logit) and p_m = max(p - margin, 0), the mean over all videos and classes of

        - target * (1 - p)^gamma_positive * log(p) - (1 - target) * p_m^gamma_negative * log(1 - p_m)

    With both gammas and the margin 0 it is `nn.BCEWithLogitsLoss`. The paper sums where this takes the mean, so that
    the learning rate does not depend on the batch.

    Args:
        gamma_positive: how fast right positives lose weight.
        gamma_negative: how fast right negatives do; the paper takes 4 beside 0 or 1 for positives.
        margin: negatives below this probability cost nothing; the paper takes 0.05.

    Raises:
        ValueError: a gamma is negative, or the margin is not in [0, 1).
    """

    def __init__(self, *, gamma_positive: float, gamma_negative: float, margin: float) -> None:
        super().__init__()
        for name, gamma in (("gamma_positive", gamma_positive), ("gamma_negative", gamma_negative)):
            _check_gamma(gamma, name=name)
        if not 0.0 <= margin < 1.0:
            raise ValueError(f"margin {margin} must be at least 0 and below 1; the paper takes 0.05")
        self.gamma_positive = gamma_positive
        self.gamma_negative = gamma_negative
        self.margin = margin

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean loss.

        Args:
            logits: (B, C), any float type; float16 and bfloat16 are computed in float32.
            targets: (B, C) floats, 1 where a video carries the label, 0 where not, or in between.

        Returns:
            A number, float32 or float64.

        Raises:
            ValueError: the shapes differ.
        """
        if logits.ndim != 2 or logits.shape != targets.shape:
            raise ValueError(
                f"logits have shape {tuple(logits.shape)}, targets {tuple(targets.shape)}; "
                "give both as (B, C), one column per class"
            )
        logits = _at_least_float32(logits)
        targets = targets.to(logits.dtype)
        log_p, log_not_p = functional.logsigmoid(logits), functional.logsigmoid(-logits)
        positive = torch.exp(self.gamma_positive * log_not_p) * log_p
        if self.margin:
            shifted = (log_p.exp() - self.margin).clamp(min=0.0)  # at most 1 - margin: the logarithm is safe
            negative = _power(shifted, self.gamma_negative) * torch.log1p(-shifted)
        else:
            negative = torch.exp(self.gamma_negative * log_p) * log_not_p
        return -(targets * positive + (1.0 - targets) * negative).mean()


class FocalLoss(nn.Module):
    """Cross-entropy in which classes that are already right lose weight (Lin et al. 2017), for one label per video.

    With p = softmax(logits), t the target distribution, and q the same after label smoothing, a video costs

        - (sum over c of weight_c * t_c) * (sum over c of q_c * (1 - p_c)^gamma * log(p_c))

    The weight belongs to the example, and what smoothing spreads over the classes is the same for all.
    `nn.CrossEntropyLoss` weighs the spread share too. With unequal classes, the cheapest answer to a common example is
    then a rare class, from a ratio of weights of C (1 - smoothing) / smoothing + 1 on.

    With ``gamma`` 0 and no weight it is `nn.CrossEntropyLoss`. The mean is taken over the videos, so that weights
    whose mean over the training set is 1 mean the same in every batch.

    Args:
        gamma: how fast right answers lose weight; the paper takes 2, 0 is cross-entropy.
        weight: (C,) one per class, None for equal ones.
        label_smoothing: share of the target that is spread over all classes.

    Raises:
        ValueError: ``gamma`` is negative, or ``label_smoothing`` is not in [0, 1].
    """

    weight: torch.Tensor | None

    def __init__(self, *, gamma: float, weight: torch.Tensor | None = None, label_smoothing: float = 0.0) -> None:
        super().__init__()
        _check_gamma(gamma, name="gamma")
        if not 0.0 <= label_smoothing <= 1.0:
            raise ValueError(f"label_smoothing {label_smoothing} must be between 0 and 1; 0.1 is usual")
        self.gamma = gamma
        self.label_smoothing = label_smoothing
        self.register_buffer("weight", weight)

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean loss.

        Args:
            logits: (B, C), any float type; float16 and bfloat16 are computed in float32.
            targets: (B,) int64 classes, or (B, C) floats that sum to 1.

        Returns:
            A number, float32 or float64.

        Raises:
            ValueError: the shapes do not fit.
        """
        soft = targets.is_floating_point()
        if logits.ndim != 2 or targets.shape != (logits.shape if soft else logits.shape[:1]):
            raise ValueError(
                f"logits have shape {tuple(logits.shape)}, targets {tuple(targets.shape)} of {targets.dtype}; "
                "give logits (B, C) with classes (B,) as int64 or distributions (B, C) as floats"
            )
        logits = _at_least_float32(logits)
        classes = logits.shape[1]
        weight = logits.new_ones(classes) if self.weight is None else self.weight.to(logits.dtype)
        if weight.shape != (classes,):
            raise ValueError(f"weight has shape {tuple(weight.shape)}, expected ({classes},); give one per class")
        wanted = (targets if soft else functional.one_hot(targets, classes)).to(logits.dtype)
        of_example = (wanted * weight).sum(dim=1)
        wanted = (1.0 - self.label_smoothing) * wanted + self.label_smoothing / classes
        log_p = functional.log_softmax(logits, dim=1)
        cost = -(wanted * _power(-torch.expm1(log_p), self.gamma) * log_p).sum(dim=1)
        return (of_example * cost).mean()


def ctc_loss(logits: torch.Tensor, lengths: torch.Tensor, targets: torch.Tensor, *, blank: int) -> torch.Tensor:
    """Connectionist temporal classification (Graves et al. 2006): all ways to place a transcript in time count.

    The mean over videos of -log p(transcript) / max(length of the transcript, 1).

    Args:
        logits: (B, S, C + 1), the classes and the blank; float16 and bfloat16 are computed in float32.
        lengths: (B,) true steps; nothing behind them is looked at.
        targets: (B, L) transcripts as int64 classes, filled up with -1; any may be empty.
        blank: the class that says nothing.

    Returns:
        A number, float32 or float64.

    Raises:
        ValueError: shapes do not fit, a value is out of range, or a transcript needs more steps than its video has.
    """
    _check_ctc(logits, lengths, targets, blank=blank)
    beyond = torch.arange(logits.shape[1]) >= lengths.cpu().unsqueeze(1)
    # Filled before the softmax: what stands behind the end may be nan, and would come back in the gradient.
    steps = _at_least_float32(logits).masked_fill(beyond.to(logits.device).unsqueeze(2), 0.0)
    log_p = functional.log_softmax(steps, dim=2).transpose(0, 1)
    counts = (targets >= 0).sum(dim=1)
    costs = functional.ctc_loss(
        log_p, targets.clamp(min=0), lengths.to(logits.device), counts, blank=blank, reduction="none"
    )
    return (costs / counts.clamp(min=1)).mean()


def smoothing_loss(logits: torch.Tensor, known: torch.Tensor, *, limit: float) -> torch.Tensor:
    """The truncated squared change between neighbouring steps (Farha & Gall 2019, eq. 4 to 6, "T-MSE").

    With C classes and N known steps, the sum over neighbours and classes of min(change, limit)^2 / (N C), where change
    is |log p_t - log p_(t-1)| of a class. The earlier step counts as given: no gradient reaches it.

    Classes that are decided each by itself are distributions of two outcomes each, p and 1 - p, over N known decisions.

    Args:
        logits: (B, S, C).
        known: (B, S) bool, the steps that count, of one class per step; or (B, S, C) of the decisions about each class
            by itself. A pair counts when both of its steps do. Nothing else is looked at.
        limit: larger changes cost no more; the paper takes 4.

    Returns:
        A number, float32 or float64; 0 without a known step.
    """
    pairs = known[:, 1:] & known[:, :-1]
    later, earlier = _at_least_float32(logits[:, 1:][pairs]), _at_least_float32(logits[:, :-1][pairs].detach())
    if known.ndim == logits.ndim:
        later, earlier = (torch.stack([part, torch.zeros_like(part)], dim=1) for part in (later, earlier))
    change = (functional.log_softmax(later, dim=1) - functional.log_softmax(earlier, dim=1)).square()
    return change.clamp(max=limit**2).sum() / (known.sum().clamp(min=1) * later.shape[1])


def _check_ctc(logits: torch.Tensor, lengths: torch.Tensor, targets: torch.Tensor, *, blank: int) -> None:
    batch = len(logits)
    if logits.ndim != 3 or lengths.shape != (batch,) or targets.ndim != 2 or len(targets) != batch or not batch:
        raise ValueError(
            f"logits have shape {tuple(logits.shape)}, lengths {tuple(lengths.shape)}, targets {tuple(targets.shape)}; "
            "give (B, S, C + 1), (B,) and (B, L) with B at least 1"
        )
    _, steps, outputs = logits.shape
    if not 0 <= blank < outputs:
        raise ValueError(f"blank {blank} must be 0 to {outputs - 1}, one of the {outputs} outputs")
    rows = targets.cpu()
    used = rows >= 0
    counts = used.sum(dim=1)
    repeats = ((rows[:, 1:] == rows[:, :-1]) & used[:, 1:]).sum(dim=1)  # a blank must stand between equal labels
    for row, length in enumerate(lengths.tolist()):
        if not 1 <= length <= steps:
            raise ValueError(f"length {length} of row {row} must be 1 to {steps}, the steps of the logits")
        count, needed = int(counts[row]), int(counts[row] + repeats[row])
        labels = rows[row].tolist()
        if any(label >= outputs or label == blank for label in labels) or any(label != -1 for label in labels[count:]):
            raise ValueError(
                f"targets of row {row} are {labels}; allowed are 0 to {outputs - 1} except the blank {blank}, "
                "then -1 up to the end"
            )
        if needed > length:
            raise ValueError(
                f"the transcript of row {row} has {count} labels and needs {needed} steps (one more between equal "
                f"labels), the video has {length}; sample it more densely or leave it out"
            )


def _check_gamma(gamma: float, *, name: str) -> None:
    if not gamma >= 0.0:
        raise ValueError(f"{name} {gamma} must be at least 0; 0 weighs every answer alike")


def _power(base: torch.Tensor, exponent: float) -> torch.Tensor:
    """``base ** exponent`` for a base of 0 or more, with gradient 0 instead of nan at 0."""
    return base.clamp(min=torch.finfo(base.dtype).tiny) ** exponent


def _at_least_float32(logits: torch.Tensor) -> torch.Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
