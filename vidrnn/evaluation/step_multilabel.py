"""Metrics of steps that carry any number of labels at once: which actions go on at each moment."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidrnn.evaluation.multilabel import (
    LabelMetrics,
    average_precision,
    best_thresholds,
    mean_of_defined,
    micro_f1,
    rows_of_labels,
)
from vidrnn.evaluation.resampling import draw_groups, none_if_nan, number_groups
from vidrnn.evaluation.segmentation import UNLABELLED, pooled_f1

_MOST_CUTS = 500  # scores at which a resample looks; up to as many positives its average precision is exact

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class StepMultiLabelMetrics:
    """What is measured on n videos; fractions.

    A step is known for a class unless nobody looked. Only what is known counts.

    Attributes:
        steps: steps of all videos that are known for a class at least.
        mean_average_precision: average precision of a class over its known steps of all videos together, averaged over
            the classes that occur; nan when none does.
        interval: 95 % bootstrap interval of it over groups; nan from one group, and where the mean is nan.
        macro_f1: F1 of the steps of a class, averaged over the classes that occur; nan when none does.
        micro_f1: F1 of the decisions about all known steps and classes together; 0 when nothing is true and nothing
            predicted.
        f1_10: F1 of segments, counted over all classes and videos together. A segment is right when it overlaps a true
            one of its class by an IoU of 0.10 or more. nan when there is no segment, true or predicted.
        f1_25: the same at 0.25.
        f1_50: the same at 0.50.
        per_class: a row for each class; ``n`` counts steps.
    """

    n: int
    steps: int
    mean_average_precision: float
    interval: tuple[float, float]
    macro_f1: float
    micro_f1: float
    f1_10: float
    f1_25: float
    f1_50: float
    per_class: tuple[LabelMetrics, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; None where a figure is not defined."""
        figures = ("mean_average_precision", "macro_f1", "micro_f1", "f1_10", "f1_25", "f1_50")
        return {
            "n": self.n,
            "steps": self.steps,
            "mean_average_precision_interval": [none_if_nan(bound) for bound in self.interval],
            **{name: none_if_nan(getattr(self, name)) for name in figures},
            "per_class": [
                vars(row) | {"average_precision": none_if_nan(row.average_precision)} for row in self.per_class
            ],
        }


def measure_step_multilabel(
    probabilities: Sequence[Floats],
    truth: Sequence[Floats],
    *,
    labels: Sequence[str],
    groups: Sequence[str],
    thresholds: Floats,
    bootstrap: int,
    seed: int = 0,
) -> StepMultiLabelMetrics:
    """Measure predicted sets of labels at every step.

    The mean average precision is the per-frame mAP of MultiTHUMOS (Yeung et al. 2018, IJCV 126): the steps of all
    videos are ranked together for each class. Segments are counted as F1@k (Lea et al. 2017), each class by itself.

    Args:
        probabilities: n videos, each (T_i, C) between 0 and 1.
        truth: n videos, each (T_i, C): 1 where a class goes on, 0 where it does not, nan where nobody looked.
        labels: class names in the order of the columns.
        groups: (n,) what the bootstrap draws.
        thresholds: (C,) a label is predicted from this probability on; choose them on other videos.
        bootstrap: resamples of the interval.
        seed: of the resampling.

    Raises:
        ValueError: shapes do not fit each other, n is 0, or a probability lies outside 0 to 1.
    """
    _check(probabilities, truth)
    _check_sizes(truth, labels=labels, groups=groups, thresholds=thresholds)
    cuts = np.asarray(thresholds, dtype=np.float64)
    columns = _columns(probabilities, truth, groups=groups)
    known, positive = ~np.isnan(np.concatenate(truth)), np.concatenate(truth) > 0.5
    predicted = (np.concatenate(probabilities).astype(np.float64) >= cuts) & known
    precisions = np.asarray([column.average_precision for column in columns])
    rows = rows_of_labels(labels, precisions=precisions, predicted=predicted, truth=positive, thresholds=cuts)
    pairs = _timelines(probabilities, truth, cuts)
    return StepMultiLabelMetrics(
        n=len(truth),
        steps=int(known.any(axis=1).sum()),
        mean_average_precision=mean_of_defined(precisions),
        interval=_interval(columns, num_groups=len(set(groups)), resamples=bootstrap, seed=seed),
        macro_f1=mean_of_defined(np.asarray([row.f1 if row.n else math.nan for row in rows])),
        micro_f1=micro_f1(predicted, positive),
        f1_10=pooled_f1(pairs, overlap=0.10, background=0),
        f1_25=pooled_f1(pairs, overlap=0.25, background=0),
        f1_50=pooled_f1(pairs, overlap=0.50, background=0),
        per_class=rows,
    )


def best_step_thresholds(probabilities: Sequence[Floats], truth: Sequence[Floats]) -> npt.NDArray[np.float64]:
    """(C,) the threshold of each class that gives the best F1 of known steps, see `best_thresholds`.

    A class of which no step is known keeps 0.5. Arguments and errors as of `measure_step_multilabel`.
    """
    _check(probabilities, truth)
    columns = _columns(probabilities, truth, groups=[""] * len(truth))
    return np.asarray(
        [
            best_thresholds(column.scores[:, None], column.positive[:, None])[0] if len(column.scores) else 0.5
            for column in columns
        ],
        dtype=np.float64,
    )


