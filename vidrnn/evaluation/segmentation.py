"""Metrics of step labels: what happens when in a long video (temporal action segmentation)."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vidrnn.evaluation.classification import ClassMetrics
from vidrnn.evaluation.resampling import none_if_nan, share_interval
from vidrnn.evaluation.transcripts import edit_distance

StepLabels = npt.NDArray[np.integer[Any]]
ReadSteps = Callable[[npt.NDArray[np.floating[Any]]], StepLabels]
"""From the outputs (T, classes) for a video to the class (T,) of each step."""

UNLABELLED = -1  # a true label: nobody said what happens at this step


class Segment(NamedTuple):
    """Steps ``start`` to ``end`` (exclusive) that carry one label."""

    start: int
    end: int
    label: int


class OverlapCounts(NamedTuple):
    """True positives, false positives and false negatives among segments."""

    tp: int
    fp: int
    fn: int


@dataclass(frozen=True)
class SegmentationMetrics:
    """What is measured on n videos; fractions.

    Attributes:
        steps: labelled steps of all videos.
        frame_accuracy: share of labelled steps that are right, background included; nan without a labelled step.
        interval: 95 % interval of the frame accuracy over groups; nan where the accuracy is.
        edit: `edit_score` averaged over the videos that have a labelled step; nan when none has.
        f1_10: F1 of segments that overlap by an IoU of 0.10 or more, counted over all videos together; nan when truth
            and predictions hold 0 segments.
        f1_25: the same at 0.25.
        f1_50: the same at 0.50.
        per_class: a row per class, over labelled steps; ``n`` counts steps.
    """

    n: int
    steps: int
    frame_accuracy: float
    interval: tuple[float, float]
    edit: float
    f1_10: float
    f1_25: float
    f1_50: float
    per_class: tuple[ClassMetrics, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; None where a figure is not defined."""
        return {
            "n": self.n,
            "steps": self.steps,
            "frame_accuracy": none_if_nan(self.frame_accuracy),
            "frame_accuracy_interval": [none_if_nan(bound) for bound in self.interval],
            "edit": none_if_nan(self.edit),
            "f1_10": none_if_nan(self.f1_10),
            "f1_25": none_if_nan(self.f1_25),
            "f1_50": none_if_nan(self.f1_50),
            "per_class": [vars(row) for row in self.per_class],
        }


def measure_segmentation(
    predicted: Sequence[StepLabels],
    truth: Sequence[StepLabels],
    *,
    labels: Sequence[str],
    groups: Sequence[str],
    background: int | None,
) -> SegmentationMetrics:
    """Measure predicted step labels, with the conventions of Lea et al. 2017 and Farha & Gall 2019 (as fractions).

    Args:
        predicted: n videos, each (T_i,) class positions.
        truth: n videos, each (T_i,) class positions, or -1 where a step has no label and is left out.
        labels: class names.
        groups: (n,) videos of one group stand or fall together.
        background: the class that is no action: it counts in the frame accuracy, not in edit score and F1.

    Raises:
        ValueError: numbers of videos or steps differ, n is 0, or a label lies outside ``labels``.
    """
    _check(predicted, truth, labels=labels, groups=groups, background=background)
    pairs = list(zip(predicted, truth, strict=True))
    right = np.asarray([(guess == true).sum() for guess, true in pairs])  # a prediction is never UNLABELLED
    known = np.asarray([(true != UNLABELLED).sum() for true in truth])
    steps = int(known.sum())
    edits = [
        edit_score(guess, true, background=background)
        for (guess, true), labelled in zip(pairs, known, strict=True)
        if labelled
    ]
    f1 = {overlap: pooled_f1(pairs, overlap=overlap, background=background) for overlap in (0.10, 0.25, 0.50)}
    return SegmentationMetrics(
        n=len(truth),
        steps=steps,
        frame_accuracy=int(right.sum()) / steps if steps else float("nan"),
        interval=share_interval(right, known, groups=groups),
        edit=float(np.mean(edits)) if edits else float("nan"),
        f1_10=f1[0.10],
        f1_25=f1[0.25],
        f1_50=f1[0.50],
        per_class=_class_rows(pairs, labels=labels),
    )


def likeliest(outputs: npt.NDArray[np.floating[Any]]) -> StepLabels:
    """The class with the highest output at each step."""
    labels: StepLabels = outputs.argmax(axis=1)
    return labels


def to_segments(labels: StepLabels) -> list[Segment]:
    """Runs of equal labels.

    Args:
        labels: (T,) integers, one per step.

    Raises:
        ValueError: ``labels`` is not one row of integers.
    """
    _check_row(labels, name="labels")
    if not len(labels):
        return []
    edges = [0, *(np.flatnonzero(labels[1:] != labels[:-1]) + 1).tolist(), len(labels)]
    return [Segment(start, end, int(labels[start])) for start, end in pairwise(edges)]


def edit_score(predicted: StepLabels, truth: StepLabels, *, background: int | None) -> float:
    """How well the order of segments is told, whatever their lengths (Lea et al. 2017), as a fraction.

    1 - Levenshtein distance of the segments' labels / number of segments on the side that has more; 1 when neither
    has any.

    Args:
        predicted: (T,) class positions.
        truth: (T,) class positions, -1 where a step has no label.
        background: the class whose segments are left out.

    Raises:
        ValueError: the shapes differ, or are not (T,) integers.
    """
    guess, true = ([segment.label for segment in side] for side in _actions(predicted, truth, background=background))
    longest = max(len(guess), len(true))
    return 1.0 - edit_distance(guess, true) / longest if longest else 1.0


