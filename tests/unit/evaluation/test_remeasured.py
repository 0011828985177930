"""`vidrnn.evaluation.remeasured`: what predictions.csv holds has the metrics that the model had."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidrnn.evaluation.metrics import measure_outputs
from vidrnn.evaluation.prediction_table import read_table
from vidrnn.evaluation.predictions import write_predictions
from vidrnn.evaluation.remeasured import classes_of, measure_table
from vidrnn.settings.model import Head

LABELS = ("background", "wave", "jump", "run")
RNG = np.random.default_rng(0)


def steps(count: int = 6, classes: int = 4) -> Any:
    return RNG.normal(size=(count, classes))


CASES: dict[Head, tuple[list[Any], list[Any]]] = {
    "label": ([*RNG.normal(size=(9, 4))], [*RNG.integers(0, 4, 9)]),
    "multilabel": ([*RNG.normal(size=(9, 4))], [*(RNG.random((9, 4)) < 0.5).astype(float)]),
    "step_labels": ([steps() for _ in range(4)], [np.asarray([0, 0, 1, 2, 3, -1])] * 4),
    "step_multilabel": (
        [steps() for _ in range(4)],
        [np.where(RNG.random((6, 4)) < 0.2, np.nan, RNG.integers(0, 2, (6, 4))) for _ in range(4)],
    ),
    "transcript": ([steps(7, 5) for _ in range(4)], [np.asarray([1, 2, -1]), np.asarray([-1] * 3)] * 2),
    "regression": ([*RNG.normal(size=(9, 1))], [*RNG.normal(size=9)]),
    "step_regression": ([steps(6, 1) for _ in range(4)], [np.asarray([1.0, 2.0, np.nan, 3.0, 4.0, 5.0])] * 4),
}


@pytest.mark.parametrize("head", CASES)
def test_the_metrics_are_those_of_the_outputs(tmp_path: Path, head: Head) -> None:
    """Up to the six digits that the file has."""
    outputs, truth = CASES[head]
    groups = [f"g{number // 2}" for number in range(len(truth))]
    cuts = (0.3, 0.5, 0.6, 0.5) if "multilabel" in head else None
    write_predictions(
        tmp_path / "predictions.csv",
        head=head,
        paths=[f"{number}.mp4" for number in range(len(truth))],
        groups=groups,
        labels=LABELS,
        answers=[(3, outputs)],
        truth=truth,
        thresholds=cuts,
    )
    table = read_table(tmp_path)
    expected = measure_outputs(head, outputs, truth, labels=LABELS, groups=groups, bootstrap=1, thresholds=cuts)
    found = measure_table(table, (3,), thresholds=cuts)
    assert table.head == head and found.n == expected.n
    figures = {name: value for name, value in expected.as_dict().items() if isinstance(value, float)}
    assert {name: found.as_dict()[name] for name in figures} == pytest.approx(figures, abs=1e-5)


def test_classes_without_probabilities_are_those_that_occur(tmp_path: Path) -> None:
    """Of ``step_labels``, with the background in front, as in the model."""
    (tmp_path / "predictions.csv").write_text(
        "path,step,label,predicted,score,group,seed\nx,0,,run,0.5,g,0\nx,1,background,a,0.5,g,0\n"
    )
    assert classes_of(read_table(tmp_path)) == ("background", "a", "run")


def test_a_class_that_the_header_lacks_is_named(tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_text("path,label,predicted,score,correct,p_a,group,seed\nx,b,a,1,0,1,g,0\n")
    with pytest.raises(ValueError, match="class 'b' has no column"):
        measure_table(read_table(tmp_path), (0,))
