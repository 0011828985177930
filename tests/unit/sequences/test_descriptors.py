"""`vidrnn.sequences.descriptors`: what a video shows and how it goes on, by hand; backwards is another thing."""

import numpy as np
import pytest

from tests.worlds import order_task
from vidrnn.sequences.descriptors import PARTS, Raw, Scale, Space


def test_raw_is_the_mean_of_parts_and_what_each_part_differs_by() -> None:
    features = np.arange(12, dtype=np.float16)[:, None] * np.array([1, -2], np.float16)
    raw = Raw.of(features)
    means = np.array([1, 4, 7, 10])[:, None] * [1, -2]
    assert np.allclose(raw.shown, means.mean(0))
    assert np.allclose(raw.course, (means - means.mean(0)).ravel())
    backwards = Raw.of(features[::-1])
    assert np.allclose(backwards.shown, raw.shown)
    assert np.allclose(backwards.course.reshape(PARTS, 2), raw.course.reshape(PARTS, 2)[::-1])


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_short_sequences_give_some_steps_twice(steps: int) -> None:
    raw = Raw.of(np.ones((steps, 3)))
    assert np.allclose(raw.shown, 1.0)
    assert np.allclose(raw.course, 0.0)


def test_the_nearest_goes_the_same_way() -> None:
    sequences, targets = order_task(40)
    found = [{"rgb": Raw.of(sequence)} for sequence in sequences]
    vectors = Space.of(found).vectors(found)
    similar = vectors @ vectors.T - 2.0 * np.eye(40)
    assert np.array_equal(np.array(targets)[similar.argmax(1)], targets)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_a_space_of_few_sequences_loses_nothing() -> None:
    rng = np.random.default_rng(0)
    found = [{"rgb": Raw.of(rng.normal(size=(9, 5))), "flow": Raw.of(rng.normal(size=(6, 3)))} for _ in range(8)]
    full, vectors = Scale.of(found).descriptors(found), Space.of(found).vectors(found)
    assert np.allclose(full @ full.T, vectors @ vectors.T, atol=1e-4)
    assert np.array_equal(vectors, Space.of(found).vectors(found))


def test_a_still_video_is_noise_in_time_and_an_absent_stream_is_nothing() -> None:
    rng = np.random.default_rng(0)
    moving = [{"rgb": Raw.of(rng.normal(size=(8, 5)))} for _ in range(9)]
    still = {"rgb": Raw.of(np.ones((8, 5)) + rng.normal(scale=1e-4, size=(8, 5)))}
    scale = Scale.of([*moving, still])
    assert np.linalg.norm(scale.descriptor(still)[5:]) < 1e-3
    assert not scale.descriptor({}).any()
