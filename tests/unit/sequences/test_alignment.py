"""`vidrnn.sequences.alignment`: streams of different rates side by side."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.worlds import Array
from vidrnn.sequences.alignment import align, nearest_steps, reference_of
from vidrnn.sequences.steps import StepChoice

instants = st.lists(st.integers(0, 400), min_size=0, max_size=12, unique=True).map(
    lambda numbers: np.array(sorted(numbers)) / 8
)


def nearest_by_hand(times: Array, instant: float) -> int:
    """One instant after the other, every step looked at."""
    if len(times) == 0:
        return -1
    if len(times) == 1:
        return 0
    reach = float(np.median([after - before for before, after in pairwise(times)]))
    if instant < times[0] - reach or instant > times[-1] + reach:
        return -1
    best = 0
    for step, time in enumerate(times):
        if abs(time - instant) < abs(times[best] - instant):
            best = step
    return best


@given(times=instants, grid=instants)
def test_each_instant_takes_the_nearest_step_and_the_earlier_of_two(times: Array, grid: Array) -> None:
    assert nearest_steps(times, grid).tolist() == [nearest_by_hand(times, instant) for instant in grid]


def test_sound_that_ends_before_the_video_shows_nothing_afterwards() -> None:
    """One step beyond its last is still the end of the sound; before its first likewise."""
    sound, video = np.arange(8, 16) / 8, np.arange(12) / 4
    assert nearest_steps(sound, video).tolist() == [-1, -1, -1, -1, 0, 2, 4, 6, 7, -1, -1, -1]


@pytest.mark.parametrize(
    ("lengths", "reference"),
    [
        ({"rgb": 5, "audio": 50}, "rgb"),
        ({"rgb": 0, "flow": 4, "audio": 50}, "flow"),
        ({"rgb": 0, "audio": 50}, "audio"),
        ({"rgb": 1, "text": 7}, "text"),
        ({"rgb": 9, "text": 1}, "rgb"),
        ({"rgb": 1, "text": 1}, "rgb"),
        ({"rgb": 0, "text": 1}, "text"),
    ],
)
def test_the_grid_is_the_first_stream_with_more_than_one_step(lengths: dict[str, int], reference: str) -> None:
    assert reference_of({name: np.arange(length) / 10 for name, length in lengths.items()}) == reference


def test_each_video_has_a_grid_of_its_own() -> None:
    times = {
        "rgb": [np.arange(4) / 2, np.zeros(0), np.zeros(1)],
        "audio": [np.zeros(0), np.arange(6) / 5, np.zeros(0)],
        "text": [np.zeros(1), np.zeros(1), np.array([0.0, 3.0])],
    }
    grid, grids = align(times)
    assert [seconds.tolist() for seconds in grids] == [[0, 0.5, 1, 1.5], [0, 0.2, 0.4, 0.6, 0.8, 1], [0, 3]]
    assert grid.offsets.tolist() == [0, 4, 10]
    assert grid.steps["rgb"].tolist() == [0, 1, 2, 3, *[-1] * 6, 0, 0]
    assert grid.steps["audio"].tolist() == [*[-1] * 4, 0, 1, 2, 3, 4, 5, -1, -1]
    assert grid.steps["text"].tolist() == [0] * 10 + [0, 1]
    assert {steps.dtype for steps in grid.steps.values()} == {torch.int32}


def test_steps_are_looked_up_in_any_order_and_none_beyond_the_lengths() -> None:
    grid, _ = align({"rgb": [np.arange(4) / 2, np.arange(3) / 2], "audio": [np.arange(9) / 4, np.zeros(0)]})
    choice = StepChoice(torch.tensor([[2, 0, 0], [3, 1, 2]]), torch.tensor([2, 3]))
    assert grid.stream_steps("audio", torch.tensor([1, 0]), choice).tolist() == [[-1, -1, -1], [6, 2, 4]]
    choice = StepChoice(torch.tensor([[2, 0, 0]]), torch.tensor([2]))
    assert grid.subset(torch.tensor([1])).stream_steps("rgb", torch.tensor([0]), choice).tolist() == [[2, 0, -1]]
