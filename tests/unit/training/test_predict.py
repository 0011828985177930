"""`vidrnn.training.predict`: several answers for one video, averaged as if by hand."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

import vidrnn.training.predict as module
from tests.worlds import Array, rgb, sequence_set, tiny_model, with_rgb
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.ensemble import Ensemble, combine_outputs
from vidrnn.sequences.sequence_set import Batch, SequenceSet
from vidrnn.sequences.steps import StepChoice, choose_steps, nearest_chosen
from vidrnn.settings.base import validate
from vidrnn.settings.evaluation import InferenceSettings
from vidrnn.settings.model import Head
from vidrnn.settings.run import RunSettings
from vidrnn.training.predict import PredictOptions, answer, describe_answers, predict

LENGTHS = [20, 1, 3, 40, 9]


def arrays_of(seed: int) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(length, 5)).astype(np.float16) for length in LENGTHS]


def make_set(*, mirrored: bool = False) -> SequenceSet:
    targets = [0] * len(LENGTHS)
    plain = sequence_set(arrays_of(0), targets)
    return with_rgb(plain, mirrored=rgb(sequence_set(arrays_of(1), targets))) if mirrored else plain


def make_model(head: Head = "label", **changes: object) -> SequenceClassifier:
    torch.manual_seed(0)
    model = tiny_model(head=head, **changes)
    return SequenceClassifier(model, dim=5, num_classes=0 if "regression" in head else 3).eval()


def options(
    *, steps: int | None = 4, draws: int = 1, views: str = "both", average: str = "probabilities"
) -> PredictOptions:
    return PredictOptions(steps, InferenceSettings.model_validate({"draws": draws, "views": views, "average": average}))


def steps_by_hand(total: int, *, steps: int | None, jitter: int) -> torch.Tensor:
    """(S,) steps of answer ``jitter``: the middles first, then places that depend on the number of the answer alone."""
    generator = torch.Generator().manual_seed(jitter) if jitter else None
    return choose_steps(torch.tensor([total]), steps, generator=generator).indices[0]


@torch.inference_mode()
def single_answers(
    model: SequenceClassifier, arrays: Sequence[Array], *, jitter: int, steps: int | None = 4
) -> list[torch.Tensor]:
    """Outputs of each video alone, float64, sliced out of its array."""
    answers = []
    for array in arrays:
        chosen = steps_by_hand(len(array), steps=steps, jitter=jitter)
        features = torch.from_numpy(array)[chosen].float().unsqueeze(0)
        outputs = model(features, torch.tensor([len(chosen)]))[0].double()
        answers.append(outputs[nearest_chosen(chosen, len(array))] if model.per_step else outputs)
    return answers


def average(head: Head, answers: Sequence[torch.Tensor]) -> torch.Tensor:
    if "regression" in head:
        return torch.stack(list(answers)).mean(0)
    if head in {"multilabel", "step_multilabel"}:
        return torch.stack([logits.sigmoid() for logits in answers]).mean(0).logit()
    return torch.stack([logits.softmax(-1) for logits in answers]).mean(0).log()


HEADS: tuple[Head, ...] = ("label", "multilabel", "regression", "step_labels", "step_multilabel", "step_regression")


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("steps", [4, 12, None])
def test_draws_average_so_many_single_answers(head: Head, steps: int | None) -> None:
    model = make_model(head)
    got = predict(model, make_set(), options(steps=steps, draws=3))
    singles = [single_answers(model, arrays_of(0), jitter=jitter, steps=steps) for jitter in range(3)]
    for found, *answers in zip(got, *singles, strict=True):
        torch.testing.assert_close(found.double(), average(head, answers), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("draws", [1, 2])
def test_both_views_average_the_plain_and_the_mirrored_answers(head: Head, draws: int) -> None:
    model = make_model(head)
    got = predict(model, make_set(mirrored=True), options(draws=draws))
    singles = [single_answers(model, arrays_of(view), jitter=jitter) for jitter in range(draws) for view in (0, 1)]
    for found, *answers in zip(got, *singles, strict=True):
        torch.testing.assert_close(found.double(), average(head, answers), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_logits_are_averaged_as_they_are(head: Head) -> None:
    model = make_model(head)
    got = predict(model, make_set(mirrored=True), options(draws=2, average="logits"))
    result = answer(model, make_set(mirrored=True), options(draws=2))
    for found, *answers in zip(got, *result.single, strict=True):
        expected = np.stack(answers, dtype=np.float64).mean(axis=0)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [8, 8192])
@pytest.mark.parametrize("head", HEADS)
def test_the_single_answers_stand_beside_their_average(head: Head, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw by draw, the plain view before the mirrored one, each in the order of the videos, whatever the batches."""
    monkeypatch.setattr(module, "_STEPS_PER_BATCH", batch)
    model, sequences, how = make_model(head), make_set(mirrored=True), options(draws=2)
    result = answer(model, sequences, how)
    singles = [single_answers(model, arrays_of(view), jitter=jitter) for jitter in range(2) for view in (0, 1)]
    for single, expected in zip(result.single, singles, strict=True):
        for one, other in zip(single, expected, strict=True):
            np.testing.assert_allclose(one, other.numpy(), rtol=1e-4, atol=1e-5)
    for averaged, expected_average in zip(result.averaged, predict(model, sequences, how), strict=True):
        np.testing.assert_array_equal(averaged, expected_average.numpy())


