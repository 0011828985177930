"""Recurrent layers over padded batches; padding never reaches a state.

The recurrences are PyTorch's (its documentation of nn.RNN, nn.GRU and nn.LSTM gives the equations):

    rnn   h_t = act(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)                                     Elman 1990
    gru   r, z = sigmoid(...);  n = tanh(W_in x_t + b_in + r * (W_hn h_{t-1} + b_hn))
          h_t = (1 - z) * n + z * h_{t-1}                                                     Cho et al. 2014
    lstm  i, f, o = sigmoid(...);  g = tanh(...);  c_t = f * c_{t-1} + i * g;  h_t = o * tanh(c_t)
                                                                                              Hochreiter 1997
"""

from typing import Literal

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from vidrnn.models.pooling import valid_steps
from vidrnn.models.states import State, tensors_of


class RecurrentLayers(nn.Module):
    """Stacked recurrent layers in one or two directions.

    Attributes:
        output_size: channels of the result, ``hidden_size`` times the number of directions.
    """

    def __init__(
        self,
        input_size: int,
        *,
        cell: Literal["rnn", "gru", "lstm"],
        hidden_size: int,
        layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
    ) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0  # PyTorch warns about dropout that has no place to act
        shape = {"hidden_size": hidden_size, "num_layers": layers}
        self.cell: nn.RNN | nn.GRU | nn.LSTM
        if cell == "rnn":
            self.cell = nn.RNN(
                input_size,
                **shape,
                nonlinearity=nonlinearity,
                batch_first=True,
                bidirectional=bidirectional,
                dropout=between,
            )
        else:
            kind = {"gru": nn.GRU, "lstm": nn.LSTM}[cell]
            self.cell = kind(input_size, **shape, batch_first=True, bidirectional=bidirectional, dropout=between)
        self.output_size = hidden_size * (2 if bidirectional else 1)

    def forward(self, steps: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Run over the true steps of each sequence.

        Args:
            steps: (B, S, C).
            lengths: (B,) int64 on the CPU, each at least 1.

        Returns:
            (B, S, H) states of the last layer, zero beyond ``lengths``, and (B, H) the end state of each direction. The
            forward one ends at the last true step, the backward one at the first.
        """
        longest = int(lengths.max())
        if bool((lengths == longest).all()):
            # Without packing: on CPU the backward pass of a packed GRU takes time that grows with the square of T.
            states, final = self.cell(steps[:, :longest])
            states = functional.pad(states, (0, 0, 0, steps.shape[1] - longest))
        else:
            packed = pack_padded_sequence(steps, lengths, batch_first=True, enforce_sorted=False)
            packed_states, final = self.cell(packed)
            states, _ = pad_packed_sequence(packed_states, batch_first=True, total_length=steps.shape[1])
        hidden = final[0] if isinstance(final, tuple) else final  # an LSTM also returns its cell state
        directions = 2 if self.cell.bidirectional else 1
        return states, torch.cat(list(hidden[-directions:]), dim=1)

    def advance(
        self, steps: torch.Tensor, state: State | None = None, lengths: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, State]:
        """Go on from a state, see `vidrnn.models.states`; the state is h, (B, layers, H), and of an LSTM c too."""
        assert not self.cell.bidirectional, "obstacle_to_steps says so before"
        if state is None:
            count = 2 if isinstance(self.cell, nn.LSTM) else 1
            state = (steps.new_zeros(len(steps), self.cell.num_layers, self.cell.hidden_size),) * count
        before = tensors_of(state)
        hidden = [part.transpose(0, 1).contiguous() for part in before]  # PyTorch has the layers first
        # A packed row cannot be empty: one without a true step takes a false one, and keeps its state.
        packed = steps if lengths is None else pack_padded_sequence(
            steps, lengths.clamp(min=1), batch_first=True, enforce_sorted=False
        )  # fmt: skip
        states, final = self.cell(packed, tuple(hidden) if len(hidden) > 1 else hidden[0])
        after = tuple(part.transpose(0, 1) for part in (final if isinstance(final, tuple) else (final,)))
        if lengths is not None:
            states, _ = pad_packed_sequence(states, batch_first=True, total_length=steps.shape[1])
            states = states.masked_fill(~valid_steps(lengths, states).unsqueeze(2), 0.0)
            moved = (lengths > 0).to(steps.device)[:, None, None]
            after = tuple(torch.where(moved, new, old) for new, old in zip(after, before, strict=True))
        return states, after
