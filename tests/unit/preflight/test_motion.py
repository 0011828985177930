"""`vidrnn.preflight.motion`: how alike two videos move, against a search over all shifts."""

import numpy as np
import pytest

from vidrnn.preflight.motion import Motion, motion_of, similarity

RATE = 25.0


def film(seed: int, length: int = 60) -> np.ndarray:
    """(T, 1024) noise that changes smoothly over time, so that neighbours in time are alike."""
    noise = np.random.default_rng(seed).normal(scale=8.0, size=(length + 8, 1024))
    return np.stack([noise[start : start + 9].mean(axis=0) for start in range(length)]).astype(np.float32)


def moving(values: np.ndarray, *, rate: float = RATE, start_s: float = 0.0) -> Motion:
    motion = motion_of(values, start_s + np.arange(len(values)) / rate)
    assert not motion.is_still
    return motion


def brute_force(first: Motion, second: Motion) -> float:
    """The best cosine over all whole shifts with half of the shorter one in common, in float64, step by step."""
    one, other = first.steps.astype(np.float64), second.steps.astype(np.float64)
    best = -1.0
    for shift in range(-len(one) + 1, len(other)):
        pairs = [(one[i], other[i + shift]) for i in range(len(one)) if 0 <= i + shift < len(other)]
        if len(pairs) >= max(np.ceil(min(len(one), len(other)) / 2), 2):
            dots = sum(a @ b for a, b in pairs)
            scale = sum(a @ a for a, _ in pairs) * sum(b @ b for _, b in pairs)
            best = max(best, dots / np.sqrt(scale))
    return float(best)


@pytest.mark.parametrize(("first", "last"), [(0, 60), (0, 33), (27, 60), (13, 46)])
def test_a_part_of_a_video_is_found_as_well_as_by_trying_all_shifts(first: int, last: int) -> None:
    whole = film(0)
    part = whole[first:last] + np.random.default_rng(9).normal(scale=0.3, size=(last - first, 1024)).astype(np.float32)
    one, other = moving(whole), moving(part)
    expected = brute_force(other, one)
    assert expected > 0.85
    assert similarity(other, one, shift_s=first / RATE) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("error_frames", [-2, -1, 1, 2])
def test_a_shift_that_is_known_only_about_is_corrected(error_frames: int) -> None:
    whole = film(1)
    one, other = moving(whole[10:50]), moving(whole)
    assert similarity(one, other, shift_s=(10 + error_frames) / RATE) == pytest.approx(
        brute_force(one, other), abs=1e-5
    )


def test_the_order_of_the_two_does_not_matter() -> None:
    one, other = moving(film(2)), moving(film(2)[20:])
    assert similarity(one, other, shift_s=-20 / RATE) == pytest.approx(
        similarity(other, one, shift_s=20 / RATE), abs=1e-6
    )


def test_times_count_and_not_numbers_of_frames() -> None:
    """Half the frames, a late start."""
    whole = film(3)
    thinned = moving(whole[::2], rate=RATE / 2, start_s=7.0)
    assert similarity(moving(whole), thinned, shift_s=7.0) > 0.9
    assert similarity(thinned, moving(whole), shift_s=-7.0) > 0.9
    assert similarity(moving(whole), thinned, shift_s=0.0) == -1.0


def test_a_variable_rate_is_followed_by_its_times() -> None:
    whole, kept = film(4), np.sort(np.random.default_rng(0).permutation(60)[:45])
    irregular = motion_of(whole[kept], kept / RATE)
    other = motion_of(film(5)[kept], kept / RATE)
    own = similarity(moving(whole), irregular, shift_s=0.0)
    assert own > 0.7
    assert own > similarity(moving(whole), other, shift_s=0.0) + 0.5


def test_other_videos_are_far_from_alike() -> None:
    values = [similarity(moving(film(seed)), moving(film(seed + 100)), shift_s=0.0) for seed in range(10)]
    assert max(values) < 0.3


def test_what_lies_over_less_than_half_of_the_shorter_one_is_nothing() -> None:
    one, other = moving(film(6)[:40]), moving(film(6)[25:])
    assert similarity(one, other, shift_s=-25 / RATE) == -1.0
    assert similarity(moving(film(6)[:40]), moving(film(6)[18:]), shift_s=-18 / RATE) > 0.9


def test_brightness_and_contrast_do_not_matter() -> None:
    assert similarity(moving(film(7)), moving(3.0 * film(7) + 20.0), shift_s=0.0) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("length", [1, 2])
def test_one_or_two_frames_are_a_still(length: int) -> None:
    motion = motion_of(film(8, length), np.arange(length) / RATE)
    assert (motion.is_still, motion.steps.shape) == (True, (1, 1024))


def test_equal_frames_are_a_still_and_have_something_in_common_with_stills_alone() -> None:
    picture = film(9, 1)
    still = motion_of(np.repeat(picture, 30, axis=0), np.arange(30) / RATE)
    single = motion_of(picture, np.zeros(1))
    assert still.is_still
    assert similarity(still, single, shift_s=5.0) == pytest.approx(1.0)
    assert similarity(still, moving(film(9)), shift_s=0.0) == -1.0


def test_a_blank_video_is_like_nothing() -> None:
    blank = motion_of(np.zeros((30, 1024), np.float32), np.arange(30) / RATE)
    assert similarity(blank, blank, shift_s=0.0) == -1.0


def test_the_mirror_of_a_mirror_is_the_video() -> None:
    motion = moving(film(10))
    np.testing.assert_array_equal(motion.mirrored().mirrored().steps, motion.steps)
    assert similarity(motion, motion.mirrored(), shift_s=0.0) < 0.5
