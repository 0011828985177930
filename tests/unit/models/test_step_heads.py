"""`vidrnn.models.classifier` with other heads than one label: sizes, steps, and the scale of numbers."""

import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

from tests.worlds import tiny_model
from vidrnn.models.classifier import SequenceClassifier, num_outputs
from vidrnn.settings.model import STEP_HEADS, Head

CELLS = ("rnn", "gru", "lstm", "mingru", "minlstm", "transformer", "tcn", "none")


def make_model(head: Head, *, dim: int = 5, **settings: object) -> SequenceClassifier:
    """Three classes, or numbers of which the mean is 40 and the deviation 5."""
    torch.manual_seed(0)
    numbers = "regression" in head
    model = SequenceClassifier(tiny_model(head=head, **settings), dim=dim, num_classes=0 if numbers else 3).eval()
    if numbers:
        assert model.scale is not None
        model.scale.copy_(torch.tensor([40.0, 5.0]))
    return model


def padded(chosen: list[torch.Tensor], *, extra: int, garbage: float) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([len(sequence) for sequence in chosen])
    batch = torch.full((len(chosen), int(lengths.max()) + extra, chosen[0].shape[1]), garbage, dtype=chosen[0].dtype)
    for row, sequence in enumerate(chosen):
        batch[row, : len(sequence)] = sequence
    return batch, lengths


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("label", 3),
        ("multilabel", 3),
        ("step_labels", 3),
        ("step_multilabel", 3),
        ("transcript", 4),
        ("regression", 1),
        ("step_regression", 1),
    ],
)
def test_a_head_gives_its_number_of_outputs_per_video_or_step(head: Head, expected: int) -> None:
    """Transcripts have the blank behind the classes; regressions ask for no class."""
    assert num_outputs(head, 3) == expected
    outputs = make_model(head)(torch.randn(2, 7, 5), torch.tensor([7, 4]))
    assert outputs.shape == ((2, 7, expected) if head in STEP_HEADS else (2, expected))


@pytest.mark.parametrize("head", ["step_labels", "transcript", "step_regression"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", [*CELLS, "stack"])
@configure(max_examples=6, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 17), min_size=1, max_size=5),
    extra=st.integers(0, 4),
    garbage=st.sampled_from([0.0, 1e4, float("nan"), float("inf")]),
    layers=st.integers(1, 2),
    data=st.data(),
)
def test_padding_and_batching_never_change_the_answer_of_a_step(
    head: Head, bidirectional: bool, cell: str, lengths: list[int], extra: int, garbage: float, layers: int,
    data: st.DataObject,
) -> None:  # fmt: skip
    """Contract 6: alone, padded with anything, and in any batch in any order, each true step says the same."""
    kind: dict[str, object] = (
        {"layers": ["gru", "transformer"]} if cell == "stack" else {"cell": cell, "layers": layers}
    )
    model = make_model(head, bidirectional=bidirectional, **kind).double()
    generator = torch.Generator().manual_seed(sum(lengths))
    chosen = [torch.randn(length, 5, generator=generator, dtype=torch.float64) for length in lengths]
    order = data.draw(st.permutations(range(len(chosen))))
    with torch.inference_mode():
        together = model(*padded([chosen[i] for i in order], extra=extra, garbage=garbage))
        for row, position in enumerate(order):
            alone = model(chosen[position][None], torch.tensor([len(chosen[position])]))[0]
            assert (together[row, : len(alone)] - alone).abs().max() < 1e-9


