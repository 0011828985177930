"""`vidrnn.evaluation.multilabel` against scikit-learn and brute force."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

from tests.worlds import Array
from vidrnn.evaluation.multilabel import MultiLabelMetrics, average_precision, best_thresholds, measure_multilabel

ROWS = st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=14)


def world(n: int, classes: int, *, seed: int = 0) -> tuple[Array, Array]:
    """Probabilities with many ties, and a truth that they say something about."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, classes)) < 0.4
    return np.round(np.clip(0.3 * truth + 0.7 * rng.random((n, classes)), 0, 1), 1), truth


def metrics_of(probabilities: Array, truth: Array, **changes: object) -> MultiLabelMetrics:
    n, classes = truth.shape
    values = {
        "labels": [f"c{i}" for i in range(classes)],
        "groups": [f"g{i}" for i in range(n)],
        "thresholds": np.full(classes, 0.5),
        "bootstrap": 20,
    } | changes
    return measure_multilabel(probabilities, truth, **values)  # type: ignore[arg-type]


@configure(deadline=None, max_examples=100)
@given(ROWS)
def test_average_precision_equals_scikit_learn(rows: list[tuple[int, bool]]) -> None:
    """Few different scores: most are ties."""
    scores, truth = np.asarray([[score] for score, _ in rows], dtype=np.float64), np.asarray([[it] for _, it in rows])
    found = average_precision(scores, truth)
    assert found.shape == (1,)
    if truth.any():
        assert found[0] == pytest.approx(average_precision_score(truth[:, 0], scores[:, 0]))
    else:
        assert math.isnan(found[0])


def test_average_precision_by_hand() -> None:
    """Positives at ranks 1 and 3: (1/1 + 2/3) / 2."""
    scores = np.asarray([[0.9], [0.8], [0.7], [0.1]], dtype=np.float32)
    assert average_precision(scores, np.asarray([[True], [False], [True], [False]])) == pytest.approx([5 / 6])


def test_each_class_is_ranked_alone() -> None:
    scores, truth = world(40, 5, seed=3)
    alone = [average_precision(scores[:, [i]], truth[:, [i]])[0] for i in range(5)]
    assert average_precision(scores, truth) == pytest.approx(alone)


def test_average_precision_needs_only_the_order() -> None:
    scores, truth = world(30, 4)
    assert average_precision(np.exp(5 * scores), truth) == pytest.approx(average_precision(scores, truth))


def slow_best_threshold(probabilities: Array, positive: Array) -> float:
    values = sorted(set(probabilities.tolist()))
    if len(values) == 1 or len(set(positive.tolist())) == 1:
        return 0.5
    candidates = [(low + high) / 2 for low, high in pairwise(values)]
    scored = {cut: f1_score(positive, probabilities >= cut, zero_division=0.0) for cut in candidates}
    best = [cut for cut in candidates if scored[cut] == max(scored.values())]
    return min(best, key=lambda cut: abs(cut - 0.5))


@configure(deadline=None, max_examples=80)
@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=12))
def test_the_best_threshold_equals_brute_force(rows: list[tuple[int, bool]]) -> None:
    """Eighths are exact, so equals are equal in both."""
    probabilities, truth = np.asarray([[k / 8] for k, _ in rows]), np.asarray([[positive] for _, positive in rows])
    expected = slow_best_threshold(probabilities[:, 0], truth[:, 0])
    assert best_thresholds(probabilities, truth).tolist() == [expected]


def test_of_equally_good_thresholds_the_one_nearest_to_one_half_is_taken() -> None:
    probabilities = np.asarray([[0.9], [0.7], [0.4], [0.1]])
    truth = np.asarray([[True], [False], [True], [False]])  # F1 2/3, 1/2, 4/5: one best
    assert best_thresholds(probabilities, truth) == pytest.approx([0.25])
    truth = np.asarray([[True], [False], [False], [True]])  # F1 2/3 at 0.8, 1/2 at 0.55, 2/5 at 0.25
    assert best_thresholds(probabilities, truth) == pytest.approx([0.8])
    truth = np.asarray([[False], [False], [False], [True]])  # F1 0 everywhere
    assert best_thresholds(probabilities, truth) == pytest.approx([0.55])


def test_classes_of_one_kind_keep_one_half() -> None:
    probabilities = np.tile(np.asarray([[0.1], [0.2], [0.9]]), (1, 3))
    probabilities[:, 2] = 0.3
    truth = np.asarray([[True, False, True], [True, False, False], [True, False, False]])
    assert best_thresholds(probabilities, truth).tolist() == [0.5, 0.5, 0.5]


def test_neighbouring_floats_are_still_told_apart() -> None:
    """Halfway between them rounds to one of the two, and must not take the lower one along."""
    low = 0.5 + 2.0**-53
    for first in (low, np.nextafter(low, 1), 0.3):
        probabilities = np.asarray([[first], [np.nextafter(first, 1)]])
        threshold = best_thresholds(probabilities, np.asarray([[False], [True]]))
        assert (probabilities >= threshold).tolist() == [[False], [True]]


