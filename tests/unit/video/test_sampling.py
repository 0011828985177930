"""Which frames are kept: compared with loops over all instants and all frames."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidrnn.video.sampling import Sampling, segment_centres

ROUNDING_S = 1e-3  # Matroska's millisecond: a frame may claim to start that much late

# Multiples of 1/1024 s and powers of two as rates, so that no comparison below hangs on the last bit.
GAPS = st.lists(st.integers(1, 4000), max_size=60)
RATES = st.sampled_from([0.25, 1.0, 4.0, 16.0, 64.0])


def times(gaps: list[int], *, start: int = 0) -> np.ndarray:
    return np.cumsum([start, *gaps]) / 1024.0


def shown_at(timestamps_s, instant: float) -> int:
    """The latest frame that has started by then: a plain loop."""
    shown = 0
    for index, started in enumerate(timestamps_s):
        if started <= instant + ROUNDING_S:
            shown = index
    return shown


def each_once(indices: list[int]) -> list[int]:
    return sorted(set(indices))


@given(gaps=GAPS, start=st.integers(0, 5000), rate=RATES)
def test_fps_keeps_the_frame_shown_at_each_instant_from_the_first_frame_on(gaps, start, rate):
    timestamps_s = times(gaps, start=start)
    usual_gap_s = float(np.median(np.diff(timestamps_s))) if gaps else 0.0
    instant = timestamps_s[0]
    expected = [shown_at(timestamps_s, instant)]
    while instant < timestamps_s[-1] + usual_gap_s - ROUNDING_S:
        expected.append(shown_at(timestamps_s, instant))
        instant += 1.0 / rate
    assert Sampling("fps", rate=rate).select(timestamps_s).tolist() == each_once(expected)


@given(gaps=GAPS, count=st.sampled_from([1, 2, 4, 8, 32]))
def test_uniform_keeps_the_frame_shown_in_the_middle_of_each_part(gaps, count):
    timestamps_s = times(gaps)
    if len(timestamps_s) <= count:
        expected = list(range(len(timestamps_s)))
    else:
        length_s = timestamps_s[-1] + float(np.median(np.diff(timestamps_s)))
        middles = [(part + 0.5) * length_s / count for part in range(count)]
        expected = each_once([shown_at(timestamps_s, middle) for middle in middles])
    assert Sampling("uniform", count=count).select(timestamps_s).tolist() == expected


@given(total=st.integers(0, 200), stride=st.integers(1, 50))
def test_every_keeps_each_strideth_frame_from_the_first_on(total, stride):
    timestamps_s = np.arange(total) / 25.0
    assert Sampling("every", stride=stride).select(timestamps_s).tolist() == list(range(total))[::stride]


@given(
    gaps=GAPS,
    sampling=st.one_of(
        st.builds(Sampling, st.just("fps"), rate=st.floats(0.01, 1000.0), max_frames=st.none() | st.integers(1, 20)),
        st.builds(Sampling, st.just("uniform"), count=st.integers(1, 100)),
        st.builds(Sampling, st.just("every"), stride=st.integers(1, 99), max_frames=st.none() | st.integers(1, 20)),
    ),
)
def test_no_frame_is_kept_twice_and_order_is_kept(gaps, sampling):
    timestamps_s = times(gaps)
    indices = sampling.select(timestamps_s)
    assert indices.dtype == np.int64
    assert (np.diff(indices) > 0).all()
    assert len(indices) >= 1
    assert indices[0] >= 0
    assert indices[-1] < len(timestamps_s)
    for cap in (sampling.max_frames, sampling.count):
        assert cap is None or len(indices) <= cap


@given(gaps=st.lists(st.integers(1, 200), min_size=10, max_size=60), cap=st.integers(1, 8))
def test_a_capped_selection_is_thinned_evenly_over_the_whole_video(gaps, cap):
    timestamps_s = times(gaps)
    every, capped = Sampling("every", stride=1), Sampling("every", stride=1, max_frames=cap)
    total, kept = len(every.select(timestamps_s)), capped.select(timestamps_s)
    assert kept.tolist() == [int((2 * part + 1) * total / (2 * cap)) for part in range(cap)]
    assert kept[0] < total / cap
    assert kept[-1] >= total - 1 - total / cap


def test_a_cap_that_is_not_reached_changes_nothing():
    timestamps_s = np.arange(30) / 10.0
    plain = Sampling("fps", rate=5.0).select(timestamps_s)
    assert Sampling("fps", rate=5.0, max_frames=15).select(timestamps_s).tolist() == plain.tolist()


def test_ten_per_second_of_25_fps():
    assert Sampling("fps", rate=10.0).select(np.arange(25) / 25.0).tolist() == [0, 2, 5, 7, 10, 12, 15, 17, 20, 22]


def test_the_own_rate_keeps_all_frames_also_with_millisecond_timestamps():
    """Matroska writes 1/30 s as 33, 67, 100 ms; half of those lie after the instant that they stand for."""
    exact = np.arange(90) / 30.0
    assert len(Sampling("fps", rate=30.0).select(exact)) == 90
    assert len(Sampling("fps", rate=30.0).select(np.round(exact, 3))) == 90


@pytest.mark.parametrize("rate", [25.0, 26.0, 33.3, 240.0, 1e6])
def test_a_rate_above_the_videos_gives_all_its_frames_once(rate):
    assert Sampling("fps", rate=rate).select(np.arange(7) / 25.0).tolist() == list(range(7))


def test_fewer_frames_than_asked_gives_all_of_them():
    assert Sampling("uniform", count=16).select(np.arange(5) / 25.0).tolist() == [0, 1, 2, 3, 4]


def test_variable_rate_is_sampled_in_time_not_in_frames():
    """A second of 4 frames followed by one of 100: a fixed rate takes equally many of both."""
    timestamps_s = np.concatenate([np.arange(4) / 4, 1 + np.arange(100) / 100])
    indices = Sampling("fps", rate=4.0).select(timestamps_s)
    assert indices.tolist() == [0, 1, 2, 3, 4, 29, 54, 79]


def test_a_frame_that_stays_on_screen_for_long_is_kept_once():
    assert Sampling("fps", rate=10.0).select(np.array([0.0, 0.1, 60.0])).tolist() == [0, 1, 2]


def test_a_claimed_gap_of_years_costs_no_memory():
    """Damaged files hold such times; a list of all instants would be larger than any memory."""
    assert Sampling("fps", rate=1000.0).select(np.array([0.0, 0.04, 1e12])).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "sampling", [Sampling("fps", rate=10.0), Sampling("uniform", count=4), Sampling("every", stride=2)]
)
def test_empty_and_single(sampling):
    assert sampling.select(np.zeros(0)).tolist() == []
    assert sampling.select(np.array([3.5])).tolist() == [0]


def test_segment_centres_are_the_middles_of_equal_parts():
    assert segment_centres(10, 5).tolist() == [1, 3, 5, 7, 9]
    assert segment_centres(3, 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", ["fps", "uniform", "every"])
def test_a_kind_without_its_number_is_a_programming_error(kind):
    with pytest.raises(AssertionError, match=f"sampling '{kind}' lacks its number"):
        Sampling(kind)


def test_thinning_is_said_with_what_it_costs():
    hour = np.arange(36_000) / 10
    capped = Sampling("fps", rate=10.0, max_frames=600)
    assert len(capped.select(hour)) == 600
    assert capped.thinning(hour) == (
        "36000 frames were asked for and 600 kept, one every 6 s (features.max_frames; null keeps all)",
    )
    assert capped.thinning(hour[:600]) == ()
    assert Sampling("fps", rate=10.0).thinning(hour) == ()
    assert Sampling("uniform", count=5).thinning(hour) == ()


@given(
    windows=st.integers(2, 12),
    sampling=st.sampled_from(
        [
            Sampling("uniform", count=8),
            Sampling("fps", rate=16.0, max_frames=8),
            Sampling("every", stride=4, max_frames=8),
        ]
    ),
)
def test_each_window_of_a_long_video_has_as_many_frames_as_a_video_that_is_one_window(windows, sampling):
    """At 32 frames per second, in windows of 2 s; a video that is no longer than a window is sampled as ever."""
    timestamps_s, windowed = np.arange(64 * windows) / 32.0, replace(sampling, window_s=2.0)
    found = timestamps_s[windowed.select(timestamps_s)]
    assert np.histogram(found, bins=np.arange(windows + 1) * 2.0)[0].tolist() == [8] * windows
    assert windowed.thinning(timestamps_s) == ()
    one = timestamps_s[:64]
    assert windowed.select(one).tolist() == sampling.select(one).tolist()
    assert windowed.thinning(one) == sampling.thinning(one)
