"""`vidrnn.evaluation.report`: files that other programs read, and tables for people."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidrnn.evaluation.calibration import measure_calibration
from vidrnn.evaluation.classification import ClassificationMetrics, measure_classification
from vidrnn.evaluation.report import (
    draw_confusion,
    draw_reliability,
    format_averaging,
    format_calibration,
    format_per_class,
    format_table,
    write_json,
    write_log,
)
from vidrnn.settings.model import Head


def make_metrics(labels: tuple[str, ...], *, n: int = 20) -> ClassificationMetrics:
    rng = np.random.default_rng(0)
    scores, targets = rng.normal(size=(n, len(labels))), rng.integers(0, len(labels), n)
    return measure_classification(scores, targets, labels=labels, groups=[str(i) for i in range(n)])


def test_json_is_utf_8_and_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.json"
    for values in ({"ü": 1}, {"ü": [1.5, None]}):
        write_json(path, values)
        assert json.loads(path.read_text(encoding="utf-8")) == values
    assert "ü" in path.read_text(encoding="utf-8")
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]


def test_json_has_null_where_a_figure_is_not_defined(tmp_path: Path) -> None:
    """The headline of a fold without a true label, for instance; ``NaN`` would be no JSON."""
    nan = float("nan")
    write_json(tmp_path / "a.json", {"a": nan, "b": {"c": [1.5, nan]}, "d": (nan, 2), "e": np.float64("inf")})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    expected = {"a": None, "b": {"c": [1.5, None]}, "d": [None, 2], "e": None}
    assert json.loads(text, parse_constant=pytest.fail) == expected


def test_the_log_has_one_row_per_epoch(tmp_path: Path) -> None:
    write_log(tmp_path / "log.csv", [{"epoch": 1.0, "train_loss": 0.5}, {"epoch": 2.0, "train_loss": 0.25}])
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"epoch": "1.0", "train_loss": "0.5"}, {"epoch": "2.0", "train_loss": "0.25"}]
    write_log(tmp_path / "empty.csv", [])
    assert (tmp_path / "empty.csv").read_text().strip() == "epoch"


def test_a_table_puts_text_to_the_left_and_numbers_to_the_right() -> None:
    assert format_table(["top-1", "accuracy"], [["model", "0.9"], ["majority", "10.25"]]) == (
        "top-1     accuracy\n"
        "--------  --------\n"
        "model          0.9\n"
        "majority     10.25"
    )  # fmt: skip
    assert format_table(["a", "bc"], []) == "a  bc\n-  --"


def test_the_table_per_class() -> None:
    metrics = measure_classification(
        np.eye(2)[[0, 1, 1]], np.asarray([0, 0, 1]), labels=("jump", "walk"), groups=["1", "2", "3"]
    )
    assert format_per_class(metrics) == (
        "class  n  recall  precision     f1\n"
        "-----  -  ------  ---------  -----\n"
        "jump   2   0.500      1.000  0.667\n"
        "walk   1   1.000      0.500  0.667"
    )


@pytest.mark.parametrize(
    "labels",
    [("jump", "walk"), ("$x^$", "costs $5 or $6_"), ("_hidden", "a\\b", "100 %"), tuple(map(str, range(61)))],
    ids=["two", "dollars", "signs", "many"],
)
def test_the_confusion_matrix_is_a_readable_picture(tmp_path: Path, labels: tuple[str, ...]) -> None:
    path = tmp_path / "new" / "c.png"
    draw_confusion(path, make_metrics(labels), title="costs $^$")
    image = cv2.imread(str(path))
    assert image is not None
    assert min(image.shape[:2]) >= 300
    assert image.std() > 5


@pytest.mark.parametrize(
    ("unknown_below", "end"),
    [
        (None, "every video is answered"),
        (0.5, "unknown below 0.500: coverage 1.000, risk 0.333"),
        (2.0, "no score is high enough, all are unknown: coverage 0.000, risk -"),
    ],
)
def test_the_line_of_a_calibration_names_every_figure(unknown_below: float | None, end: str) -> None:
    """Three videos at 3 : 1, one of them wrong: ECE 0.75 - 2/3; at half the temperature they are at 9 : 1."""
    logits, targets = np.log([[3.0, 1.0]] * 3), np.asarray([0, 0, 1])
    values = measure_calibration(logits, targets, temperature=0.5, unknown_below=unknown_below).as_dict()
    assert format_calibration(values) == (
        "temperature 0.500: ECE 0.083 before, 0.233 after; NLL 0.654 before, 0.838 after; "
        f"area under risk-coverage 0.333; {end}"
    )


@pytest.mark.parametrize(
    ("head", "answers_per_video", "expected"),
    [
        ("label", 1, ""),
        (
            "label",
            2,
            "clip top-1 0.500 (each of 2 answers per video by itself), video top-1 0.750 (averaged in logits)",
        ),
        ("regression", 3, "clip MAE 0.500 (each of 3 answers per video by itself), video MAE 0.750 (averaged)"),
    ],
)
def test_clip_and_video_accuracy_are_named_where_they_may_differ(
    head: Head, answers_per_video: int, expected: str
) -> None:
    found = format_averaging(head, clip=0.5, video=0.75, answers_per_video=answers_per_video, scale="logits")
    assert found == expected


@pytest.mark.parametrize("unknown_below", [None, 0.6, 2.0])
@pytest.mark.parametrize("n", [1, 50])
def test_reliability_is_a_readable_picture(tmp_path: Path, n: int, unknown_below: float | None) -> None:
    rng = np.random.default_rng(n)
    logits, targets = rng.normal(size=(n, 3)), rng.integers(0, 3, n)
    measured = measure_calibration(logits, targets, temperature=0.5, unknown_below=unknown_below)
    draw_reliability(tmp_path / "new" / "r.png", logits, targets, measured=measured, title="costs $^$")
    image = cv2.imread(str(tmp_path / "new" / "r.png"))
    assert image is not None
    assert image.shape[0] >= 300
    assert image.shape[1] >= 900
    assert image.std() > 5


@pytest.mark.parametrize("number", [61, 1200])
def test_the_matrix_of_many_classes_has_a_bounded_size(tmp_path: Path, number: int) -> None:
    """1200 classes would be a picture of 65 000 x 65 000 pixels otherwise, and 26 GB."""
    labels = tuple(
        f"class {position} with a rather long name that goes on and on, for $ {'x' * 99}" for position in range(number)
    )
    draw_confusion(tmp_path / "many.png", make_metrics(labels, n=2 * number), title="many")
    height, width = cv2.imread(str(tmp_path / "many.png")).shape[:2]
    assert 1000 < height <= 3000
    assert 1000 < width <= 3000
