"""Dilated temporal convolution: the residual layer of MS-TCN (Farha & Gall 2019), after the TCN of Bai et al. 2018."""

import torch
from torch import nn
from torch.nn import functional

from vidrnn.models.states import State, tensors_of, trailing


class DilatedConvolution(nn.Module):
    """A dilated convolution over time, GELU, and a linear layer on every step.

    Args:
        width: channels in and out.
        kernel_size: K taps.
        dilation: distance between taps, in steps.
        causal: tap t - (K - 1) * dilation .. t instead of the same span around t.
    """

    def __init__(self, width: int, *, kernel_size: int, dilation: int, causal: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(width, width, kernel_size, dilation=dilation)
        self.output = nn.Linear(width, width)
        span = (kernel_size - 1) * dilation
        self.before, self.after = (span, 0) if causal else (span - span // 2, span // 2)

    def forward(self, steps: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Convolve each sequence as if zeros stood around it.

        Args:
            steps: (B, S, C), finite beyond the true steps too.
            valid: (B, S) bool, true inside each sequence; None when all of it is.

        Returns:
            (B, S, C); beyond the true steps it means nothing.
        """
        if valid is not None:
            steps = steps.masked_fill(~valid.unsqueeze(2), 0.0)
        return self._convolve(functional.pad(steps, (0, 0, self.before, self.after)))

    def advance(
        self, steps: torch.Tensor, state: State | None = None, lengths: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, State]:
        """Go on from a state, see `vidrnn.models.states`; the state is the inputs that the taps still reach."""
        if state is None:
            state = steps.new_zeros(len(steps), self.before, steps.shape[2])
        seen = torch.cat([*tensors_of(state), steps], dim=1)
        return self._convolve(seen), trailing(seen, lengths, self.before)

    def _convolve(self, steps: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.output(functional.gelu(self.convolution(steps.transpose(1, 2)).transpose(1, 2)))
        return output
