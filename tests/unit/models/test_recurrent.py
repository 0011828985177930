"""`vidrnn.models.recurrent` against the recurrences written out in float64 NumPy, forward and backward in time."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
import torch

from tests.worlds import Array
from vidrnn.models.recurrent import RecurrentLayers

Kind = Literal["rnn-tanh", "rnn-relu", "gru", "lstm"]
KINDS: tuple[Kind, ...] = ("rnn-tanh", "rnn-relu", "gru", "lstm")
LENGTHS = [5, 1, 3, 4]


def make_layers(kind: Kind, *, layers: int, bidirectional: bool, size: int = 3, hidden: int = 4) -> RecurrentLayers:
    torch.manual_seed(layers)
    cell, _, nonlinearity = kind.partition("-")
    return RecurrentLayers(
        size,
        cell=cell,  # type: ignore[arg-type]
        hidden_size=hidden,
        layers=layers,
        bidirectional=bidirectional,
        nonlinearity=nonlinearity or "tanh",  # type: ignore[arg-type]
    ).double()


def sigmoid(value: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-value))


def step(kind: Kind, weights: dict[str, Array], x: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
    """One step: (h, c) from (h, c). W_ih x + b_ih and W_hh h + b_hh hold the gates in PyTorch's documented order."""
    h, c = state
    from_input, from_state = weights["ih"] @ x + weights["b_ih"], weights["hh"] @ h + weights["b_hh"]
    if kind.startswith("rnn"):
        activation: Callable[[Array], Array] = np.tanh if kind == "rnn-tanh" else lambda value: np.maximum(value, 0.0)
        return activation(from_input + from_state), c
    if kind == "gru":
        (ri, zi, ni), (rh, zh, nh) = np.split(from_input, 3), np.split(from_state, 3)
        r, z = sigmoid(ri + rh), sigmoid(zi + zh)
        n = np.tanh(ni + r * nh)
        return (1.0 - z) * n + z * h, c
    i, f, g, o = np.split(from_input + from_state, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def reference(layers: RecurrentLayers, kind: Kind, sequence: Array) -> tuple[Array, Array]:
    """States (T, H) of the last layer and the end state of each direction (H,), for one sequence without padding."""
    named = {name: value.detach().numpy() for name, value in layers.cell.named_parameters()}
    hidden = layers.cell.hidden_size
    states = sequence
    ends: list[Array] = []
    for layer in range(layers.cell.num_layers):
        outputs, ends = [], []
        for suffix in ["", "_reverse"] if layers.cell.bidirectional else [""]:
            end = f"_l{layer}{suffix}"
            weights = {
                "ih": named[f"weight_ih{end}"], "hh": named[f"weight_hh{end}"],
                "b_ih": named[f"bias_ih{end}"], "b_hh": named[f"bias_hh{end}"],
            }  # fmt: skip
            state = (np.zeros(hidden), np.zeros(hidden))
            output = np.zeros((len(states), hidden))
            order = range(len(states))
            for t in reversed(order) if suffix else order:
                state = step(kind, weights, states[t], state)
                output[t] = state[0]
            outputs.append(output)
            ends.append(state[0])
        states = np.concatenate(outputs, axis=1)
    return states, np.concatenate(ends)


def batch(size: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Sequences of different lengths, with garbage beyond them."""
    generator = torch.Generator().manual_seed(0)
    steps = torch.randn(len(LENGTHS), 6, size, dtype=torch.float64, generator=generator)
    for row, length in enumerate(LENGTHS):
        steps[row, length:] = 1e6
    return steps, torch.tensor(LENGTHS)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_states_and_end_states_equal_the_recurrence(kind: Kind, num_layers: int, bidirectional: bool) -> None:
    """Of each sequence by itself: the backward direction starts at its true end, whatever the padding."""
    layers = make_layers(kind, layers=num_layers, bidirectional=bidirectional)
    steps, lengths = batch()
    with torch.no_grad():
        states, end = layers(steps, lengths)
    assert states.shape == (4, 6, layers.output_size)
    for row, length in enumerate(LENGTHS):
        expected_states, expected_end = reference(layers, kind, steps[row, :length].numpy())
        np.testing.assert_allclose(states[row, :length].numpy(), expected_states, rtol=0, atol=1e-12)
        np.testing.assert_allclose(end[row].numpy(), expected_end, rtol=0, atol=1e-12)
        assert not states[row, length:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_state_is_not_the_last_column(kind: Kind) -> None:
    """A bug of the field: ``x[:, -1]`` is padding for a short sequence, and one step of the backward direction."""
    layers = make_layers(kind, layers=1, bidirectional=True)
    steps, lengths = batch()
    states, end = layers(steps, lengths)
    hidden = layers.output_size // 2
    for row, length in enumerate(LENGTHS):
        assert torch.equal(end[row, :hidden], states[row, length - 1, :hidden])
        assert torch.equal(end[row, hidden:], states[row, 0, hidden:])
        assert not states[row, -1].any()
    assert not torch.equal(end[0, hidden:], states[0, 4, hidden:])


def loss_of(layers: RecurrentLayers, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """A scalar that every state and every end state enters with its own weight."""
    states, end = layers(steps, lengths)
    generator = torch.Generator().manual_seed(1)
    of_states = torch.randn(states.shape, dtype=torch.float64, generator=generator)
    of_end = torch.randn(end.shape, dtype=torch.float64, generator=generator)
    return (states * of_states).sum() + (end * of_end).sum()


def central_difference(function: Callable[[], float], values: torch.Tensor, position: Any) -> float:
    width = 1e-6
    kept = float(values[position])
    values[position] = kept + width
    above = function()
    values[position] = kept - width
    below = function()
    values[position] = kept
    return (above - below) / (2 * width)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_through_time_equal_central_differences(kind: Kind, num_layers: int, bidirectional: bool) -> None:
    """For every value of every true step, and for a sample of every weight."""
    layers = make_layers(kind, layers=num_layers, bidirectional=bidirectional, size=2, hidden=3)
    steps, lengths = batch(2)
    steps.requires_grad_()
    loss_of(layers, steps, lengths).backward()
    inputs = steps.detach()

    def value() -> float:
        with torch.no_grad():
            return float(loss_of(layers, inputs, lengths))

    assert steps.grad is not None
    for row, length in enumerate(LENGTHS):
        assert not steps.grad[row, length:].any()
        for t in range(length):
            numeric = central_difference(value, inputs, (row, t, t % 2))
            assert float(steps.grad[row, t, t % 2]) == pytest.approx(numeric, abs=1e-6)
    rng = np.random.default_rng(0)
    for parameter in layers.parameters():
        assert parameter.grad is not None
        for _ in range(3):
            position = tuple(int(rng.integers(0, size)) for size in parameter.shape)
            numeric = central_difference(value, parameter.data, position)
            assert float(parameter.grad[position]) == pytest.approx(numeric, abs=1e-6)


@pytest.mark.parametrize("layers", [1, 2])
def test_dropout_acts_between_layers_only(layers: int, recwarn: pytest.WarningsRecorder) -> None:
    torch.manual_seed(0)
    model = RecurrentLayers(3, cell="gru", hidden_size=4, layers=layers, dropout=0.5).train()
    steps, lengths = torch.randn(2, 5, 3), torch.tensor([5, 3])
    same = torch.equal(model(steps, lengths)[0], model(steps, lengths)[0])
    assert same == (layers == 1)
    assert not recwarn.list
