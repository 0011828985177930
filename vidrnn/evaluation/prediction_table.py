"""Reads predictions.csv, as ``crossval`` and ``evaluate`` write it: the answers for each video, and what is true."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

from vidrnn.errors import ComparisonError, MissingPathError
from vidrnn.names import original, quoted
from vidrnn.settings.model import Head
from vidrnn.stages import stage

Row = Mapping[str, str]
_SHOWN_COLUMNS = 8

COLUMNS: dict[Head, tuple[str, ...]] = {
    "label": ("label", "predicted", "score", "correct"),
    "transcript": ("labels", "predicted", "edits"),
    "multilabel": ("labels", "predicted"),
    "step_labels": ("step", "label", "predicted", "score"),
    "step_multilabel": ("step", "labels", "unseen", "predicted"),
    "regression": ("target", "predicted"),
    "step_regression": ("step", "target", "predicted"),
}
"""The columns of each head, in front of its probabilities; ``transcript`` before ``multilabel``, with whose columns it
begins."""


@dataclass
class VideoAnswers:
    """What a model answered for one video.

    Attributes:
        group: of the video.
        rows: one, or one per step; the `COLUMNS` of the head.
        probabilities: a (classes,) array for each row.
    """

    group: str
    rows: list[Row] = field(default_factory=list)
    probabilities: list[npt.NDArray[np.float32]] = field(default_factory=list)


@dataclass(frozen=True)
class PredictionTable:
    """The content of predictions.csv.

    Attributes:
        head: what was answered.
        labels: the class names that have a column of probabilities, in the order of the outputs.
        by_seed: seed to path to the answers for that video; all seeds have the same videos.
        has_groups: whether the file tells groups and seeds; earlier versions wrote neither, and then each video is a
            group of its own.
    """

    head: Head
    labels: tuple[str, ...]
    by_seed: dict[int, dict[str, VideoAnswers]]
    has_groups: bool

    @property
    def seeds(self) -> tuple[int, ...]:
        """Rising."""
        return tuple(sorted(self.by_seed))


@stage("read predictions.csv")
def read_table(folder: Path) -> PredictionTable:
    """Read the predictions.csv of a folder.

    Raises:
        MissingPathError: the folder has no such file.
        ComparisonError: the file is of another kind, or damaged.
    """
    path = folder / "predictions.csv"
    if not path.is_file():
        raise MissingPathError(
            f"{path} does not exist; give the --output folder of `vidrnn crossval` or `vidrnn evaluate`"
        )
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _read(file, path)
    except ComparisonError:
        raise
    except (ValueError, csv.Error) as error:
        raise ComparisonError(f"{path} is damaged ({error}); write it again with the command that made it") from error


def read_classes(folder: Path) -> tuple[Head, tuple[str, ...]]:
    """The head, and the classes that have a column of probabilities, from the first line of a predictions.csv.

    Raises:
        MissingPathError, ComparisonError: as `read_table`. UnicodeDecodeError, csv.Error, OSError: it cannot be read.
    """
    path = folder / "predictions.csv"
    if not path.is_file():
        raise MissingPathError(f"{path} does not exist")
    with path.open(newline="", encoding="utf-8-sig") as file:
        header = next(csv.reader(file), [])
    head = _head_of(header, path)
    return head, _classes(header, *_span(header, head))


def _span(header: Sequence[str], head: Head) -> tuple[int, int]:
    """Which columns hold probabilities: the first of them, and the one behind the last."""
    return 1 + len(COLUMNS[head]), len(header) - (2 if _has_groups(header) else 0)


def _has_groups(header: Sequence[str]) -> bool:
    return list(header[-2:]) == ["group", "seed"]


def _classes(header: Sequence[str], first: int, last: int) -> tuple[str, ...]:
    return tuple(original(column.removeprefix("p_")) for column in header[first:last])


def _read(file: TextIO, path: Path) -> PredictionTable:
    lines = csv.reader(file)
    header = next(lines, [])
    head = _head_of(header, path)
    columns, has_groups = COLUMNS[head], _has_groups(header)
    first, last = _span(header, head)
    found: dict[int, dict[str, VideoAnswers]] = {}
    kept: dict[str, str] = {}  # a name that stands in many cells is in memory once
    for line in lines:
        if len(line) != len(header):
            raise ValueError(f"line {lines.line_num} has more or fewer cells than the header")
        cells = [*map(original, line[:first]), *line[first:last], *map(original, line[last:])]
        group, seed = (cells[-2], int(cells[-1])) if has_groups else (cells[0], 0)
        videos, name = found.setdefault(seed, {}), kept.setdefault(cells[0], cells[0])
        if (video := videos.get(name)) is None:
            video = videos[name] = VideoAnswers(kept.setdefault(group, group))
        row = {column: kept.setdefault(cell, cell) for column, cell in zip(columns, cells[1:first], strict=True)}
        # Steps count up from 0 in every video; heads without steps have one row.
        if int(row.get("step", 0)) != len(video.rows):
            raise ValueError(f"line {lines.line_num} repeats {quoted(name)} of seed {seed}, or leaves steps out")
        video.rows.append(row)
        video.probabilities.append(np.fromiter(map(float, cells[first:last]), np.float32))
    if not found:
        raise ValueError("it holds no video")
    _refuse_other_facts(found, truth_column(head))
    return PredictionTable(head, _classes(header, first, last), found, has_groups)


def _refuse_other_facts(found: Mapping[int, Mapping[str, VideoAnswers]], truth: str) -> None:
    """All seeds answer for the same videos, of which the same is true."""
    seeds = sorted(found)
    facts = [
        {path: (video.group, [row[truth] for row in video.rows]) for path, video in found[seed].items()}
        for seed in seeds
    ]
    for seed, others in zip(seeds, facts, strict=True):
        if others != facts[0]:
            raise ValueError(f"seeds {seeds[0]} and {seed} have different videos, groups or truths")


def _head_of(header: Sequence[str], path: Path) -> Head:
    for head, columns in COLUMNS.items():
        if tuple(header[: len(columns) + 1]) == ("path", *columns):
            return head
    if of_semicolons(header):
        raise ComparisonError(f"{path} cannot be read: {of_semicolons(header)}")
    raise ComparisonError(
        f"{path} has the columns {describe_columns(header)}, which no head has; write it again with `vidrnn crossval` "
        "or `vidrnn evaluate`"
    )


def of_semicolons(header: Sequence[str]) -> str:
    """What to do about a file whose header is one cell with semicolons, as some spreadsheets write; else empty."""
    if len(header) != 1 or ";" not in header[0]:
        return ""
    return "its cells are separated by semicolons; save it as CSV with commas"


def describe_columns(header: Sequence[str]) -> str:
    """The first columns of a file, for messages."""
    if not header:
        return "of an empty file"
    return ", ".join(header[:_SHOWN_COLUMNS]) + (" ..." if len(header) > _SHOWN_COLUMNS else "")


def truth_column(head: Head) -> str:
    """The column with what is true."""
    return next(column for column in COLUMNS[head] if column in {"label", "labels", "target"})


def names_in(cell: str) -> list[str]:
    """The class names of a cell that holds any number of them."""
    return cell.split("|") if cell else []
