"""`vidrnn.training.fit` with every head: answers in the order of time, toy tasks learned, resumed to the bit."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

import vidrnn.training.trainer as module
from tests.worlds import Array, rgb, sequence_set, tiny_model, tiny_training, with_rgb
from vidrnn.annotations import Annotation
from vidrnn.errors import TrainingError
from vidrnn.evaluation.metrics import headline, measure_outputs
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.ensemble import Ensemble, Model
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.steps import choose_steps, nearest_chosen
from vidrnn.sequences.targets import IGNORED, Targets
from vidrnn.settings.model import Head
from vidrnn.training.fit import Checkpointing, FitResult, fit
from vidrnn.training.members import fit_members
from vidrnn.training.predict import PredictOptions, predict
from vidrnn.training.trainer import Trainer

HEADS: tuple[Head, ...] = (
    "multilabel", "step_labels", "step_multilabel", "transcript", "regression", "step_regression"
)  # fmt: skip


def make_set(arrays: Sequence[Array], values: torch.Tensor, *, per_step: bool = False) -> SequenceSet:
    plain = sequence_set(arrays, [0] * len(arrays))
    return replace(plain, targets=Targets(values, rgb(plain).offsets if per_step else None))


def toy(head: Head, number: int, *, seed: int) -> tuple[SequenceSet, int]:
    """Videos in which three movements come one after another; each is a direction of its own, with noise.

    Returns:
        The videos with what the head should answer, and the number of classes.
    """
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(99).normal(size=(3, 6))
    arrays, kinds = [], []
    for _ in range(number):
        order = rng.permutation(3)[: rng.integers(1, 4)]
        path = np.repeat(order, rng.integers(3, 6, len(order)))
        arrays.append(directions[path] + rng.normal(scale=0.3, size=(len(path), 6)))
        kinds.append((order, path))
    if head == "multilabel":
        rows = np.stack([np.isin(np.arange(3), order) for order, _ in kinds])
        return make_set(arrays, torch.from_numpy(rows.astype(np.float32))), 3
    if head == "transcript":
        rows = np.stack([np.append(order, [IGNORED] * (3 - len(order))) for order, _ in kinds])
        return make_set(arrays, torch.from_numpy(rows)), 3
    if head == "regression":  # how many seconds of movement 0, in an odd unit
        numbers = [1000.0 + 30.0 * float((path == 0).mean()) for _, path in kinds]
        return make_set(arrays, torch.tensor(numbers)), 0
    flat = np.concatenate([path for _, path in kinds])
    if head == "step_labels":
        return make_set(arrays, torch.from_numpy(flat), per_step=True), 3
    if head == "step_multilabel":  # two movements go on from their beginning to the end, as far as somebody looked
        going = np.concatenate([np.maximum.accumulate(np.eye(3, dtype=np.float32)[path]) for _, path in kinds])
        going[rng.random(going.shape) < 0.2] = np.nan
        return make_set(arrays, torch.from_numpy(going), per_step=True), 3
    numbers = 100.0 + 20.0 * flat
    numbers[rng.random(len(flat)) < 0.2] = np.nan
    return make_set(arrays, torch.from_numpy(numbers.astype(np.float32)), per_step=True), 0


def learn(head: Head, train: SequenceSet, classes: int, val: SequenceSet | None = None, **changes: Any) -> FitResult:
    settings = tiny_training(**{"epochs": 25, "steps": None, "learning_rate": 0.02} | changes.pop("training", {}))
    model = tiny_model(head=head, hidden_size=16)
    return fit(train, val, num_classes=classes, model_settings=model, settings=settings, **changes)


def score(head: Head, outputs: Sequence[Any], truth: SequenceSet, classes: int) -> float:
    groups = [annotation.group for annotation in truth.annotations]
    measured = measure_outputs(
        head,
        [np.asarray(output) for output in outputs],
        truth.targets.per_video(truth.totals),
        labels=[str(number) for number in range(classes)],
        groups=groups,
        bootstrap=1,
    )
    return headline(head, measured)


CHANCE: dict[Head, tuple[float, float]] = {  # what is reached at least, and what answers to noise get at best
    "multilabel": (0.95, 0.85),  # the length of a video tells how many labels it has
    "step_labels": (0.95, 0.45),
    "step_multilabel": (0.95, 0.7),  # the place in the video says how much has begun
    "transcript": (0.1, 0.6),
    "regression": (2.0, 6.0),
    "step_regression": (3.0, 12.0),
}


@pytest.mark.parametrize("head", HEADS)
def test_every_head_learns_what_can_be_seen_and_nothing_where_nothing_can(head: Head) -> None:
    """On other videos; the same fit and test on noise in place of the features show what chance gives."""
    (train, classes), (test, _) = toy(head, 60, seed=0), toy(head, 40, seed=1)
    rng = np.random.default_rng(2)
    blind = with_rgb(train, features=torch.from_numpy(rng.normal(size=rgb(train).features.shape).astype(np.float16)))
    empty = with_rgb(test, features=torch.from_numpy(rng.normal(size=rgb(test).features.shape).astype(np.float16)))
    settings = tiny_training(steps=None)
    seen = score(head, predict(learn(head, train, classes).model, test, PredictOptions(settings.steps)), test, classes)
    guessed = score(
        head, predict(learn(head, blind, classes).model, empty, PredictOptions(settings.steps)), test, classes
    )
    good, chance = CHANCE[head]
    if head in {"multilabel", "step_labels", "step_multilabel"}:
        assert seen >= good > chance >= guessed
    else:
        assert seen <= good < chance <= guessed


@pytest.mark.parametrize("head", HEADS)
def test_validation_measures_the_headline_of_the_head(head: Head) -> None:
    """The row of the log has it under the name that metrics.json has; the loss is that of all videos at once."""
    (train, classes), (val, _) = toy(head, 12, seed=0), toy(head, 10, seed=1)
    result = learn(head, train, classes, val, training={"epochs": 2, "select": "last"})
    names = {
        "multilabel": "mean_average_precision", "step_labels": "frame_accuracy",
        "step_multilabel": "mean_average_precision", "transcript": "label_error_rate",
        "regression": "mae", "step_regression": "mae",
    }  # fmt: skip
    row = result.history[-1]
    assert set(row) == {
        "epoch", "updates", "learning_rate", "train_loss", "gradient_norm_mean", "gradient_norm_max",
        "val_loss", f"val_{names[head]}", "seconds",
    }  # fmt: skip
    outputs = predict(result.model, val, PredictOptions(steps=None))
    assert row[f"val_{names[head]}"] == pytest.approx(score(head, outputs, val, classes))
    truth = val.targets.per_video(val.totals)
    if head == "multilabel":
        logits, wanted = torch.stack(outputs).double().numpy(), np.stack(truth)
        assert row["val_loss"] == pytest.approx((np.logaddexp(0, logits) - wanted * logits).mean(), rel=1e-5)
    if head == "step_multilabel":
        logits, wanted = torch.cat(outputs).double().numpy(), np.concatenate(truth)
        assert row["val_loss"] == pytest.approx(np.nanmean(np.logaddexp(0, logits) - wanted * logits), rel=1e-5)
    if head == "step_labels":
        logits = torch.cat(outputs).double().numpy()
        log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        wanted = np.concatenate(truth)
        assert row["val_loss"] == pytest.approx(-log_p[np.arange(len(wanted)), wanted].mean(), rel=1e-5)
    if "regression" in head:
        numbers = train.targets.values[~train.targets.values.isnan()].double().numpy()
        predicted, wanted = torch.cat(outputs).flatten().double().numpy(), np.hstack(truth).astype(np.float64)
        errors = ((predicted - wanted) / numbers.std())[~np.isnan(wanted)]
        assert row["val_loss"] == pytest.approx(np.square(errors).mean(), rel=1e-4)


def test_a_regression_starts_from_the_mean_and_keeps_its_scale_with_its_weights() -> None:
    """Otherwise numbers far from 0 would cost many epochs of moving a bias."""
    train, _ = toy("regression", 30, seed=0)
    result = learn("regression", train, 0, training={"epochs": 1, "learning_rate": 1e-9})
    values = train.targets.values.double()
    assert result.last["scale"].tolist() == pytest.approx([float(values.mean()), float(values.std(correction=0))])
    outputs = torch.stack(predict(result.model, train, PredictOptions(tiny_training().steps)))
    assert float((outputs - values.mean()).abs().max()) < 3 * float(values.std())


@pytest.mark.parametrize(("offset", "spread"), [(0.0, 1.0), (1000.0, 30.0), (1.7e9, 20.0), (-1e6, 1e-3)])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_numbers_are_learned_alike_wherever_they_lie(offset: float, spread: float, precision: str) -> None:
    """Times since 1970 and seconds of a clip: what is far from 0 is neither learned nor answered in coarse steps."""
    errors = []
    for add, times in ((0.0, 1.0), (offset, spread)):
        train, test = (moved(toy("regression", 40, seed=seed)[0], add, times) for seed in (0, 1))
        result = learn("regression", train, 0, training={"epochs": 10, "precision": precision})
        predicted = torch.stack(predict(result.model, test, PredictOptions(None)))[:, 0].double()
        assert len(predicted.unique()) > 30
        errors.append(float((predicted - test.targets.values).abs().mean()) / times)
    assert errors[1] == pytest.approx(errors[0], rel=0.02)


def moved(sequences: SequenceSet, offset: float, spread: float) -> SequenceSet:
    values = sequences.targets.values.double()
    return replace(sequences, targets=Targets(offset + spread * (values - 1000.0) / 30.0))


LOSS_CHOICES: list[tuple[Head, str]] = [
    *(("label", loss) for loss in ("cross_entropy", "focal")),
    *(("multilabel", loss) for loss in ("binary_cross_entropy", "asymmetric")),
    *(("regression", loss) for loss in ("mse", "huber")),
]


@pytest.mark.parametrize(("head", "loss"), LOSS_CHOICES)
def test_validation_measures_one_loss_whatever_was_minimised(head: Head, loss: str) -> None:
    """Written out in float64; otherwise a search would take the loss with the smallest numbers for the best."""
    (train, classes), (val, _) = toy("multilabel" if head == "label" else head, 12, seed=0), toy(head, 10, seed=1)
    if head == "label":
        train, val = (
            replace(sequences, targets=Targets(torch.arange(len(sequences)) % 3)) for sequences in (train, val)
        )
        classes = 3
    result = learn(head, train, classes, val, training={"epochs": 1, "loss": loss})
    outputs = torch.stack(predict(result.model, val, PredictOptions(None))).double().numpy()
    truth = val.targets.values.double().numpy()
    if head == "label":
        costs = np.log(np.exp(outputs).sum(1)) - outputs[np.arange(len(truth)), truth.astype(int)]
    elif head == "multilabel":
        costs = np.logaddexp(0.0, outputs) - truth * outputs
    else:
        costs = np.square((outputs[:, 0] - truth) / train.targets.values.double().numpy().std())
    assert result.history[0]["val_loss"] == pytest.approx(costs.mean(), rel=1e-5)


class StoppedError(Exception):
    """What a test raises in the middle of a fit."""


@pytest.mark.parametrize("head", ["step_regression", "transcript"])
def test_a_fit_that_goes_on_ends_with_the_same_bits(tmp_path: Path, head: Head) -> None:
    (train, classes), (val, _) = toy(head, 16, seed=0), toy(head, 8, seed=1)
    training = {"epochs": 4, "jitter": True}
    whole = learn(head, train, classes, val, training=training)
    path = tmp_path / "checkpoint.safetensors"

    def stop(row: dict[str, float]) -> None:
        if row["epoch"] == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        learn(head, train, classes, val, training=training, checkpointing=Checkpointing(path, "f", resume=False),
              on_epoch=stop)  # fmt: skip
    rest: list[float] = []
    continued = learn(
        head, train, classes, val, training=training, checkpointing=Checkpointing(path, "f", resume=True),
        on_epoch=lambda row: rest.append(row["epoch"]),
    )  # fmt: skip
    assert rest == [3.0, 4.0]
    assert whole.last.keys() == continued.last.keys()
    assert all(torch.equal(value, continued.last[name]) for name, value in whole.last.items())
    for before, after in zip(whole.history, continued.history, strict=True):
        assert {k: v for k, v in before.items() if k != "seconds"} == {k: v for k, v in after.items() if k != "seconds"}


@pytest.mark.parametrize(
    ("names", "total", "steps", "message"),
    [
        (("a", "b", "c", "d"), 9, 3, "has 4 labels and needs 4 steps, but the video gives 3"),
        (("a", "a", "a"), 4, 8, "has 3 labels and needs 5 steps, but the video gives 4"),
        (("a", "b"), 1, None, "has 2 labels and needs 2 steps, but the video gives 1"),
    ],
)
@pytest.mark.parametrize("side", ["train", "val"])
def test_a_transcript_that_does_not_fit_into_its_steps_is_refused_before_the_fit(
    names: tuple[str, ...], total: int, steps: int | None, message: str, side: str
) -> None:
    good, _ = toy("transcript", 4, seed=0)
    good = replace(
        good, annotations=tuple(replace(annotation, label="", labels=()) for annotation in good.annotations)
    )  # nothing said: fits everywhere
    good = replace(good, targets=Targets(torch.full((4, 1), IGNORED)))
    numbers = ["abcd".index(name) for name in names]
    bad = make_set([np.zeros((total, 6))], torch.tensor([numbers]))
    bad = replace(bad, annotations=(Annotation("long.mp4", "", None, "g", labels=names),))
    sides = (bad, good) if side == "train" else (good, bad)
    with pytest.raises(TrainingError) as caught:
        learn("transcript", sides[0], 4, sides[1], training={"steps": steps})
    assert str(caught.value) == (
        f"transcript of 'long.mp4' {message}; raise training.steps, or extract at a higher features.rate"
    )


def test_members_together_make_no_worse_transcripts_than_each_alone() -> None:
    """Each puts its labels on steps of its own; the mean of their outputs lost most of them."""
    directions = np.random.default_rng(99).normal(size=(3, 6))
    sides = []
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        orders = [rng.permutation(3) for _ in range(40)]
        held = [np.repeat(order, rng.integers(8, 14, 3)) for order in orders]
        arrays = [directions[path] + rng.normal(size=(len(path), 6)) for path in held]
        sides.append(make_set(arrays, torch.from_numpy(np.stack(orders))))
    settings = tiny_training(epochs=20, steps=None, learning_rate=0.02, members=3)
    model = tiny_model(head="transcript", hidden_size=16)
    fitted = fit_members(sides[0], None, num_classes=3, model_settings=model, settings=settings)
    assert isinstance(fitted.model, Ensemble)

    def error_rate(model: Model) -> float:
        return score("transcript", predict(model, sides[1], PredictOptions(settings.steps)), sides[1], 3)

    alone = [error_rate(member) for member in fitted.model.members if isinstance(member, SequenceClassifier)]
    assert error_rate(fitted.model) <= np.mean(alone)


def test_a_transcript_that_just_fits_is_learned() -> None:
    """Three equal labels take five steps, and have five."""
    sequences = make_set([np.random.default_rng(0).normal(size=(5, 6))], torch.tensor([[0, 0, 0]]))
    sequences = replace(sequences, annotations=(Annotation("a", "", None, "g", labels=("x",) * 3),))
    result = learn("transcript", sequences, 1, training={"epochs": 60})
    assert score("transcript", predict(result.model, sequences, PredictOptions(steps=5)), sequences, 1) == 0.0


@configure(deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=20, unique=True).map(sorted), st.integers(0, 20))
def test_every_cached_step_belongs_to_the_nearest_chosen_one(chosen: list[int], more: int) -> None:
    """The earlier of two at equal distance; against a search through all."""
    total = chosen[-1] + 1 + more
    expected = [min(range(len(chosen)), key=lambda slot: (abs(chosen[slot] - step), slot)) for step in range(total)]
    assert nearest_chosen(torch.tensor(chosen), total).tolist() == expected


def lengths_set() -> tuple[list[Array], SequenceSet]:
    rng = np.random.default_rng(3)
    arrays = [rng.normal(size=(total, 6)).astype(np.float16) for total in (1, 2, 5, 13, 30)]
    return arrays, sequence_set(arrays, [0] * 5)


@pytest.mark.parametrize("steps", [1, 4, None])
@pytest.mark.parametrize("head", ["step_labels", "step_multilabel", "step_regression", "transcript"])
def test_answers_of_steps_are_those_of_each_video_alone(head: Head, steps: int | None) -> None:
    """One per cached step, the nearest chosen one's; transcripts are read from the chosen steps themselves."""
    arrays, sequences = lengths_set()
    torch.manual_seed(0)
    model = SequenceClassifier(tiny_model(head=head), dim=6, num_classes=3).eval()
    found = predict(model, sequences, PredictOptions(steps=steps))
    for array, output in zip(arrays, found, strict=True):
        chosen = choose_steps(torch.tensor([len(array)]), steps).indices[0].tolist()
        with torch.inference_mode():
            alone = model(torch.from_numpy(array[chosen]).float()[None], torch.tensor([len(chosen)]))[0]
        if head != "transcript":
            slots = range(len(chosen))
            nearest = [min(slots, key=lambda slot: (abs(chosen[slot] - step), slot)) for step in range(len(array))]
            alone = alone[nearest]
        torch.testing.assert_close(output, alone, rtol=0, atol=1e-6)
        assert output.dtype == (torch.float64 if head == "step_regression" else torch.float32)


