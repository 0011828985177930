"""`vidrnn.evaluation.baselines`: answers that look at no pixel."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from tests.worlds import Array
from vidrnn.evaluation.baselines import constant, metadata_only
from vidrnn.evaluation.transcripts import collapse


def majority(targets: list[int], n: int) -> list[int]:
    return [int(logits.argmax()) for logits in constant("label", list(np.asarray(targets)), [1] * n, num_classes=4)]


def answers(train: Array, targets: Array, test: Array) -> list[int]:
    found = metadata_only("label", train, list(targets), test, num_classes=int(targets.max()) + 1)
    assert found is not None
    return [int(logits.argmax()) for logits in found]


def test_majority_is_the_most_frequent_training_class_and_the_first_of_equals() -> None:
    assert majority([2, 0, 2, 1], 3) == [2, 2, 2]
    assert majority([3, 1, 1, 3], 2) == [1, 1]
    assert majority([0], 0) == []


def test_the_constant_answer_of_the_other_heads() -> None:
    labels = [np.asarray([1.0, 0.0]), np.asarray([1.0, 0.0]), np.asarray([1.0, 1.0])]
    (shares,) = constant("multilabel", labels, [5], num_classes=2)
    np.testing.assert_allclose(1 / (1 + np.exp(-shares)), [1.0, 1 / 3], atol=1e-5)
    steps = constant("step_labels", [np.asarray([2, 0, -1, -1, -1]), np.asarray([2])], [3, 1], num_classes=3)
    assert [logits.argmax(1).tolist() for logits in steps] == [[2, 2, 2], [2]]  # where nobody looked is no class
    sets = [np.asarray([[1.0, np.nan, np.nan], [0.0, 1.0, np.nan]]), np.asarray([[1.0, np.nan, np.nan]])]
    (going, one) = constant("step_multilabel", sets, [2, 1], num_classes=3)
    np.testing.assert_allclose(1 / (1 + np.exp(-going)), [[2 / 3, 1.0, 0.0]] * 2, atol=1e-5)
    assert one.shape == (1, 3)
    transcripts = [np.asarray([1, 1, 0]), np.asarray([1, 1, 0]), np.asarray([0, -1, -1])]
    (path,) = constant("transcript", transcripts, [9], num_classes=2)
    assert collapse(path.argmax(1), blank=2) == [1, 1, 0]
    (number,) = constant("regression", [np.float32(1.0), np.float32(7.0), np.float32(2.0)], [4], num_classes=0)
    assert number.tolist() == [2.0]
    (numbers,) = constant("step_regression", [np.asarray([1.0, np.nan]), np.asarray([3.0])], [2], num_classes=0)
    assert numbers.tolist() == [[2.0], [2.0]]


def test_metadata_only_answers_other_heads_by_the_mean_of_its_neighbours() -> None:
    rng = np.random.default_rng(0)
    train = np.repeat(facts(rng, 2), 7, axis=0)  # seven equal videos each: the neighbours of either are its own
    numbers = [np.float32(value) for value in range(14)]
    found = metadata_only("regression", train, numbers, train[[0, 7]], num_classes=0)
    assert found is not None
    np.testing.assert_allclose(np.concatenate(found), [3.0, 10.0])
    labels = [np.asarray([float(number < 7), float(number == 13)]) for number in range(14)]
    found = metadata_only("multilabel", train, labels, train[[0, 7]], num_classes=2)
    assert found is not None
    np.testing.assert_allclose(1 / (1 + np.exp(-np.stack(found))), [[1.0, 0.0], [0.0, 1 / 7]], atol=1e-5)
    assert metadata_only("transcript", train, labels, train, num_classes=2) is None


def facts(rng: np.random.Generator, n: int) -> Array:
    """Width, height, frames, seconds."""
    return np.column_stack([
        rng.integers(100, 900, n), rng.integers(100, 900, n), rng.integers(10, 900, n), rng.uniform(1, 30, n)
    ])  # fmt: skip


def test_metadata_only_equals_nearest_neighbours_on_standardised_facts() -> None:
    rng = np.random.default_rng(0)
    train, test, targets = facts(rng, 40), facts(rng, 15), rng.integers(0, 4, 40)
    seen = [np.column_stack([facts, facts[:, 2] / facts[:, 3]]) for facts in (train, test)]
    mean, spread = seen[0].mean(0), seen[0].std(0)
    neighbours = KNeighborsClassifier(7).fit((seen[0] - mean) / spread, targets)
    expected = neighbours.predict((seen[1] - mean) / spread)
    assert answers(train, targets, test) == expected.tolist()


def test_metadata_only_finds_a_class_that_follows_from_the_frame_rate() -> None:
    """Same size and length: only frames per second tell the classes apart."""
    seconds = np.linspace(2, 9, 30)
    rate = np.where(np.arange(30) % 2, 25.0, 30.0)
    train = np.column_stack([np.full(30, 640.0), np.full(30, 480.0), seconds * rate, seconds])
    targets = np.arange(30) % 2
    test = train + np.asarray([0.0, 0.0, 1.0, 0.03])
    assert (np.asarray(answers(train, targets, test)) == targets).mean() > 0.95


@pytest.mark.parametrize("n", [1, 3, 6])
def test_metadata_only_takes_few_videos(n: int) -> None:
    rng = np.random.default_rng(0)
    assert answers(facts(rng, n), np.full(n, 2), facts(rng, 4)) == [2, 2, 2, 2]


def test_metadata_only_takes_a_video_without_duration_and_equal_videos() -> None:
    train = np.tile([64.0, 48.0, 1.0, 0.0], (8, 1))
    assert answers(train, np.asarray([0] * 5 + [1] * 3), train[:2]) == [0, 0]
