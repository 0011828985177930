"""`vidrnn.evaluation.segmentation` against a literal re-statement of the published conventions, and by hand."""

import json
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from tests.worlds import Array
from vidrnn.evaluation.resampling import share_interval
from vidrnn.evaluation.segmentation import (
    SegmentationMetrics,
    edit_score,
    measure_segmentation,
    overlap_counts,
    to_segments,
)

LABELS = ("background", "pour", "stir", "cut")
Pair = tuple[Array, Array]


def steps(text: str) -> Array:
    """One digit per step, a dot for a step without label."""
    return np.asarray([-1 if letter == "." else int(letter) for letter in text], dtype=np.int64)


def metrics_of(pairs: list[Pair], **changes: object) -> SegmentationMetrics:
    groups = [f"g{i}" for i in range(len(pairs))]
    values = {"labels": LABELS, "groups": groups, "background": 0} | changes
    return measure_segmentation([guess for guess, _ in pairs], [true for _, true in pairs], **values)  # type: ignore[arg-type]


@st.composite
def runs(draw: st.DrawFn) -> Pair:
    """A prediction and a truth of the same length, made of runs; the truth has unlabelled steps."""
    guess, true = (
        draw(st.lists(st.tuples(st.integers(lowest, 3), st.integers(1, 5)), max_size=8)) for lowest in (0, -1)
    )
    rows = [np.repeat([label for label, _ in row], [n for _, n in row]).astype(np.int64) for row in (guess, true)]
    length = min(map(len, rows))
    return rows[0][:length], rows[1][:length]


def slow_segments(row: Array, background: int | None) -> list[tuple[int, int, int]]:
    found = []
    for label, members in groupby(enumerate(row.tolist()), key=lambda item: item[1]):
        positions = [position for position, _ in members]
        if label not in {-1, background}:
            found.append((positions[0], positions[-1] + 1, label))
    return found


def slow_sides(pair: Pair, background: int | None) -> list[list[tuple[int, int, int]]]:
    guess, true = pair
    return [slow_segments(np.where(true < 0, -1, guess), background), slow_segments(true, background)]


def slow_counts(pair: Pair, *, overlap: float, background: int | None) -> tuple[int, int, int]:
    """Step by step as Lea et al. publish it: span as union, products with class equality, hits marked once."""
    guess, true = slow_sides(pair, background)
    tp = fp = 0
    hits = [False] * len(true)
    for start, end, label in guess:
        ious = [
            ((min(end, e) - max(start, s)) / (max(end, e) - min(start, s))) * (label == other) for s, e, other in true
        ]
        best = int(np.argmax(ious)) if ious else None
        if best is not None and ious[best] >= overlap and not hits[best]:
            tp, hits[best] = tp + 1, True
        else:
            fp += 1
    return tp, fp, len(true) - sum(hits)


def slow_edit(pair: Pair, background: int | None) -> float:
    """The whole table of Levenshtein distances."""
    a, b = ([label for _, _, label in side] for side in slow_sides(pair, background))
    table = np.zeros((len(a) + 1, len(b) + 1))
    table[:, 0], table[0] = np.arange(len(a) + 1), np.arange(len(b) + 1)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (a[i - 1] != b[j - 1]))
    return 1.0 - float(table[-1, -1]) / max(len(a), len(b)) if a or b else 1.0


def test_segments_are_runs_of_equal_labels() -> None:
    assert to_segments(steps("0011102")) == [(0, 2, 0), (2, 5, 1), (5, 6, 0), (6, 7, 2)]
    assert to_segments(steps("3")) == [(0, 1, 3)]
    assert to_segments(steps("")) == []


@configure(deadline=None, max_examples=60)
@given(runs())
def test_segments_rebuild_the_labels(pair: Pair) -> None:
    guess, true = pair
    assert to_segments(guess) == slow_segments(guess, background=None)
    assert [label for start, end, label in to_segments(true) for _ in range(start, end)] == true.tolist()


@configure(deadline=None, max_examples=150)
@given(runs(), st.sampled_from([0.1, 0.25, 0.5, 1.0]), st.sampled_from([None, 0, 2]))
def test_overlaps_equal_the_published_procedure(pair: Pair, overlap: float, background: int | None) -> None:
    found = overlap_counts(*pair, overlap=overlap, background=background)
    assert found == slow_counts(pair, overlap=overlap, background=background)


@configure(deadline=None, max_examples=150)
@given(runs(), st.sampled_from([None, 0, 2]))
def test_the_edit_score_equals_the_published_procedure(pair: Pair, background: int | None) -> None:
    assert edit_score(*pair, background=background) == pytest.approx(slow_edit(pair, background))


