"""`vidrnn.preflight.near_copies`: every pair on two sides that a comparison of all with all finds, and no other."""

from itertools import combinations

import numpy as np
import pytest

from tests.unit.preflight.test_motion import film, moving
from vidrnn.preflight import near_copies
from vidrnn.preflight.motion import Motion, motion_of, similarity
from vidrnn.preflight.near_copies import LEAST, find_near_copies
from vidrnn.preflight.thumbnails import mirror


def still(seed: int) -> Motion:
    return motion_of(film(seed, 1), np.zeros(1))


def pairs(motions: list[Motion], sides: list[int]) -> dict[tuple[int, int], bool]:
    found = find_near_copies(motions.__getitem__, sides)
    assert [copy.similarity for copy in found] == sorted((copy.similarity for copy in found), reverse=True)
    return {(copy.first, copy.second): copy.is_mirrored for copy in found}


def test_copies_are_found_whatever_was_done_to_them() -> None:
    originals = [film(seed) for seed in range(6)]
    copies = [
        originals[0] + np.random.default_rng(0).normal(scale=0.5, size=originals[0].shape).astype(np.float32),
        originals[1][13:46],
        mirror(originals[2]),
        mirror(originals[3][20:]),
        1.5 * originals[4],
    ]
    motions = [*map(moving, originals), *map(moving, copies), moving(originals[5][::2], rate=12.5)]
    expected = {(number, number + 6): number in {2, 3} for number in range(6)}
    assert pairs(motions, [0] * 6 + [1] * 6) == expected


def test_copies_on_one_side_are_no_leak() -> None:
    motions = [moving(film(0)), moving(film(0)), moving(film(1))]
    assert pairs(motions, [0, 0, 1]) == {}
    assert pairs(motions, [0, 0, 0]) == {}
    assert pairs(motions, [0, 1, 1]) == {(0, 1): False}


@pytest.mark.parametrize("indexed", [False, True])
def test_the_result_is_that_of_comparing_all_with_all_at_every_shift(
    monkeypatch: pytest.MonkeyPatch, indexed: bool
) -> None:
    """Also where the comparison is cut into many blocks, and where an index is asked."""
    monkeypatch.setattr(near_copies, "_ROWS", 50)
    monkeypatch.setattr(near_copies, "_VIDEOS_AT_ONCE", 2)
    if indexed:
        monkeypatch.setattr(near_copies, "_EXACT_STEPS", 10)
    rng = np.random.default_rng(1)
    films = [film(number % 4)[start : start + 40] for number, start in enumerate(rng.integers(0, 20, size=10).tolist())]
    sides = rng.integers(0, 3, size=10).tolist()
    motions = [moving(each) for each in films]
    shifts = np.arange(-40, 41) / 25.0
    expected = {
        (i, j)
        for i, j in combinations(range(10), 2)
        if sides[i] != sides[j] and max(similarity(motions[i], motions[j], shift_s=s) for s in shifts) >= LEAST
    }
    assert expected
    assert pairs(motions, sides).keys() == expected


def test_stills_are_compared_by_what_they_show() -> None:
    motions = [
        still(0),
        still(1),
        motion_of(film(0, 1) + 0.01, np.zeros(1)),
        Motion(mirror(still(1).steps), np.zeros(1), True),
    ]
    assert pairs(motions, [0, 0, 1, 1]) == {(0, 2): False, (1, 3): True}


def test_blank_videos_are_copies_of_nothing() -> None:
    blank = motion_of(np.zeros((5, 1024), np.float32), np.arange(5) / 25)
    assert pairs([blank, blank], [0, 1]) == {}


def test_one_video_has_no_partner() -> None:
    assert pairs([moving(film(0))], [0]) == {}
