"""How well each video was answered, read from the predictions.csv that ``crossval`` and ``evaluate`` write."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidrnn.errors import ComparisonError
from vidrnn.evaluation.prediction_table import PredictionTable, VideoAnswers, names_in, read_table, truth_column
from vidrnn.settings.model import Head


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
        of: the answers for one video to part and whole.
    """

    title: str
    higher_is_better: bool
    of: Callable[[VideoAnswers], tuple[float, float]]


def _label(video: VideoAnswers) -> tuple[float, float]:
    return float(video.rows[0]["predicted"] == video.rows[0]["label"]), 1.0


def _multilabel(video: VideoAnswers) -> tuple[float, float]:
    row, classes = video.rows[0], len(video.probabilities[0])
    return classes - len(set(names_in(row["labels"])) ^ set(names_in(row["predicted"]))), classes


def _step_labels(video: VideoAnswers) -> tuple[float, float]:
    right = [row["predicted"] == row["label"] for row in video.rows if row["label"]]
    return (float(np.mean(right)), 1.0) if right else (0.0, 0.0)


def _step_multilabel(video: VideoAnswers) -> tuple[float, float]:
    classes = len(video.probabilities[0])
    right = known = 0
    for row in video.rows:
        unseen = set(names_in(row["unseen"]))
        known += classes - len(unseen)
        right += classes - len(unseen | (set(names_in(row["labels"])) ^ set(names_in(row["predicted"]))))
    return (right / known, 1.0) if known else (0.0, 0.0)


def _transcript(video: VideoAnswers) -> tuple[float, float]:
    return float(video.rows[0]["edits"]), len(names_in(video.rows[0]["labels"]))


def _numbers(video: VideoAnswers) -> tuple[float, float]:
    errors = [abs(float(row["predicted"]) - float(row["target"])) for row in video.rows if row["target"]]
    return (float(np.mean(errors)), 1.0) if errors else (0.0, 0.0)


FIGURES: dict[Head, HeadFigure] = {
    "label": HeadFigure("top-1", True, _label),
    "transcript": HeadFigure("edits per label", False, _transcript),
    "multilabel": HeadFigure("share of right decisions", True, _multilabel),
    "step_labels": HeadFigure("frame accuracy per video", True, _step_labels),
    "step_multilabel": HeadFigure("share of right decisions per video", True, _step_multilabel),
    "regression": HeadFigure("absolute error", False, _numbers),
    "step_regression": HeadFigure("absolute error per video", False, _numbers),
}
"""What is compared, for each head."""


def read_figures(folder: Path) -> VideoFigures:
    """Read the predictions.csv of a folder.

    Raises:
        MissingPathError: the folder has no such file.
        ComparisonError: the file is of another kind, is damaged, or was written before it had groups and seeds.
    """
    table = read_table(folder)
    path = folder / "predictions.csv"
    if not table.has_groups:
        raise ComparisonError(
            f"{path} has no columns group and seed, which a comparison needs: run `vidrnn crossval` or `vidrnn "
            "evaluate` again, earlier versions wrote neither"
        )
    try:
        return figures_of(table)
    except ValueError as error:
        raise ComparisonError(f"{path} is damaged ({error}); write it again with the command that made it") from error


def figures_of(table: PredictionTable) -> VideoFigures:
    """A figure for each video of a table. Raises ValueError where a cell is no number, or not finite."""
    figure, first = FIGURES[table.head], table.by_seed[table.seeds[0]]
    videos = tuple(sorted(first))
    of = np.asarray(
        [[figure.of(table.by_seed[seed][video]) for video in videos] for seed in table.seeds], dtype=np.float64
    )
    if not np.isfinite(of).all():
        raise ValueError("a prediction is not finite")
    truth = truth_column(table.head)
    return VideoFigures(
        head=table.head,
        seeds=table.seeds,
        videos=videos,
        groups=tuple(first[video].group for video in videos),
        truth=tuple(tuple(row[truth] for row in first[video].rows) for video in videos),
        parts=of[:, :, 0],
        wholes=of[0, :, 1],
    )
