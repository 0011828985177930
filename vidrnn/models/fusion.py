"""Several streams, step by step, to one sequence. The numbers of an absent stream are ignored.

Each stream has a LayerNorm and a projection of its own. What comes after is one of

    concat           the projections one after the other; a learned vector stands where a stream is absent
    gated            h = sum_k z_k * tanh(x_k), the gates z a softmax over the present streams of what all of them show:
                     the gated multimodal unit (Arevalo et al. 2017), with their sigmoids normalised for any subset
    cross_attention  the mean of the present streams at a step asks all streams at all steps (Vaswani et al. 2017), in
                     causal models at all until this one, or at the last ``attention_window`` of them

``late`` fusion has a classifier per stream, see `vidrnn.models.classifier`, and `Mixture` weighs what they say.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

from vidrnn.models.attention_window import attend_window
from vidrnn.models.rotary import rotate
from vidrnn.models.states import State
from vidrnn.settings.model import ModelSettings


class Fusion(nn.Module):
    """Streams side by side to one sequence.

    Args:
        widths: stream to its channels in the input, in canonical order.
        settings: ``fusion``, ``projection``, ``input_norm``, ``attention_heads``.

    Attributes:
        output_size: channels of the result.
    """

    def __init__(self, widths: Mapping[str, int], *, settings: ModelSettings) -> None:
        super().__init__()
        self.widths = tuple(widths.values())
        size = settings.projection
        self.norms = nn.ModuleDict(
            {name: nn.LayerNorm(width) if settings.input_norm else nn.Identity() for name, width in widths.items()}
        )
        self.projections = nn.ModuleDict(
            {name: nn.Linear(width, size) if size else nn.Identity() for name, width in widths.items()}
        )
        self.join: nn.Module
        if settings.fusion == "gated":
            self.join = _Gates(size, streams=len(widths))
        elif settings.fusion == "cross_attention":
            causal = not settings.bidirectional
            self.join = _CrossAttention(
                size,
                streams=len(widths),
                heads=settings.attention_heads,
                causal=causal,
                window=settings.attention_window,
            )
        else:
            self.join = _Concatenation([size or width for width in self.widths])
        self.output_size = sum(size or width for width in self.widths) if settings.fusion == "concat" else size

    def forward(self, features: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Fuse a padded batch.

        Args:
            features: (B, S, C), the channels of all streams one after the other.
            present: (B, S, streams) bool, false beyond the lengths; each sequence has a stream at some step.

        Returns:
            (B, S, output_size), finite beyond the lengths.
        """
        joined: torch.Tensor = self.join(self._project(features, present), present)
        return joined

    def advance(
        self,
        features: torch.Tensor,
        present: torch.Tensor,
        state: State | None = None,
        lengths: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, State]:
        """As `forward`, going on from a state, see `vidrnn.models.states`; only cross_attention has one."""
        parts = self._project(features, present)
        if isinstance(self.join, _CrossAttention):
            return self.join.advance(parts, present, state, lengths)
        return self.join(parts, present), ()

    def _project(self, features: torch.Tensor, present: torch.Tensor) -> list[torch.Tensor]:
        """(B, S, C) of each stream, zero where it is absent."""
        parts = []
        layers = zip(self.norms.values(), self.projections.values(), strict=True)
        for number, (part, (norm, projection)) in enumerate(zip(split(features, self.widths), layers, strict=True)):
            absent = ~present[:, :, number].unsqueeze(2)  # nan there would become nan in the gradients
            parts.append(projection(norm(part.masked_fill(absent, 0.0))).masked_fill(absent, 0.0))
        return parts


def split(features: torch.Tensor, widths: Sequence[int]) -> tuple[torch.Tensor, ...]:
    """(B, S, C) to (B, S, width) of each stream."""
    return torch.split(features, list(widths), dim=2)


class _Concatenation(nn.Module):
    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.absent = nn.ParameterList(torch.zeros(size) for size in sizes)

    def forward(self, parts: Sequence[torch.Tensor], present: torch.Tensor) -> torch.Tensor:
        """(B, S, C) of each stream, zero where it is absent, to (B, S, sum of C)."""
        shown = zip(parts, self.absent, present.unbind(2), strict=True)
        return torch.cat([part + vector * ~there.unsqueeze(2) for part, vector, there in shown], dim=2)


class _Gates(nn.Module):
    def __init__(self, size: int, *, streams: int) -> None:
        super().__init__()
        self.gates = nn.Linear(streams * size, streams * size)

    def forward(self, parts: Sequence[torch.Tensor], present: torch.Tensor) -> torch.Tensor:
        """(B, S, C) of each stream, zero where it is absent, to (B, S, C), zero where all are."""
        values = torch.stack(list(parts), dim=2).tanh()  # (B, S, streams, C)
        weights = masked_softmax(self.gates(values.flatten(2)).view_as(values), present.unsqueeze(3), dim=2)
        return (weights * values).sum(2)


