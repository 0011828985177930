"""`vidrnn.inference.events`: when something starts and ends, step by step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidrnn.errors import ConfigError
from vidrnn.evaluation.segmentation import to_segments
from vidrnn.inference.events import Event, EventFinder, EventOptions

CLASSES = ("background", "sit", "stand")


def found(
    scores: np.ndarray, *, thresholds: list[float] | None = None, **options: float
) -> list[tuple[str, str, float]]:
    """Kind, label and time of the events of steps that are a second apart."""
    finder = EventFinder(CLASSES, thresholds=thresholds, options=EventOptions(**options))
    events: list[Event] = []
    for time_s, row in enumerate(scores):
        events += finder.push(float(time_s), row)
    events += finder.finish(float(len(scores)))
    return [(event.kind, event.label, event.time_s) for event in events]


def path(text: str) -> np.ndarray:
    """Scores that are sure: b, s and u for background, sit and stand (up)."""
    return np.eye(3)[["bsu".index(letter) for letter in text]] * 0.8 + 0.1


@given(st.lists(st.sampled_from("bsu"), min_size=1, max_size=30))
def test_plain_events_are_the_runs_of_the_likeliest_class(letters: list[str]) -> None:
    scores = path("".join(letters))
    expected = [
        (kind, CLASSES[label], float(time_s))
        for start, end, label in to_segments(scores.argmax(axis=1))
        for kind, time_s in (("start", start), ("end", end))
        if label
    ]
    assert sorted(found(scores)) == sorted(expected)


def test_short_events_are_left_out_and_short_gaps_closed() -> None:
    assert found(path("bsbbsssbssb"), min_length_s=2) == [
        ("start", "sit", 4.0), ("end", "sit", 7.0), ("start", "sit", 8.0), ("end", "sit", 10.0),
    ]  # fmt: skip
    assert found(path("bsbbsssbssb"), min_length_s=2, min_gap_s=2) == [("start", "sit", 4.0), ("end", "sit", 10.0)]
    assert found(path("bsbsbsbb"), min_length_s=3, min_gap_s=2) == [("start", "sit", 1.0), ("end", "sit", 6.0)]


def test_a_start_is_said_when_it_is_long_enough_with_its_true_time() -> None:
    finder = EventFinder(CLASSES, options=EventOptions(min_length_s=2))
    said = [finder.push(float(time_s), row) for time_s, row in enumerate(path("bsss"))]
    assert [len(events) for events in said] == [0, 0, 0, 1]
    assert said[3][0].time_s == 1.0
    assert said[3][0].to_dict() == {"event": "start", "label": "sit", "time": 1.0, "score": pytest.approx(0.9)}


def test_hysteresis_keeps_what_is_hardly_less_likely() -> None:
    scores = np.array([[0.1, 0.8, 0.1], [0.1, 0.44, 0.46], [0.1, 0.5, 0.4], [0.1, 0.2, 0.7]])
    assert len(found(scores)) == 8
    assert found(scores, hysteresis=0.1) == [
        ("start", "sit", 0.0), ("end", "sit", 3.0), ("start", "stand", 3.0), ("end", "stand", 4.0),
    ]  # fmt: skip


def test_classes_that_may_overlap_have_thresholds_each() -> None:
    scores = np.array([[0, 0.6, 0.2], [0, 0.45, 0.35], [0, 0.3, 0.35], [0, 0.6, 0.1]])
    cuts = [0.5, 0.5, 0.3]
    assert found(scores, thresholds=cuts) == [
        ("start", "sit", 0.0), ("end", "sit", 1.0), ("start", "stand", 1.0),
        ("start", "sit", 3.0), ("end", "stand", 3.0), ("end", "sit", 4.0),
    ]  # fmt: skip
    assert ("end", "sit", 2.0) in found(scores, thresholds=cuts, hysteresis=0.1)


def test_an_end_knows_its_start_and_mean_score() -> None:
    finder = EventFinder(CLASSES)
    for time_s, row in enumerate(path("bss")):
        finder.push(float(time_s), row)
    (end,) = finder.finish(3.0)
    assert end == Event("end", "sit", 3.0, 1.0, pytest.approx(0.9))
    assert end.to_dict()["start"] == 1.0
    assert finder.finish(4.0) == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"hysteresis": 1.0}, "a hysteresis of 1.0"),
        ({"min_length_s": -1}, "a shortest length of -1 s"),
        ({"min_gap_s": float("inf")}, "a shortest gap of inf s"),
    ],
)
def test_options_without_meaning_are_refused(options: dict[str, float], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        EventOptions(**options)


def test_where_classes_may_overlap_background_is_a_class_as_any_other() -> None:
    scores = np.asarray([[0.9, 0.1, 0.1], [0.9, 0.1, 0.9], [0.1, 0.1, 0.9]])
    assert found(scores, thresholds=[0.5] * 3) == [
        ("start", "background", 0.0), ("start", "stand", 1.0), ("end", "background", 2.0), ("end", "stand", 3.0),
    ]  # fmt: skip
