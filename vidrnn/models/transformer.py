"""Self-attention over time (Vaswani et al. 2017), with rotary positions (Su et al. 2021) or none of its own."""

import torch
from torch import nn
from torch.nn import functional

from vidrnn.models.attention_window import attend_window
from vidrnn.models.rotary import rotate
from vidrnn.models.states import State


class SelfAttention(nn.Module):
    """Multi-head attention among the true steps of each sequence.

    Args:
        width: channels in and out, ``heads`` times an even number.
        heads: attention heads.
        causal: let a step see itself and what came before only.
        rotary: turn queries and keys by their step index, so that scores depend on distances in steps.
        window: how many steps a causal one sees, the step itself included; None for all since the start.
    """

    def __init__(self, width: int, *, heads: int, causal: bool, rotary: bool, window: int | None = None) -> None:
        super().__init__()
        self.heads, self.causal, self.rotary, self.window = heads, causal, rotary, window
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
        if self.window is not None:  # padding comes after all true steps, so none of them sees it
            return self.advance(steps)[0]
        batch, length, width = steps.shape
        qkv = self.qkv(steps).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, S, C / heads) each
        if self.rotary:
            query, key = rotate(query), rotate(key)
        # Padding comes after all true steps, so causal attention leaves it out without another mask.
        mask = None if valid is None or self.causal else valid[:, None, None, :]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=self.causal)
        output: torch.Tensor = self.output(mixed.transpose(1, 2).reshape(batch, length, width))
        return output

    def advance(
        self, steps: torch.Tensor, state: State | None = None, lengths: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, State]:
        """Go on from a state, see `vidrnn.models.states`; the state is keys and values of the window."""
        assert self.window is not None, "obstacle_to_steps says so before"
        qkv = self.qkv(steps).unflatten(2, (3, 1, self.heads, -1))  # (B, S, 3, one stream, heads, C / heads)
        query, key, value = qkv.unbind(2)
        mixed, state = attend_window(
            query.squeeze(2),
            key,
            value,
            shown=torch.ones(*steps.shape[:2], 1, dtype=torch.bool, device=steps.device),
            state=state,
            lengths=lengths,
            window=self.window,
            rotary=self.rotary,
        )
        return self.output(mixed), state


class FeedForward(nn.Module):
    """The same two-layer network on every step, four times as wide inside (Vaswani et al. 2017, with GELU)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner, self.output = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, steps: torch.Tensor, _valid: torch.Tensor | None) -> torch.Tensor:
        """(B, S, C) to (B, S, C); no step sees another."""
        output: torch.Tensor = self.output(functional.gelu(self.inner(steps)))
        return output

    def advance(
        self, steps: torch.Tensor, _state: State | None = None, _lengths: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, State]:
        """As `forward`: nothing is carried."""
        return self(steps, None), ()