@pytest.mark.parametrize("seed", range(4))
def test_metrics_equal_scikit_learn(seed: int) -> None:
    probabilities, truth = world(50, 6, seed=seed)
    thresholds = np.linspace(0.3, 0.8, 6)
    found, predicted = metrics_of(probabilities, truth, thresholds=thresholds), probabilities >= thresholds
    assert found.n == 50
    assert found.mean_average_precision == pytest.approx(average_precision_score(truth, probabilities))
    assert found.macro_f1 == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert found.micro_f1 == pytest.approx(f1_score(truth, predicted, average="micro"))
    assert found.exact_match == pytest.approx(np.mean([(a == b).all() for a, b in zip(truth, predicted, strict=True)]))
    for name, function in (("recall", recall_score), ("precision", precision_score), ("f1", f1_score)):
        expected = function(truth, predicted, average=None, zero_division=0.0)
        assert [getattr(row, name) for row in found.per_class] == pytest.approx(expected)
    assert [row.n for row in found.per_class] == truth.sum(axis=0).tolist()
    assert [row.threshold for row in found.per_class] == thresholds.tolist()


def test_a_class_that_does_not_occur_counts_in_no_average() -> None:
    probabilities, truth = world(20, 3)
    truth[:, 1] = False
    found, others = metrics_of(probabilities, truth), metrics_of(probabilities[:, [0, 2]], truth[:, [0, 2]])
    assert math.isnan(found.per_class[1].average_precision)
    assert found.mean_average_precision == pytest.approx(others.mean_average_precision)
    assert found.interval == pytest.approx(others.interval)
    assert found.macro_f1 == pytest.approx(others.macro_f1)
    assert found.micro_f1 < others.micro_f1  # what is wrongly said of it counts there


def test_a_probability_at_the_threshold_is_a_label() -> None:
    found = metrics_of(np.asarray([[0.5], [0.25]]), np.asarray([[True], [False]]))
    assert (found.exact_match, found.per_class[0].recall) == (1.0, 1.0)


@configure(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=9), st.integers(0, 4))
def test_the_interval_equals_brute_force(groups: list[str], seed: int) -> None:
    """Copy the videos of the drawn groups and measure again with scikit-learn."""
    probabilities, truth = world(len(groups), 3, seed=seed)
    names = sorted(set(groups))
    means = []
    for drawn in np.random.default_rng(seed).integers(0, len(names), size=(12, len(names))):
        rows = [row for number in drawn for row, group in enumerate(groups) if group == names[number]]
        occurring = [i for i in range(3) if truth[rows, i].any()]
        if occurring:
            scores = [average_precision_score(truth[rows, i], probabilities[rows, i]) for i in occurring]
            means.append(np.mean(scores))
    found = metrics_of(probabilities, truth, groups=groups, bootstrap=12, seed=seed).interval
    expected = (np.quantile(means, 0.025), np.quantile(means, 0.975)) if means else (math.nan, math.nan)
    assert found == pytest.approx(expected, nan_ok=True)


def test_where_no_label_occurs_no_precision_is_defined() -> None:
    found = metrics_of(np.zeros((3, 2)), np.zeros((3, 2), dtype=bool))
    values = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert values["mean_average_precision"] is None
    assert values["mean_average_precision_interval"] == [None, None]
    assert values["macro_f1"] is None
    assert (values["micro_f1"], values["exact_match"]) == (0.0, 1.0)


def test_metrics_are_plain_json() -> None:
    probabilities, truth = world(12, 3)
    truth[:, 0] = False
    values = json.loads(json.dumps(metrics_of(probabilities, truth).as_dict(), allow_nan=False))
    assert set(values) == {
        "n", "mean_average_precision", "mean_average_precision_interval", "macro_f1", "micro_f1", "exact_match",
        "per_class",
    }  # fmt: skip
    assert values["per_class"][0]["average_precision"] is None
    assert set(values["per_class"][1]) == {
        "label", "n", "average_precision", "precision", "recall", "f1", "threshold",
    }  # fmt: skip


@pytest.mark.parametrize("shape", [(3,), (3, 1), (4, 2), (0, 2)])
def test_shapes_that_do_not_fit_are_named(shape: tuple[int, ...]) -> None:
    truth = np.zeros(shape if shape in {(3,), (0, 2)} else (3, 2), dtype=bool)
    with pytest.raises(ValueError, match=r"scores have shape .* give both as \(n, C\), one row per video"):
        average_precision(np.zeros(shape), truth)


@pytest.mark.parametrize(
    "changes", [{"labels": ["a"]}, {"groups": ["a"]}, {"thresholds": np.zeros(3)}, {"thresholds": np.zeros((1, 2))}]
)
def test_parts_that_do_not_fit_are_named(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"do not fit probabilities of shape \(5, 2\); give 2 labels, 5 groups"):
        metrics_of(*world(5, 2), **changes)


def test_the_truth_is_boolean() -> None:
    with pytest.raises(ValueError, match="truth has type int64, allowed is bool; turn 0 and 1 into it"):
        average_precision(np.zeros((2, 2)), np.zeros((2, 2), dtype=np.int64))  # type: ignore[arg-type]


def test_a_score_that_is_no_number_is_named() -> None:
    with pytest.raises(ValueError, match="scores of row 1 hold nan, which has no rank"):
        average_precision(np.asarray([[0.0], [math.nan]]), np.ones((2, 1), dtype=bool))


@pytest.mark.parametrize("value", [-0.5, 1.5])
def test_logits_are_no_probabilities(value: float) -> None:
    probabilities, truth = np.asarray([[0.5], [value]]), np.asarray([[True], [False]])
    for function in (best_thresholds, metrics_of):
        with pytest.raises(
            ValueError, match=f"probability {value} is not between 0 and 1; put logits through a sigmoid"
        ):
            function(probabilities, truth)
