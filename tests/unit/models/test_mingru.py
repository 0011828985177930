"""`vidrnn.models.mingru` against its recurrences written out in float64 NumPy, forward and backward in time."""

from typing import Literal

import numpy as np
import pytest
import torch

from tests.worlds import Array
from vidrnn.models.mingru import MinimalRecurrence

Cell = Literal["mingru", "minlstm"]
CELLS: tuple[Cell, ...] = ("mingru", "minlstm")
LENGTHS = [5, 1, 21, 4]
WIDTH = 6


def make(cell: Cell, *, bidirectional: bool) -> MinimalRecurrence:
    torch.manual_seed(0)
    return MinimalRecurrence(WIDTH, WIDTH, cell=cell, bidirectional=bidirectional).double()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Sequences of different lengths with garbage beyond them, and where they are true."""
    steps = 3 * torch.randn(4, 23, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    valid = torch.arange(23) < torch.tensor(LENGTHS).unsqueeze(1)
    return steps.masked_fill(~valid.unsqueeze(2), 100.0), valid


def sigmoid(value: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-value))


def recurrence(cell: Cell, gates: Array, *, backward: bool) -> Array:
    """States (T, H) of one direction from its pre-activations (parts, T, H): the paper's equations in a loop."""
    state, states = np.zeros(gates.shape[2]), np.zeros(gates.shape[1:])
    order = range(gates.shape[1])
    for t in reversed(order) if backward else order:
        candidate = np.where(gates[-1, t] >= 0, gates[-1, t] + 0.5, sigmoid(gates[-1, t]))
        if cell == "mingru":
            z = sigmoid(gates[0, t])
            state = (1 - z) * state + z * candidate
        else:
            forget, enter = sigmoid(gates[0, t]), sigmoid(gates[1, t])
            state = forget / (forget + enter) * state + enter / (forget + enter) * candidate
        states[t] = state
    return states


def reference(cell: Cell, gates: Array, *, bidirectional: bool) -> Array:
    """States (T, C) of one sequence from all pre-activations (T, parts * C)."""
    parts = np.stack(np.split(gates, gates.shape[1] // WIDTH, axis=1))
    if not bidirectional:
        return recurrence(cell, parts, backward=False)
    forward, backward = np.split(parts, 2, axis=2)
    return np.concatenate([recurrence(cell, forward, backward=False), recurrence(cell, backward, backward=True)], 1)


@pytest.mark.parametrize("gate", [-10.0, -16.0, -18.0, -30.0])
def test_a_gate_that_is_nearly_shut_lets_its_share_in(gate: float) -> None:
    """Of 1 - decay nothing is left in float32 below 6e-8, and at 1e-7 one digit at most."""
    layer = MinimalRecurrence(1, 1, cell="mingru", bidirectional=False)
    with torch.no_grad():
        layer.gates.weight.zero_()
        layer.gates.bias.copy_(torch.tensor([gate, 1.0]))
        states = layer(torch.zeros(1, 3, 1), None)[0, :, 0].double().numpy()
    parts = np.asarray([gate, 1.0]).reshape(2, 1, 1).repeat(3, axis=1)
    np.testing.assert_allclose(states, recurrence("mingru", parts, backward=False)[:, 0], rtol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_states_equal_the_recurrence(cell: Cell, bidirectional: bool) -> None:
    """Of each sequence by itself: the backward direction starts at its true end, whatever the padding."""
    layer = make(cell, bidirectional=bidirectional)
    steps, valid = batch()
    weight, bias = layer.gates.weight.detach().numpy(), layer.gates.bias.detach().numpy()
    with torch.no_grad():
        states = layer(steps, valid)
    for row, length in enumerate(LENGTHS):
        expected = reference(cell, steps[row, :length].numpy() @ weight.T + bias, bidirectional=bidirectional)
        np.testing.assert_allclose(states[row, :length].numpy(), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_equal_finite_differences(cell: Cell, bidirectional: bool) -> None:
    """Of inputs and weights; and a step of padding has none."""
    layer = make(cell, bidirectional=bidirectional)
    steps, valid = batch()
    steps = steps[:, :6].clone().requires_grad_()

    def true_states(inputs: torch.Tensor, *_weights: torch.Tensor) -> torch.Tensor:
        return layer(inputs, valid[:, :6])[valid[:, :6]]

    inside = (steps, layer.gates.weight, layer.gates.bias)
    assert torch.autograd.gradcheck(true_states, inside)
    true_states(steps).sum().backward()
    assert steps.grad is not None
    assert not steps.grad[~valid[:, :6]].any()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_bfloat16_over_16384_steps_is_the_recurrence_of_its_gates(cell: Cell, bidirectional: bool) -> None:
    """Beyond the linear layer nothing is lost but the rounding of the states: gates and scan are in float32."""
    layer = make(cell, bidirectional=bidirectional).bfloat16()
    with torch.no_grad():
        layer.gates.bias[:WIDTH] -= 6 if cell == "mingru" else -6  # remember for hundreds of steps
        steps = torch.randn(1, 16_384, WIDTH, generator=torch.Generator().manual_seed(0)).bfloat16()
        states = layer(steps, None)
        gates = layer.gates(steps)[0].double().numpy()
    assert states.dtype == torch.bfloat16
    expected = reference(cell, gates, bidirectional=bidirectional)
    np.testing.assert_allclose(states[0].double().numpy(), expected, rtol=1.01 * 2.0**-8, atol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_autocast_changes_no_precision_of_the_scan(cell: Cell) -> None:
    layer = make(cell, bidirectional=True).float()
    steps = torch.randn(2, 300, WIDTH, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        states, gates = layer(steps, None), layer.gates(steps)
    assert gates.dtype == torch.bfloat16
    for row in range(2):
        expected = reference(cell, gates[row].double().numpy(), bidirectional=True)
        np.testing.assert_allclose(states[row].numpy(), expected, rtol=0, atol=1e-5)
