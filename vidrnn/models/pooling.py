"""Pooling over time: (B, S, C) and true lengths to (B, C); steps beyond a sequence's length never count."""

import torch
from torch import nn


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
    """The last true step of each sequence, for a model without recurrence."""
    position = (lengths - 1).to(steps.device)
    return steps[torch.arange(len(steps), device=steps.device), position]


class AttentionPooling(nn.Module):
    """Weighted average whose weights see each step and where in time it stands (additive attention, Bahdanau 2015).

    The position of step t of T is given as sin and cos of pi * k * (t + 0.5) / T, so it depends on neither padding nor
    batch, and means the same share of the video for every length.
    """

    _FREQUENCIES = 4

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Sequential(
            nn.Linear(channels + 2 * self._FREQUENCIES, 64), nn.Tanh(), nn.Linear(64, 1, bias=False)
        )

    def weights(self, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(B, S) weights that sum to 1 over the true steps and are 0 elsewhere."""
        positions = self._positions(steps, lengths)
        scores = self.score(torch.cat([steps, positions.to(steps.dtype)], dim=2)).squeeze(2).float()
        scores = scores.masked_fill(~valid_steps(lengths, steps), float("-inf"))
        return torch.softmax(scores, dim=1)

    def forward(self, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(B, S, C) to (B, C)."""
        valid = valid_steps(lengths, steps).unsqueeze(2)
        weighted = steps.masked_fill(~valid, 0.0) * self.weights(steps, lengths).unsqueeze(2).to(steps.dtype)
        return weighted.sum(1)

    def _positions(self, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        share = (torch.arange(steps.shape[1]) + 0.5) / lengths.unsqueeze(1)
        angles = (
            torch.pi * share.to(steps.device).unsqueeze(2) * torch.arange(1, self._FREQUENCIES + 1, device=steps.device)
        )
        return torch.cat([angles.sin(), angles.cos()], dim=2)
