"""`vidrnn.explanation.removal`: the check by loops, and what it says of right and of wrong explanations."""

import math

import numpy as np
import pytest

from tests.unit.explanation.explained_worlds import arrays, make_model, question_of
from vidrnn.explanation.importance import by_occlusion
from vidrnn.explanation.removal import SHARES, Removal, describe_removal, remove_important, summarise


def test_the_two_numbers_are_those_of_loops_over_all_places() -> None:
    question = question_of(make_model(), arrays([24])[0])
    importance = np.array([0.1, 0.9, -0.3, 0.8, 0.2, 0.0])
    removal = remove_important(question, importance)
    assert removal is not None
    for share, important, elsewhere in zip(SHARES, removal.important, removal.elsewhere, strict=True):
        count = max(1, round(share * 6))
        chosen = sorted(range(6), key=lambda moment: -importance[moment])[:count]

        def fall(moments: list[int]) -> float:
            occluded = np.array([[moment in moments for moment in range(6)]])
            return question.score - float(question.scores(occluded, fill="cut")[0])

        assert important == pytest.approx(fall(chosen), abs=1e-5)
        moved = [fall([(moment + distance) % 6 for moment in chosen]) for distance in range(1, 6)]
        assert elsewhere == pytest.approx(np.mean(moved), abs=1e-5)


def test_an_explanation_that_is_turned_around_fails_the_check() -> None:
    array = np.zeros((24, 5), np.float16)
    array[8:12] = np.array([3.0, -2.0, 1.0, 2.0, -3.0])  # nothing else happens
    question = question_of(make_model(cell="none", pooling="max", input_norm=False), array)
    importance = by_occlusion(question, window=1)
    assert importance.argmax() == 2
    right, wrong = (remove_important(question, sign * importance) for sign in (1.0, -1.0))
    assert right is not None and wrong is not None
    assert right.headline[0] > right.headline[1]
    assert wrong.headline[0] < wrong.headline[1]


def test_a_single_moment_cannot_be_removed() -> None:
    assert remove_important(question_of(make_model(), arrays([1])[0]), np.zeros(1)) is None
    assert remove_important(question_of(make_model(), arrays([2])[0]), np.zeros(2)) is not None
    assert summarise([], []) is None
    assert "nothing checks" in describe_removal(None)


def removal_of(important: float, elsewhere: float) -> Removal:
    return Removal(SHARES, (important,) * 4, (elsewhere,) * 4)


def test_the_summary_says_when_explanations_say_little() -> None:
    removals = [removal_of(2.0 + shift, 0.5) for shift in (0.0, 0.2, -0.2, 0.1)]
    good = summarise(removals, ["a", "b", "c", "d"])
    assert good is not None
    assert (good.important, good.elsewhere, good.share_worse) == (pytest.approx(2.025), 0.5, 1.0)
    assert good.is_confirmed
    assert "falls by 2.02, without a fifth elsewhere by 0.50 (mean over 4 videos)" in describe_removal(good)
    poor = summarise([removal_of(0.5 + shift, 0.5) for shift in (0.3, -0.3, 0.1, -0.2)], ["a", "b", "c", "d"])
    assert poor is not None
    assert not poor.is_confirmed
    assert describe_removal(poor).endswith(": so do not rely on these explanations")
    one = summarise(removals, ["a"] * 4)
    assert one is not None
    assert math.isnan(one.interval[0])
    alone = "; all of one group, so nothing says whether it holds for others"
    assert describe_removal(one).endswith(f"(mean over 4 videos){alone}")
    single = summarise(removals[:1], ["a"])
    assert describe_removal(single).endswith(f"(mean over 1 video){alone}")
