"""`vidrnn.evaluation.metrics` against scikit-learn and brute force."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    precision_score,
    recall_score,
    top_k_accuracy_score,
)

from tests.worlds import Array
from vidrnn.evaluation.metrics import Metrics, measure
from vidrnn.evaluation.resampling import bootstrap_interval

LABELS = tuple(f"c{i}" for i in range(8))


def predictions(n: int, classes: int, *, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, classes)), rng.integers(0, classes, size=n)


def metrics_of(scores: Array, targets: Array, **changes: object) -> Metrics:
    groups = [f"g{i}" for i in range(len(targets))]
    values = {"labels": LABELS[: scores.shape[1]], "groups": groups, "bootstrap": 20} | changes
    return measure(scores, targets, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(4))
def test_metrics_equal_scikit_learn(seed: int) -> None:
    scores, targets = predictions(60, 8, seed=seed)
    found, predicted = metrics_of(scores, targets), scores.argmax(1)
    present = sorted(set(targets.tolist()))
    assert found.n == 60
    assert found.top1 == pytest.approx(accuracy_score(targets, predicted))
    assert found.top5 == pytest.approx(top_k_accuracy_score(targets, scores, k=5, labels=range(8)))
    assert found.mean_class_accuracy == pytest.approx(balanced_accuracy_score(targets, predicted))
    assert found.macro_f1 == pytest.approx(
        f1_score(targets, predicted, labels=present, average="macro", zero_division=0.0)
    )
    np.testing.assert_array_equal(found.confusion, confusion_matrix(targets, predicted, labels=range(8)))
    for name, function in (("recall", recall_score), ("precision", precision_score), ("f1", f1_score)):
        expected = function(targets, predicted, labels=range(8), average=None, zero_division=0.0)
        assert [getattr(row, name) for row in found.per_class] == pytest.approx(expected)
    assert [row.n for row in found.per_class] == np.bincount(targets, minlength=8).tolist()


def test_a_class_that_does_not_occur_counts_in_no_average() -> None:
    scores = np.eye(4)[[0, 1, 1, 3]]
    found = metrics_of(scores, np.asarray([0, 1, 1, 0]))
    assert found.mean_class_accuracy == pytest.approx((0.5 + 1.0) / 2)
    assert found.macro_f1 == pytest.approx((2 / 3 + 1.0) / 2)
    assert [row.n for row in found.per_class] == [2, 2, 0, 0]


@pytest.mark.parametrize("classes", [2, 4, 5])
def test_top_5_of_at_most_five_classes_is_always_right(classes: int) -> None:
    assert metrics_of(*predictions(20, classes)).top5 == 1.0


def test_ties_go_to_the_first_class_in_top_1_and_top_5() -> None:
    scores = np.zeros((8, 8))
    found = metrics_of(scores, np.arange(8))
    assert found.top1 == 1 / 8
    assert found.top5 == 5 / 8


def test_the_order_of_scores_is_all_that_counts() -> None:
    """Logits and their softmax measure the same."""
    scores, targets = predictions(30, 6)
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    assert metrics_of(scores, targets).as_dict() == metrics_of(probabilities, targets).as_dict()


def test_metrics_are_plain_json() -> None:
    found = metrics_of(*predictions(10, 3))
    values = json.loads(json.dumps(found.as_dict()))
    assert set(values) == {
        "n", "top1", "top5", "mean_class_accuracy", "macro_f1", "top1_interval", "per_class", "confusion",
    }  # fmt: skip
    assert sum(map(sum, values["confusion"])) == 10


def brute_force_interval(values: Array, groups: list[str], *, resamples: int, seed: int) -> tuple[float, float]:
    """Draw whole groups and pool the values of all drawn ones, one resample at a time."""
    names = sorted(set(groups))
    members = {name: [value for value, group in zip(values, groups, strict=True) if group == name] for name in names}
    means = []
    for drawn in np.random.default_rng(seed).integers(0, len(names), size=(resamples, len(names))):
        pooled = [value for number in drawn for value in members[names[number]]]
        means.append(sum(pooled) / len(pooled))
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


@configure(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcd")), min_size=1, max_size=20), st.integers(0, 3))
def test_the_interval_equals_brute_force(rows: list[tuple[bool, str]], seed: int) -> None:
    values, groups = np.asarray([float(right) for right, _ in rows]), [group for _, group in rows]
    found = bootstrap_interval(values, groups, resamples=30, seed=seed)
    assert found == pytest.approx(brute_force_interval(values, groups, resamples=30, seed=seed))


def test_the_interval_holds_the_mean_and_is_reproducible() -> None:
    values = np.random.default_rng(0).integers(0, 2, size=50).astype(np.float64)
    groups = [f"g{i // 5}" for i in range(50)]
    low, high = bootstrap_interval(values, groups, resamples=500, seed=3)
    assert low < values.mean() < high
    assert (low, high) == bootstrap_interval(values, groups, resamples=500, seed=3)
    assert (low, high) != bootstrap_interval(values, groups, resamples=500, seed=4)


def test_one_group_gives_a_point() -> None:
    """There is nothing to resample: the interval says nothing about other groups and does not pretend to."""
    assert bootstrap_interval(np.asarray([1.0, 0.0, 1.0, 1.0]), ["a"] * 4, resamples=100) == (0.75, 0.75)


def test_videos_of_one_group_stand_or_fall_together() -> None:
    """Ten copies of each video in its group widen nothing and narrow nothing."""
    values = np.asarray([1.0, 0.0, 1.0, 0.0, 1.0])
    apart = bootstrap_interval(values, list("abcde"), resamples=400)
    copied = bootstrap_interval(np.repeat(values, 10), [group for group in "abcde" for _ in range(10)], resamples=400)
    assert copied == pytest.approx(apart)
