"""Attention to the last steps only (Beltagy et al. 2020), in blocks: memory and time grow with S, not with its square.

Positions are counted from the start of what a block sees. Rotary scores depend on distances alone, so nothing is lost,
and the angles stay small after hours.
"""

import torch
from torch.nn import functional

from vidrnn.models.rotary import rotate
from vidrnn.models.states import State, tensors_of, trailing

_BLOCK = 256  # queries that are answered together, or the window where that is longer


def attend_window(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    shown: torch.Tensor,
    state: State | None,
    lengths: torch.Tensor | None,
    window: int,
    rotary: bool,
) -> tuple[torch.Tensor, State]:
    """Let each step ask itself and the ``window`` - 1 steps before it.

    Args:
        query: (B, S, heads, E).
        key: (B, S, streams, heads, E); a step shows one entry of each stream.
        value: as ``key``.
        shown: (B, S, streams) bool, which entries are there. A step that finds none in its window asks its own.
        state: keys, values and ``shown`` of the ``window`` - 1 steps before; None at the start.
        lengths: (B,) int64 on the CPU, true steps of each sequence, 0 to S; None when all are.
        window: W steps.
        rotary: turn queries and keys by their positions.

    Returns:
        (B, S, heads * E), and the state after the true steps.
    """
    before = window - 1
    new = (key, value, shown)
    old = (
        tuple(part.new_zeros(len(part), before, *part.shape[2:]) for part in new)
        if state is None
        else tensors_of(state)
    )
    keys, values, there = (torch.cat(pair, dim=1) for pair in zip(old, new, strict=True))
    size, mixed = max(window, _BLOCK), []
    for start in range(0, query.shape[1], size):
        asking = query[:, start : start + size]
        seen = slice(start, start + before + asking.shape[1])
        mixed.append(_attend(asking, keys[:, seen], values[:, seen], there[:, seen], rotary=rotary))
    carried = tuple(trailing(part, lengths, before) for part in (keys, values, there))
    return torch.cat(mixed, dim=1), carried


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, shown: torch.Tensor, *, rotary: bool
) -> torch.Tensor:
    """Query i, which stands at key ``before`` + i, asks keys i to ``before`` + i."""
    length, streams = query.shape[1], key.shape[2]
    before = key.shape[1] - length
    query = query.transpose(1, 2)  # (B, heads, S, E)
    key, value = key.permute(0, 3, 2, 1, 4), value.permute(0, 3, 2, 1, 4)  # (B, heads, streams, before + S, E)
    if rotary:
        query, key = rotate(query, first=before), rotate(key)
    behind = (
        before + torch.arange(length, device=key.device).unsqueeze(1) - torch.arange(before + length, device=key.device)
    )
    mask = shown.transpose(1, 2).flatten(1)[:, None, None] & ((behind >= 0) & (behind <= before)).repeat(1, streams)
    mask = mask | ((behind == 0).repeat(1, streams) & ~mask.any(3, keepdim=True))
    mixed = functional.scaled_dot_product_attention(query, key.flatten(2, 3), value.flatten(2, 3), attn_mask=mask)
    return mixed.transpose(1, 2).flatten(2)
