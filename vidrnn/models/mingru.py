"""minGRU and minLSTM (Feng et al. 2024, "Were RNNs All We Needed?"): gates see the input only, so time is one scan.

    both     h_t = (1 - z_t) * h_{t-1} + z_t * c_t,   c_t = g(W_c x_t + b_c),   h before the first step 0
    mingru   z_t = sigmoid(W_z x_t + b_z)
    minlstm  z_t = i_t / (f_t + i_t),   f_t = sigmoid(W_f x_t + b_f),   i_t = sigmoid(W_i x_t + b_i)
             g(v) = v + 0.5 for v >= 0, else sigmoid(v)                             (their appendix B, log-space form)

Both are one recurrence with z_t = sigmoid(k_t): of minlstm k_t = log i_t - log f_t.
"""

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from vidrnn.models.scan import linear_scan
from vidrnn.models.states import State, tensors_of, trailing


class MinimalRecurrence(nn.Module):
    """One minGRU or minLSTM in one or two directions.

    Args:
        input_size: channels C of a step.
        width: channels H of a state; two directions have half of them each, the forward one first.
        cell: which of the two.
        bidirectional: read time in both directions.
    """

    def __init__(self, input_size: int, width: int, *, cell: Literal["mingru", "minlstm"], bidirectional: bool) -> None:
        super().__init__()
        self.cell, self.width, self.bidirectional = cell, width, bidirectional
        self.gates = nn.Linear(input_size, width * (2 if cell == "mingru" else 3))

    def forward(self, steps: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """All states at once.

        Args:
            steps: (B, S, C), finite beyond the true steps too.
            valid: (B, S) bool, true inside each sequence; None when all of it is.

        Returns:
            (B, S, H) states; beyond the true steps they mean nothing.
        """
        decay, value = self._decays_and_values(steps)
        if valid is not None:  # so that the backward direction is still 0 when it comes to the true end
            value = value.masked_fill(~valid.unsqueeze(2), 0.0)
        if not self.bidirectional:
            return linear_scan(decay, value).to(steps.dtype)
        (decay, decay_back), (value, value_back) = decay.chunk(2, dim=2), value.chunk(2, dim=2)
        states = [linear_scan(decay, value), linear_scan(decay_back, value_back, reverse=True)]
        return torch.cat(states, dim=2).to(steps.dtype)

    def advance(
        self, steps: torch.Tensor, state: State | None = None, lengths: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, State]:
        """Go on from a state, see `vidrnn.models.states`; the state is h, (B, 1, H), at least float32."""
        assert not self.bidirectional, "obstacle_to_steps says so before"
        decay, value = self._decays_and_values(steps)
        (before,) = (torch.zeros_like(value[:, :1]),) if state is None else tensors_of(state)
        first = value[:, :1] + decay[:, :1] * before
        states = linear_scan(decay, torch.cat([first, value[:, 1:]], dim=1))
        return states.to(steps.dtype), trailing(torch.cat([before, states], dim=1), lengths, 1)

    def _decays_and_values(self, steps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, S, H) of h_t = decay_t * h_{t-1} + value_t, at least float32."""
        # In half precision a gate that remembers for long would round to 1 and never forget.
        computed = self.gates(steps).to(torch.promote_types(steps.dtype, torch.float32))
        *gates, candidate = computed.split(self.width, dim=2)
        if self.cell == "mingru":
            (logit,) = gates
        else:
            forget, enter = gates
            logit = functional.logsigmoid(enter) - functional.logsigmoid(forget)
        # Not 1 - decay: for a gate below 1e-7 that difference has lost all digits, and below 6e-8 it is 0.
        decay, gate = torch.sigmoid(-logit), torch.sigmoid(logit)
        value = gate * (functional.relu(candidate) + torch.sigmoid(candidate.clamp(max=0)))  # the latter is g
        return decay, value
