"""Several streams in one model: no influence of what is absent, of padding, batching and the order of streams."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

from tests.worlds import tiny_model
from vidrnn.errors import ConfigError
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.fusion import Mixture, masked_softmax
from vidrnn.settings.model import Head

FUSIONS = ("concat", "late", "gated", "cross_attention")
DIMS = {"rgb": 5, "audio": 3, "text": 4}
WIDTH = sum(DIMS.values())


def make_model(fusion: str, *, dims: Mapping[str, int] = DIMS, **changes: object) -> SequenceClassifier:
    torch.manual_seed(0)
    settings = tiny_model(fusion=fusion, **changes)
    model = SequenceClassifier(settings, dim=dims, num_classes=3).eval()
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():  # nothing stays at a value that hides what it does, such as zero
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model


def draw(data: st.DataObject, lengths: list[int]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Features (T, C) and presence (T, streams) of some videos, each with something somewhere."""
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    features = [torch.randn(length, WIDTH, generator=generator) for length in lengths]
    present = [torch.rand(length, len(DIMS), generator=generator) < 0.5 for length in lengths]
    for there in present:
        there[0, data.draw(st.integers(0, 2))] = True
    return features, present


def channels(present: torch.Tensor) -> torch.Tensor:
    return present.repeat_interleave(torch.tensor(list(DIMS.values())), dim=-1)


@pytest.mark.parametrize("head", ["label", "step_labels"])
@pytest.mark.parametrize("fusion", FUSIONS)
@configure(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    extra=st.integers(0, 3),
    garbage=st.sampled_from([0.0, 1e4, float("nan"), float("inf")]),
    cell=st.sampled_from(["gru", "mingru", "transformer", "none"]),
    data=st.data(),
)
def test_what_is_absent_or_padding_or_another_video_never_changes_an_answer(
    fusion: str, head: Head, lengths: list[int], extra: int, garbage: float, cell: str, data: st.DataObject
) -> None:
    """Absent steps hold anything; alone they hold zeros."""
    model = make_model(fusion, head=head, cell=cell).double()
    features, present = draw(data, lengths)
    batch = torch.full((len(lengths), max(lengths) + extra, WIDTH), garbage, dtype=torch.float64)
    shown = torch.ones(*batch.shape[:2], len(DIMS), dtype=torch.bool)
    for row, (stream, there) in enumerate(zip(features, present, strict=True)):
        batch[row, : len(stream)] = stream.double().masked_fill(~channels(there), garbage)
        shown[row, : len(stream)] = there
    with torch.inference_mode():
        together = model(batch, torch.tensor(lengths), shown)
        for row, (stream, there) in enumerate(zip(features, present, strict=True)):
            plain = stream.double() * channels(there)
            alone = model(plain[None], torch.tensor([len(stream)]), there[None])[0]
            assert alone.isfinite().all()
            answer = together[row] if head == "label" else together[row, : len(stream)]
            assert (answer - alone).abs().max() < 1e-10


@pytest.mark.parametrize("fusion", FUSIONS)
def test_gradients_see_nothing_of_what_is_absent(fusion: str) -> None:
    model = make_model(fusion)
    features, present = torch.randn(2, 4, WIDTH), torch.ones(2, 4, 3, dtype=torch.bool)
    present[0, :, 1] = present[1, 2:, 0] = False
    gradients = []
    for garbage in (0.0, float("nan")):
        model.zero_grad()
        model(features.masked_fill(~channels(present), garbage), torch.tensor([4, 3]), present).sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert one is not None and one.isfinite().all() and torch.equal(one, other)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_stream_that_is_there_counts(fusion: str) -> None:
    """Contract 6 would hold for a model that sees nothing."""
    model, features = make_model(fusion), torch.randn(1, 4, WIDTH)
    everything = torch.ones(1, 4, 3, dtype=torch.bool)
    answers = [model(features, torch.tensor([4]), everything)]
    for stream in range(3):
        present = everything.clone()
        present[:, :, stream] = False
        answers.append(model(features, torch.tensor([4]), present))
    assert len({tuple(answer[0].tolist()) for answer in answers}) == 4


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_order_of_streams_does_not_matter(fusion: str) -> None:
    swapped = {name: DIMS[name] for name in ("text", "rgb", "audio")}
    one, other = make_model(fusion), make_model(fusion, dims=swapped)
    features, present = torch.randn(2, 4, WIDTH), torch.ones(2, 4, 3, dtype=torch.bool)
    assert torch.equal(one(features, torch.tensor([4, 2]), present), other(features, torch.tensor([4, 2]), present))
    assert list(one.state_dict()) == list(other.state_dict())