class _CrossAttention(nn.Module):
    """The query is the mean of the streams present at a step, so it exists even where the grid's stream is missing.

    Each stream has a learned vector that is added to its steps; queries and keys are turned by the index of the step.
    """

    def __init__(self, size: int, *, streams: int, heads: int, causal: bool, window: int | None) -> None:
        super().__init__()
        self.heads, self.causal, self.window = heads, causal, window
        self.names = nn.Parameter(0.02 * torch.randn(streams, size))
        self.query, self.key_value = nn.Linear(size, size), nn.Linear(size, 2 * size)
        self.output, self.norm = nn.Linear(size, size), nn.LayerNorm(size)

    def forward(self, parts: Sequence[torch.Tensor], present: torch.Tensor) -> torch.Tensor:
        """(B, S, C) of each stream, zero where it is absent, to (B, S, C)."""
        if self.window is not None:
            return self.advance(parts, present)[0]
        batch, steps, size = parts[0].shape
        shown, asking = self._shown_and_asking(parts, present)
        shown = shown.transpose(1, 2)
        query = self.query(asking).view(batch, steps, self.heads, -1).transpose(1, 2)  # (B, heads, S, C / heads)
        key_value = self.key_value(shown).view(batch, -1, steps, 2, self.heads, size // self.heads)
        key, value = key_value.permute(3, 0, 4, 1, 2, 5)  # (B, heads, streams, S, C / heads) each
        mask = present.permute(0, 2, 1).flatten(1)[:, None, None, :]
        if self.causal:
            past = torch.ones(steps, steps, dtype=torch.bool, device=mask.device).tril().repeat(1, len(parts))
            mask = mask & past
            # Before any stream has begun there is nothing to ask; a step that asks itself alone stays finite.
            itself = torch.eye(steps, dtype=torch.bool, device=mask.device).repeat(1, len(parts))
            mask = mask | (itself & ~mask.any(3, keepdim=True))
        mixed = functional.scaled_dot_product_attention(
            rotate(query), rotate(key).flatten(2, 3), value.flatten(2, 3), attn_mask=mask
        )
        output: torch.Tensor = self.norm(asking + self.output(mixed.transpose(1, 2).reshape(batch, steps, size)))
        return output

    def advance(
        self,
        parts: Sequence[torch.Tensor],
        present: torch.Tensor,
        state: State | None = None,
        lengths: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, State]:
        """As `forward`, going on from the keys and values of the window."""
        assert self.window is not None, "obstacle_to_steps says so before"
        shown, asking = self._shown_and_asking(parts, present)
        key, value = self.key_value(shown).unflatten(3, (2, self.heads, -1)).unbind(3)  # (B, S, streams, heads, ...)
        mixed, state = attend_window(
            self.query(asking).unflatten(2, (self.heads, -1)),
            key,
            value,
            shown=present,
            state=state,
            lengths=lengths,
            window=self.window,
            rotary=True,
        )
        return self.norm(asking + self.output(mixed)), state

    def _shown_and_asking(
        self, parts: Sequence[torch.Tensor], present: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, S, streams, C) what is shown, and (B, S, C) what asks: the mean of the streams that are there."""
        shown = (torch.stack(list(parts), dim=2) + self.names) * present.unsqueeze(3)
        return shown, shown.sum(2) / present.sum(2, keepdim=True).clamp(min=1)


class Mixture(nn.Module):
    """Weighted mean of what the present streams say.

    Args:
        streams: how many.
        learned: a learned number for each, the weights their softmax; else all weigh the same.
    """

    def __init__(self, streams: int, *, learned: bool) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(streams)) if learned else None

    def forward(self, outputs: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """(..., streams, outputs) and (..., streams) bool to (..., outputs), zero where no stream is there."""
        scores = outputs.new_zeros(present.shape[-1]) if self.scores is None else self.scores
        weights = masked_softmax(scores.expand(present.shape), present, dim=-1)
        return (weights.unsqueeze(-1) * outputs).sum(-2)


def masked_softmax(scores: torch.Tensor, present: torch.Tensor, *, dim: int) -> torch.Tensor:
    """Softmax over what is present; zero elsewhere, and everywhere when nothing is."""
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~present, lowest).softmax(dim) * present


def closed_up(stream: torch.Tensor, there: torch.Tensor, *, longest: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The steps (B, S, C) of each sequence that are there, first, and the (B, ``longest``, 1) places they are from."""
    order = (~there).to(torch.int8).argsort(dim=1, stable=True)[:, :longest].unsqueeze(2)
    return stream.masked_fill(~there.unsqueeze(2), 0.0).gather(1, order.expand(-1, -1, stream.shape[2])), order


def put_back(outputs: torch.Tensor, order: torch.Tensor, *, steps: int) -> torch.Tensor:
    """Outputs at the places that `closed_up` took the steps from, zero elsewhere."""
    back = outputs.new_zeros(len(outputs), steps, outputs.shape[2])
    return back.scatter(1, order.expand(-1, -1, back.shape[2]), outputs)