def overlap_counts(
    predicted: StepLabels, truth: StepLabels, *, overlap: float, background: int | None
) -> OverlapCounts:
    """Which predicted segments meet a true one, for F1@k (Lea et al. 2017).

    In order of time, each predicted segment goes to the true one of its class with the largest intersection over
    union (the first of equals). It is a true positive when that reaches ``overlap`` and no earlier one has taken it:
    cutting an action into pieces gives one true positive at most.

    Args:
        predicted: (T,) class positions.
        truth: (T,) class positions, -1 where a step has no label.
        overlap: smallest intersection over union, above 0, at most 1; 0.25 for F1@25.
        background: the class whose segments are left out.

    Raises:
        ValueError: ``overlap`` is out of range, or the shapes differ or are not (T,) integers.
    """
    if not 0.0 < overlap <= 1.0:
        raise ValueError(f"overlap {overlap} must be above 0 and at most 1; give F1@25 as 0.25")
    guesses, true = _actions(predicted, truth, background=background)
    starts, ends = [segment.start for segment in true], [segment.end for segment in true]
    taken: set[int] = set()
    for segment in guesses:
        best, match = 0.0, -1
        # True segments are in order of time and meet at most: only a few of them overlap this one.
        for number in range(bisect_right(ends, segment.start), bisect_left(starts, segment.end)):
            other = true[number]
            iou = _intersection_over_union(segment, other) if segment.label == other.label else 0.0
            if iou > best:
                best, match = iou, number
        if best >= overlap:
            taken.add(match)
    return OverlapCounts(tp=len(taken), fp=len(guesses) - len(taken), fn=len(true) - len(taken))


def _intersection_over_union(a: Segment, b: Segment) -> float:
    shared = max(min(a.end, b.end) - max(a.start, b.start), 0)
    return shared / (a.end - a.start + b.end - b.start - shared)


def _actions(
    predicted: StepLabels, truth: StepLabels, *, background: int | None
) -> tuple[list[Segment], list[Segment]]:
    """The segments of both sides that count.

    A stretch without true label ends segments on both sides, and predictions inside it are not counted.
    """
    for name, row in (("predicted", predicted), ("truth", truth)):
        _check_row(row, name=name)
    if predicted.shape != truth.shape:
        raise ValueError(
            f"predicted has {len(predicted)} steps, truth {len(truth)}; give both one label for every step of the video"
        )
    known = np.where(truth == UNLABELLED, UNLABELLED, predicted)
    guesses, true = (
        [segment for segment in to_segments(side) if segment.label not in {UNLABELLED, background}]
        for side in (known, truth)
    )
    return guesses, true


def pooled_f1(pairs: Sequence[tuple[StepLabels, StepLabels]], *, overlap: float, background: int | None) -> float:
    """F1 of the segments of all pairs together, see `overlap_counts`; nan when there is no segment.

    Args:
        pairs: predicted and true step labels, (T,) each; T may differ from pair to pair.
        overlap: smallest intersection over union.
        background: the class whose segments are left out.
    """
    counts = [overlap_counts(guess, true, overlap=overlap, background=background) for guess, true in pairs]
    tp, fp, fn = (sum(count[place] for count in counts) for place in range(3))
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else float("nan")


def _class_rows(pairs: list[tuple[StepLabels, StepLabels]], *, labels: Sequence[str]) -> tuple[ClassMetrics, ...]:
    """Rows over the labelled steps of all videos; 0 where there is nothing to divide by."""
    confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)  # rows are the truth
    for guess, true in pairs:
        labelled = true != UNLABELLED
        np.add.at(confusion, (true[labelled], guess[labelled]), 1)
    right, true, claimed = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    recall, precision = right / np.maximum(true, 1), right / np.maximum(claimed, 1)
    f1 = 2 * right / np.maximum(true + claimed, 1)
    return tuple(
        ClassMetrics(label, int(true[i]), float(recall[i]), float(precision[i]), float(f1[i]))
        for i, label in enumerate(labels)
    )


def _check_row(row: StepLabels, *, name: str) -> None:
    if row.ndim != 1 or not np.issubdtype(row.dtype, np.integer):
        raise ValueError(
            f"{name} has shape {row.shape} and type {row.dtype}, expected (T,) integers; give one class per step"
        )


def _check(
    predicted: Sequence[StepLabels],
    truth: Sequence[StepLabels],
    *,
    labels: Sequence[str],
    groups: Sequence[str],
    background: int | None,
) -> None:
    if not len(predicted) == len(truth) == len(groups) or not len(truth):
        raise ValueError(
            f"{len(predicted)} predicted videos, {len(truth)} true ones and {len(groups)} groups: "
            "give one of each per video, and at least one video"
        )
    if background is not None and not 0 <= background < len(labels):
        raise ValueError(f"background {background} must be 0 to {len(labels) - 1}, or None where every class is one")
    for video, rows in enumerate(zip(predicted, truth, strict=True)):
        for row, name, lowest in zip(rows, ("predicted", "truth"), (0, UNLABELLED), strict=True):
            _check_row(row, name=f"{name} of video {video}")
            if row.shape != rows[0].shape:
                raise ValueError(
                    f"video {video} has {len(rows[0])} predicted steps and {len(row)} true ones; give one per step"
                )
            wrong = row[(row < lowest) | (row >= len(labels))]
            if len(wrong):
                raise ValueError(
                    f"{name} of video {video} holds {wrong[0]}, allowed are {lowest} to {len(labels) - 1}; "
                    "cut padding off by the video's length"
                )