def test_an_action_in_pieces_is_found_once() -> None:
    counts = overlap_counts(steps("1111101111"), steps("1111111111"), overlap=0.25, background=0)
    assert counts == (1, 1, 0)


def test_the_iou_at_the_bound_is_a_hit() -> None:
    guess, true = steps("1000000000"), steps("1111111111")
    assert overlap_counts(guess, true, overlap=0.10, background=0) == (1, 0, 0)
    assert overlap_counts(guess, true, overlap=0.11, background=0) == (0, 1, 1)


def test_a_piece_whose_best_true_segment_is_taken_does_not_move_on_to_the_next() -> None:
    """The second piece overlaps the first action by 0.4 and the second by 1/9: enough for a hit, but not its best."""
    guess, true = steps("1110111111000"), steps("1111111101111")
    assert overlap_counts(guess, true, overlap=0.10, background=0) == (1, 1, 1)


def test_of_two_true_segments_that_overlap_alike_the_first_is_taken() -> None:
    """So the second is left for the second piece."""
    assert overlap_counts(steps("002222202"), steps("222202222"), overlap=0.25, background=0) == (2, 0, 0)


def test_without_a_background_class_all_segments_count() -> None:
    guess, true = steps("0011"), steps("0111")
    assert overlap_counts(guess, true, overlap=0.5, background=None) == (2, 0, 0)
    assert overlap_counts(guess, true, overlap=0.5, background=0) == (1, 0, 0)


def test_background_parts_segments_and_is_none() -> None:
    assert edit_score(steps("1102"), steps("1122"), background=0) == 1.0
    assert edit_score(steps("1101"), steps("1111"), background=0) == 0.5
    assert edit_score(steps("0000"), steps("0000"), background=0) == 1.0
    assert edit_score(steps("1000"), steps("0000"), background=0) == 0.0


def test_the_edit_score_looks_at_order_alone() -> None:
    assert edit_score(steps("1222223"), steps("1111123"), background=0) == 1.0
    assert edit_score(steps("123"), steps("213"), background=0) == pytest.approx(1 / 3)


def test_what_is_said_in_an_unlabelled_stretch_counts_nowhere() -> None:
    true = steps("11..22")
    first, second = metrics_of([(steps("110322"), true)]), metrics_of([(steps("113322"), true)])
    assert first == second
    assert (first.steps, first.frame_accuracy, first.edit, first.f1_50) == (4, 1.0, 1.0, 1.0)


def test_a_hand_worked_example() -> None:
    found = metrics_of([
        (steps("0011122200"), steps("0011112200")),  # one step wrong, both actions at IoU 3/4 and 2/3
        (steps("3330"), steps("1110")),  # the wrong action
    ])  # fmt: skip
    assert (found.n, found.steps) == (2, 14)
    assert found.frame_accuracy == pytest.approx(10 / 14)
    assert found.edit == pytest.approx((1.0 + 0.0) / 2)
    assert (found.f1_10, found.f1_25, found.f1_50) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert [row.n for row in found.per_class] == [5, 7, 2, 0]


def test_f1_counts_segments_of_all_videos_together() -> None:
    """Not the mean of the videos' F1, which would be 1/2."""
    found = metrics_of([(steps("1020"), steps("1020")), (steps("0000"), steps("0300"))])
    assert found.f1_50 == pytest.approx(2 * 2 / (2 * 2 + 0 + 1))


@configure(deadline=None, max_examples=40)
@given(st.lists(runs(), min_size=1, max_size=5))
def test_metrics_equal_scikit_learn_and_the_published_procedure(pairs: list[Pair]) -> None:
    found = metrics_of(pairs)
    guess, true = (np.concatenate(side) for side in zip(*pairs, strict=True))
    guess, true = guess[true >= 0], true[true >= 0]
    assert found.steps == len(true)
    if len(true):
        precision, recall, f1, support = precision_recall_fscore_support(
            true, guess, labels=range(4), zero_division=0.0
        )
        assert found.frame_accuracy == pytest.approx((guess == true).mean())
        for name, expected in (("precision", precision), ("recall", recall), ("f1", f1), ("n", support)):
            assert [getattr(row, name) for row in found.per_class] == pytest.approx(expected)
    else:
        assert np.isnan(found.frame_accuracy)
    edits = [slow_edit(pair, 0) for pair in pairs if (pair[1] >= 0).any()]
    assert found.edit == pytest.approx(np.mean(edits) if edits else np.nan, nan_ok=True)
    for name, overlap in (("f1_10", 0.1), ("f1_25", 0.25), ("f1_50", 0.5)):
        tp, fp, fn = np.sum([slow_counts(pair, overlap=overlap, background=0) for pair in pairs], axis=0)
        expected = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else np.nan
        assert getattr(found, name) == pytest.approx(expected, nan_ok=True)


