"""A prediction of each head becomes what an annotated video tells, with the truth beside it."""

import math

import numpy as np
import pytest

from vidrnn.annotations import Annotation, Segment
from vidrnn.display.story import NOTHING, Row, Words
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.prediction_rows import Clock, rows_of
from vidrnn.inference.stories import story_of
from vidrnn.settings.model import Head

CLASSES = ("background", "cut", "stir")
SEGMENTS = Annotation("a", "", None, "a", segments=(Segment(1.0, 2.0, "cut"), Segment(3.0, 4.0, "stir")))


def spans(row: Row) -> list[tuple[float, float, str]]:
    return [(span.start_s, span.end_s, span.label) for span in row.spans]


def test_a_label_holds_throughout() -> None:
    row = {"label": "cut", "score": 0.8, "top_k": [("cut", 0.8), ("stir", 0.2)]}
    story = story_of(Prediction("a", "ok", (row,)), Annotation("a", "stir", None, "a"), duration_s=5.0)
    words = Words("cut", 0.8, (("cut", 0.8), ("stir", 0.2)), truth="stir", is_right=False)
    assert story.words_at(0.0) == story.words_at(4.9) == words
    assert [spans(row) for row in story.rows] == [[(0.0, math.inf, "cut")], [(0.0, math.inf, "stir")]]
    assert story.classes == ("cut", "stir")


def test_segments_follow_their_times_and_background_fills_the_rest() -> None:
    outputs = np.eye(3)[[0, 1, 1, 0, 2]] * 9.0
    clock = Clock(np.arange(5.0), 5.0)
    prediction = Prediction(
        "a",
        "ok",
        tuple(rows_of("step_labels", outputs, labels=CLASSES, clock=clock)),
        head="step_labels",
        classes=CLASSES,
        probabilities=np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True),
        bounds_s=clock.bounds(),
    )
    story = story_of(prediction, SEGMENTS, duration_s=5.0)
    assert spans(story.rows[0]) == [
        (0.0, 1.0, "background"),
        (1.0, 3.0, "cut"),
        (3.0, 4.0, "background"),
        (4.0, 5.0, "stir"),
    ]
    assert spans(story.rows[1])[-1] == (4.0, math.inf, "background")
    said = [story.words_at(time_s) for time_s in (0.5, 1.5, 2.5, 3.5)]
    assert [(words.title, words.truth, words.is_right) for words in said] == [
        ("background", "background", True),
        ("cut", "cut", True),
        ("cut", "background", False),
        ("background", "stir", False),
    ]
    assert said[1].bars[0] == ("cut", pytest.approx(1.0, abs=0.01)) and len(said[1].bars) == 3


def test_segments_without_probabilities_tell_their_score() -> None:
    row = {"start": 1.0, "end": 2.0, "label": "cut", "score": 0.6}
    story = story_of(Prediction("a", "ok", (row,), head="step_labels"), None, duration_s=5.0)
    assert story.words_at(1.5) == Words("cut", 0.6)
    assert story.words_at(2.5) == Words("background")


def test_all_that_goes_on_at_a_time_is_said_and_its_order_is_no_mistake() -> None:
    """Classes in alphabetical order, whichever began first; where nothing goes on is the background."""
    rows = tuple(
        {"start": start, "end": end, "label": name, "score": 0.9}
        for start, end, name in ((0, 2, "stir"), (1, 3, "cut"))
    )
    truth = Annotation("a", "", None, "a", segments=(Segment(0.5, 2.5, "cut"), Segment(1.0, 3.0, "stir")))
    story = story_of(Prediction("a", "ok", rows, head="step_multilabel"), truth, duration_s=5.0)
    words = [story.words_at(time_s) for time_s in (0.7, 1.5, 2.2, 4.0)]
    assert [(one.title, one.truth, one.is_right) for one in words] == [
        ("stir", "cut", False),
        ("cut, stir", "cut, stir", True),
        ("cut", "cut, stir", False),
        ("background", "background", True),
    ]


def test_bars_of_classes_that_overlap_stand_beside_what_goes_on() -> None:
    rows = (
        {"start": 0.0, "end": 1.0, "label": "cut", "score": 0.9},
        {"start": 0.0, "end": 1.0, "label": "stir", "score": 0.8},
    )
    prediction = Prediction(
        "a",
        "ok",
        rows,
        head="step_multilabel",
        classes=("cut", "stir"),
        probabilities=np.asarray([[0.9, 0.8], [0.3, 0.1]]),
        bounds_s=np.asarray([0.0, 1.0, 2.0]),
    )
    story = story_of(prediction, None, duration_s=2.0)
    assert story.words_at(0.5) == Words("cut, stir", None, (("cut", 0.9), ("stir", 0.8)))
    assert story.words_at(1.5) == Words("background", None, (("cut", 0.3), ("stir", 0.1)))


@pytest.mark.parametrize(
    ("head", "row", "title", "rows"),
    [
        ("multilabel", {"labels": ["cut", "stir"], "top_k": [("cut", 0.9)]}, "cut, stir", 1),
        ("multilabel", {"labels": [], "top_k": [("cut", 0.1)]}, NOTHING, 0),
        ("transcript", {"labels": ["cut", "stir", "cut"]}, "cut → stir → cut", 0),
        ("regression", {"target": 12.0}, "12", 1),
    ],
)
def test_other_heads_of_whole_videos(head: Head, row: dict[str, object], title: str, rows: int) -> None:
    story = story_of(Prediction("a", "ok", (row,), head=head), None, duration_s=5.0)
    assert story.words_at(2.0).title == title
    assert len(story.rows) == rows


def test_a_number_at_every_step() -> None:
    rows = tuple({"start": time, "end": time + 1, "target": 10 * time} for time in (0.0, 1.0, 2.0))
    truth = Annotation("a", "", None, "a", segments=(Segment(1.0, 2.0, target=9.0),))
    story = story_of(Prediction("a", "ok", rows, head="step_regression"), truth, duration_s=3.0)
    assert story.words_at(1.5) == Words("10", truth="9")
    assert story.words_at(2.5) == Words("20", truth=NOTHING)


def test_where_nobody_looked_nothing_is_known() -> None:
    truth = Annotation("a", "", None, "a", segments=(Segment(1.0, 2.0, "cut"),), unlabelled=(Segment(3.0, 9.0),))
    row = {"start": 0.0, "end": 5.0, "label": "cut", "score": 0.6}
    story = story_of(Prediction("a", "ok", (row,), head="step_labels"), truth, duration_s=5.0)
    words = [story.words_at(time_s) for time_s in (0.5, 1.5, 2.5, 4.0)]
    assert [one.truth for one in words] == ["background", "cut", "background", NOTHING]
    assert [one.is_right for one in words] == [False, True, False, None]