@pytest.mark.parametrize("head", get_args(Head))
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_true_steps_do_not_see_the_padding(head: Head, cell: str) -> None:
    model = make_model(head, cell=cell).double()
    chosen = [torch.randn(length, 5, dtype=torch.float64) for length in (3, 6, 1)]

    def cost(outputs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        if head not in STEP_HEADS:
            return outputs.square().sum()
        return outputs[torch.arange(outputs.shape[1]) < lengths.unsqueeze(1)].square().sum()

    batch, lengths = padded(chosen, extra=3, garbage=float("nan"))
    cost(model(batch, lengths), lengths).backward()  # type: ignore[no-untyped-call]
    together = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    for sequence in chosen:
        length = torch.tensor([len(sequence)])
        cost(model(sequence[None], length), length).backward()  # type: ignore[no-untyped-call]
    for parameter, expected in zip(model.parameters(), together, strict=True):
        alone = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(alone, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("head", get_args(Head))
@pytest.mark.parametrize("cell", CELLS)
def test_one_step_has_an_answer_and_a_gradient(head: Head, cell: str) -> None:
    model = make_model(head, cell=cell)
    outputs = model(torch.randn(2, 1, 5), torch.tensor([1, 1]))
    outputs.square().sum().backward()
    assert bool(outputs.isfinite().all())
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("head", get_args(Head))
@pytest.mark.parametrize("length", [0, 8])
def test_a_row_that_is_all_padding_or_too_long_is_refused(head: Head, length: int) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the whole message is compared below
        make_model(head)(torch.zeros(2, 7, 5), torch.tensor([7, length]))
    assert str(caught.value) == (
        f"lengths [7, {length}] must be 2 numbers from 1 to 7; a video without frames cannot be classified"
    )


@pytest.mark.parametrize("head", get_args(Head))
def test_nan_in_a_video_is_in_no_other(head: Head) -> None:
    """Every step sees it through a bidirectional layer, so all of that video's outputs are nan."""
    model = make_model(head)
    batch, lengths = torch.randn(3, 6, 5), torch.tensor([6, 6, 6])
    with torch.inference_mode():
        expected = model(batch, lengths)
        batch[1, 2, 0] = math.nan
        found = model(batch, lengths)
    assert bool(found[1].isnan().all())
    torch.testing.assert_close(found[[0, 2]], expected[[0, 2]])


@pytest.mark.parametrize("head", ["step_labels", "step_multilabel", "step_regression"])
def test_a_step_of_a_causal_model_depends_on_none_that_come_later(head: Head) -> None:
    model = make_model(head, bidirectional=False)
    steps, lengths = torch.randn(1, 9, 5), torch.tensor([9])
    with torch.inference_mode():
        before = model(steps, lengths)
        steps[0, 5:] = torch.randn(4, 5)
        after = model(steps, lengths)
    torch.testing.assert_close(after[0, :5], before[0, :5])
    assert not torch.allclose(after[0, 5:], before[0, 5:])


@pytest.mark.parametrize("head", ["regression", "step_regression"])
def test_numbers_are_given_in_their_own_unit(head: Head) -> None:
    """The output layer speaks in deviations from the mean; both are part of the weights, and are not trained."""
    model = make_model(head)
    steps, lengths = torch.randn(2, 6, 5), torch.tensor([6, 3])
    with torch.inference_mode():
        found = model(steps, lengths)
        assert model.scale is not None
        model.scale.copy_(torch.tensor([0.0, 1.0]))
        plain = model(steps, lengths)
    torch.testing.assert_close(found, plain * 5.0 + 40.0)
    assert "scale" in model.state_dict()
    assert "scale" not in dict(model.named_parameters())


@pytest.mark.parametrize("head", ["label", "multilabel", "step_labels", "step_multilabel", "transcript"])
def test_logits_have_no_scale(head: Head) -> None:
    """So a model file of one label holds what it always held."""
    model = make_model(head)
    assert model.scale is None
    assert "scale" not in model.state_dict()


@pytest.mark.parametrize("head", sorted(STEP_HEADS))
def test_an_answer_for_every_step_has_no_pooling(head: Head) -> None:
    """No parameter of the model is without gradient."""
    model = make_model(head, pooling="attention")
    assert not [name for name in model.state_dict() if name.startswith("pooling")]
    model(torch.randn(2, 6, 5), torch.tensor([6, 3])).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("head", ["multilabel", "regression"])
def test_outputs_of_single_steps_average_to_those_of_mean_pooling(head: Head) -> None:
    """Numbers included, as deviations: they are scaled after pooling and at every step alike."""
    model = make_model(head, pooling="mean").double()
    batch, lengths = padded([torch.randn(length, 5, dtype=torch.float64) for length in (3, 7)], extra=1, garbage=9.0)
    with torch.inference_mode():
        outputs, of_steps = model.with_step_logits(batch, lengths)
        assert torch.equal(outputs, model.unscaled(batch, lengths))
    for row, length in enumerate((3, 7)):
        torch.testing.assert_close(of_steps[row, :length].mean(0), outputs[row])
