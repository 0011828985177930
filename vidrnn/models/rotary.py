"""Rotary positions (Su et al. 2021): queries and keys turned by the index of their step."""

import torch

_ROTARY_BASE = 10_000.0  # as in the paper


def rotate(vectors: torch.Tensor, *, first: int = 0) -> torch.Tensor:
    """Turn channel pair i (channels i and i + E / 2) of step t by the angle t * 10000^(-2i / E).

    Args:
        vectors: (..., S, E) with E even.
        first: t of the first step.
    """
    half = vectors.shape[-1] // 2
    speeds = _ROTARY_BASE ** (-torch.arange(half, device=vectors.device, dtype=torch.float64) / half)
    # In float64: in float32 the angle of step 16 384 would be off by a thousandth of a turn.
    steps = torch.arange(first, first + vectors.shape[-2], device=vectors.device, dtype=torch.float64)
    angles = steps.unsqueeze(1) * speeds
    cos, sin = angles.cos().to(vectors.dtype), angles.sin().to(vectors.dtype)
    first_half, second_half = vectors.chunk(2, dim=-1)
    return torch.cat([first_half * cos - second_half * sin, first_half * sin + second_half * cos], dim=-1)
