"""How well each video was answered, read from the predictions.csv that ``crossval`` and ``evaluate`` write."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidrnn.errors import ComparisonError, MissingPathError
from vidrnn.names import quoted
from vidrnn.settings.model import Head

Row = Mapping[str, str]


@dataclass(frozen=True)
class VideoFigures:
    """A figure per video, as a part of a whole, so that sum(parts) / sum(wholes) is the figure of them all.

    Attributes:
        head: what was answered.
        seeds: (S,) seeds of the models, rising.
        videos: (n,) paths, sorted.
        groups: (n,) the group of each.
        truth: (n,) the true answer of each, an entry per row of predictions.csv.
        parts: (S, n) the parts that `FIGURES` gives, for instance 1 where the label is right.
        wholes: (n,) the wholes: 1, the labels of the transcript or the classes; 0 where the truth is unknown.
    """

    head: Head
    seeds: tuple[int, ...]
    videos: tuple[str, ...]
    groups: tuple[str, ...]
    truth: tuple[tuple[str, ...], ...]
    parts: npt.NDArray[np.float64]
    wholes: npt.NDArray[np.float64]


@dataclass(frozen=True)
class HeadFigure:
    """The figure per video of a head.

    Attributes:
        title: for people.
        higher_is_better: False for errors.
        truth: column of the true answer.
        columns: the columns of the head, in front of its probabilities.
        of: the rows of one video to part and whole.
    """

    title: str
    higher_is_better: bool
    truth: str
    columns: tuple[str, ...]
    of: Callable[[Sequence[Row]], tuple[float, float]]


def _label(rows: Sequence[Row]) -> tuple[float, float]:
    return float(rows[0]["predicted"] == rows[0]["label"]), 1.0


def _multilabel(rows: Sequence[Row]) -> tuple[float, float]:
    classes = sum(column.startswith("p_") for column in rows[0])
    return classes - len(set(_names(rows[0]["labels"])) ^ set(_names(rows[0]["predicted"]))), classes


def _step_labels(rows: Sequence[Row]) -> tuple[float, float]:
    right = [row["predicted"] == row["label"] for row in rows if row["label"]]
    return (float(np.mean(right)), 1.0) if right else (0.0, 0.0)


def _step_multilabel(rows: Sequence[Row]) -> tuple[float, float]:
    classes = sum(column.startswith("p_") for column in rows[0])
    right = known = 0
    for row in rows:
        unseen = set(_names(row["unseen"]))
        known += classes - len(unseen)
        right += classes - len(unseen | (set(_names(row["labels"])) ^ set(_names(row["predicted"]))))
    return (right / known, 1.0) if known else (0.0, 0.0)


def _transcript(rows: Sequence[Row]) -> tuple[float, float]:
    return float(rows[0]["edits"]), len(_names(rows[0]["labels"]))


def _numbers(rows: Sequence[Row]) -> tuple[float, float]:
    errors = [abs(float(row["predicted"]) - float(row["target"])) for row in rows if row["target"]]
    return (float(np.mean(errors)), 1.0) if errors else (0.0, 0.0)


def _names(cell: str) -> list[str]:
    return cell.split("|") if cell else []


FIGURES: dict[Head, HeadFigure] = {
    "label": HeadFigure("top-1", True, "label", ("label", "predicted", "score", "correct"), _label),
    "transcript": HeadFigure("edits per label", False, "labels", ("labels", "predicted", "edits"), _transcript),
    "multilabel": HeadFigure("share of right decisions", True, "labels", ("labels", "predicted"), _multilabel),
    "step_labels": HeadFigure(
        "frame accuracy per video", True, "label", ("step", "label", "predicted", "score"), _step_labels
    ),
    "step_multilabel": HeadFigure(
        "share of right decisions per video",
        True,
        "labels",
        ("step", "labels", "unseen", "predicted"),
        _step_multilabel,
    ),
    "regression": HeadFigure("absolute error", False, "target", ("target", "predicted"), _numbers),
    "step_regression": HeadFigure(
        "absolute error per video", False, "target", ("step", "target", "predicted"), _numbers
    ),
}
"""What is compared, for each head; ``transcript`` before ``multilabel``, whose columns it begins with."""


def read_figures(folder: Path) -> VideoFigures:
    """Read the predictions.csv of a folder.

    Raises:
        MissingPathError: the folder has no such file.
        ComparisonError: the file is of another kind, is damaged, or was written before it had groups and seeds.
    """
    path = folder / "predictions.csv"
    if not path.is_file():
        raise MissingPathError(
            f"{path} does not exist; give the --output folder of `vidrnn crossval` or `vidrnn evaluate`"
        )
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            head = _head_of(reader.fieldnames or (), path)
            videos = _by_seed_and_video(reader)
        return _figures(videos, head)
    except ComparisonError:
        raise
    except (ValueError, csv.Error) as error:
        raise ComparisonError(f"{path} is damaged ({error}); write it again with the command that made it") from error


def _head_of(columns: Sequence[str], path: Path) -> Head:
    if tuple(columns[-2:]) == ("group", "seed"):
        for head, figure in FIGURES.items():
            if tuple(columns[: len(figure.columns) + 1]) == ("path", *figure.columns):
                return head
    raise ComparisonError(
        f"{path} has the columns {', '.join(columns) or 'of an empty file'}; a comparison needs the columns of one "
        "head, then group and seed: run `vidrnn crossval` or `vidrnn evaluate` again, earlier versions wrote neither"
    )


def _by_seed_and_video(reader: "csv.DictReader[str]") -> dict[int, dict[str, list[Row]]]:
    found: dict[int, dict[str, list[Row]]] = {}
    for row in reader:
        if None in row or None in row.values():
            raise ValueError(f"line {reader.line_num} has more or fewer cells than the header")
        rows = found.setdefault(int(row["seed"]), {}).setdefault(row["path"], [])
        # Steps count up from 0 in every video; heads without steps have one row.
        if int(row.get("step", 0)) != len(rows):
            raise ValueError(
                f"line {reader.line_num} repeats {quoted(row['path'])} of seed {row['seed']}, or leaves steps out"
            )
        rows.append(row)
    if not found:
        raise ValueError("it holds no video")
    return found


def _figures(found: dict[int, dict[str, list[Row]]], head: Head) -> VideoFigures:
    seeds, figure = tuple(sorted(found)), FIGURES[head]
    first = found[seeds[0]]
    videos = tuple(sorted(first))
    facts = {video: _facts(first[video], figure) for video in videos}
    for seed in seeds:
        if {video: _facts(rows, figure) for video, rows in found[seed].items()} != facts:
            raise ValueError(f"seeds {seeds[0]} and {seed} have different videos, groups or truths")
    of = np.asarray([[figure.of(found[seed][video]) for video in videos] for seed in seeds], dtype=np.float64)
    if not np.isfinite(of).all():
        raise ValueError("a prediction is not finite")
    return VideoFigures(
        head=head,
        seeds=seeds,
        videos=videos,
        groups=tuple(facts[video][0] for video in videos),
        truth=tuple(facts[video][1] for video in videos),
        parts=of[:, :, 0],
        wholes=of[0, :, 1],
    )


def _facts(rows: Sequence[Row], figure: HeadFigure) -> tuple[str, tuple[str, ...]]:
    """Group and truth of one video."""
    return rows[0]["group"], tuple(row[figure.truth] for row in rows)