@pytest.mark.parametrize("steps", [4, None])
def test_answers_to_shuffled_steps_come_back_in_the_order_of_time(steps: int | None) -> None:
    """Without temporal layers a step says the same wherever it stands, so shuffling must not show."""
    _, sequences = lengths_set()
    torch.manual_seed(0)
    for cell, equal in (("none", True), ("gru", False)):
        model = SequenceClassifier(tiny_model(head="step_labels", cell=cell), dim=6, num_classes=3).eval()
        plain = torch.cat(predict(model, sequences, PredictOptions(steps=steps)))
        shuffled = torch.cat(predict(model, sequences, PredictOptions(steps=steps, shuffled_time=True)))
        assert torch.allclose(plain, shuffled, atol=1e-6) == equal


def test_targets_follow_shuffled_steps_in_training() -> None:
    """A step can be learned from itself alone, so a fit on shuffled steps learns it as well."""
    (train, classes), (test, _) = toy("step_labels", 40, seed=0), toy("step_labels", 20, seed=1)
    fitted = learn("step_labels", train, classes, shuffled_time=True)
    outputs = predict(fitted.model, test, PredictOptions(steps=None, shuffled_time=True))
    assert score("step_labels", outputs, test, classes) > 0.9


@pytest.mark.parametrize("head", ["label", "multilabel", "step_labels"])
def test_a_single_class_is_a_task_without_a_question(head: Head) -> None:
    """It trains and is measured: its loss is 0 where classes exclude each other."""
    arrays = [np.random.default_rng(number).normal(size=(4, 6)) for number in range(6)]
    if head == "step_labels":
        sequences = make_set(arrays, torch.zeros(24, dtype=torch.int64), per_step=True)
    else:
        values = torch.zeros(6, dtype=torch.int64) if head == "label" else torch.tensor([[0.0], [1.0]] * 3)
        sequences = make_set(arrays, values)
    result = learn(head, sequences, 1, sequences, training={"epochs": 2, "class_weight": "balanced"})
    outputs = predict(result.model, sequences, PredictOptions(tiny_training().steps))
    if head == "multilabel":
        assert math.isfinite(score(head, outputs, sequences, 1))
    else:
        assert score(head, outputs, sequences, 1) == 1.0
        assert result.history[-1]["train_loss"] == 0.0


