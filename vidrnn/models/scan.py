"""The linear recurrence h_t = decay_t * h_{t-1} + value_t over all steps at once, forward and gradient.

Time is cut into chunks of 16 steps. All chunks run their steps side by side as if the state before them were 0. The
ends of the chunks obey the same recurrence, with the product of their decays. So the same function gives the state that
each chunk starts from (Blelloch 1990, section 1.4, with wide leaves). T steps take about 16 log_16(T) vector operations
one after the other instead of T, and the work stays linear in T.

Feng et al. 2024 take the logarithm of everything and one cumulative log-sum-exp over all steps instead (Heinsen 2023).
That subtracts sums of logarithms which grow with T: `benchmarks/temporal.py` measures it six times slower at 16 384
steps, its float32 states wrong in the third digit, and nothing right in half precision. Here a product of decays that
underflows is 0, which is right.
"""

from itertools import pairwise
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional

_CHUNK = 16  # measured on CPU: 8 to 64 differ by less than the noise


def linear_scan(decay: torch.Tensor, value: torch.Tensor, *, reverse: bool = False) -> torch.Tensor:
    """All states of h_t = decay_t * h_{t-1} + value_t with h before the first step 0.

    A sequence that goes on from a state h adds decay_0 * h to value_0.

    Args:
        decay: (B, T, H), each between 0 and 1, T at least 1.
        value: (B, T, H) of the same dtype. Half precision is computed in float32, because over thousands of steps
            the rounding of a half-precision state would be summed up.
        reverse: go back in time, h_t = decay_t * h_{t+1} + value_t with h after the last step 0.

    Returns:
        (B, T, H) states in the dtype given.
    """
    dtype = value.dtype
    if dtype in {torch.float16, torch.bfloat16}:
        decay, value = decay.float(), value.float()
    states: torch.Tensor = _LinearScan.apply(decay, value, reverse)
    return states.to(dtype)


class _LinearScan(torch.autograd.Function):
    """With g_t the whole gradient of h_t: g_t = dh_t + decay_{t+1} * g_{t+1}, the same recurrence the other way."""

    @staticmethod
    def forward(ctx: Any, decay: torch.Tensor, value: torch.Tensor, reverse: bool) -> torch.Tensor:  # noqa: ANN401  torch's context
        states = _scan(decay, value, reverse=reverse)
        ctx.save_for_backward(decay, states)
        ctx.reverse = reverse
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:  # noqa: ANN401
        decay, states = ctx.saved_tensors
        of_value = _scan(_shift(decay, later=ctx.reverse), gradient, reverse=not ctx.reverse)
        return of_value * _shift(states, later=not ctx.reverse), of_value, None


def _shift(steps: torch.Tensor, *, later: bool) -> torch.Tensor:
    """Entry t - 1 (``later``) or t + 1 at t, and 0 beyond the ends."""
    return functional.pad(steps[:, :-1], (0, 0, 1, 0)) if later else functional.pad(steps[:, 1:], (0, 0, 0, 1))


def _scan(decay: torch.Tensor, value: torch.Tensor, *, reverse: bool) -> torch.Tensor:
    batch, steps, channels = value.shape
    size = min(steps, _CHUNK)
    if missing := -steps % size:  # zeros after the end change no state in either direction
        decay, value = (functional.pad(part, (0, 0, 0, missing)) for part in (decay, value))
    decay, value = (part.view(batch, -1, size, channels) for part in (decay, value))
    states, products = value.new_empty(value.shape), value.new_empty(value.shape)
    order = range(size)[::-1] if reverse else range(size)
    states[:, :, order[0]], products[:, :, order[0]] = value[:, :, order[0]], decay[:, :, order[0]]
    for before, t in pairwise(order):
        torch.addcmul(value[:, :, t], decay[:, :, t], states[:, :, before], out=states[:, :, t])
        torch.mul(decay[:, :, t], products[:, :, before], out=products[:, :, t])
    if states.shape[1] > 1:
        ends = _scan(products[:, :, order[-1]], states[:, :, order[-1]], reverse=reverse).unsqueeze(2)
        if reverse:
            states[:, :-1].addcmul_(products[:, :-1], ends[:, 1:])
        else:
            states[:, 1:].addcmul_(products[:, 1:], ends[:, :-1])
    return states.flatten(1, 2)[:, :steps]