def test_the_interval_is_over_groups_of_videos_and_weighs_by_steps() -> None:
    rng = np.random.default_rng(0)
    pairs = [(rng.integers(0, 4, size=n), rng.integers(0, 2, size=n)) for n in (3, 40, 7, 12)]
    right = np.asarray([(guess == true).sum() for guess, true in pairs])
    groups = list("aabc")
    expected = share_interval(right, np.asarray([3, 40, 7, 12]), groups=groups)
    assert metrics_of(pairs, groups=groups).interval == pytest.approx(expected)


def test_a_video_without_any_label_counts_nowhere() -> None:
    """It has no segment on either side, which is no proof of a right answer."""
    guesses, truth = [steps("1123"), steps("0101")], [steps("1132"), steps("....")]
    both = measure_segmentation(guesses, truth, labels=LABELS, groups=["a", "b"], background=None)
    first = measure_segmentation(guesses[:1], truth[:1], labels=LABELS, groups=["a"], background=None)
    assert (both.edit, both.f1_50, both.frame_accuracy) == (first.edit, first.f1_50, first.frame_accuracy)


def test_where_nothing_is_labelled_nothing_is_defined() -> None:
    found = metrics_of([(steps("12"), steps("..")), (steps(""), steps(""))])
    values = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert values["frame_accuracy"] is None
    assert values["frame_accuracy_interval"] == [None, None]
    assert (values["f1_10"], values["edit"], values["steps"]) == (None, None, 0)


def test_metrics_are_plain_json() -> None:
    values = json.loads(json.dumps(metrics_of([(steps("0123"), steps("0113"))]).as_dict(), allow_nan=False))
    assert set(values) == {
        "n", "steps", "frame_accuracy", "frame_accuracy_interval", "edit", "f1_10", "f1_25", "f1_50", "per_class",
    }  # fmt: skip
    assert [row["label"] for row in values["per_class"]] == list(LABELS)


@pytest.mark.parametrize("overlap", [0.0, -0.1, 1.5, 25, float("nan")])
def test_an_overlap_is_a_fraction(overlap: float) -> None:
    with pytest.raises(ValueError, match=r"overlap .* must be above 0 and at most 1; give F1@25 as 0\.25"):
        overlap_counts(steps("1"), steps("1"), overlap=overlap, background=None)


@pytest.mark.parametrize("row", [np.zeros((2, 2), dtype=np.int64), np.zeros(3)])
def test_step_labels_are_one_row_of_integers(row: Array) -> None:
    with pytest.raises(ValueError, match=r"labels has shape .* expected \(T,\) integers; give one class per step"):
        to_segments(row)


def test_numbers_of_steps_must_agree() -> None:
    with pytest.raises(ValueError, match="predicted has 2 steps, truth 3; give both one label for every step"):
        edit_score(steps("11"), steps("111"), background=None)
    with pytest.raises(ValueError, match="video 1 has 2 predicted steps and 3 true ones; give one per step"):
        metrics_of([(steps("1"), steps("1")), (steps("11"), steps("111"))])


@pytest.mark.parametrize(
    ("guess", "true", "message"),
    [
        ("1.", "11", "predicted of video 0 holds -1, allowed are 0 to 3; cut padding off"),
        ("14", "11", "predicted of video 0 holds 4, allowed are 0 to 3"),
        ("11", "41", "truth of video 0 holds 4, allowed are -1 to 3"),
    ],
)
def test_a_label_that_does_not_exist_is_named(guess: str, true: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics_of([(steps(guess), steps(true))])


def test_numbers_of_videos_must_agree() -> None:
    with pytest.raises(ValueError, match="1 predicted videos, 1 true ones and 2 groups: give one of each per video"):
        metrics_of([(steps("1"), steps("1"))], groups=["a", "b"])
    with pytest.raises(ValueError, match="0 predicted videos, 0 true ones and 0 groups"):
        metrics_of([])


def test_the_background_is_a_class() -> None:
    with pytest.raises(ValueError, match="background 4 must be 0 to 3, or None where every class is one"):
        metrics_of([(steps("1"), steps("1"))], background=4)
