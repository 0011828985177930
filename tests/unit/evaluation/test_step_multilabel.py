"""`vidrnn.evaluation.step_multilabel` against scikit-learn, loops over steps, and its own figures in special cases."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score

from tests.worlds import Array
from vidrnn.evaluation.step_multilabel import StepMultiLabelMetrics, best_step_thresholds, measure_step_multilabel

LABELS = ("eat", "rest", "run")


def measured(probabilities: Sequence[Array], truth: Sequence[Array], **changes: Any) -> StepMultiLabelMetrics:
    classes = truth[0].shape[1]
    values: dict[str, Any] = {
        "labels": LABELS[:classes],
        "groups": [str(number) for number in range(len(truth))],
        "thresholds": np.full(classes, 0.5),
        "bootstrap": 50,
    }
    return measure_step_multilabel(probabilities, truth, **values | changes)


def world(seed: int, *, videos: int = 6, steps: int = 40, unseen: float = 0.2) -> tuple[list[Array], list[Array]]:
    """Runs of three classes that overlap, scores that know something of them, and stretches that nobody looked at."""
    rng = np.random.default_rng(seed)
    probabilities, truth = [], []
    for _ in range(videos):
        total = int(rng.integers(steps // 2, steps + 1))
        values = (np.cumsum(rng.random((total, 3)) < 0.15, axis=0) % 2).astype(np.float64)
        scores = 1 / (1 + np.exp(-(2 * values - 1 + rng.normal(size=values.shape))))
        values[rng.random(values.shape) < unseen] = np.nan
        if unseen:
            values[: total // 5] = np.nan
        probabilities.append(scores.astype(np.float32))
        truth.append(values)
    return probabilities, truth


def segments_of(steps: Sequence[float]) -> list[tuple[int, int]]:
    """Runs of 1, step by step; nan and 0 end them."""
    found, start = [], None
    for number, value in enumerate([*steps, 0.0]):
        if value == 1 and start is None:
            start = number
        elif value != 1 and start is not None:
            found.append((start, number))
            start = None
    return found


def reference_f1(
    probabilities: Sequence[Array], truth: Sequence[Array], cuts: Sequence[float], overlap: float
) -> float:
    """Lea et al. 2017: each predicted segment goes to the true one that it overlaps most, which takes one only."""
    tp = fp = fn = 0
    for scores, values in zip(probabilities, truth, strict=True):
        for number, cut in enumerate(cuts):
            known = ~np.isnan(values[:, number])
            guesses = segments_of(np.where(known, scores[:, number] >= cut, np.nan).tolist())
            true = segments_of(values[:, number].tolist())
            taken = set()
            for start, end in guesses:
                ious = [
                    max(min(end, last) - max(start, first), 0) / (max(end, last) - min(start, first))
                    for first, last in true
                ]
                best = int(np.argmax(ious)) if ious else -1
                if best >= 0 and ious[best] >= overlap:
                    taken.add(best)
            tp, fp, fn = tp + len(taken), fp + len(guesses) - len(taken), fn + len(true) - len(taken)
    return 2 * tp / (2 * tp + fp + fn)


@pytest.mark.parametrize("unseen", [0.0, 0.2])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_figures_equal_scikit_learn_and_a_loop_over_segments(seed: int, unseen: float) -> None:
    """Over the known steps of all videos together, class by class; what nobody looked at counts nowhere."""
    probabilities, truth = world(seed, unseen=unseen)
    cuts = (0.4, 0.5, 0.7)
    found = measured(probabilities, truth, thresholds=np.asarray(cuts))
    scores, values = np.concatenate(probabilities).astype(np.float64), np.concatenate(truth)
    precisions, decisions, right = [], [], []
    for number, cut in enumerate(cuts):
        known = ~np.isnan(values[:, number])
        positive, column = values[known, number] == 1, scores[known, number]
        precisions.append(average_precision_score(positive, column))
        row = found.per_class[number]
        assert (row.label, row.n) == (LABELS[number], positive.sum())
        assert row.average_precision == pytest.approx(precisions[-1])
        assert row.f1 == pytest.approx(f1_score(positive, column >= cut))
        decisions.append(column >= cut)
        right.append(positive)
    assert found.mean_average_precision == pytest.approx(np.mean(precisions))
    assert found.macro_f1 == pytest.approx(np.mean([row.f1 for row in found.per_class]))
    assert found.micro_f1 == pytest.approx(f1_score(np.concatenate(right), np.concatenate(decisions)))
    assert (found.n, found.steps) == (len(truth), (~np.isnan(values)).any(axis=1).sum())
    for overlap, value in ((0.10, found.f1_10), (0.25, found.f1_25), (0.50, found.f1_50)):
        assert value == pytest.approx(reference_f1(probabilities, truth, cuts, overlap))


def test_a_right_answer_has_every_figure_one() -> None:
    _, truth = world(3, unseen=0.0)
    found = measured([np.where(values == 1, 0.9, 0.1) for values in truth], truth)
    figures = (found.mean_average_precision, found.macro_f1, found.micro_f1, found.f1_10, found.f1_25, found.f1_50)
    assert figures == (1.0,) * 6
    assert found.interval == (1.0, 1.0)


def test_a_constant_answer_has_the_share_of_the_class_as_its_precision() -> None:
    probabilities, truth = world(4)
    found = measured([np.full_like(scores, 0.3) for scores in probabilities], truth)
    for row, share in zip(found.per_class, np.nanmean(np.concatenate(truth), axis=0), strict=True):
        assert row.average_precision == pytest.approx(share)


def test_what_is_said_where_nobody_looked_changes_nothing() -> None:
    probabilities, truth = world(5)
    others = [
        np.where(np.isnan(values), 1 - scores, scores) for scores, values in zip(probabilities, truth, strict=True)
    ]
    assert measured(others, truth) == measured(probabilities, truth)


def test_a_stretch_that_nobody_looked_at_cuts_a_segment_on_both_sides() -> None:
    truth = [np.asarray([[1.0], [1.0], [np.nan], [1.0], [1.0]])]
    found = measured([np.ones((5, 1))], truth)
    assert (found.f1_50, found.steps, found.per_class[0].n) == (1.0, 4, 4)


def test_a_class_that_never_occurs_is_left_out_of_the_mean() -> None:
    """Its row has no average precision; what is said of it still counts against the segments."""
    truth = [np.asarray([[1.0, 0.0], [0.0, 0.0]])]
    found = measured([np.asarray([[0.9, 0.1], [0.1, 0.1]])], truth)
    assert (found.mean_average_precision, found.f1_50, found.micro_f1) == (1.0, 1.0, 1.0)
    assert math.isnan(found.per_class[1].average_precision)
    assert found.as_dict()["per_class"][1]["average_precision"] is None
    loud = measured([np.asarray([[0.9, 0.9], [0.1, 0.9]])], truth)
    assert (loud.mean_average_precision, loud.macro_f1) == (1.0, 1.0)
    assert loud.f1_50 == pytest.approx(2 / 3)


@pytest.mark.parametrize("value", [0.0, math.nan])
def test_videos_without_any_class_have_no_figure_and_end_nothing(value: float) -> None:
    """One step, no label; or nobody looked at all. In JSON these are null."""
    found = measured([np.full((1, 3), 0.1)] * 2, [np.full((1, 3), value)] * 2)
    values = found.as_dict()
    assert (values["n"], values["steps"]) == (2, 0 if math.isnan(value) else 2)
    assert values["mean_average_precision_interval"] == [None, None]
    assert [values[name] for name in ("mean_average_precision", "macro_f1", "f1_10", "f1_50")] == [None] * 4
    assert values["micro_f1"] == 0.0
    assert best_step_thresholds([np.full((1, 3), 0.1)], [np.full((1, 3), value)]).tolist() == [0.5] * 3


def test_one_group_has_no_interval() -> None:
    probabilities, truth = world(6)
    found = measured(probabilities, truth, groups=["g"] * len(truth))
    assert all(map(math.isnan, found.interval))
    assert not math.isnan(found.mean_average_precision)


@pytest.mark.parametrize("most", [500, 60])
def test_the_interval_equals_a_bootstrap_that_copies_the_steps_of_groups(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Exactly while scores are few, and closely where positives share the scores at which a resample looks."""
    monkeypatch.setattr("vidrnn.evaluation.step_multilabel._MOST_CUTS", most)
    probabilities, truth = world(7, videos=8, steps=60)
    groups = ["a", "a", "b", "c", "d", "d", "e", "f"]
    found = measured(probabilities, truth, groups=groups, bootstrap=200, seed=3)
    rng, means = np.random.default_rng(3), []
    names = sorted(set(groups))
    for _ in range(200):
        drawn = [names[number] for number in rng.integers(0, len(names), size=len(names))]
        videos = [number for name in drawn for number, group in enumerate(groups) if group == name]
        means.append(measured([probabilities[v] for v in videos], [truth[v] for v in videos]).mean_average_precision)
    assert found.interval == pytest.approx(
        tuple(np.nanquantile(means, [0.025, 0.975])), abs=1e-9 if most == 500 else 0.01
    )
    assert found.interval[0] < found.mean_average_precision < found.interval[1]


