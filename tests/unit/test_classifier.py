"""`vidrnn.models.classifier`: padding and batching never change an answer, and bad input is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

from tests.worlds import tiny_model
from vidrnn.models.classifier import SequenceClassifier

CELLS = ("rnn", "gru", "lstm", "none")
POOLINGS = ("mean", "max", "last", "attention")
WRONG_LENGTHS = "must be 2 numbers from 1 to 4; a video without frames cannot be classified"


def make_model(*, dim: int = 5, num_classes: int = 3, seed: int = 0, **settings: object) -> SequenceClassifier:
    torch.manual_seed(seed)
    return SequenceClassifier(tiny_model(**settings), dim=dim, num_classes=num_classes).eval()


def sequences(lengths: list[int], *, dim: int = 5) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(len(lengths))
    return [torch.randn(length, dim, generator=generator) for length in lengths]


def padded(chosen: list[torch.Tensor], *, extra: int, garbage: float) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([len(sequence) for sequence in chosen])
    batch = torch.full((len(chosen), int(lengths.max()) + extra, chosen[0].shape[1]), garbage, dtype=chosen[0].dtype)
    for row, sequence in enumerate(chosen):
        batch[row, : len(sequence)] = sequence
    return batch, lengths


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
@configure(max_examples=12, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    extra=st.integers(0, 5),
    garbage=st.sampled_from([0.0, 1e4, -1e4, float("nan"), float("inf")]),
    layers=st.integers(1, 2),
    data=st.data(),
)
def test_padding_and_batching_never_change_an_answer(
    cell: str, bidirectional: bool, pooling: str, lengths: list[int], extra: int, garbage: float, layers: int,
    data: st.DataObject,
) -> None:  # fmt: skip
    """Contract 6: alone, padded with anything, and in any batch in any order, the logits of a sequence are the same."""
    model = make_model(cell=cell, bidirectional=bidirectional, pooling=pooling, layers=layers)
    chosen = sequences(lengths)
    order = data.draw(st.permutations(range(len(chosen))))
    tolerance = {"single": 1e-5, "double": 1e-6 if pooling == "attention" else 1e-10}
    for precision, limit in tolerance.items():
        if precision == "double":
            model, chosen = model.double(), [sequence.double() for sequence in chosen]
        with torch.inference_mode():
            together = model(*padded([chosen[i] for i in order], extra=extra, garbage=garbage))
            for row, position in enumerate(order):
                alone = model(chosen[position][None], torch.tensor([len(chosen[position])]))
                assert (together[row] - alone[0]).abs().max() < limit


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_gradients_do_not_see_the_padding(cell: str, pooling: str) -> None:
    """Of the weights: a batch gives the mean of what its sequences give alone."""
    model = make_model(cell=cell, pooling=pooling).double()
    chosen = [sequence.double() for sequence in sequences([3, 7, 1])]
    model(*padded(chosen, extra=4, garbage=1e3)).square().sum().backward()
    together = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    for sequence in chosen:
        model(sequence[None], torch.tensor([len(sequence)])).square().sum().backward()
    for parameter, expected in zip(model.parameters(), together, strict=True):
        alone = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(alone, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_recurrent_model_sees_the_order_of_time_and_mean_pooling_does_not(cell: str) -> None:
    steps, lengths = torch.randn(1, 8, 5), torch.tensor([8])
    for kind, sees in ((cell, True), ("none", False)):
        model = make_model(cell=kind, pooling="mean")
        with torch.inference_mode():
            difference = float((model(steps, lengths) - model(steps.flip(1), lengths)).abs().max())
        assert (difference > 1e-4) == sees


def test_logits_of_the_baseline_equal_numpy() -> None:
    """LayerNorm, projection, mean over time, linear output; no softmax anywhere."""
    model = make_model(cell="none", pooling="mean").double()
    steps = torch.randn(1, 6, 5, dtype=torch.float64)
    values = {name: value.numpy() for name, value in model.state_dict().items()}
    x = steps[0].numpy()
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    x = x * values["norm.weight"] + values["norm.bias"]
    x = x @ values["projection.weight"].T + values["projection.bias"]
    expected = x.mean(0) @ values["output.weight"].T + values["output.bias"]
    with torch.inference_mode():
        np.testing.assert_allclose(model(steps, torch.tensor([6]))[0].numpy(), expected, atol=1e-12)


def test_a_model_without_norm_and_projection_has_neither() -> None:
    model = make_model(input_norm=False, projection=0)
    assert {name.partition(".")[0] for name, _ in model.named_parameters()} == {"recurrent", "output"}
    assert model.recurrent is not None
    assert model.recurrent.cell.input_size == 5


@pytest.mark.parametrize(
    ("shape", "lengths", "message"),
    [
        ((2, 4, 6), [4, 4], "features have shape (2, 4, 6), expected (batch, steps, 5)"),
        ((4, 5), [4], "features have shape (4, 5), expected (batch, steps, 5)"),
        (
            (2, 4, 5),
            [4, 0],
            f"lengths [4, 0] {WRONG_LENGTHS}",
        ),
        (
            (2, 4, 5),
            [5, 1],
            f"lengths [5, 1] {WRONG_LENGTHS}",
        ),
        ((2, 4, 5), [4], f"lengths [4] {WRONG_LENGTHS}"),
    ],
)
def test_wrong_shapes_and_lengths_are_refused(shape: tuple[int, ...], lengths: list[int], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the whole message is compared below
        make_model()(torch.zeros(shape), torch.tensor(lengths))
    assert str(caught.value) == message


def test_dropout_acts_in_training_only() -> None:
    model = make_model(dropout=0.5)
    steps, lengths = torch.randn(2, 6, 5), torch.tensor([6, 2])
    assert torch.equal(model(steps, lengths), model(steps, lengths))
    model.train()
    assert not torch.equal(model(steps, lengths), model(steps, lengths))
