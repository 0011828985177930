"""`vidrnn.evaluation.metrics`: the metrics of a head are those of its decoded answers."""

import json
import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

from tests.worlds import Array
from vidrnn.evaluation.classification import measure_classification
from vidrnn.evaluation.metrics import HEADLINES, headline, measure_outputs, sigmoid, softmax
from vidrnn.evaluation.multilabel import measure_multilabel
from vidrnn.evaluation.regression import measure_regression
from vidrnn.evaluation.segmentation import measure_segmentation
from vidrnn.evaluation.step_multilabel import measure_step_multilabel
from vidrnn.evaluation.transcripts import measure_transcripts
from vidrnn.settings.model import Head

LABELS = ("arm", "background", "leg")
GROUPS = ("x", "x", "y", "z")
TOTALS = (5, 1, 7, 2)


def measured(head: Head, outputs: Any, truth: Any, **rest: Any) -> Any:
    return measure_outputs(head, outputs, truth, labels=LABELS, groups=GROUPS[: len(truth)], bootstrap=30, **rest)


def logits(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def test_one_label_is_the_likeliest() -> None:
    outputs, truth = logits(4, 3), [np.int64(number) for number in (0, 2, 1, 1)]
    expected = measure_classification(outputs, np.asarray([0, 2, 1, 1]), labels=LABELS, groups=GROUPS)
    found = measured("label", list(outputs), truth)
    assert found.as_dict() == expected.as_dict()
    assert headline("label", found) == np.mean(
        [output.argmax() == true for output, true in zip(outputs, truth, strict=True)]
    )


@pytest.mark.parametrize("thresholds", [None, (0.9, 0.2, 0.5)])
def test_any_number_of_labels_are_those_above_their_thresholds(thresholds: tuple[float, ...] | None) -> None:
    """One half for all where none is chosen; the headline does not depend on them."""
    outputs, truth = logits(4, 3), np.asarray([[1, 0, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0]], dtype=np.float32)
    probabilities = np.asarray([[1 / (1 + math.exp(-float(logit))) for logit in row] for row in outputs])
    cuts = np.asarray(thresholds or (0.5, 0.5, 0.5))
    expected = measure_multilabel(probabilities, truth > 0, labels=LABELS, groups=GROUPS, thresholds=cuts, bootstrap=30)
    found = measured("multilabel", list(outputs), list(truth), thresholds=thresholds)
    values, wanted = found.as_dict(), expected.as_dict()
    assert values == wanted
    assert headline("multilabel", found) == wanted["mean_average_precision"]
    right = [((row >= cuts) == (true > 0)).all() for row, true in zip(probabilities, truth, strict=True)]
    assert found.exact_match == np.mean(right)


@pytest.mark.parametrize("thresholds", [None, (0.9, 0.2, 0.5)])
def test_sets_of_labels_at_steps_are_measured_on_probabilities(thresholds: tuple[float, ...] | None) -> None:
    """One half for all where none is chosen, as for labels of videos."""
    outputs = [logits(total, 3) for total in TOTALS]
    truth = [np.random.default_rng(total).integers(0, 2, (total, 3)).astype(np.float32) for total in TOTALS]
    truth[0][0] = np.nan
    expected = measure_step_multilabel(
        [1 / (1 + np.exp(-output.astype(np.float64))) for output in outputs],
        truth,
        labels=LABELS,
        groups=GROUPS,
        thresholds=np.asarray(thresholds or (0.5, 0.5, 0.5)),
        bootstrap=30,
    )
    found = measured("step_multilabel", outputs, truth, thresholds=thresholds)
    assert found.as_dict() == expected.as_dict()
    assert headline("step_multilabel", found) == expected.mean_average_precision


@pytest.mark.parametrize("labels", [LABELS, ("0", "1", "2")])
def test_labels_of_steps_leave_the_segments_of_the_background_out(labels: tuple[str, ...]) -> None:
    """Where no class has that name, as while a fit validates, all segments count; the accuracy is of all steps."""
    outputs = [logits(total, 3) for total in TOTALS]
    truth = [np.random.default_rng(total).integers(0, 3, total) for total in TOTALS]
    found = measure_outputs("step_labels", outputs, truth, labels=labels, groups=GROUPS, bootstrap=30)
    answers = [output.argmax(axis=1) for output in outputs]
    expected = measure_segmentation(
        answers, truth, labels=labels, groups=GROUPS, background=1 if labels == LABELS else None
    )
    assert found.as_dict() == expected.as_dict()
    right = [int(a == b) for row, true in zip(answers, truth, strict=True) for a, b in zip(row, true, strict=True)]
    assert headline("step_labels", found) == sum(right) / sum(TOTALS)
    assert found.n == 4


def test_transcripts_are_read_from_the_best_path() -> None:
    """The blank is the output behind the classes; what fills a true transcript up is no label."""
    outputs = [np.eye(4)[path] for path in ([3, 0, 0, 3, 0, 2], [3, 3], [1], [2, 1, 1, 0])]
    truth = [np.asarray(row) for row in ([0, 0, 2], [-1, -1, -1], [1, 0, -1], [2, 0, -1])]
    predicted, meant = [[0, 0, 2], [], [1], [2, 1, 0]], [[0, 0, 2], [], [1, 0], [2, 0]]
    expected = measure_transcripts(predicted, meant, labels=LABELS, groups=GROUPS)
    found = measured("transcript", outputs, truth)
    assert found.as_dict() == expected.as_dict()
    assert headline("transcript", found) == 2 / 7  # one label is missing, one is too many


def test_numbers_are_measured_as_they_are() -> None:
    outputs, truth = [np.asarray([value]) for value in (1.0, 2.5, -3.0, 0.0)], [1.5, 2.5, 1.0, 0.25]
    expected = measure_regression(np.asarray([1.0, 2.5, -3.0, 0.0]), np.asarray(truth), groups=GROUPS)
    found = measured("regression", outputs, [np.float32(number) for number in truth])
    assert found.as_dict() == expected.as_dict()
    assert headline("regression", found) == (0.5 + 0.0 + 4.0 + 0.25) / 4


def test_numbers_of_steps_are_measured_where_they_are_known() -> None:
    """Steps of one video stand or fall together in the interval; ``n`` counts videos, as for every other head."""
    outputs = [logits(total, 1) for total in TOTALS]
    truth = [np.random.default_rng(total).normal(size=total).astype(np.float32) for total in TOTALS]
    truth[0][1:3] = np.nan
    truth[3][:] = np.nan
    pairs = [
        (float(a), float(b), group)
        for output, true, group in zip(outputs, truth, GROUPS, strict=True)
        for a, b in zip(output[:, 0], true, strict=True)
        if not math.isnan(b)
    ]
    predicted, meant, groups = zip(*pairs, strict=True)
    expected = measure_regression(np.asarray(predicted), np.asarray(meant), groups=groups)
    found = measured("step_regression", outputs, truth)
    assert found.as_dict() == expected.as_dict() | {"n": 4}
    assert headline("step_regression", found) == pytest.approx(np.mean([abs(a - b) for a, b, _ in pairs]))


def test_steps_without_any_known_number_have_no_figure() -> None:
    """As a fold may; it must not end a cross-validation."""
    found = measured("step_regression", [logits(3, 1), logits(1, 1)], [np.full(3, np.nan), np.full(1, np.nan)])
    assert math.isnan(headline("step_regression", found))
    values = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert values.pop("n") == 2
    assert values.pop("mae_interval") == [None, None]
    assert set(values.values()) == {None}


@pytest.mark.parametrize(
    ("head", "outputs", "truth"),
    [
        ("multilabel", [logits(3)] * 2, [np.zeros(3)] * 2),
        ("transcript", [np.eye(4)[[3, 3]]] * 2, [np.full(2, -1)] * 2),
    ],
)
def test_a_headline_that_is_not_defined_is_nan(head: Head, outputs: Any, truth: Any) -> None:
    assert math.isnan(headline(head, measured(head, outputs, truth)))


def test_a_single_class_is_measured() -> None:
    """Nothing can go wrong in it, and nothing may divide by zero."""
    rest: Any = {"labels": ["arm"], "groups": ["x", "y"], "bootstrap": 5}
    assert headline("label", measure_outputs("label", [logits(1)] * 2, [np.int64(0)] * 2, **rest)) == 1.0
    shares = [np.asarray([1.0]), np.asarray([0.0])]
    assert headline("multilabel", measure_outputs("multilabel", shares, shares, **rest)) == 1.0


@pytest.mark.parametrize("head", get_args(Head))
def test_the_headline_of_every_head_has_an_interval_and_stands_in_the_json(head: Head) -> None:
    outputs: dict[str, Any] = {
        "label": [logits(3)] * 4,
        "multilabel": [logits(3)] * 4,
        "step_labels": [logits(5, 3)] * 4,
        "step_multilabel": [logits(5, 3)] * 4,
        "transcript": [logits(5, 4)] * 4,
        "regression": [logits(1)] * 4,
        "step_regression": [logits(5, 1)] * 4,
    }
    truth: dict[str, Any] = {
        "label": [np.int64(2)] * 4,
        "multilabel": [np.ones(3)] * 4,
        "step_labels": [np.ones(5, dtype=np.int64)] * 4,
        "step_multilabel": [np.ones((5, 3))] * 4,
        "transcript": [np.asarray([2, 0])] * 4,
        "regression": [np.float32(1.0)] * 4,
        "step_regression": [np.ones(5, dtype=np.float32)] * 4,
    }
    found = measured(head, outputs[head], truth[head])
    name, values = HEADLINES[head].name, json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert values[name] == pytest.approx(headline(head, found))
    assert values[f"{name}_interval"] == pytest.approx(list(found.interval))
    assert found.interval[0] <= headline(head, found) + 1e-12
    assert found.interval[1] >= headline(head, found) - 1e-12


@configure(deadline=None)
@given(st.lists(st.floats(-700, 700), min_size=1, max_size=6))
def test_probabilities_equal_their_formulas(values: list[float]) -> None:
    shares = [math.exp(value - max(values)) for value in values]
    np.testing.assert_allclose(softmax(np.asarray(values)), [share / sum(shares) for share in shares], rtol=1e-12)
    np.testing.assert_allclose(
        sigmoid(np.asarray(values)), [1 / (1 + math.exp(-value)) for value in values], rtol=1e-12
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_probabilities_of_extreme_logits_do_not_overflow(dtype: Any) -> None:
    largest = float(np.finfo(dtype).max) / 4
    with np.errstate(all="raise", under="ignore"):
        assert sigmoid(np.asarray([-largest, 0.0, largest], dtype=dtype)).tolist() == [0.0, 0.5, 1.0]
        found = softmax(np.asarray([[-largest, largest, 0.0], [largest, largest, -largest]], dtype=dtype))
    assert found.tolist() == [[0.0, 1.0, 0.0], [0.5, 0.5, 0.0]]
    assert found.dtype == np.float64
