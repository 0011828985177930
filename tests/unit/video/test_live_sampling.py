"""`vidrnn.video.live_sampling`: frame by frame the same frames are kept as of the whole video."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

from vidrnn.errors import ConfigError
from vidrnn.video.live_sampling import LiveSampling
from vidrnn.video.sampling import Sampling


def kept(sampling: Sampling, times_s: list[float], *, window_s: float | None = None) -> list[int]:
    live = LiveSampling(sampling, window_s=window_s)
    decisions = [live.push(time_s) for time_s in times_s] + [live.finish()]
    assert not decisions[0]  # nothing came before the first frame
    return [number for number, is_kept in enumerate(decisions[1:]) if is_kept]


@configure(max_examples=150, deadline=None)
@given(
    gaps_ms=st.lists(st.integers(1, 400), max_size=40),
    first_s=st.sampled_from([0.0, 3.7, -1.0]),
    sampling=st.sampled_from(
        [
            Sampling("fps", rate=10.0),
            Sampling("fps", rate=2.5),
            Sampling("fps", rate=60.0),
            Sampling("every", stride=1),
            Sampling("every", stride=3),
        ]
    ),
)
def test_the_choice_is_that_of_the_whole_video(gaps_ms: list[int], first_s: float, sampling: Sampling) -> None:
    times_s = first_s + np.cumsum([0, *gaps_ms]) / 1000
    assert kept(sampling, times_s.tolist()) == sampling.select(times_s).tolist()


def test_nothing_gives_nothing() -> None:
    assert kept_of_nothing() == [False]


def kept_of_nothing() -> list[bool]:
    return [LiveSampling(Sampling("fps", rate=10.0), window_s=None).finish()]


@pytest.mark.parametrize(
    ("sampling", "reason"),
    [
        (Sampling("uniform", count=16), "takes 16 frames spread over the whole video"),
        (Sampling("fps", rate=10.0, max_frames=99), "thins long videos to 99 frames"),
        (Sampling("every", stride=2, max_frames=99), "thins long videos to 99 frames"),
    ],
)
def test_what_needs_the_end_is_refused(sampling: Sampling, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        LiveSampling(sampling, window_s=None)


@pytest.mark.parametrize(
    "sampling", [Sampling("uniform", count=8), Sampling("fps", rate=25.0, max_frames=8)], ids=lambda way: way.kind
)
def test_a_window_has_as_many_frames_as_a_video_of_its_length(sampling: Sampling) -> None:
    """25 frames a second for 8 s, of which each window of 4 s holds 8 that are kept."""
    times_s = (np.arange(200) / 25).tolist()
    numbers = kept(sampling, times_s, window_s=4.0)
    assert len(numbers) == 16
    assert np.ptp(np.diff(numbers)) <= 1
