"""Metrics of videos that carry a number (repetitions, a score, a duration) instead of a label."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidrnn.evaluation.resampling import none_if_nan, ratio_interval

Numbers = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class RegressionMetrics:
    """What is measured on n videos.

    Attributes:
        mae: mean absolute error, in the unit of the numbers; all figures are nan where no number is known.
        interval: 95 % interval of mae over groups.
        rmse: root of the mean squared error, in the unit of the numbers.
        r2: share of the truth's variance that is explained, negative when worse than its mean; nan when all true
            numbers are equal.
        spearman: rank correlation, -1 to 1; nan when one side is constant.
        pearson: linear correlation, -1 to 1; nan when one side is constant.
    """

    n: int
    mae: float
    interval: tuple[float, float]
    rmse: float
    r2: float
    spearman: float
    pearson: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; None where a figure is not defined."""
        return {
            "n": self.n,
            "mae": none_if_nan(self.mae),
            "mae_interval": [none_if_nan(bound) for bound in self.interval],
            **{name: none_if_nan(getattr(self, name)) for name in ("rmse", "r2", "spearman", "pearson")},
        }


def measure_regression(predicted: Numbers, truth: Numbers, *, groups: Sequence[str]) -> RegressionMetrics:
    """Measure predicted numbers.

    Args:
        predicted: (n,) numbers.
        truth: (n,) numbers in the same unit.
        groups: (n,) videos of one group stand or fall together.

    Raises:
        ValueError: the shapes differ from one (n,), n is 0, or a number is nan or infinite.
    """
    _check(predicted, truth, groups=groups)
    # Sums of float16 or float32 squares would lose digits or overflow.
    guess, true = np.asarray(predicted, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    errors = guess - true
    variation = float(np.square(true - true.mean()).sum()) if np.ptp(true) else 0.0
    return RegressionMetrics(
        n=len(true),
        mae=float(np.abs(errors).mean()),
        interval=ratio_interval(np.abs(errors), np.ones(len(errors)), groups=groups, lowest=0.0),
        rmse=math.sqrt(float(np.square(errors).mean())),
        r2=1.0 - float(np.square(errors).sum()) / variation if variation else math.nan,
        spearman=_correlation(_average_ranks(guess), _average_ranks(true)),
        pearson=_correlation(guess, true),
    )


def _correlation(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Pearson's correlation of two (n,) rows; nan when one is constant."""
    # The mean of equal numbers may be off by a rounding, which would look like variation.
    if not np.ptp(a) or not np.ptp(b):
        return math.nan
    a, b = a - a.mean(), b - b.mean()
    a, b = a / np.abs(a).max(), b / np.abs(b).max()  # squares of tiny numbers would be 0
    return float(np.clip(a @ b / math.sqrt((a @ a) * (b @ b)), -1.0, 1.0))


def _average_ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n,) ranks from 1; equal values share the average of theirs (Spearman 1904)."""
    _, member, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: npt.NDArray[np.float64] = (np.cumsum(count) - (count - 1) / 2)[member]
    return ranks


def _check(predicted: Numbers, truth: Numbers, *, groups: Sequence[str]) -> None:
    if predicted.ndim != 1 or predicted.shape != truth.shape or len(groups) != len(truth) or not len(truth):
        raise ValueError(
            f"predicted has shape {predicted.shape}, truth {truth.shape}, and there are {len(groups)} groups: "
            "give one number (n,) and one group per video, and at least one video"
        )
    for name, values in (("predicted", predicted), ("truth", truth)):
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            raise ValueError(
                f"{name} number {wrong[0]} is {values[wrong[0]]}, only finite ones can be measured; "
                "leave that video out and say so"
            )
