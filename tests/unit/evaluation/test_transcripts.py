"""`vidrnn.evaluation.transcripts` against slow re-statements and hand-worked examples."""

import json
import math
from functools import cache
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

from vidrnn.evaluation.transcripts import (
    TranscriptMetrics,
    collapse,
    edit_distance,
    measure_transcripts,
    none_if_nan,
    ratio_interval,
)

LABELS = ("run", "jump", "turn")
TRANSCRIPTS = st.lists(st.integers(0, 2), max_size=6)


def metrics_of(predicted: list[list[int]], truth: list[list[int]], **changes: object) -> TranscriptMetrics:
    values = {"labels": LABELS, "groups": [f"g{i}" for i in range(len(truth))]} | changes
    return measure_transcripts(predicted, truth, **values)  # type: ignore[arg-type]


@cache
def all_alignments(a: tuple[int, ...], b: tuple[int, ...]) -> frozenset[tuple[int, int, int]]:
    """(insertions, deletions, substitutions) of every way to make b of a."""
    found = {(0, 0, 0)} if not a and not b else set()
    if a:
        found |= {(i, d + 1, s) for i, d, s in all_alignments(a[1:], b)}
    if b:
        found |= {(i + 1, d, s) for i, d, s in all_alignments(a, b[1:])}
    if a and b:
        found |= {(i, d, s + (a[0] != b[0])) for i, d, s in all_alignments(a[1:], b[1:])}
    return frozenset(found)


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [("kitten", "sitting", 3), ("", "", 0), ("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0), ("ab", "ba", 2)],
)
def test_the_edit_distance_of_known_words(a: str, b: str, distance: int) -> None:
    assert edit_distance([ord(letter) for letter in a], [ord(letter) for letter in b]) == distance


@configure(deadline=None, max_examples=80)
@given(TRANSCRIPTS, TRANSCRIPTS)
def test_edits_are_those_of_the_best_of_all_alignments(guess: list[int], true: list[int]) -> None:
    """A guess that is not true is an insertion: making the truth of the prediction would delete it."""
    best = min(all_alignments(tuple(true), tuple(guess)), key=lambda edits: (sum(edits), -edits[2]))
    found = metrics_of([guess], [true])
    assert (found.insertions, found.deletions, found.substitutions) == best
    assert edit_distance(guess, true) == sum(best)


@configure(deadline=None, max_examples=80)
@given(st.lists(st.integers(0, 3), max_size=12), st.integers(0, 3))
def test_collapse_says_runs_once_and_leaves_blanks_out(path: list[int], blank: int) -> None:
    assert collapse(np.asarray(path), blank=blank) == [label for label, _ in groupby(path) if label != blank]


def test_a_blank_between_equal_labels_keeps_both() -> None:
    assert collapse([3, 1, 1, 3, 1, 0, 0, 3], blank=3) == [1, 1, 0]
    assert collapse([1, 1, 1], blank=3) == [1]


@pytest.mark.parametrize("path", [np.zeros((2, 3), dtype=np.int64), np.zeros(3)])
def test_a_path_is_one_row_of_integers(path: object) -> None:
    with pytest.raises(ValueError, match=r"best_path has shape .* expected \(T,\) integers; give the argmax"):
        collapse(path, blank=0)  # type: ignore[arg-type]


def test_a_hand_worked_example() -> None:
    predicted = [[0, 1, 2], [0, 0], [1], []]
    truth = [[0, 2], [0, 1], [1], [2, 2]]  # one insertion; one substitution; right; two deletions
    found = metrics_of(predicted, truth)
    assert (found.n, found.true_labels) == (4, 7)
    assert (found.insertions, found.deletions, found.substitutions) == (1, 2, 1)
    assert found.label_error_rate == pytest.approx(4 / 7)
    assert found.exact_match == 0.25


def test_the_label_error_rate_may_exceed_one() -> None:
    assert metrics_of([[0, 1, 2]], [[1]]).label_error_rate == 2.0


def test_empty_transcripts_everywhere_have_no_error_rate() -> None:
    found = metrics_of([[], [1]], [[], []])
    assert math.isnan(found.label_error_rate)
    assert (found.insertions, found.exact_match) == (1, 0.5)
    values = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert values["label_error_rate"] is None
    assert values["label_error_rate_interval"] == [None, None]


def test_metrics_are_plain_json() -> None:
    predicted, truth = [[0, 1], [2]], [[0], [2]]
    values = json.loads(json.dumps(metrics_of(predicted, truth).as_dict(), allow_nan=False))
    assert set(values) == {
        "n", "true_labels", "label_error_rate", "label_error_rate_interval", "insertions", "deletions",
        "substitutions", "exact_match",
    }  # fmt: skip
    assert values["label_error_rate"] == 0.5


def test_the_interval_of_the_metrics_is_of_the_label_error_rate() -> None:
    truth = [[0, 1], [2], [1, 1, 0], []]
    predicted = [[0], [2], [1, 0, 0], [2]]
    groups = ["a", "a", "b", "c"]
    found = metrics_of(predicted, truth, groups=groups)
    expected = ratio_interval(np.asarray([1, 0, 1, 1]), np.asarray([2, 1, 3, 0]), groups=groups, lowest=0.0)
    assert found.interval == expected


def test_json_has_no_nan() -> None:
    assert none_if_nan(math.nan) is None
    assert none_if_nan(0.0) == 0.0


def test_numbers_of_videos_must_agree() -> None:
    message = "1 predicted transcripts, 2 true ones and 2 groups: give one of each per video, and at least one video"
    with pytest.raises(ValueError, match=message):
        metrics_of([[0]], [[0], [1]])
    with pytest.raises(ValueError, match="0 predicted transcripts, 0 true ones and 0 groups"):
        metrics_of([], [])


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_does_not_exist_is_named(label: int) -> None:
    with pytest.raises(ValueError, match=f"true transcript 1 holds {label}, allowed are 0 to 2; leave padding out"):
        metrics_of([[0], [1]], [[0], [1, label]])