@pytest.mark.parametrize("head", HEADS)
def test_videos_of_one_step_are_fitted_and_answered(head: Head) -> None:
    """The shortest that there are, beside longer ones in the same batch."""
    train, classes = toy(head, 8, seed=0)
    if head == "transcript":
        train = replace(train, targets=Targets(train.targets.values[:, :1]))
        known = tuple(
            Annotation(annotation.path, "", None, annotation.group, labels=("x",)) for annotation in train.annotations
        )
        train = replace(train, annotations=known)
    short = replace(train, totals=torch.where(torch.arange(8) % 2 == 0, 1, train.totals))
    result = learn(head, short, classes, training={"epochs": 2})
    outputs = predict(result.model, short, PredictOptions(steps=None))
    assert all(bool(output.isfinite().all()) for output in outputs)
    if head in {"step_labels", "step_multilabel", "step_regression"}:
        assert [len(output) for output in outputs] == short.totals.tolist()


@pytest.mark.parametrize("head", HEADS)
def test_features_that_are_no_numbers_stop_the_fit_with_what_to_do(head: Head) -> None:
    train, classes = toy(head, 8, seed=0)
    rgb(train).features[3] = math.nan  # type: ignore[index]  in memory
    with pytest.raises(TrainingError) as caught:
        learn(head, train, classes)
    assert str(caught.value) == (
        "the loss became nan in epoch 1, the largest gradient norm nan; "
        "lower training.learning_rate or training.clip_norm"
    )


