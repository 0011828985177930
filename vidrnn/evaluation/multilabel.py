"""Metrics of videos that carry any number of labels at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidrnn.evaluation.resampling import draw_groups, number_groups

Floats = npt.NDArray[np.floating[Any]]
Truth = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LabelMetrics:
    """One row of the per-class table; fractions.

    Attributes:
        n: videos, or steps, that carry the label.
        average_precision: nan when n is 0.
        threshold: the label is predicted from this probability on.
    """

    label: str
    n: int
    average_precision: float
    precision: float
    recall: float
    f1: float
    threshold: float


@dataclass(frozen=True)
class MultiLabelMetrics:
    """What is measured on n videos; fractions.

    Attributes:
        mean_average_precision: averaged over the classes that occur; nan when the truth is empty.
        interval: 95 % bootstrap interval of it over groups; nan where it is.
        macro_f1: F1 averaged over the classes that occur; nan when the truth is empty.
        micro_f1: F1 of all decisions about all classes together; 0 when both sides are empty.
        exact_match: share of videos whose set of labels is entirely right.
    """

    n: int
    mean_average_precision: float
    interval: tuple[float, float]
    macro_f1: float
    micro_f1: float
    exact_match: float
    per_class: tuple[LabelMetrics, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; None where a figure is not defined."""
        rows = [vars(row) | {"average_precision": row.average_precision if row.n else None} for row in self.per_class]
        defined = not math.isnan(self.mean_average_precision)
        return {
            "n": self.n,
            "mean_average_precision": self.mean_average_precision if defined else None,
            "mean_average_precision_interval": list(self.interval) if defined else [None, None],
            "macro_f1": self.macro_f1 if defined else None,
            "micro_f1": self.micro_f1,
            "exact_match": self.exact_match,
            "per_class": rows,
        }


def measure_multilabel(
    probabilities: Floats,
    truth: Truth,
    *,
    labels: Sequence[str],
    groups: Sequence[str],
    thresholds: Floats,
    bootstrap: int,
    seed: int = 0,
) -> MultiLabelMetrics:
    """Measure predicted sets of labels.

    Args:
        probabilities: (n, C), each between 0 and 1.
        truth: (n, C), True where a video carries a label.
        labels: class names in the order of the columns.
        groups: (n,) what the bootstrap draws.
        thresholds: (C,) a label is predicted from this probability on; choose them on other videos.
        bootstrap: resamples; each costs a pass over (n, C), so 200 of them are plenty.
        seed: the seed of the resampling.

    Raises:
        ValueError: shapes differ, n is 0, or a probability lies outside 0 to 1.
    """
    _check_probabilities(probabilities, truth)
    _check_parts(truth.shape, labels=labels, groups=groups, thresholds=thresholds)
    cut = np.asarray(thresholds, dtype=np.float64)
    predicted = probabilities.astype(np.float64) >= cut
    precisions = average_precision(probabilities, truth)
    rows = rows_of_labels(labels, precisions=precisions, predicted=predicted, truth=truth, thresholds=cut)
    return MultiLabelMetrics(
        n=len(truth),
        mean_average_precision=mean_of_defined(precisions),
        interval=_interval(probabilities, truth, groups=groups, resamples=bootstrap, seed=seed),
        macro_f1=mean_of_defined(np.asarray([row.f1 if row.n else math.nan for row in rows])),
        micro_f1=micro_f1(predicted, truth),
        exact_match=float((predicted == truth).all(axis=1).mean()),
        per_class=rows,
    )


def rows_of_labels(
    labels: Sequence[str],
    *,
    precisions: npt.NDArray[np.float64],
    predicted: Truth,
    truth: Truth,
    thresholds: npt.NDArray[np.float64],
) -> tuple[LabelMetrics, ...]:
    """The per-class table; 0 where there is nothing to divide by.

    Args:
        labels: (C,) class names.
        precisions: (C,) average precision of each.
        predicted: (n, C) decisions about videos or steps.
        truth: (n, C).
        thresholds: (C,) that the decisions were made with.
    """
    tp, claimed, true = (predicted & truth).sum(axis=0), predicted.sum(axis=0), truth.sum(axis=0)
    precision, recall = tp / np.maximum(claimed, 1), tp / np.maximum(true, 1)
    f1 = 2 * tp / np.maximum(claimed + true, 1)
    columns = (precisions, precision, recall, f1, thresholds)
    return tuple(
        LabelMetrics(label, int(true[i]), *(float(column[i]) for column in columns)) for i, label in enumerate(labels)
    )


def micro_f1(predicted: Truth, truth: Truth) -> float:
    """F1 of all decisions together, both (n, C); 0 when nothing is true and nothing predicted."""
    return 2 * int((predicted & truth).sum()) / max(int(predicted.sum() + truth.sum()), 1)


def average_precision(scores: Floats, truth: Truth) -> npt.NDArray[np.float64]:
    """Mean over the positives of the precision among all videos that score at least as high.

    It is the area under the step curve of precision over recall that scikit-learn calls average precision: nothing is
    interpolated, and videos of equal score come in together.

    Args:
        scores: (n, C), larger is likelier; logits or probabilities.
        truth: (n, C), True where a video carries a label.

    Returns:
        (C,); nan for a class that no video carries.

    Raises:
        ValueError: the shapes differ from one (n, C), n is 0, ``truth`` is not boolean, or a score is nan.
    """
    _check_scores(scores, truth)
    return _weighted_average_precision(_rank(scores, truth), np.ones(len(truth)))


