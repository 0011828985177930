"""Intervals by drawing whole groups with replacement (cluster bootstrap): videos of a group stand or fall together."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]


def number_groups(groups: Sequence[str]) -> tuple[int, npt.NDArray[np.int64]]:
    """How many groups there are, and (n,) which of them, in alphabetical order, each video belongs to."""
    names, member = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    return len(names), member


def draw_groups(count: int, *, resamples: int, seed: int) -> npt.NDArray[np.int64]:
    """(resamples, count) groups drawn with replacement."""
    return np.random.default_rng(seed).integers(0, count, size=(resamples, count))


def bootstrap_interval(values: Numbers, groups: Sequence[str], *, resamples: int, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of the mean.

    Args:
        values: (n,) one per video.
        groups: (n,) the group of each.
        resamples: how many.
        seed: of the draws.
    """
    return ratio_interval(values, np.ones(len(values)), groups=groups, resamples=resamples, seed=seed)


def ratio_interval(
    parts: Numbers, wholes: Numbers, *, groups: Sequence[str], resamples: int, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of sum(parts) / sum(wholes).

    Args:
        parts: (n,) one per video, for instance its edits.
        wholes: (n,) what they are parts of, for instance its true labels; none negative.
        groups: (n,) the group of each.
        resamples: how many; those in which all wholes are 0 say nothing and are left out.
        seed: of the draws.

    Returns:
        The bounds, nan when no resample says anything.
    """
    count, member = number_groups(groups)
    part, whole = np.bincount(member, weights=parts), np.bincount(member, weights=wholes)
    drawn = draw_groups(count, resamples=resamples, seed=seed)
    above, below = part[drawn].sum(axis=1), whole[drawn].sum(axis=1)
    if not below.any():
        return math.nan, math.nan
    low, high = np.quantile(above[below > 0] / below[below > 0], [0.025, 0.975])
    return float(low), float(high)


def none_if_nan(value: float) -> float | None:
    """What JSON, which has no nan, holds where a figure is not defined."""
    return None if math.isnan(value) else value
