"""`vidrnn.evaluation.resampling` against formulas written out with SciPy, and by simulation with few groups."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st
from scipy import stats

from tests.worlds import Array
from vidrnn.evaluation.report import format_interval
from vidrnn.evaluation.resampling import draw_groups, ratio_and_error, ratio_interval, share_interval, t_test


def test_groups_are_drawn_one_resample_at_a_time() -> None:
    """The same draws as all at once, without the memory of all: 2000 of 5000 groups would be 80 MB."""
    at_once = np.random.default_rng(3).integers(0, 5000, size=(2000, 5000))
    tracemalloc.start()
    try:
        same = all(
            (drawn == row).all() for drawn, row in zip(draw_groups(5000, resamples=2000, seed=3), at_once, strict=True)
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert same
    assert peak < 1e6


def by_group(parts: Array, wholes: Array, groups: list[str]) -> tuple[list[float], list[float]]:
    names = sorted({group for group, whole in zip(groups, wholes, strict=True) if whole > 0})
    return (
        [sum(p for p, g in zip(parts, groups, strict=True) if g == name) for name in names],
        [sum(w for w, g in zip(wholes, groups, strict=True) if g == name) for name in names],
    )


@configure(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4), st.sampled_from("abcd")), min_size=1, max_size=14))
def test_the_error_of_a_ratio_is_its_formula(rows: list[tuple[int, int, str]]) -> None:
    parts, wholes = np.asarray([row[0] for row in rows]), np.asarray([row[1] for row in rows])
    groups = [row[2] for row in rows]
    part, whole = by_group(parts, wholes, groups)
    ratio, error, count = ratio_and_error(parts, wholes, groups=groups)
    assert (ratio, count) == (pytest.approx(sum(part) / sum(whole)), len(whole))
    if count < 2:
        assert math.isnan(error) and all(map(math.isnan, ratio_interval(parts, wholes, groups=groups)))
        return
    squares = sum((p - ratio * w) ** 2 for p, w in zip(part, whole, strict=True))
    expected = math.sqrt(count / (count - 1) * squares) / sum(whole)
    assert error == pytest.approx(expected, abs=1e-12)
    half = stats.t.ppf(0.975, count - 1) * expected
    assert ratio_interval(parts, wholes, groups=groups) == pytest.approx((ratio - half, ratio + half))
    assert ratio_interval(parts, wholes, groups=groups, lowest=0.0)[0] == pytest.approx(max(ratio - half, 0.0))


def test_groups_of_one_size_are_the_t_test_of_their_means() -> None:
    """SciPy's, in interval and p-value."""
    values = np.random.default_rng(0).normal(0.4, 1.0, size=(7, 5))
    groups = [f"g{number}" for number in range(7) for _ in range(5)]
    reference = stats.ttest_1samp(values.mean(axis=1), 0.0)
    interval = reference.confidence_interval(0.95)
    assert ratio_interval(values.ravel(), np.ones(35), groups=groups) == pytest.approx((interval.low, interval.high))
    assert t_test(values.ravel(), np.ones(35), groups=groups) == pytest.approx(reference.pvalue)


def test_what_no_test_can_tell() -> None:
    ones = np.ones(4)
    assert t_test(ones, ones, groups=list("aaaa")) is None
    assert t_test(np.zeros(4), ones, groups=list("abcd")) == 1.0
    assert t_test(ones, ones, groups=list("abcd")) == 1 / 8  # all signs alike: 2 of 16 flips
    assert format_interval("top-1", share_interval(ones, ones, groups=list("aaaa"))) == (
        "no interval of the top-1: one group says nothing about others"
    )
    assert format_interval("top-1", (0.25, 0.75)) == "95 % interval of the top-1 0.250 to 0.750, over groups"


@pytest.mark.parametrize("right", [[3, 3, 3, 3], [0, 0, 0, 0], [3, 1, 2, 2], [3, 0, 3, 0]])
def test_a_share_has_the_exact_interval_of_as_many_videos_as_count(right: list[int]) -> None:
    """Four groups of three, Korn & Graubard's steps one by one; all right or all wrong is no certainty."""
    parts = np.concatenate([[1.0] * number + [0.0] * (3 - number) for number in right])
    groups = [name for name in "abcd" for _ in range(3)]
    share = sum(right) / 12
    error = np.std(np.asarray(right) / 3, ddof=1) / 2
    effective = min(share * (1 - share) / error**2, 12) if error else 12.0
    effective *= (stats.t.ppf(0.975, 11) / stats.t.ppf(0.975, 3)) ** 2
    hits = share * effective
    low = stats.beta.ppf(0.025, hits, effective - hits + 1) if share else 0.0
    high = stats.beta.ppf(0.975, hits + 1, effective - hits) if share < 1 else 1.0
    assert share_interval(parts, np.ones(12), groups=groups) == pytest.approx((low, high))


@pytest.mark.parametrize("accuracy", [0.6, 0.9, 0.97])
@pytest.mark.parametrize(("groups", "alike"), [(5, 0.0), (5, 0.2), (8, 0.2), (12, 0.2)])
def test_the_interval_of_few_groups_covers_the_truth(accuracy: float, groups: int, alike: float) -> None:
    """Groups of six whose own accuracies differ; a percentile bootstrap covers 49 to 86 % with five of them."""
    rng = np.random.default_rng(1)
    names = [str(number) for number in range(groups) for _ in range(6)]
    covered = []
    for _ in range(400):
        rates = np.full(groups, accuracy)
        if alike:
            spread = 1 / alike - 1
            rates = rng.beta(accuracy * spread, (1 - accuracy) * spread, groups)
        right = (rng.random((groups, 6)) < rates[:, None]).astype(np.float64).ravel()
        low, high = share_interval(right, np.ones(6 * groups), groups=names)
        covered.append(low <= accuracy <= high)
    assert np.mean(covered) >= 0.93
