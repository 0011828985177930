"""`vidrnn.models.layer_stack`: one interface for every layer type and any sequence of them."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.worlds import tiny_model
from vidrnn.models import layer_stack
from vidrnn.models.layer_stack import LayerStack, ResidualLayers

LAYERS = ("rnn", "gru", "lstm", "mingru", "minlstm", "transformer", "tcn")
PARALLEL = LAYERS[3:]
STACKS = (["gru", "transformer"], ["tcn", "tcn", "mingru"], ["transformer", "lstm"])
LENGTHS = [5, 1, 9, 4]


def make(*, input_size: int = 6, **settings: object) -> LayerStack:
    torch.manual_seed(0)
    return LayerStack(input_size, settings=tiny_model(**settings)).double().eval()


def batch(size: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    steps = torch.randn(4, 11, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor(LENGTHS)
    return steps.masked_fill((torch.arange(11) >= lengths.unsqueeze(1)).unsqueeze(2), 1e3), lengths


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [[name] for name in LAYERS] + [*STACKS])
def test_every_stack_gives_states_and_end_states_of_one_shape(layers: list[str], bidirectional: bool) -> None:
    """8 units per direction; zero beyond the lengths, something everywhere else."""
    stack = make(layers=layers, bidirectional=bidirectional)
    steps, lengths = batch()
    with torch.no_grad():
        states, end = stack(steps, lengths)
    width = 16 if bidirectional else 8
    assert (states.shape, end.shape, stack.output_size) == ((4, 11, width), (4, width), width)
    for row, length in enumerate(LENGTHS):
        assert not states[row, length:].any()
        assert bool((states[row, :length] != 0).all())


@pytest.mark.parametrize("layers", [[name] for name in LAYERS] + [*STACKS])
def test_a_model_of_one_direction_is_causal(layers: list[str]) -> None:
    """What comes later changes no state, so a stream can show it; in both directions it changes the first one too."""
    steps, lengths = batch()
    changed = steps.clone()
    changed[2, 6:] += 1.0
    for bidirectional, first_change in ((False, 6), (True, 0)):
        stack = make(layers=layers, bidirectional=bidirectional, kernel_size=14)
        with torch.no_grad():
            difference = (stack(steps, lengths)[0] - stack(changed, lengths)[0]).abs().amax(2)[2]
        assert not difference[:first_change].any()
        assert bool((difference[first_change:9] > 0).all())


@pytest.mark.parametrize("layers", [["gru"], ["lstm"], ["mingru"], ["minlstm"], ["transformer"], ["tcn"]])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_end_states(layers: list[str], bidirectional: bool) -> None:
    """Recurrent types end where each direction ends; the others at the last true step."""
    states, end = make(layers=layers, bidirectional=bidirectional)(*batch())
    two_ended = bidirectional and layers[0] not in {"transformer", "tcn"}
    for row, length in enumerate(LENGTHS):
        assert torch.equal(end[row, :8], states[row, length - 1, :8])
        assert torch.equal(end[row, 8:], states[row, 0 if two_ended else length - 1, 8:])


def test_without_layers_the_steps_come_back() -> None:
    stack = make(cell="none", layers=3)
    steps, lengths = batch()
    states, end = stack(steps, lengths)
    assert torch.equal(states, steps)
    assert torch.equal(end, steps[torch.arange(4), lengths - 1])
    assert stack.output_size == 6
    assert not list(stack.parameters())


@pytest.mark.parametrize("name", LAYERS)
def test_a_number_of_layers_is_a_list_of_equal_ones(name: str) -> None:
    """Same weights by the same names, same states."""
    counted, listed = make(cell=name, layers=3), make(layers=[name] * 3)
    assert {key: value.shape for key, value in counted.state_dict().items()} == {
        key: value.shape for key, value in listed.state_dict().items()
    }
    assert torch.equal(counted(*batch())[0], listed(*batch())[0])


def test_a_list_stands_in_place_of_the_cell() -> None:
    settings = tiny_model(cell="lstm", layers=["gru", "gru", "tcn"])
    assert settings.layer_names == ("gru", "gru", "tcn")
    assert [type(run).__name__ for run in make(layers=["gru", "gru", "tcn"]).runs] == [
        "RecurrentLayers",
        "ResidualLayers",
    ]
    assert tiny_model(cell="none", layers=["gru"]).layer_names == ()


@pytest.mark.parametrize("name", PARALLEL)
def test_layers_add_to_what_they_are_given(name: str) -> None:
    """With every branch silenced a deep stack is what enters it, normalised: gradients go through unhindered.

    What enters is the input, or the states of the first mingru or minlstm.
    """
    stack = make(input_size=16, cell=name, layers=4)
    run = stack.runs[0]
    assert isinstance(run, ResidualLayers)

    def silence(module: nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(output)

    for branch in run.branches:
        branch.register_forward_hook(silence)
    steps, lengths = batch(16)
    states, _ = stack(steps, lengths)
    for row, length in enumerate(LENGTHS):
        x = steps[row : row + 1, :length]
        x = (x if run.first is None else run.first(x, None))[0].detach().numpy()
        expected = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        np.testing.assert_allclose(states[row, :length].detach().numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("name", ["mingru", "minlstm"])
def test_one_minimal_layer_is_its_states_alone(name: str) -> None:
    stack = make(cell=name)
    run = stack.runs[0]
    assert isinstance(run, ResidualLayers)
    assert run.first is not None
    steps, lengths = batch()
    states, _ = stack(steps, lengths)
    assert torch.equal(states[2, :9], run.first(steps, torch.arange(11) < lengths.unsqueeze(1))[2, :9])


def test_dilations_double_with_depth() -> None:
    run = make(cell="tcn", layers=4).runs[0]
    assert isinstance(run, ResidualLayers)
    assert [branch.convolution.dilation for branch in run.branches] == [(1,), (2,), (4,), (8,)]  # type: ignore[union-attr]


@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_a_transformer_knows_the_order_of_time(positions: str) -> None:
    """Mean-pooled attention without positions would not; the same steps in another order give other states."""
    stack = make(cell="transformer", positions=positions)
    steps = torch.randn(1, 8, 6, dtype=torch.float64)
    lengths = torch.tensor([8])
    with torch.no_grad():
        forward, backward = stack(steps, lengths)[0].mean(1), stack(steps.flip(1), lengths)[0].mean(1)
    assert float((forward - backward).abs().max()) > 1e-4


def test_learned_positions_end_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_stack, "LEARNED_POSITIONS", 10)
    stack = make(cell="transformer", positions="learned")
    steps, lengths = torch.zeros(1, 11, 6, dtype=torch.float64), torch.tensor([10])
    stack(steps[:, :10], lengths)
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the whole message is compared below
        stack(steps, lengths)
    assert str(caught.value) == (
        "11 steps are more than the 10 learned positions; lower training.steps or set model.positions to rotary"
    )