@dataclass(frozen=True)
class _Column:
    """The known steps of one class, of all videos together.

    Attributes:
        scores: (k,) probabilities.
        positive: (k,) whether the class goes on.
        member: (k,) number of the group.
    """

    scores: npt.NDArray[np.float64]
    positive: npt.NDArray[np.bool_]
    member: npt.NDArray[np.int64]

    @property
    def average_precision(self) -> float:
        """See `vidrnn.evaluation.multilabel.average_precision`; nan where the class does not occur."""
        if not self.positive.any():
            return math.nan
        return float(average_precision(self.scores[:, None], self.positive[:, None])[0])

    def resampled(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(R,) average precision when group g is there ``weights[r, g]`` times; nan where the class does not occur.

        Precision changes at the scores of positives alone. So steps are counted per group between these scores, or
        between some of them where they are many, and a resample adds up counts instead of sorting steps.
        """
        cuts = np.unique(self.scores[self.positive])
        if len(cuts) > _MOST_CUTS:
            cuts = cuts[np.linspace(0, len(cuts) - 1, _MOST_CUTS).round().astype(np.int64)]
        place = np.searchsorted(cuts, self.scores, side="right") - 1
        ranked = place >= 0
        shape = (weights.shape[1], len(cuts))
        cell = self.member[ranked] * len(cuts) + place[ranked]
        steps = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
        hits = np.bincount(cell, weights=self.positive[ranked], minlength=shape[0] * shape[1]).reshape(shape)
        gained = weights @ hits
        seen, found = (np.cumsum(side[:, ::-1], axis=1)[:, ::-1] for side in (weights @ steps, gained))
        total = gained.sum(axis=1)
        area = (gained * found / np.maximum(seen, 1.0)).sum(axis=1)
        result: npt.NDArray[np.float64] = np.divide(area, total, out=np.full(len(total), np.nan), where=total > 0)
        return result


def _columns(probabilities: Sequence[Floats], truth: Sequence[Floats], *, groups: Sequence[str]) -> list[_Column]:
    """A column for each class."""
    scores, values = np.concatenate(probabilities).astype(np.float64), np.concatenate(truth)
    _, member = number_groups(groups)
    member = np.repeat(member, [len(rows) for rows in truth])
    known = ~np.isnan(values)
    return [
        _Column(scores[keep, number], values[keep, number] > 0.5, member[keep]) for number, keep in enumerate(known.T)
    ]


def _interval(columns: Sequence[_Column], *, num_groups: int, resamples: int, seed: int) -> tuple[float, float]:
    """95 % percentile interval of the mean average precision when whole groups are drawn with replacement.

    A resample averages over the classes that occur in it; one without any says nothing and is left out.
    """
    occurring = [column for column in columns if column.positive.any()]
    if num_groups < 2 or not occurring:
        return math.nan, math.nan
    draws = draw_groups(num_groups, resamples=resamples, seed=seed)
    weights = np.stack([np.bincount(row, minlength=num_groups) for row in draws]).astype(np.float64)
    precisions = np.stack([column.resampled(weights) for column in occurring], axis=1)
    means = np.asarray([mean_of_defined(row) for row in precisions])
    if np.isnan(means).all():
        return math.nan, math.nan
    low, high = np.nanquantile(means, [0.025, 0.975])
    return float(low), float(high)


def _timelines(
    probabilities: Sequence[Floats], truth: Sequence[Floats], cuts: npt.NDArray[np.float64]
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Predicted and true steps of each video and class, 1 where the class goes on; only where it does on a side."""
    pairs = []
    for scores, values in zip(probabilities, truth, strict=True):
        guesses = (scores.astype(np.float64) >= cuts).astype(np.int64)
        known = np.where(np.isnan(values), UNLABELLED, values > 0.5).astype(np.int64)
        going = np.flatnonzero((guesses > 0).any(axis=0) | (known > 0).any(axis=0)).tolist()
        pairs += [(guesses[:, number], known[:, number]) for number in going]
    return pairs


def _check(probabilities: Sequence[Floats], truth: Sequence[Floats]) -> None:
    if len(probabilities) != len(truth) or not len(truth):
        raise ValueError(
            f"{len(probabilities)} videos have probabilities, {len(truth)} a truth; give both of each, of one video at "
            "least"
        )
    for number, (scores, values) in enumerate(zip(probabilities, truth, strict=True)):
        if scores.ndim != 2 or scores.shape != values.shape or scores.shape[1] != truth[0].shape[1]:
            raise ValueError(
                f"video {number} has probabilities of shape {scores.shape} and a truth of {values.shape}; give both as "
                "(T, C), with one C for all videos"
            )
        if not ((scores >= 0) & (scores <= 1)).all():
            wrong = scores[~((scores >= 0) & (scores <= 1))][0]
            raise ValueError(
                f"probability {wrong} of video {number} is not between 0 and 1; take the sigmoid of logits"
            )


def _check_sizes(truth: Sequence[Floats], *, labels: Sequence[str], groups: Sequence[str], thresholds: Floats) -> None:
    if len(groups) != len(truth) or not len(labels) == len(thresholds) == truth[0].shape[1]:
        raise ValueError(
            f"{len(labels)} labels, {len(thresholds)} thresholds and {len(groups)} groups do not fit {len(truth)} "
            f"videos of {truth[0].shape[1]} classes; give one for each"
        )