@pytest.mark.parametrize("head", ["label", "regression"])
def test_late_fusion_is_the_mean_of_what_the_streams_say_alone(head: Head) -> None:
    """Each from its own steps, however they lie among those of the others."""
    model = make_model("late", late_weights="average", head=head, stream_inputs={"text": ["features"]})
    assert model.branches is not None
    features, present = (
        torch.randn(1, 5, WIDTH),
        torch.tensor([[[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 0], [1, 0, 0]]]),
    )
    outputs = model(features, torch.tensor([5]), present.bool())
    rgb = model.branches["rgb"](features[:, [0, 1, 3, 4], :5], torch.tensor([4]))
    audio = model.branches["audio"](features[:, [1, 3], 5:8], torch.tensor([2]))
    torch.testing.assert_close(outputs, (rgb + audio) / 2)


def test_late_fusion_of_steps_says_nothing_where_no_stream_is() -> None:
    model = make_model("late", late_weights="average", head="step_labels")
    assert model.branches is not None
    features, present = torch.randn(1, 3, WIDTH), torch.tensor([[[1, 0, 0], [0, 0, 0], [1, 1, 0]]]).bool()
    outputs = model(features, torch.tensor([3]), present)[0]
    rgb = model.branches["rgb"](features[:, [0, 2], :5], torch.tensor([2]))[0]
    audio = model.branches["audio"](features[:, [2], 5:8], torch.tensor([1]))[0]
    torch.testing.assert_close(outputs, torch.stack([rgb[0], torch.zeros(3), (rgb[1] + audio[0]) / 2]))


def test_late_fusion_has_logits_of_steps_too() -> None:
    model = make_model("late", late_weights="average")
    features, present = torch.randn(2, 3, WIDTH), torch.ones(2, 3, 3, dtype=torch.bool)
    of_video, of_steps = model.with_step_logits(features, torch.tensor([3, 3]), present)
    torch.testing.assert_close(of_video, model(features, torch.tensor([3, 3]), present))
    assert of_steps.shape == (2, 3, 3)


def test_learned_weights_are_a_softmax_over_the_streams_that_are_there() -> None:
    mixture = Mixture(3, learned=True)
    assert mixture.scores is not None
    mixture.scores.data = torch.tensor([0.0, 1.0, 5.0])
    outputs, present = torch.tensor([[[1.0], [3.0], [100.0]]]), torch.tensor([[True, True, False]])
    share = 1 / (1 + torch.tensor(1.0).exp())
    torch.testing.assert_close(mixture(outputs, present), (share * 1 + (1 - share) * 3).view(1, 1))


def test_weights_of_nothing_are_zero() -> None:
    scores = torch.tensor([[3.0, -2.0], [1.0, 4.0]], requires_grad=True)
    weights = masked_softmax(scores, torch.tensor([[False, False], [True, False]]), dim=1)
    assert weights.tolist() == [[0.0, 0.0], [1.0, 0.0]]
    weights.sum().backward()
    assert scores.grad is not None and scores.grad.isfinite().all()


def test_one_stream_is_what_it_was_whatever_the_fusion() -> None:
    """Its weights have the same names, so that older model files stay what they are."""
    torch.manual_seed(0)
    plain = SequenceClassifier(tiny_model(), dim=5, num_classes=3).eval()
    features, lengths = torch.randn(2, 4, 5), torch.tensor([4, 2])
    for fusion in FUSIONS:
        torch.manual_seed(0)
        model = SequenceClassifier(tiny_model(fusion=fusion), dim={"rgb": 5}, num_classes=3).eval()
        assert list(model.state_dict()) == list(plain.state_dict())
        assert torch.equal(model(features, lengths), plain(features, lengths))


def test_inputs_are_those_of_the_stream() -> None:
    settings = tiny_model(inputs=["centred", "change"], stream_inputs={"audio": ["features", "change", "centred"]})
    model = SequenceClassifier(settings, dim=DIMS, num_classes=3)
    assert model.widths == {"rgb": 10, "audio": 9, "text": 4}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fusion": "gated", "projection": 0}, "model.fusion 'gated' needs streams of one width"),
        ({"fusion": "cross_attention", "projection": 6}, "into 2 heads of even width; make it a multiple of 4 or"),
    ],
)
def test_widths_that_cannot_be_fused_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny_model(**changes)
