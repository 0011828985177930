"""Pooling over time: (B, S, C) and true lengths to (B, C); steps beyond a sequence's length never count."""

import math
from typing import Literal

import torch
from torch import nn

Kind = Literal["mean", "max", "last", "attention", "log_sum_exp", "mixture"]


def valid_steps(lengths: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """(B, S) bool, true inside each sequence, on the device of ``steps`` (B, S, ...)."""
    return (torch.arange(steps.shape[1]) < lengths.unsqueeze(1)).to(steps.device)


def mean_over_time(steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Average of the true steps."""
    valid = valid_steps(lengths, steps).unsqueeze(2)
    return steps.masked_fill(~valid, 0.0).sum(1) / lengths.to(steps.device, steps.dtype).unsqueeze(1)


def max_over_time(steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Largest value of each channel over the true steps."""
    valid = valid_steps(lengths, steps).unsqueeze(2)
    return steps.masked_fill(~valid, float("-inf")).amax(1)


def last_step(steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """The last true step of each sequence."""
    position = (lengths - 1).to(steps.device)
    return steps[torch.arange(len(steps), device=steps.device), position]


class LogSumExpPooling(nn.Module):
    """Between mean and maximum: log(mean_t exp(r x_t)) / r with a sharpness r > 0 for each channel.

    Pinheiro & Collobert 2015, where r is one constant; here it is learned, from 4 on. Small r gives the mean, large r
    the maximum.

    Args:
        channels: C of a step.
    """

    _START = 4.0

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_sharpness = nn.Parameter(torch.full((channels,), math.log(self._START)))

    def forward(self, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(B, S, C) to (B, C)."""
        dtype = torch.promote_types(steps.dtype, torch.float32)
        sharpness = self.log_sharpness.to(dtype).exp()
        valid = valid_steps(lengths, steps).unsqueeze(2)
        shown = steps.to(dtype).masked_fill(~valid, 0.0)  # nan there would become nan in the gradient of the sharpness
        sums = torch.logsumexp((shown * sharpness).masked_fill(~valid, float("-inf")), dim=1)
        return ((sums - lengths.to(sums).log().unsqueeze(1)) / sharpness).to(steps.dtype)


class AttentionPooling(nn.Module):
    """Weighted average whose weights see each step and where in time it stands (additive attention, Bahdanau 2015).

    The position of step t of T is given as sin and cos of pi * k * (t + 0.5) / T. So it is the same for any padding and
    batch, and it means the same share of the video for every length.

    Args:
        channels: C of a step.
        heads: ways to weigh the steps; head h of H pools the h-th share of the channels.
    """

    _FREQUENCIES = 4

    def __init__(self, channels: int, *, heads: int = 1) -> None:
        super().__init__()
        self.score = nn.Sequential(
            nn.Linear(channels + 2 * self._FREQUENCIES, 64), nn.Tanh(), nn.Linear(64, heads, bias=False)
        )
        self.head_of_channel: torch.Tensor
        self.register_buffer("head_of_channel", torch.arange(channels) * heads // channels, persistent=False)

    def weights(self, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(B, S, heads) weights, at least float32, that sum to 1 over the true steps and are 0 elsewhere."""
        positions = self._positions(steps, lengths)
        scores = self.score(torch.cat([steps, positions.to(steps.dtype)], dim=2))
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        scores = scores.masked_fill(~valid_steps(lengths, steps).unsqueeze(2), float("-inf"))
        return torch.softmax(scores, dim=1)

    def forward(self, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(B, S, C) to (B, C)."""
        steps = steps.masked_fill(~valid_steps(lengths, steps).unsqueeze(2), 0.0)
        by_head = self.weights(steps, lengths).transpose(1, 2).to(steps.dtype) @ steps  # (B, heads, C)
        return by_head.gather(1, self.head_of_channel.expand(len(steps), 1, -1)).squeeze(1)

    def _positions(self, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        share = (torch.arange(steps.shape[1], dtype=torch.float64) + 0.5) / lengths.unsqueeze(1)
        angles = torch.pi * share.unsqueeze(2) * torch.arange(1, self._FREQUENCIES + 1)
        return torch.cat([angles.sin(), angles.cos()], dim=2).to(steps.device, steps.dtype)


class Pooling(nn.Module):
    """Any kind of pooling behind one interface.

    ``mixture`` is a weighted sum of mean, max, last and attention; the weights of a channel are the softmax of four
    learned numbers that start equal.
    """

    _PARTS: tuple[Kind, ...] = ("mean", "max", "last", "attention")

    def __init__(self, kind: Kind, *, channels: int, heads: int = 1) -> None:
        super().__init__()
        self.kind = kind
        self.attention = AttentionPooling(channels, heads=heads) if kind in {"attention", "mixture"} else None
        self.log_sum_exp = LogSumExpPooling(channels) if kind == "log_sum_exp" else None
        self.mixture = nn.Parameter(torch.zeros(len(self._PARTS), channels)) if kind == "mixture" else None

    def forward(self, steps: torch.Tensor, end: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Pool a padded batch.

        Args:
            steps: (B, S, C).
            end: (B, C) end states, the answer of ``last``.
            lengths: (B,) int64 on the CPU, each at least 1.

        Returns:
            (B, C).
        """
        if self.mixture is None:
            return self._pool(self.kind, steps, end, lengths)
        parts = torch.stack([self._pool(kind, steps, end, lengths) for kind in self._PARTS], dim=1)
        return (parts * self.mixture.softmax(0).to(parts.dtype)).sum(1)

    def _pool(self, kind: Kind, steps: torch.Tensor, end: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        if kind == "last":
            return end
        learned = self.attention if kind == "attention" else self.log_sum_exp
        if learned is not None:
            pooled: torch.Tensor = learned(steps, lengths)
            return pooled
        return (mean_over_time if kind == "mean" else max_over_time)(steps, lengths)