def test_a_threshold_has_the_best_f1_of_known_steps() -> None:
    """No other score that occurs gives a better one."""
    probabilities, truth = world(8)
    found = best_step_thresholds(probabilities, truth)
    scores, values = np.concatenate(probabilities).astype(np.float64), np.concatenate(truth)
    for number, cut in enumerate(found):
        known = ~np.isnan(values[:, number])
        positive, column = values[known, number] == 1, scores[known, number]
        best = max(f1_score(positive, column >= candidate) for candidate in np.unique(column))
        assert f1_score(positive, column >= cut) == pytest.approx(best)


def test_a_threshold_without_positives_or_without_any_known_step_is_one_half() -> None:
    truth = [np.asarray([[0.0, np.nan, 1.0], [0.0, np.nan, 0.0]])]
    found = best_step_thresholds([np.asarray([[0.2, 0.3, 0.4], [0.1, 0.9, 0.1]])], truth)
    assert found.tolist() == [0.5, 0.5, 0.25]


@configure(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(2, 25))
def test_every_figure_is_a_share_or_is_not_defined(seed: int, videos: int, steps: int) -> None:
    probabilities, truth = world(seed, videos=videos, steps=steps, unseen=0.5)
    found = measured(probabilities, truth)
    for value in (found.mean_average_precision, *found.interval, found.macro_f1, found.micro_f1, found.f1_10):
        assert math.isnan(value) or 0.0 <= value <= 1.0


@pytest.mark.parametrize(
    ("probabilities", "truth", "message"),
    [
        ([], [], "0 videos have probabilities, 0 a truth"),
        ([np.zeros((2, 3))], [np.zeros((2, 3))] * 2, "1 videos have probabilities, 2 a truth"),
        (
            [np.zeros((2, 3))],
            [np.zeros((3, 3))],
            r"video 0 has probabilities of shape \(2, 3\) and a truth of \(3, 3\)",
        ),
        ([np.full((2, 3), 1.5)], [np.zeros((2, 3))], "probability 1.5 of video 0 is not between 0 and 1"),
        ([np.full((2, 3), np.nan)], [np.zeros((2, 3))], "probability nan of video 0 is not between 0 and 1"),
    ],
)
def test_what_does_not_fit_is_refused(probabilities: list[Array], truth: list[Array], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        best_step_thresholds(probabilities, truth)


def test_labels_thresholds_and_groups_must_fit() -> None:
    probabilities, truth = world(9)
    for changes in ({"labels": ("eat",)}, {"groups": ["a"]}, {"thresholds": np.full(2, 0.5)}):
        with pytest.raises(ValueError, match="do not fit 6 videos of 3 classes"):
            measured(probabilities, truth, **changes)
