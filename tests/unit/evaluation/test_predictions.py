"""`vidrnn.evaluation.predictions`: what each head writes beside the truth."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidrnn.evaluation.predictions import write_predictions
from vidrnn.settings.model import Head

LABELS = ("run, fast", 'say "hi"', "сидеть")


def logits(*shares: float) -> Any:
    return np.log(np.asarray(shares))


def table(path: Path, head: Head, outputs: list[Any], truth: list[Any], **rest: Any) -> list[list[str]]:
    names = ["a b.mp4", "c,d.mp4"][: len(outputs)]
    write_predictions(
        path / "p.csv",
        head=head,
        paths=names,
        groups=["room, 1", "room 2"][: len(outputs)],
        labels=LABELS,
        answers=[(7, outputs)],
        truth=truth,
        **rest,
    )
    with (path / "p.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header[-2:] == ["group", "seed"]
    return [row[:-2] for row in [header, *rows]]


def test_one_label(tmp_path: Path) -> None:
    """Commas, quotes, spaces and letters of any script in paths and labels survive."""
    assert table(tmp_path, "label", [logits(0.7, 0.2, 0.1), logits(0.3, 0.4, 0.3)], [np.int64(0), np.int64(2)]) == [
        ["path", "label", "predicted", "score", "correct", "p_run, fast", 'p_say "hi"', "p_сидеть"],
        ["a b.mp4", "run, fast", "run, fast", "0.700000", "1", "0.700000", "0.200000", "0.100000"],
        ["c,d.mp4", "сидеть", 'say "hi"', "0.400000", "0", "0.300000", "0.400000", "0.300000"],
    ]


def test_any_number_of_labels(tmp_path: Path) -> None:
    outputs = [np.asarray([0.0, 4.0, -4.0]), np.asarray([-9.0, -9.0, -9.0])]
    truth = [np.asarray([1.0, 1.0, 0.0]), np.zeros(3)]
    rows = table(tmp_path, "multilabel", outputs, truth, thresholds=(0.6, 0.5, 0.01))
    assert [row[:3] for row in rows] == [
        ["path", "labels", "predicted"],
        ["a b.mp4", 'run, fast|say "hi"', 'say "hi"|сидеть'],
        ["c,d.mp4", "", ""],
    ]
    assert rows[1][3:] == ["0.500000", "0.982014", "0.017986"]


def test_a_label_for_every_step(tmp_path: Path) -> None:
    outputs = [np.stack([logits(0.5, 0.3, 0.2), logits(0.1, 0.1, 0.8)])]
    assert table(tmp_path, "step_labels", outputs, [np.asarray([0, 1])]) == [
        ["path", "step", "label", "predicted", "score"],
        ["a b.mp4", "0", "run, fast", "run, fast", "0.500000"],
        ["a b.mp4", "1", 'say "hi"', "сидеть", "0.800000"],
    ]


def test_a_step_at_which_nobody_looked_has_no_true_label(tmp_path: Path) -> None:
    rows = table(tmp_path, "step_labels", [np.stack([logits(0.5, 0.3, 0.2)])], [np.asarray([-1])])
    assert rows[1:] == [["a b.mp4", "0", "", "run, fast", "0.500000"]]


def test_sets_of_labels_for_every_step(tmp_path: Path) -> None:
    """Beside what goes on stands what nobody looked for."""
    outputs = [np.asarray([[0.0, 4.0, -4.0], [-9.0, -9.0, -9.0]])]
    truth = [np.asarray([[1.0, 1.0, 0.0], [0.0, np.nan, np.nan]])]
    assert table(tmp_path, "step_multilabel", outputs, truth, thresholds=(0.6, 0.5, 0.01)) == [
        ["path", "step", "labels", "unseen", "predicted", "p_run, fast", 'p_say "hi"', "p_сидеть"],
        ["a b.mp4", "0", 'run, fast|say "hi"', "", 'say "hi"|сидеть', "0.500000", "0.982014", "0.017986"],
        ["a b.mp4", "1", "", 'say "hi"|сидеть', "", *["0.000123"] * 3],
    ]


def test_a_transcript(tmp_path: Path) -> None:
    path = np.eye(4)[[3, 2, 2, 3, 0]]
    assert table(tmp_path, "transcript", [path, path[:1]], [np.asarray([2, 1, 0]), np.asarray([-1, -1, -1])]) == [
        ["path", "labels", "predicted", "edits"],
        ["a b.mp4", 'сидеть|say "hi"|run, fast', "сидеть|run, fast", "1"],
        ["c,d.mp4", "", "", "0"],
    ]


def test_a_number(tmp_path: Path) -> None:
    rows = table(tmp_path, "regression", [np.asarray([1.25]), np.asarray([-3e6])], [np.float32(1.5), np.float32(0.1)])
    assert rows[1:] == [["a b.mp4", "1.5", "1.25"], ["c,d.mp4", "0.100000001", "-3000000"]]


def test_a_number_for_every_step(tmp_path: Path) -> None:
    rows = table(tmp_path, "step_regression", [np.asarray([[1.0], [2.0]])], [np.asarray([np.nan, 2.5])])
    assert rows[1:] == [["a b.mp4", "0", "", "1"], ["a b.mp4", "1", "2.5", "2"]]


def test_every_seed_has_its_rows_and_every_video_its_group(tmp_path: Path) -> None:
    write_predictions(
        tmp_path / "p.csv",
        head="regression",
        paths=["a", "b"],
        groups=["room, 1", "сад"],
        labels=[],
        answers=[(3, [np.ones(1), np.zeros(1)]), (5, [np.full(1, 2.0), np.full(1, 4.0)])],
        truth=[np.float32(1), np.float32(0)],
    )
    with (tmp_path / "p.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["path", "target", "predicted", "group", "seed"],
            ["a", "1", "1", "room, 1", "3"],
            ["b", "0", "0", "сад", "3"],
            ["a", "1", "2", "room, 1", "5"],
            ["b", "0", "4", "сад", "5"],
        ]


def test_rows_that_do_not_match_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter"):
        write_predictions(
            tmp_path / "p.csv",
            head="regression",
            paths=["a", "b"],
            groups=["a", "b"],
            labels=[],
            answers=[(0, [np.ones(1)])],
            truth=[np.float32(1)],
        )
