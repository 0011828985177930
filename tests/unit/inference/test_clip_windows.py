"""`vidrnn.inference.clip_windows`: which steps are looked at together, and the mean of what is said of a step."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.inference.long_worlds import model_of, video, whole
from vidrnn.inference.clip_windows import _averaged, window_scores, windows_of
from vidrnn.inference.prediction_rows import probabilities_of

GAPS = st.lists(st.sampled_from([0.1, 0.1, 0.1, 0.2, 3.0, 50.0]), min_size=0, max_size=60)


@given(GAPS, st.floats(0.05, 8.0), st.floats(0.1, 1.0), st.floats(0.0, 1e6))
def test_every_step_is_in_a_window_and_no_window_is_longer_than_asked(
    gaps: list[float], window_s: float, share: float, start_s: float
) -> None:
    times_s = start_s + np.cumsum([0.0, *gaps])
    windows = list(windows_of(times_s, window_s=window_s, hop_s=share * window_s))
    assert windows[0][0] == 0
    assert windows[-1][1] == len(times_s)
    seen = np.zeros(len(times_s), dtype=int)
    for begin, end in windows:
        assert 0 <= begin < end
        assert times_s[end - 1] - times_s[begin] <= window_s + 1e-5
        seen[begin:end] += 1
    assert seen.min() >= 1
    for (begin, _), (later, _) in pairwise(windows):
        assert begin <= later


def test_windows_begin_a_hop_apart_and_the_last_one_ends_with_the_video() -> None:
    times_s = np.arange(11) / 10
    assert list(windows_of(times_s, window_s=0.4, hop_s=0.2)) == [(0, 4), (2, 6), (4, 8), (6, 10), (7, 11)]
    assert list(windows_of(times_s, window_s=0.5, hop_s=0.5)) == [(0, 5), (5, 10), (6, 11)]


def test_a_video_that_is_shorter_than_a_window_is_one_window() -> None:
    assert list(windows_of(np.arange(5) / 10, window_s=4.0, hop_s=1.0)) == [(0, 5)]
    assert list(windows_of(np.zeros(1), window_s=4.0, hop_s=1.0)) == [(0, 1)]


def test_a_gap_of_years_has_no_windows() -> None:
    times_s = np.array([0.0, 0.1, 1e9, 1e9 + 0.1])
    assert list(windows_of(times_s, window_s=1.0, hop_s=0.5)) == [(0, 2), (2, 4)]


@given(GAPS, st.floats(0.2, 8.0), st.floats(0.1, 1.0), st.integers(0, 99))
def test_the_mean_is_over_all_windows_that_hold_a_step(
    gaps: list[float], window_s: float, share: float, seed: int
) -> None:
    """Given away in parts, and all together what a table of all answers says."""
    times_s, rng = np.cumsum([0.0, *gaps]), np.random.default_rng(seed)
    answers = [
        (begin, rng.random((end - begin, 3)))
        for begin, end in windows_of(times_s, window_s=window_s, hop_s=share * window_s)
    ]
    table = np.full((len(answers), len(times_s), 3), np.nan)
    for row, (begin, scores) in zip(table, answers, strict=True):
        row[begin : begin + len(scores)] = scores
    found = np.concatenate(list(_averaged(answers)))
    np.testing.assert_allclose(found, np.nanmean(table, axis=0), atol=1e-12)
    assert found.shape == (len(times_s), 3)


def test_what_no_later_window_changes_is_not_kept() -> None:
    parts = [len(part) for part in _averaged((10 * number, np.ones((20, 2))) for number in range(5))]
    assert parts == [10, 10, 10, 10, 20]


@pytest.mark.parametrize("head", ["label", "multilabel", "regression", "step_labels"])
def test_the_scores_of_a_step_are_the_mean_of_clips_cut_there(head: str) -> None:
    """Against clips that are cut, asked and averaged one by one; a stream of a single step is in all of them."""
    model = model_of(head=head, bidirectional=True, streams=("rgb", "flow"), inputs=["centred", "change"])
    features = {("rgb", False): video(50), ("flow", False): video(1, dim=7)}
    windows = list(windows_of(features["rgb", False].timestamps_s, window_s=1.0, hop_s=0.3))
    total = np.zeros((50, 1 if head == "regression" else 3))
    counts = np.zeros((50, 1))
    for begin, end in windows:
        made = features["rgb", False]
        clip = replace(made, features=made.features[begin:end], timestamps_s=made.timestamps_s[begin:end])
        outputs = whole(model, list(model.specs), {**features, ("rgb", False): clip})
        total[begin:end] += outputs if head == "regression" else probabilities_of(model.settings.model.head, outputs)
        counts[begin:end] += 1
    streams = [spec.stream for spec in model.specs]
    found = window_scores(model, list(model.specs), features, streams=streams, window_s=1.0, hop_s=0.3)
    np.testing.assert_allclose(np.concatenate(list(found)), total / counts, atol=1e-5)
    assert counts.max() > 1
