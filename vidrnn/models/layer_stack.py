"""The temporal layers between projection and pooling: any sequence of layer types behind one interface."""

from itertools import groupby

import torch
from torch import nn

from vidrnn.models.mingru import MinimalRecurrence
from vidrnn.models.pooling import last_step, valid_steps
from vidrnn.models.recurrent import RecurrentLayers
from vidrnn.models.states import State, parts_of, tensors_of
from vidrnn.models.tcn import DilatedConvolution
from vidrnn.models.transformer import FeedForward, SelfAttention
from vidrnn.settings.model import ModelSettings, ParallelLayer

LEARNED_POSITIONS = 1024


class LayerStack(nn.Module):
    """Temporal layers one after the other; equal neighbours are built as one run, with dropout between runs.

    Every run takes (B, S, C) steps and lengths, and gives (B, S, H) states, zero beyond the lengths, with the (B, H)
    end states. H is the same for every type: ``hidden_size`` times the number of directions.

    Attributes:
        output_size: H, or the input's C when there is no layer at all.
    """

    def __init__(self, input_size: int, *, settings: ModelSettings) -> None:
        super().__init__()
        self.runs = nn.ModuleList()
        self.output_size = input_size
        for name, members in groupby(settings.layer_names):
            layers = len(list(members))
            run: nn.Module
            match name:
                case "rnn" | "gru" | "lstm":
                    run = RecurrentLayers(
                        self.output_size,
                        cell=name,
                        hidden_size=settings.hidden_size,
                        layers=layers,
                        bidirectional=settings.bidirectional,
                        dropout=settings.dropout,
                        nonlinearity=settings.nonlinearity,
                    )
                case _:
                    run = ResidualLayers(self.output_size, kind=name, layers=layers, settings=settings)
            self.runs.append(run)
            self.output_size = settings.width
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, steps: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Run over the true steps of each sequence.

        Args:
            steps: (B, S, C), finite beyond ``lengths``.
            lengths: (B,) int64 on the CPU, each at least 1.

        Returns:
            (B, S, H) states and (B, H) end states. A recurrent layer in two directions (rnn, gru, lstm, mingru,
            minlstm) ends with its forward state at the last true step beside its backward state at the first. Any other
            layer, and a stack without layers, ends with the last true step.
        """
        end = None
        for number, run in enumerate(self.runs):
            steps, end = run(self.dropout(steps) if number else steps, lengths)
        return steps, last_step(steps, lengths) if end is None else end

    def advance(
        self, steps: torch.Tensor, state: State | None = None, lengths: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, State]:
        """Go on from a state, see `vidrnn.models.states`.

        Args:
            steps: (B, S, C), finite beyond ``lengths``.
            state: after the steps before; None at the start.
            lengths: (B,) int64 on the CPU, true steps of each sequence, 0 to S; None when all are.

        Returns:
            (B, S, H) states of the steps, and the state after the true ones.
        """
        states = []
        for number, (run, before) in enumerate(zip(self.runs, parts_of(state, len(self.runs)), strict=True)):
            assert isinstance(run, RecurrentLayers | ResidualLayers)
            steps, after = run.advance(self.dropout(steps) if number else steps, before, lengths)
            states.append(after)
        return steps, tuple(states)


class ResidualLayers(nn.Module):
    """Layers of one type, each adding to its input what it makes of the normalised input (pre-norm, Xiong et al. 2020).

    The first minGRU or minLSTM adds nothing: its states take the place of its input, as in a GRU. With the input beside
    them a single layer learned little more than the average over time (docs/temporal_models.md has the figures).

    Args:
        input_size: channels C of a step; a linear layer brings them to the model's width where that is needed.
        kind: the type.
        layers: how many; layer i of a tcn (from 0) has dilation 2^i.
        settings: width, directions, heads, positions, kernel size, dropout.
    """

    def __init__(self, input_size: int, *, kind: ParallelLayer, layers: int, settings: ModelSettings) -> None:
        super().__init__()
        width = settings.width
        self.two_ended = settings.bidirectional and kind in {"mingru", "minlstm"}
        self.entry: nn.Module = nn.Linear(input_size, width) if input_size != width else nn.Identity()
        self.first = None
        if kind == "mingru" or kind == "minlstm":  # noqa: PLR1714  mypy understands this form only
            self.entry = nn.Identity()
            self.first = MinimalRecurrence(input_size, width, cell=kind, bidirectional=settings.bidirectional)
        self.positions = None
        if kind == "transformer" and settings.positions == "learned":
            self.positions = nn.Parameter(0.02 * torch.randn(LEARNED_POSITIONS, width))
        self.branches = nn.ModuleList(
            branch
            for layer in range(0 if self.first is None else 1, layers)
            for branch in _make_branches(kind, layer=layer, settings=settings)
        )
        self.branch_norms = nn.ModuleList(nn.LayerNorm(width) for _ in self.branches)
        self.dropout = nn.Dropout(settings.dropout)
        self.norm = nn.LayerNorm(width) if self.branches else nn.Identity()

    def forward(self, steps: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As `LayerStack.forward`.

        Raises:
            ValueError: a sequence is longer than there are learned positions.
        """
        valid = None if bool((lengths == steps.shape[1]).all()) else valid_steps(lengths, steps)
        stream = self.entry(steps) if self.first is None else self.first(steps, valid)
        if self.positions is not None:
            _refuse_beyond_positions(steps.shape[1])
            stream = stream + self.positions[: steps.shape[1]]
        for norm, branch in zip(self.branch_norms, self.branches, strict=True):
            stream = stream + self.dropout(branch(norm(stream), valid))
        states = self.norm(stream)
        if valid is not None:
            states = states.masked_fill(~valid.unsqueeze(2), 0.0)
        end = last_step(states, lengths)
        if self.two_ended:
            half = states.shape[2] // 2
            end = torch.cat([end[:, :half], states[:, 0, half:]], dim=1)
        return states, end

    def advance(
        self, steps: torch.Tensor, state: State | None = None, lengths: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, State]:
        """As `LayerStack.advance`; the state holds the states of the first layer, of the positions, and of each branch.

        Raises:
            ValueError: a sequence has become longer than there are learned positions.
        """
        first, count, *before = parts_of(state, 2 + len(self.branches))
        after: list[State] = [(), ()]
        if self.first is None:
            stream = self.entry(steps)
        else:
            stream, after[0] = self.first.advance(steps, first, lengths)
        if self.positions is not None:
            positions, after[1] = self._next_positions(steps, count, lengths)
            stream = stream + positions
        for norm, branch, old in zip(self.branch_norms, self.branches, before, strict=True):
            assert isinstance(branch, MinimalRecurrence | SelfAttention | FeedForward | DilatedConvolution)
            added, new = branch.advance(norm(stream), old, lengths)
            stream = stream + self.dropout(added)
            after.append(new)
        states: torch.Tensor = self.norm(stream)
        if lengths is not None:
            states = states.masked_fill(~valid_steps(lengths, steps).unsqueeze(2), 0.0)
        return states, tuple(after)

    def _next_positions(
        self, steps: torch.Tensor, count: State | None, lengths: torch.Tensor | None
    ) -> tuple[torch.Tensor, State]:
        """(B, S, C) learned positions, and how many are used up, (B,) int64."""
        assert self.positions is not None
        batch, length = steps.shape[:2]
        (used,) = (torch.zeros(batch, dtype=torch.int64, device=steps.device),) if count is None else tensors_of(count)
        new = torch.full((batch,), length) if lengths is None else lengths
        after = used + new.to(used.device)
        _refuse_beyond_positions(int(after.max()))
        places = (used.unsqueeze(1) + torch.arange(length, device=used.device)).clamp(max=LEARNED_POSITIONS - 1)
        return self.positions[places], after


def _refuse_beyond_positions(steps: int) -> None:
    if steps > LEARNED_POSITIONS:
        raise ValueError(
            f"{steps} steps are more than the {LEARNED_POSITIONS} learned positions; "
            "lower training.steps or set model.positions to rotary"
        )


def _make_branches(kind: ParallelLayer, *, layer: int, settings: ModelSettings) -> list[nn.Module]:
    """What one layer adds to the stream, part after part."""
    width, causal = settings.width, not settings.bidirectional
    if kind == "transformer":
        rotary = settings.positions == "rotary"
        window, heads = settings.attention_window, settings.attention_heads
        return [SelfAttention(width, heads=heads, causal=causal, rotary=rotary, window=window), FeedForward(width)]
    if kind == "tcn":
        return [DilatedConvolution(width, kernel_size=settings.kernel_size, dilation=2**layer, causal=causal)]
    return [MinimalRecurrence(width, width, cell=kind, bidirectional=settings.bidirectional)]
