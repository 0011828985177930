"""`vidrnn.evaluation.classification` against scikit-learn and brute force."""

import json

import numpy as np
import pytest
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
from vidrnn.evaluation.classification import ClassificationMetrics, measure_classification
from vidrnn.evaluation.resampling import share_interval

LABELS = tuple(f"c{i}" for i in range(8))


def predictions(n: int, classes: int, *, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, classes)), rng.integers(0, classes, size=n)


def metrics_of(scores: Array, targets: Array, **changes: object) -> ClassificationMetrics:
    groups = [f"g{i}" for i in range(len(targets))]
    values = {"labels": LABELS[: scores.shape[1]], "groups": groups} | changes
    return measure_classification(scores, targets, **values)  # type: ignore[arg-type]


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


def test_the_interval_is_that_of_a_share_over_groups() -> None:
    scores, targets = predictions(30, 4)
    groups = [f"g{i // 5}" for i in range(30)]
    right = (scores.argmax(axis=1) == targets).astype(np.float64)
    assert metrics_of(scores, targets, groups=groups).interval == share_interval(right, np.ones(30), groups=groups)
    alone = metrics_of(scores, targets, groups=["one"] * 30)
    assert alone.as_dict()["top1_interval"] == [None, None]
