"""Self-attention over time (Vaswani et al. 2017), with rotary positions (Su et al. 2021) or none of its own."""

import torch
from torch import nn
from torch.nn import functional

_ROTARY_BASE = 10_000.0  # as in the paper


class SelfAttention(nn.Module):
    """Multi-head attention among the true steps of each sequence.

    Args:
        width: channels in and out, ``heads`` times an even number.
        heads: attention heads.
        causal: let a step see itself and what came before only.
        rotary: turn queries and keys by their step index, so that scores depend on distances in steps.
    """

    def __init__(self, width: int, *, heads: int, causal: bool, rotary: bool) -> None:
        super().__init__()
        self.heads, self.causal, self.rotary = heads, causal, rotary
        self.qkv = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, steps: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Mix the steps of each sequence.

        Args:
            steps: (B, S, C), finite beyond the true steps too.
            valid: (B, S) bool, true inside each sequence; None when all of it is.

        Returns:
            (B, S, C); beyond the true steps it means nothing.
        """
        batch, length, width = steps.shape
        qkv = self.qkv(steps).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, S, C / heads) each
        if self.rotary:
            query, key = rotate(query), rotate(key)
        # Padding comes after all true steps, so a causal step never sees it and needs no mask of its own.
        mask = None if valid is None or self.causal else valid[:, None, None, :]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=self.causal)
        output: torch.Tensor = self.output(mixed.transpose(1, 2).reshape(batch, length, width))
        return output


def rotate(vectors: torch.Tensor) -> torch.Tensor:
    """Turn channel pair i (channels i and i + E / 2) of step t by the angle t * 10000^(-2i / E).

    Args:
        vectors: (..., S, E) with E even.
    """
    half = vectors.shape[-1] // 2
    speeds = _ROTARY_BASE ** (-torch.arange(half, device=vectors.device, dtype=torch.float64) / half)
    # In float64: in float32 the angle of step 16 384 would be off by a thousandth of a turn.
    angles = torch.arange(vectors.shape[-2], device=vectors.device, dtype=torch.float64).unsqueeze(1) * speeds
    cos, sin = angles.cos().to(vectors.dtype), angles.sin().to(vectors.dtype)
    first, second = vectors.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


class FeedForward(nn.Module):
    """The same two-layer network on every step, four times as wide inside (Vaswani et al. 2017, with GELU)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner, self.output = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, steps: torch.Tensor, _valid: torch.Tensor | None) -> torch.Tensor:
        """(B, S, C) to (B, S, C); no step sees another."""
        output: torch.Tensor = self.output(functional.gelu(self.inner(steps)))
        return output
