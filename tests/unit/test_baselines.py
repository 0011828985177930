"""`vidrnn.evaluation.baselines`: answers that look at no pixel."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from tests.worlds import Array
from vidrnn.evaluation.baselines import majority, metadata_only


def test_majority_is_the_most_frequent_training_class_and_the_first_of_equals() -> None:
    assert majority(np.asarray([2, 0, 2, 1]), 3).tolist() == [2, 2, 2]
    assert majority(np.asarray([3, 1, 1, 3]), 2).tolist() == [1, 1]
    assert majority(np.asarray([0]), 0).tolist() == []


def facts(rng: np.random.Generator, n: int) -> Array:
    """Width, height, frames, seconds."""
    return np.column_stack([
        rng.integers(100, 900, n), rng.integers(100, 900, n), rng.integers(10, 900, n), rng.uniform(1, 30, n)
    ])  # fmt: skip


def test_metadata_only_equals_nearest_neighbours_on_standardised_facts() -> None:
    rng = np.random.default_rng(0)
    train, test, targets = facts(rng, 40), facts(rng, 15), rng.integers(0, 4, 40)
    seen = [np.column_stack([each, each[:, 2] / each[:, 3]]) for each in (train, test)]
    mean, spread = seen[0].mean(0), seen[0].std(0)
    neighbours = KNeighborsClassifier(7).fit((seen[0] - mean) / spread, targets)
    expected = neighbours.predict((seen[1] - mean) / spread)
    assert metadata_only(train, targets, test).tolist() == expected.tolist()


def test_metadata_only_finds_a_class_that_follows_from_the_frame_rate() -> None:
    """Same size and length: only frames per second tell the classes apart."""
    seconds = np.linspace(2, 9, 30)
    rate = np.where(np.arange(30) % 2, 25.0, 30.0)
    train = np.column_stack([np.full(30, 640.0), np.full(30, 480.0), seconds * rate, seconds])
    targets = np.arange(30) % 2
    test = train + np.asarray([0.0, 0.0, 1.0, 0.03])
    assert (metadata_only(train, targets, test) == targets).mean() > 0.95


@pytest.mark.parametrize("n", [1, 3, 6])
def test_metadata_only_takes_few_videos(n: int) -> None:
    rng = np.random.default_rng(0)
    found = metadata_only(facts(rng, n), np.full(n, 2), facts(rng, 4))
    assert found.tolist() == [2, 2, 2, 2]


def test_metadata_only_takes_a_video_without_duration_and_equal_videos() -> None:
    train = np.tile([64.0, 48.0, 1.0, 0.0], (8, 1))
    assert metadata_only(train, np.asarray([0] * 5 + [1] * 3), train[:2]).tolist() == [0, 0]
