"""`vidrnn.models.classifier`: padding and batching never change an answer, and bad input is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

from tests.worlds import tiny_model
from vidrnn.models.classifier import SequenceClassifier

CELLS = ("rnn", "gru", "lstm", "mingru", "minlstm", "transformer", "tcn", "none")
POOLINGS = ("mean", "max", "last", "attention", "log_sum_exp", "mixture")
STACKS = (["gru", "transformer"], ["transformer", "gru"], ["tcn", "mingru", "minlstm"])
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
@pytest.mark.parametrize("cell", [*CELLS, "stack"])
@configure(max_examples=8, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 19), min_size=1, max_size=6),
    extra=st.integers(0, 5),
    garbage=st.sampled_from([0.0, 1e4, -1e4, float("nan"), float("inf")]),
    layers=st.integers(1, 2),
    stack=st.sampled_from(STACKS),
    positions=st.sampled_from(["rotary", "learned"]),
    kernel_size=st.integers(2, 4),
    pooling_heads=st.integers(1, 3),
    data=st.data(),
)
def test_padding_and_batching_never_change_an_answer(
    cell: str, bidirectional: bool, pooling: str, lengths: list[int], extra: int, garbage: float, layers: int,
    stack: list[str], positions: str, kernel_size: int, pooling_heads: int, data: st.DataObject,
) -> None:  # fmt: skip
    """Contract 6: alone, padded with anything, and in any batch in any order, the logits of a sequence are the same."""
    kind: dict[str, object] = {"layers": stack} if cell == "stack" else {"cell": cell, "layers": layers}
    model = make_model(
        **kind, bidirectional=bidirectional, pooling=pooling, positions=positions, kernel_size=kernel_size,
        pooling_heads=pooling_heads,
    )  # fmt: skip
    chosen = sequences(lengths)
    order = data.draw(st.permutations(range(len(chosen))))
    for precision, limit in {"single": 1e-5, "double": 1e-10}.items():
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
    """Of the weights: a batch gives the sum of what its sequences give alone."""
    model = make_model(cell=cell, pooling=pooling).double()
    chosen = [sequence.double() for sequence in sequences([3, 7, 1])]
    model(*padded(chosen, extra=4, garbage=float("nan"))).square().sum().backward()
    together = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    for sequence in chosen:
        model(sequence[None], torch.tensor([len(sequence)])).square().sum().backward()
    for parameter, expected in zip(model.parameters(), together, strict=True):
        alone = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(alone, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_video_of_one_step_has_an_answer_and_a_gradient(cell: str, pooling: str) -> None:
    model = make_model(cell=cell, pooling=pooling)
    logits = model(torch.randn(2, 1, 5), torch.tensor([1, 1]))
    logits.square().sum().backward()
    assert bool(logits.isfinite().all())
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("pooling", ["mean", "max", "attention", "mixture"])
@pytest.mark.parametrize("cell", CELLS)
def test_nan_in_a_video_is_nan_in_its_logits_and_in_no_other(cell: str, pooling: str) -> None:
    """Never a number that looks like an answer, and never a whole batch lost to one video."""
    model = make_model(cell=cell, pooling=pooling)
    batch, lengths = padded(sequences([6, 4, 6]), extra=1, garbage=0.0)
    with torch.inference_mode():
        expected = model(batch, lengths)
        batch[1, 2, 0] = float("nan")
        found = model(batch, lengths)
    assert bool(found[1].isnan().all())
    torch.testing.assert_close(found[[0, 2]], expected[[0, 2]])


@pytest.mark.parametrize("cell", [*CELLS])
def test_step_logits_are_the_output_of_each_state(cell: str) -> None:
    """So their mean over the true steps is the logits of mean pooling; the logits beside them are those of forward."""
    model = make_model(cell=cell, pooling="mean").double()
    chosen = [sequence.double() for sequence in sequences([3, 7, 1])]
    batch, lengths = padded(chosen, extra=2, garbage=float("nan"))
    with torch.inference_mode():
        logits, of_steps = model.with_step_logits(batch, lengths)
        assert torch.equal(logits, model(batch, lengths))
    assert of_steps.shape == (3, 9, 3)
    for row, sequence in enumerate(chosen):
        torch.testing.assert_close(of_steps[row, : len(sequence)].mean(0), logits[row])


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "mingru", "minlstm", "transformer", "tcn"])
def test_a_temporal_model_sees_the_order_of_time_and_mean_pooling_does_not(cell: str) -> None:
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
    assert {name.partition(".")[0] for name, _ in model.named_parameters()} == {"layers", "output"}
    assert model.state_dict()["layers.runs.0.cell.weight_ih_l0"].shape == (24, 5)


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
        (
            (1, 0, 5),
            [0],
            "lengths [0] must be 1 numbers from 1 to 0; a video without frames cannot be classified",
        ),
        ((0, 4, 5), [], "features have shape (0, 4, 5): a batch needs at least one sequence"),
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
