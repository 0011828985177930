"""``training.window_s``: long videos in windows, whose memory is the window's and whose state is the video's."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.worlds import Array, sequence_set, tiny_model, tiny_training
from vidrnn.errors import TrainingError
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.sequences.alignment import align
from vidrnn.sequences.inputs import running_means
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.steps import StepChoice, choose_steps
from vidrnn.sequences.targets import IGNORED, Targets, known_answers
from vidrnn.settings.base import validate
from vidrnn.settings.model import Head
from vidrnn.settings.run import RunSettings
from vidrnn.training import trainer
from vidrnn.training.fit import Checkpointing, FitResult, fit
from vidrnn.training.objective import Objective
from vidrnn.training.predict import PredictOptions, predict
from vidrnn.training.windows import windows_of

RATE = 10.0  # steps a second, see `sequence_set`
CLASSES = 3


def make_set(arrays: list[Array], targets: list[Array]) -> SequenceSet:
    """Videos with a target at every step."""
    made = sequence_set(arrays, [0] * len(arrays))
    offsets = torch.tensor(np.cumsum([0, *map(len, arrays)])[:-1])
    return replace(made, targets=Targets(torch.from_numpy(np.concatenate(targets)), offsets))


def random_set(head: Head, lengths: tuple[int, ...] = (11, 4, 7), *, seed: int = 0) -> SequenceSet:
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=(length, 5)) for length in lengths]
    if head == "step_labels":
        return make_set(arrays, [rng.integers(-1, CLASSES, length) for length in lengths])
    if head == "step_multilabel":
        return make_set(arrays, [rng.integers(0, 2, (length, CLASSES)).astype(np.float32) for length in lengths])
    return make_set(arrays, [np.where(rng.random(length) < 0.2, np.nan, rng.normal(size=length)) for length in lengths])


def learn(train: SequenceSet, *, window: int | None, model: dict[str, Any], **training: Any) -> FitResult:
    settings = tiny_training(
        **{"steps": None, "window_s": None if window is None else window / RATE, "batch_size": 8} | training
    )
    model_settings = tiny_model(**{"head": "step_labels", "inputs": ("features",)} | model)
    return fit(train, None, num_classes=CLASSES, model_settings=model_settings, settings=settings)


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=5), size=st.integers(1, 40), context=st.integers(0, 12)
)
def test_every_step_counts_once_and_windows_are_as_long_as_said(lengths: list[int], size: int, context: int) -> None:
    """Whatever ends when; what is read around them is what stands there, and no more than the context."""
    choice = choose_steps(torch.tensor(lengths), None)
    counted: list[list[int]] = [[] for _ in lengths]
    progress = -1.0
    for window in windows_of(choice, size=size, context=context):
        first, last = window.counted
        assert 0 <= first <= context and last - first <= size
        assert progress < window.progress < 1.0
        progress = window.progress
        for row, indices, length in zip(window.rows, window.choice.indices, window.choice.lengths, strict=True):
            read = indices[: int(length)].tolist()
            assert read == list(range(read[0], read[0] + len(read)))
            assert len(read) <= last + context
            counted[int(row)] += read[first:last]
    assert counted == [list(range(length)) for length in lengths]


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("cell", ["gru", "mingru", "tcn"])
def test_a_window_that_is_longer_than_the_videos_changes_nothing(cell: str, *, bidirectional: bool) -> None:
    """The same updates: equal to the bit in both directions, and but for rounding from a state."""
    train, model = random_set("step_labels"), {"cell": cell, "bidirectional": bidirectional}
    whole = learn(train, window=None, model=model, epochs=3)
    windows = learn(train, window=40, model=model, epochs=3)
    assert windows.history[-1]["updates"] == whole.history[-1]["updates"] == 3
    for one, other in zip(whole.last.values(), windows.last.values(), strict=True):
        if bidirectional:
            assert torch.equal(one, other)
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("head", "changes"),
    [
        ("step_labels", {"cell": "gru"}),
        ("step_labels", {"cell": "lstm", "stages": 2}),
        ("step_labels", {"cell": "transformer", "attention_window": 4}),
        ("step_labels", {"cell": "tcn", "layers": 2}),
        ("step_multilabel", {"cell": "mingru"}),
        ("step_regression", {"cell": "mingru"}),
    ],
)
def test_each_window_goes_on_where_its_video_was(head: Head, changes: dict[str, Any]) -> None:
    """The loss of every window is that of its steps in the whole videos, also after some of them have ended."""
    train = random_set(head)
    model = {"head": head, "bidirectional": False, "dropout": 0.0} | changes
    row = learn(train, window=3, model=model, epochs=1, learning_rate=1e-12).history[0]
    settings = tiny_training(steps=None)
    model_settings = tiny_model(**{"inputs": ("features",)} | model)
    torch.manual_seed(settings.seed)
    classes = 0 if head == "step_regression" else CLASSES
    whole = SequenceClassifier(model_settings, dim=train.dims, num_classes=classes).eval()
    objective = Objective(settings, head, train=train, num_classes=classes)
    batch = train.batch(torch.arange(3), choose_steps(train.totals, None), model_settings)
    expected = []
    with torch.no_grad():
        stages = whole.stage_outputs(batch.features, batch.lengths)
    for start in range(0, 11, 3):
        steps = slice(start, start + 3)
        targets = batch.targets[:, steps]
        if known_answers(targets).any():
            expected.append(sum(float(objective(out[:, steps], targets, batch.lengths)) for out in stages))
    assert row["updates"] == len(expected)
    assert row["train_loss"] == pytest.approx(np.mean(expected), rel=1e-4)


def test_in_both_directions_half_a_window_is_read_on_either_side_and_costs_nothing() -> None:
    """The loss of a window is that of its steps, from what stands in and around it alone."""
    train, model_settings = random_set("step_labels", (12,)), tiny_model(head="step_labels", inputs=("features",))
    model_settings = model_settings.model_copy(update={"dropout": 0.0})
    settings = tiny_training(steps=None)
    row = learn(train, window=4, model={"dropout": 0.0}, epochs=1, learning_rate=1e-12).history[0]
    torch.manual_seed(settings.seed)
    model = SequenceClassifier(model_settings, dim=train.dims, num_classes=CLASSES).eval()
    objective = Objective(settings, "step_labels", train=train, num_classes=CLASSES)
    expected = []
    for begin, start, stop, end in ((0, 0, 4, 6), (2, 4, 8, 10), (6, 8, 12, 12)):
        choice = StepChoice(torch.arange(begin, end).unsqueeze(0), torch.tensor([end - begin]))
        batch = train.batch(torch.tensor([0]), choice, model_settings)
        targets = batch.targets.clone()
        targets[:, : start - begin] = IGNORED
        targets[:, stop - begin :] = IGNORED
        with torch.no_grad():
            expected.append(float(objective(model(batch.features, batch.lengths), targets, batch.lengths)))
    assert row["train_loss"] == pytest.approx(np.mean(expected), rel=1e-4)


def cues(number: int, *, seed: int) -> tuple[list[Array], list[Array]]:
    """A cue at the end of the first half says which class the second half has; the first half has class 0."""
    rng = np.random.default_rng(seed)
    arrays, targets = [], []
    for i in range(number):
        features = rng.normal(scale=0.1, size=(16, 4))
        features[5:8, 0] += 3.0 if i % 2 else -3.0
        features[8:, 1] += 2.0  # that an answer is due
        arrays.append(features)
        targets.append(np.repeat([0, 1 + i % 2], 8))
    return arrays, targets


def test_a_cue_in_one_window_decides_the_next_which_windows_by_themselves_never_learn() -> None:
    """The state carries it over the cut; the same windows as videos of their own give chance, whole videos no more."""
    (arrays, targets), test = cues(64, seed=0), make_set(*cues(64, seed=1))
    train = make_set(arrays, targets)
    pieces = make_set(
        [array[i : i + 8] for array in arrays for i in (0, 8)], [row[i : i + 8] for row in targets for i in (0, 8)]
    )
    model = {"cell": "gru", "bidirectional": False, "hidden_size": 32, "dropout": 0.0}
    rest: dict[str, Any] = {"model": model, "epochs": 40, "learning_rate": 0.02}
    fits = {
        "windows": learn(train, window=8, **rest),
        "whole": learn(train, window=None, **rest),
        "pieces": learn(pieces, window=None, **rest),
    }
    due = {}
    for name, result in fits.items():
        said = torch.stack(predict(result.model, test, PredictOptions(None)))[:, 8:, :].argmax(2)
        truth = test.targets.values.view(-1, 16)[:, 8:]
        due[name] = float((said == truth).double().mean())
    assert due["windows"] > 0.9, due
    assert due["whole"] > 0.95
    assert due["pieces"] < 0.65


def test_a_resumed_fit_in_windows_is_the_one_that_was_not_stopped(tmp_path: Path) -> None:
    """Updates are counted on, and the learning rate takes the same course."""
    train = random_set("step_labels")
    settings = tiny_training(steps=None, window_s=0.3, epochs=3, batch_size=2, ema_decay=0.9)
    model_settings = tiny_model(head="step_labels", bidirectional=False)
    parts: dict[str, Any] = {"num_classes": CLASSES, "model_settings": model_settings, "settings": settings}
    straight = fit(train, None, **parts)
    rows: list[dict[str, float]] = []

    def stop(row: dict[str, float]) -> None:
        rows.append(row)
        raise KeyboardInterrupt

    place = Checkpointing(tmp_path / "state.safetensors", "run", resume=True)
    with pytest.raises(KeyboardInterrupt):
        fit(train, None, checkpointing=place, on_epoch=stop, **parts)
    resumed = fit(train, None, checkpointing=place, **parts)
    for key in ("updates", "learning_rate", "train_loss"):
        assert [row[key] for row in resumed.history] == [row[key] for row in straight.history]
    assert all(torch.equal(straight.last[name], resumed.last[name]) for name in straight.last)


def test_the_running_mean_of_a_late_window_is_that_of_all_steps_before() -> None:
    """Though only the window is summed step by step."""
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(9000, 3)).astype(np.float16))
    late = StepChoice(torch.arange(8500, 9000).unsqueeze(0), torch.tensor([500]))
    found = running_means(features, torch.tensor([0]), late)
    expected = (features.double().cumsum(0)[8500:] / torch.arange(8501, 9001).unsqueeze(1)).float()
    torch.testing.assert_close(found[0], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("head", "steps"), [("label", None), ("transcript", None), ("step_labels", 24)])
def test_windows_need_answers_at_each_step_and_all_steps(head: Head, steps: int | None) -> None:
    """A configuration that asks for something else is refused."""
    tree = {"data": {"root": "v", "format": "csv", "annotations": "a.csv"}, "model": {"head": head}}
    with pytest.raises(Exception, match=r"training\.window_s 60\.0 needs a head that is taught at each step"):
        validate(RunSettings, tree | {"training": {"window_s": 60.0, "steps": steps}})


def test_layers_that_cannot_go_on_and_videos_without_a_duration_are_refused() -> None:
    """Before the first epoch, with what to do."""
    train = random_set("step_labels")
    with pytest.raises(TrainingError, match=r"train with model\.attention_window.*or leave the window out"):
        learn(train, window=3, model={"cell": "transformer", "bidirectional": False}, epochs=1)
    with pytest.raises(TrainingError, match="no training video says how long it lasts"):
        learn(replace(train, metadata=np.zeros((3, 4))), window=3, model={}, epochs=1)
    assert math.isfinite(learn(train, window=3, model={"cell": "transformer"}, epochs=1).history[0]["train_loss"])


@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_stream_is_hidden_from_a_video_in_all_its_windows_and_another_time_not(*, bidirectional: bool) -> None:
    """The state of a window goes on from what the one before it showed."""
    one = random_set("step_labels", (12, 12, 12, 9))
    other = random_set("step_labels", (12, 12, 12, 9), seed=1)
    grid, _ = align({name: [np.arange(int(steps)) / RATE for steps in one.totals] for name in ("rgb", "text")})
    tables = {"rgb": one.streams["rgb"], "text": other.streams["rgb"]}
    train = replace(one, streams=tables, grid=grid)
    shown: list[torch.Tensor] = []
    draw = trainer.augment

    def watched(*given: Any, **named: Any) -> Any:
        batch = draw(*given, **named)
        shown.append(batch.present)
        return batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "augment", watched)
        learn(train, window=3, model={"bidirectional": bidirectional}, epochs=12, stream_dropout=0.5)
    patterns = [present.any(1).tolist() for present in shown]
    epochs = [patterns[i : i + 4] for i in range(0, len(patterns), 4)]
    assert len(epochs) == 12
    for first, *others in epochs:
        for pattern in others:  # the order of the videos stays; one has ended before the last window
            assert [row for row in pattern if row not in first] == []
        assert others[0] == first == others[1]
    hidden = [row.count(False) for first, *_ in epochs for row in first]
    assert set(hidden) == {0, 1}