@pytest.mark.parametrize("head", HEADS)
def test_a_long_sequence_does_not_inflate_its_batch_and_changes_no_gradient(
    head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven videos of a dozen steps and one of 300: padded together they would be 2400 steps, of 400 that are there."""
    train, classes = with_a_long_one(head)
    settings = tiny_training(steps=None, clip_norm=1e9)
    volumes, gradients = [], []
    for together in (False, True):
        if together:
            monkeypatch.setattr(module, "similar_lengths", lambda lengths: [torch.arange(len(lengths))])
        trainer = module.Trainer(train, classes, tiny_model(head=head, dropout=0.0), settings, shuffled_time=False)
        monkeypatch.setattr(trainer.model, "stage_outputs", watched(trainer.model.stage_outputs, seen := []))
        trainer._descend(torch.arange(8))
        volumes.append(max(seen))
        gradients.append(
            {name: parameter.grad for name, parameter in trainer.model.named_parameters() if parameter.grad is not None}
        )
    assert volumes[1] == 2400
    assert volumes[0] < 700
    for name, gradient in gradients[1].items():
        torch.testing.assert_close(gradients[0][name], gradient, rtol=1e-3, atol=1e-5)


def watched(forward: Callable[..., list[torch.Tensor]], seen: list[int]) -> Callable[..., list[torch.Tensor]]:
    """The same, remembering how many steps each batch has, padding included."""

    def watch(features: torch.Tensor, *rest: torch.Tensor) -> list[torch.Tensor]:
        seen.append(features.shape[0] * features.shape[1])
        return forward(features, *rest)

    return watch


def with_a_long_one(head: Head) -> tuple[SequenceSet, int]:
    """Eight videos of noise with random answers, the first of them far longer than the others."""
    rng = np.random.default_rng(0)
    lengths = [300, *(int(length) for length in rng.integers(9, 16, 7))]
    arrays = [rng.normal(size=(length, 6)) for length in lengths]
    values = {
        "multilabel": torch.from_numpy((rng.random((8, 3)) < 0.5).astype(np.float32)),
        "transcript": torch.from_numpy(rng.integers(0, 3, (8, 2))),
        "regression": torch.from_numpy(rng.normal(size=8).astype(np.float32)),
        "step_labels": torch.from_numpy(rng.integers(0, 3, sum(lengths))),
        "step_multilabel": torch.from_numpy((rng.random((sum(lengths), 3)) < 0.5).astype(np.float32)),
        "step_regression": torch.from_numpy(rng.normal(size=sum(lengths)).astype(np.float32)),
    }[head]
    classes = 0 if head in {"regression", "step_regression"} else 3
    return make_set(arrays, values, per_step=head.startswith("step_")), classes


def test_the_losses_of_all_stages_are_added() -> None:
    """The first epoch of a fit that hardly moves costs what the stages of its first weights cost together."""
    train, classes = toy("step_labels", 6, seed=0)
    model_settings = tiny_model(head="step_labels", stages=3, dropout=0.0)
    settings = tiny_training(epochs=1, steps=None, learning_rate=1e-12, batch_size=6, jitter=False)
    row = fit(train, None, num_classes=classes, model_settings=model_settings, settings=settings).history[0]
    trainer = Trainer(train, classes, model_settings, settings, shuffled_time=False)
    batch = train.batch(torch.arange(6), choose_steps(train.totals, None), model_settings)
    outputs = trainer.model.stage_outputs(batch.features, batch.lengths)
    single = [float(trainer.objective(output.detach(), batch.targets, batch.lengths)) for output in outputs]
    assert row["train_loss"] == pytest.approx(sum(single), rel=1e-4)
    assert min(single) > 0.1