def best_thresholds(probabilities: Floats, truth: Truth) -> npt.NDArray[np.float64]:
    """The threshold of each class that gives the best F1, chosen on validation videos.

    Candidates lie halfway between neighbouring probabilities; of equally good ones the nearest to 0.5 is taken. A
    class that no video or every video carries, or whose probabilities are all equal, keeps 0.5.

    Args:
        probabilities: (n, C), each between 0 and 1.
        truth: (n, C), True where a video carries a label.

    Returns:
        (C,); a label is predicted from this probability on.

    Raises:
        ValueError: the shapes differ from one (n, C), n is 0, or a probability lies outside 0 to 1.
    """
    _check_probabilities(probabilities, truth)
    columns = zip(probabilities.astype(np.float64).T, truth.T, strict=True)
    return np.asarray([_best_threshold(column, positive) for column, positive in columns], dtype=np.float64)


def _best_threshold(probabilities: npt.NDArray[np.float64], positive: Truth) -> float:
    """The threshold of one class; both arguments are (n,)."""
    values, member = np.unique(probabilities, return_inverse=True)
    if positive.all() or not positive.any() or len(values) == 1:
        return 0.5
    halfway = (values[:-1] + values[1:]) / 2
    # Halfway between neighbouring floats may round to the lower one, which must stay below.
    candidates = np.where(halfway > values[:-1], halfway, values[1:])
    above = np.cumsum(np.bincount(member)[::-1])[::-1][1:]  # videos at or above each candidate
    tp = np.cumsum(np.bincount(member, weights=positive)[::-1])[::-1][1:]
    f1 = 2 * tp / (above + positive.sum())
    best = candidates[f1 == f1.max()]
    return float(best[np.abs(best - 0.5).argmin()])


@dataclass(frozen=True)
class _Ranking:
    """Each class's videos from the highest score to the lowest.

    Attributes:
        order: (n, C) rows of the videos.
        positive: (n, C) whether they carry the label.
        last: (n, C) position of the last video with the same score.
    """

    order: npt.NDArray[np.int64]
    positive: Truth
    last: npt.NDArray[np.int64]


def _rank(scores: Floats, truth: Truth) -> _Ranking:
    order = np.argsort(-scores, axis=0, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=0)
    ends = np.ones(ranked.shape, dtype=bool)
    ends[:-1] = ranked[1:] != ranked[:-1]
    positions = np.where(ends, np.arange(len(ranked))[:, None], len(ranked))
    last = np.minimum.accumulate(positions[::-1], axis=0)[::-1]
    return _Ranking(order.astype(np.int64), np.take_along_axis(truth, order, axis=0), last)


def _weighted_average_precision(ranking: _Ranking, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(C,) when video i is there ``weights[i]`` times: a resample needs no new sorting."""
    present = weights[ranking.order]
    hits = present * ranking.positive
    seen = np.take_along_axis(np.cumsum(present, axis=0), ranking.last, axis=0)
    found = np.take_along_axis(np.cumsum(hits, axis=0), ranking.last, axis=0)
    total = hits.sum(axis=0)
    gained = (hits * found / np.maximum(seen, 1.0)).sum(axis=0)
    result: npt.NDArray[np.float64] = np.divide(gained, total, out=np.full(len(total), np.nan), where=total > 0)
    return result


def _interval(scores: Floats, truth: Truth, *, groups: Sequence[str], resamples: int, seed: int) -> tuple[float, float]:
    """95 % percentile interval of the mean average precision when whole groups are drawn with replacement.

    A resample averages over the classes that occur in it; a resample without labels is left out.
    """
    count, member = number_groups(groups)
    drawn = draw_groups(count, resamples=resamples, seed=seed)
    ranking = _rank(scores, truth)
    copies = (np.bincount(row, minlength=count)[member].astype(np.float64) for row in drawn)
    means = np.asarray([mean_of_defined(_weighted_average_precision(ranking, weights)) for weights in copies])
    if np.isnan(means).all():
        return math.nan, math.nan
    low, high = np.nanquantile(means, [0.025, 0.975])
    return float(low), float(high)


def mean_of_defined(values: npt.NDArray[np.float64]) -> float:
    """The mean of all values but nan; nan where there is no other."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan


def _check_scores(scores: Floats, truth: Truth) -> None:
    if scores.ndim != 2 or scores.shape != truth.shape or not len(truth):
        raise ValueError(
            f"scores have shape {scores.shape}, truth {truth.shape}; "
            "give both as (n, C), one row per video, and at least one video"
        )
    if truth.dtype != np.bool_:
        raise ValueError(f"truth has type {truth.dtype}, allowed is bool; turn 0 and 1 into it with truth.astype(bool)")
    if np.isnan(scores).any():
        row = int(np.flatnonzero(np.isnan(scores).any(axis=1))[0])
        raise ValueError(f"scores of row {row} hold nan, which has no rank; leave that video out and say so")


def _check_parts(shape: tuple[int, ...], *, labels: Sequence[str], groups: Sequence[str], thresholds: Floats) -> None:
    n, classes = shape
    if (len(labels), len(groups), np.shape(thresholds)) != (classes, n, (classes,)):
        raise ValueError(
            f"{len(labels)} labels, {len(groups)} groups and thresholds of shape {np.shape(thresholds)} do not fit "
            f"probabilities of shape {shape}; give {classes} labels, {n} groups and thresholds ({classes},)"
        )


def _check_probabilities(probabilities: Floats, truth: Truth) -> None:
    _check_scores(probabilities, truth)
    wrong = probabilities[(probabilities < 0) | (probabilities > 1)]
    if len(wrong):
        raise ValueError(f"probability {wrong[0]} is not between 0 and 1; put logits through a sigmoid first")