def test_the_members_of_an_ensemble_are_one_model() -> None:
    """They give one answer together, and average in probabilities also where draws and views average in logits."""
    members = [make_model(), make_model(hidden_size=8, dropout=0.1)]
    torch.nn.init.normal_(members[1].output.weight)
    result = answer(Ensemble(members), make_set(), options(average="logits"))
    assert len(result.single) == 1
    singles = [single_answers(member, arrays_of(0), jitter=0) for member in members]
    for found, *answers in zip(result.averaged, *singles, strict=True):
        np.testing.assert_allclose(found, average("label", answers).numpy(), rtol=1e-4, atol=1e-5)


def test_the_plain_view_alone_does_not_look_into_the_mirror() -> None:
    """Bit by bit the answers of a set without a mirrored view, and other ones than with it."""
    model, sequences = make_model(), make_set(mirrored=True)
    plain = predict(model, sequences, options(views="plain"))
    assert all(map(torch.equal, plain, predict(model, make_set(), options())))
    assert not any(map(torch.equal, plain, predict(model, sequences, options(views="both"))))


def test_one_answer_is_that_of_the_middle_steps() -> None:
    model = make_model()
    for output, expected in zip(
        predict(model, make_set(), options()), single_answers(model, arrays_of(0), jitter=0), strict=True
    ):
        torch.testing.assert_close(output.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("head", ["label", "step_labels"])
@pytest.mark.parametrize("steps", [4, None])
def test_the_answers_of_a_video_do_not_depend_on_its_company(
    head: Head, steps: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, in another order, or in batches of another size."""
    model, sequences, how = make_model(head), make_set(mirrored=True), options(steps=steps, draws=3)
    together = predict(model, sequences, how)
    order = [3, 0, 4, 1, 2]
    for position, output in zip(order, predict(model, sequences.subset(order), how), strict=True):
        torch.testing.assert_close(output, together[position], rtol=1e-5, atol=1e-6)
    for position in range(len(LENGTHS)):
        (alone,) = predict(model, sequences.subset([position]), how)
        torch.testing.assert_close(alone, together[position], rtol=1e-5, atol=1e-6)
    monkeypatch.setattr(module, "_STEPS_PER_BATCH", 8)
    for output, expected in zip(predict(model, sequences, how), together, strict=True):
        torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("draws", "mirrored", "views", "members", "expected"),
    [
        (1, False, "both", 1, "from the middle steps"),
        (1, True, "plain", 1, "from the middle steps"),
        (1, True, "both", 1, "from the middle steps, over both views"),
        (4, False, "both", 3, "averaged over 4 draws of steps, over 3 members"),
    ],
)
def test_a_protocol_says_which_answers_were_averaged(
    draws: int, mirrored: bool, views: str, members: int, expected: str
) -> None:
    tree = {
        "data": {"root": "videos"},
        "features": {"mirrored": mirrored},
        "training": {"members": members},
        "inference": {"draws": draws, "views": views},
    }
    assert describe_answers(validate(RunSettings, tree)) == f"one answer per video {expected}"


@pytest.mark.parametrize(
    ("draws", "expected"), [(1, "from the middle steps"), (3, "averaged over 3 draws of steps, in logits")]
)
def test_a_protocol_names_the_logits_only_where_something_is_averaged(draws: int, expected: str) -> None:
    tree = {"data": {"root": "videos"}, "inference": {"draws": draws, "average": "logits"}}
    assert describe_answers(validate(RunSettings, tree)) == f"one answer per video {expected}"


def test_the_drawn_places_are_always_the_same_and_differ_between_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[StepChoice] = []
    ask = module._ask

    def spy(model: SequenceClassifier, totals: torch.Tensor, choice: StepChoice, batch: Batch):
        seen.append(choice)
        return ask(model, totals, choice, batch)

    monkeypatch.setattr(module, "_ask", spy)
    model = make_model()
    first = predict(model, make_set(), options(draws=3))
    torch.rand(9)
    assert all(map(torch.equal, first, predict(model, make_set(), options(draws=3))))
    for jitter, (one, again) in enumerate(zip(seen[:3], seen[3:], strict=True)):
        assert torch.equal(one.indices, again.indices)
        for row, length, total in zip(one.indices, one.lengths, LENGTHS, strict=True):
            assert torch.equal(row[:length], steps_by_hand(total, steps=4, jitter=jitter))
    assert len({tuple(choice.indices[3].tolist()) for choice in seen}) == 3


def test_a_transcript_is_that_of_one_draw_and_view() -> None:
    """The one that `vidrnn.models.ensemble` finds likeliest among them; of the chosen steps."""
    model, sequences, how = make_model("transcript"), make_set(mirrored=True), options(draws=2)
    result = answer(model, sequences, how)
    assert [output.shape for output in result.averaged] == [(min(length, 4), 4) for length in LENGTHS]
    for got, *single in zip(result.averaged, *result.single, strict=True):
        outputs = [torch.from_numpy(output)[None] for output in single]
        expected = combine_outputs("transcript", outputs, lengths=torch.tensor([len(got)]))
        np.testing.assert_array_equal(got, expected[0].numpy())
        assert any(np.array_equal(got, output) for output in single)


def test_members_draws_and_views_together_are_one_average_over_all() -> None:
    """The mean of means over equally many is the mean over all, on the scale of probabilities."""
    members = [make_model(), make_model(hidden_size=8, dropout=0.1)]
    torch.nn.init.normal_(members[1].output.weight)
    got = predict(Ensemble(members), make_set(mirrored=True), options(draws=2))
    singles = [
        single_answers(member, arrays_of(view), jitter=jitter)
        for member in members for view in (0, 1) for jitter in (0, 1)
    ]  # fmt: skip
    for found, *answers in zip(got, *singles, strict=True):
        torch.testing.assert_close(found.double(), average("label", answers), rtol=1e-4, atol=1e-5)
