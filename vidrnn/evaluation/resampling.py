"""Intervals over groups: videos of a group stand or fall together, and a few groups say little about others."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, stdtr, stdtrit

LEVEL = 0.05
"""An interval covers the true value with probability 1 - LEVEL."""

Numbers = npt.NDArray[Any]


def number_groups(groups: Sequence[str]) -> tuple[int, npt.NDArray[np.int64]]:
    """How many groups there are, and (n,) which of them, in alphabetical order, each video belongs to."""
    names, member = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    return len(names), member


def draw_groups(count: int, *, resamples: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """(count,) groups drawn with replacement, as often as ``resamples`` says; one draw is in memory at a time."""
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        yield rng.integers(0, count, size=count)


def ratio_and_error(parts: Numbers, wholes: Numbers, *, groups: Sequence[str]) -> tuple[float, float, int]:
    """sum(parts) / sum(wholes), its standard error over groups, and how many groups say something.

    The error of a ratio of sums, linearised (Cochran 1977, Sampling Techniques, section 6.3): the deviations
    d_g = part_g - ratio * whole_g of G groups give sqrt(G / (G - 1) * sum(d_g^2)) / sum(wholes).

    Args:
        parts: (n,) one per video, for instance its edits.
        wholes: (n,) the wholes, 0 or more, for instance its true labels. Groups in which all are 0 are left out.
        groups: (n,) the group of each.

    Returns:
        The ratio is nan when nothing is known, the error from fewer than two groups.
    """
    _, member = number_groups(groups)
    part, whole = np.bincount(member, weights=parts), np.bincount(member, weights=wholes)
    known = whole > 0
    part, whole, count = part[known], whole[known], int(known.sum())
    if not count:
        return math.nan, math.nan, 0
    ratio = float(part.sum() / whole.sum())
    if count < 2:
        return ratio, math.nan, count
    squares = float(np.square(part - ratio * whole).sum())
    return ratio, math.sqrt(count / (count - 1) * squares) / float(whole.sum()), count


def ratio_interval(
    parts: Numbers, wholes: Numbers, *, groups: Sequence[str], lowest: float = -math.inf
) -> tuple[float, float]:
    """95 % t interval of sum(parts) / sum(wholes) over groups, with one degree of freedom less than groups.

    Args:
        parts: (n,) see `ratio_and_error`.
        wholes: (n,).
        groups: (n,).
        lowest: the lowest value that such a ratio can have.

    Returns:
        The bounds, nan from fewer than two groups, which say nothing about others.
    """
    ratio, error, count = ratio_and_error(parts, wholes, groups=groups)
    if count < 2:
        return math.nan, math.nan
    half = float(stdtrit(count - 1, 1 - LEVEL / 2)) * error
    return max(ratio - half, lowest), ratio + half


def share_interval(parts: Numbers, wholes: Numbers, *, groups: Sequence[str]) -> tuple[float, float]:
    """95 % interval of a share, sum(parts) / sum(wholes) with each part between 0 and its whole, over groups.

    The method of Korn & Graubard (1998, Survey Methodology 24): Clopper and Pearson's exact interval for an effective
    number of videos. That is the number of independent videos that would give the error that the groups show, at most
    n, and lowered where there are few groups. Unlike a t interval it holds near 0 and 1, and where all groups are
    equal. `benchmarks/intervals.py` simulates both.

    Returns:
        The bounds, nan from fewer than two groups, which say nothing about others.
    """
    share, error, count = ratio_and_error(parts, wholes, groups=groups)
    if count < 2:
        return math.nan, math.nan
    videos = int((np.asarray(wholes) > 0).sum())
    effective = min(share * (1 - share) / error**2, videos) if error > 0 else float(videos)
    effective *= float(stdtrit(videos - 1, 1 - LEVEL / 2) / stdtrit(count - 1, 1 - LEVEL / 2)) ** 2
    hits, misses = share * effective, (1 - share) * effective
    low = float(betaincinv(hits, misses + 1, LEVEL / 2)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, misses, 1 - LEVEL / 2)) if misses > 0 else 1.0
    return low, high


def t_test(parts: Numbers, wholes: Numbers, *, groups: Sequence[str]) -> float | None:
    """Two-sided p-value of the t test that sum(parts) / sum(wholes) is 0 for other groups; None from one group.

    Where all groups differ by the same, the error of the test would be 0 and p with it. Then p is taken from the exact
    sign-flip test (Fisher 1935): 2^(1 - groups).
    """
    ratio, error, count = ratio_and_error(parts, wholes, groups=groups)
    if count < 2:
        return None
    if ratio == 0:
        return 1.0
    if error <= 1e-12 * abs(ratio):
        return float(2.0 ** (1 - count))
    return 2.0 * float(stdtr(count - 1, -abs(ratio) / error))


def none_if_nan(value: float) -> float | None:
    """None, which JSON can hold, in place of nan."""
    return None if math.isnan(value) else value
