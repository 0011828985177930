"""`vidrnn.models.ensemble` and `vidrnn.training.members`: several models that answer as one."""

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.worlds import CPU, LABELS, Array, make_run, order_task, sequence_set, tiny_model, tiny_spec, tiny_training
from vidrnn.evaluation.transcripts import collapse
from vidrnn.experiments.train import train
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.ensemble import Ensemble, average_outputs, combine_outputs
from vidrnn.models.model_file import TrainedModel, load_model, save_model
from vidrnn.settings.data import DataSettings
from vidrnn.settings.model import Head
from vidrnn.settings.run import RunSettings
from vidrnn.training.fit import Checkpointing
from vidrnn.training.members import Fitted, fit_members
from vidrnn.training.predict import PredictOptions, predict

CLASSES: tuple[Head, ...] = ("label", "step_labels")


def log_softmax(logits: Array) -> Array:
    high = logits.max(axis=-1, keepdims=True)
    log_p: Array = logits - high - np.log(np.exp(logits - high).sum(axis=-1, keepdims=True))
    return log_p


def outputs_of(*shape: int, scale: float = 1.0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [scale * torch.randn(*shape, generator=generator) for _ in range(3)]


# Averaging


@pytest.mark.parametrize("head", CLASSES)
@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
def test_classes_are_averaged_as_probabilities(head: Head, scale: float) -> None:
    outputs = outputs_of(5, 7, 4, scale=scale)
    got = average_outputs(head, outputs).double().numpy()
    logs = np.stack([log_softmax(output.double().numpy()) for output in outputs])
    high = logs.max(axis=0)
    np.testing.assert_allclose(got, high + np.log(np.exp(logs - high).mean(axis=0)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.exp(got).sum(axis=-1), 1.0, atol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_labels_are_averaged_as_the_probability_of_each(scale: float) -> None:
    outputs = outputs_of(50, 4, scale=scale)
    got = average_outputs("multilabel", outputs).double().numpy()
    np.testing.assert_array_equal(average_outputs("step_multilabel", outputs).double().numpy(), got)
    expected = np.mean([1 / (1 + np.exp(-output.double().numpy())) for output in outputs], axis=0)
    np.testing.assert_allclose(got, np.log(expected) - np.log1p(-expected), rtol=1e-4, atol=1e-5)


def test_labels_that_all_are_sure_of_stay_finite_and_in_order() -> None:
    """sigmoid(1000) is 1 in any precision, and log(1 - 1) would be infinite."""
    sure, surer = torch.tensor([[1000.0, -1000.0, 500.0]]), torch.tensor([[2000.0, -2000.0, 500.0]])
    got = average_outputs("multilabel", [sure, surer])
    # The mean of 1 - p is half of the larger one, so its logarithm is that one's minus log 2; likewise for p.
    expected = [1000.0 + np.log(2), -1000.0 - np.log(2), 500.0]
    np.testing.assert_allclose(got.numpy()[0], expected, rtol=1e-6)


def test_labels_that_contradict_each_other_surely_are_undecided() -> None:
    got = average_outputs("multilabel", [torch.tensor([[1e4]]), torch.tensor([[-1e4]])])
    assert got.tolist() == [[0.0]]


@pytest.mark.parametrize("head", ["regression", "step_regression"])
def test_numbers_are_averaged_as_they_are(head: Head) -> None:
    outputs = outputs_of(6, 1, scale=1e6)
    expected = np.mean([output.double().numpy() for output in outputs], axis=0)
    np.testing.assert_allclose(average_outputs(head, outputs).numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "head", [*CLASSES, "step_multilabel", "transcript", "multilabel", "regression", "step_regression"]
)
def test_a_single_output_comes_back_as_it_is(head: Head) -> None:
    (only, *_) = outputs_of(4, 6, 3, scale=50.0)
    assert combine_outputs(head, [only], lengths=torch.tensor([6, 6, 1, 2])) is only


def likelihood(logits: Array, transcript: tuple[int, ...]) -> float:
    """Of all paths that collapse to a transcript, one by one in float64 (Graves et al. 2006, eq. 3)."""
    p, blank, total = np.exp(log_softmax(logits)), logits.shape[1] - 1, 0.0
    for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        if tuple(label for label, _ in itertools.groupby(path) if label != blank) == transcript:
            total += float(np.prod(p[np.arange(len(path)), path]))
    return total


@pytest.mark.parametrize("seed", range(5))
def test_of_transcripts_the_likeliest_to_all_is_taken(seed: int) -> None:
    """Rescored by hand over all paths; padding, nan included, says nothing."""
    generator, lengths = torch.Generator().manual_seed(seed), torch.tensor([5, 1, 3])
    outputs = [2 * torch.randn(3, 5, 3, generator=generator) for _ in range(4)]
    for single in outputs:
        single[1, 1:], single[2, 3:] = float("nan"), 100.0
    got = combine_outputs("transcript", outputs, lengths=lengths)
    for row, length in enumerate(lengths.tolist()):
        singles = [output[row, :length].double().numpy() for output in outputs]
        transcripts = [
            tuple(label for label, _ in itertools.groupby(single.argmax(1).tolist()) if label != 2)
            for single in singles
        ]
        likely = [sum(math.log(likelihood(other, transcript)) for other in singles) for transcript in transcripts]
        assert torch.equal(got[row, :length], outputs[int(np.argmax(likely))][row, :length])


def test_labels_that_stand_on_other_steps_in_each_answer_are_not_lost() -> None:
    """Averaged step by step, the blank would be likeliest everywhere, and nothing said."""
    outputs = torch.full((3, 1, 9, 3), -4.0)
    outputs[..., 2] = 4.0
    for number in range(3):
        for label, step in ((0, number), (1, 4 + number)):
            outputs[number, 0, step, label], outputs[number, 0, step, 2] = 4.0, -4.0
    got = combine_outputs("transcript", list(outputs), lengths=torch.tensor([9]))
    assert collapse(got[0].argmax(1).numpy(), blank=2) == [0, 1]


def test_short_floats_are_averaged_in_float32() -> None:
    outputs = [output.bfloat16() for output in outputs_of(4, 3)]
    got = average_outputs("label", outputs)
    assert got.dtype == torch.float32
    assert torch.equal(got, average_outputs("label", [output.float() for output in outputs]))


# The model


def make_ensemble(head: Head = "label", *, members: int = 3, cell: str = "gru") -> Ensemble:
    torch.manual_seed(0)
    model = tiny_model(head=head, cell=cell)
    return Ensemble.create(model, dim=5, num_classes=0 if "regression" in head else 3, members=members).eval()


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "mingru", "transformer", "tcn", "none"])
@pytest.mark.parametrize("head", ["label", "multilabel", "regression", "step_labels", "transcript"])
def test_the_answer_is_the_same_alone_padded_and_in_any_batch(cell: str, head: Head) -> None:
    """Contract 6."""
    ensemble, lengths = make_ensemble(head, cell=cell), torch.tensor([7, 1, 3, 5])
    steps = torch.randn(4, 7, 5, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        together = ensemble(steps, lengths)
        dirty = torch.nn.functional.pad(steps, (0, 0, 0, 4), value=100.0)
        padded = ensemble(dirty, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = ensemble(steps[row : row + 1, :length], lengths[row : row + 1])[0]
            for other in (together[row], padded[row]):
                seen = other[:length] if ensemble.per_step else other
                torch.testing.assert_close(seen, alone, rtol=1e-5, atol=1e-6)


def test_an_ensemble_is_the_average_of_its_members_and_shows_their_settings() -> None:
    ensemble, lengths = make_ensemble("step_labels"), torch.tensor([4, 4])
    steps = torch.randn(2, 4, 5)
    with torch.inference_mode():
        members = [torch.softmax(member(steps, lengths).double(), dim=-1) for member in ensemble.members]
        got = torch.softmax(ensemble(steps, lengths).double(), dim=-1)
    torch.testing.assert_close(got, sum(members) / 3, rtol=1e-5, atol=1e-7)  # type: ignore[arg-type]
    assert ensemble.per_step
    assert ensemble.settings.head == "step_labels"
    assert not make_ensemble("label").per_step


@pytest.mark.parametrize("head", ["label", "regression"])
def test_an_ensemble_comes_back_from_its_file_with_the_same_answers(tmp_path: Path, head: Head) -> None:
    ensemble = make_ensemble(head)
    settings = RunSettings(
        data=DataSettings(root=Path("videos"), format="csv", annotations="a.csv"),
        model=tiny_model(head=head),
        training=tiny_training(members=3),
    )
    labels = replace(LABELS, names=() if head == "regression" else ("a", "b", "c"))
    if head == "regression":
        for number, member in enumerate(ensemble.members):
            assert isinstance(member, SequenceClassifier)
            assert member.scale is not None
            member.scale.copy_(torch.tensor([float(number), 2.0 + number]))  # each has its own
    save_model(TrainedModel(ensemble, labels, tiny_spec(dim=5), settings, {}, {}), tmp_path / "m.safetensors")
    again = load_model(tmp_path / "m.safetensors", device=CPU).classifier
    assert isinstance(again, Ensemble)
    assert not again.training
    steps, lengths = torch.randn(4, 7, 5), torch.tensor([7, 1, 3, 5])
    with torch.inference_mode():
        assert torch.equal(again(steps, lengths), ensemble(steps, lengths))


# The fits


def run(members: int, checkpointing: Checkpointing | None = None, **changes: Any) -> Fitted:
    train_set, val_set = sequence_set(*order_task(16)), sequence_set(*order_task(8, seed=1))
    settings = tiny_training(epochs=3, steps=5, jitter=True, batch_size=6, members=members, seed=4)
    model = tiny_model(dropout=0.3)
    values = {"num_classes": 2, "model_settings": model, "settings": settings, "checkpointing": checkpointing}
    return fit_members(train_set, val_set, **values | changes)


def members_of(model: torch.nn.Module) -> list[SequenceClassifier]:
    assert isinstance(model, Ensemble)
    found: list[SequenceClassifier] = list(model.members)  # type: ignore[arg-type]
    return found


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    mine, other = first.state_dict(), second.state_dict()
    return mine.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in mine.items())


def test_the_first_member_is_the_single_fit_and_no_two_are_alike() -> None:
    alone, together = run(1), run(3)
    assert isinstance(alone.model, SequenceClassifier)
    assert alone.best is not None
    assert together.best is not None
    for single, several in ((alone.model, together.model), (alone.best, together.best), (alone.last, together.last)):
        first, *others = members_of(several)
        assert same(first, single)
        assert not any(same(first, other) for other in others)
        assert not same(*others)
        assert not several.training
    assert together.epochs[0] == alone.epochs[0]
    assert "member" not in alone.history[0]
    assert [(row["member"], row["epoch"]) for row in together.history] == [(m, e) for m in (1, 2, 3) for e in (1, 2, 3)]


def test_a_member_is_the_fit_with_its_own_seed() -> None:
    third = run(1, settings=tiny_training(epochs=3, steps=5, jitter=True, batch_size=6, seed=4 + 2 * 10_007)).model
    assert same(members_of(run(3).model)[2], third)


def test_each_member_keeps_the_epoch_that_was_best_for_it() -> None:
    fitted = run(3)
    losses = {member: [row["val_loss"] for row in fitted.history if row["member"] == member] for member in (1, 2, 3)}
    assert fitted.epochs == tuple(1 + int(np.argmin(losses[member])) for member in (1, 2, 3))
    last = run(2, settings=tiny_training(epochs=3, members=2, select="last"))
    assert last.epochs == (3, 3)
    assert same(last.model, last.last)


class StoppedError(Exception):
    """What a test raises in the middle of a fit."""


@pytest.mark.parametrize("stop", [(1, 2), (2, 1), (3, 3)])
def test_an_ensemble_resumes_in_the_member_and_epoch_where_it_was_stopped(
    tmp_path: Path, stop: tuple[int, int]
) -> None:
    def until(row: dict[str, float]) -> None:
        if (row["member"], row["epoch"]) == stop:
            raise StoppedError

    path, seen = tmp_path / "checkpoint.safetensors", []
    with pytest.raises(StoppedError):
        run(3, Checkpointing(path, "f", resume=False), on_epoch=until)
    resumed = run(
        3, Checkpointing(path, "f", resume=True), on_epoch=lambda row: seen.append((row["member"], row["epoch"]))
    )
    assert seen == [(m, e) for m in (1, 2, 3) for e in (1, 2, 3) if (m, e) > stop]
    whole = run(3)
    assert resumed.best is not None
    assert whole.best is not None
    for mine, other in ((resumed.model, whole.model), (resumed.best, whole.best), (resumed.last, whole.last)):
        assert same(mine, other)
    assert {file.name for file in tmp_path.iterdir()} == {
        "checkpoint.safetensors", "checkpoint_2.safetensors", "checkpoint_3.safetensors",
    }  # fmt: skip


def test_a_run_with_members_is_read_back_as_it_was(tmp_path: Path) -> None:
    settings = make_run(tmp_path, splits=True)
    settings = settings.model_copy(update={"training": tiny_training(members=3)})
    result = train(settings, output=tmp_path / "run")
    sequences, options = sequence_set(*order_task(12, seed=9)), PredictOptions(settings.training.steps)
    for name in ("model", "best", "last"):
        loaded = load_model(tmp_path / "run" / f"{name}.safetensors", device=CPU)
        assert len(members_of(loaded.classifier)) == 3
    read = load_model(tmp_path / "run" / "model.safetensors", device=CPU).classifier
    for got, expected in zip(
        predict(read, sequences, options), predict(result.model.classifier, sequences, options), strict=True
    ):
        assert torch.equal(got, expected)
    assert {file.name for file in (tmp_path / "run").iterdir()} == {file.name for file in result.files}
