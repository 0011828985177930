"""`vidrnn.inference.live_session` and `step_events`: the events of a stream are the segments of a file."""

import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from tests.unit.frames.test_live_drawing import drawing
from tests.unit.inference.long_worlds import model_of, video
from tests.unit.inference.test_live_reader import Scripted, arrival
from vidrnn.frames.live_drawing import LiveDrawing, LiveStep
from vidrnn.inference import segments
from vidrnn.inference.events import EventOptions
from vidrnn.inference.live import LiveStream
from vidrnn.inference.live_answers import LiveAnswer
from vidrnn.inference.live_session import LiveSession
from vidrnn.inference.segments import SegmentOptions, find_segments
from vidrnn.inference.step_events import StepEvents
from vidrnn.models.model_file import TrainedModel
from vidrnn.video.live_source import Arrival

SURE, UNSURE = (0.1, 0.8, 0.1), (0.2, 0.42, 0.38)


class Told:
    """A stream that answers each step with scores that were told."""

    def __init__(self, model: TrainedModel, scores: Callable[[float], tuple[float, ...]]) -> None:
        self.taken, self._model, self._scores = threading.Semaphore(0), model, scores

    def drawing(self) -> LiveDrawing:
        return LiveDrawing({0: drawing(None)}, window_s=None)

    def take(self, step: LiveStep) -> list[LiveAnswer]:
        self.taken.release()
        scores = np.array(self._scores(step.timestamp_s))
        return [LiveAnswer(step.timestamp_s, "final", {}, scores, self._model.label_map.names)]

    def finish(self) -> list[LiveAnswer]:
        return []

    def reset(self) -> None:
        while self.taken.acquire(blocking=False):
            pass


def events_of(
    times_s: list[float],
    scores: Callable[[float], tuple[float, ...]],
    *,
    is_live: bool,
    unknown_below: float | None = None,
) -> list[tuple[Any, ...]]:
    """Kind, label and time of the events of pictures that come when the one before was answered."""
    model = replace(model_of(head="label", bidirectional=True), unknown_below=unknown_below)
    told, notes = Told(model, scores), []

    def pictures() -> Generator[Arrival, None, None]:
        for number, time_s in enumerate(times_s):
            if number > 1:
                told.taken.acquire(timeout=5)
            yield arrival(time_s)
        if is_live:
            session.stop()

    source = Scripted(pictures, pictures, is_live=is_live)
    session = LiveSession(
        cast("LiveStream", told), model, source, options=EventOptions(), limit_s=None, on_note=notes.append
    )
    return [(line["event"], line["label"], line["time"]) for line in session.lines() if "event" in line]


def test_an_answer_that_is_unknown_starts_no_event() -> None:
    found = events_of([0.0, 0.1, 0.2, 0.3], lambda at: SURE if at > 0.15 else UNSURE, is_live=False, unknown_below=0.5)
    assert found == [("start", "sit", 0.2), ("end", "sit", 0.4)]


def test_an_event_ends_with_the_last_picture_of_a_file_also_when_it_began_there() -> None:
    found = events_of([0.0, 0.1, 0.2, 0.3], lambda at: SURE if at > 0.25 else (0.9, 0.1, 0.0), is_live=False)
    assert found == [("start", "sit", 0.3), ("end", "sit", 0.4)]


def test_an_event_of_a_camera_ends_a_usual_step_after_the_last_one() -> None:
    """A picture is decided on when the next has come, so the step at 0.3 s is not there yet."""
    assert events_of([0.0, 0.1, 0.2, 0.3], lambda _: SURE, is_live=True) == [("start", "sit", 0.0), ("end", "sit", 0.3)]


def test_no_event_lasts_through_a_gap_that_nobody_saw() -> None:
    found = events_of([0.0, 0.1, 0.2, 0.3, 20.0, 20.1, 20.2], lambda _: SURE, is_live=True)
    assert found == [("start", "sit", 0.0), ("end", "sit", 0.4), ("start", "sit", 20.0), ("end", "sit", 20.2)]


@pytest.mark.parametrize("options", [EventOptions(), EventOptions(0.1, 0.3, 0.2)])
@pytest.mark.parametrize(
    ("head", "unknown_below"), [("step_labels", None), ("step_multilabel", None), ("label", None), ("label", 0.6)]
)
def test_steps_that_come_one_by_one_have_the_segments_of_the_whole(
    head: str, options: EventOptions, unknown_below: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same scores, with a gap of a minute among the steps: the same spans, none of them through the gap."""
    model, made = replace(model_of(head=head), unknown_below=unknown_below), video(80)
    made = replace(made, timestamps_s=made.timestamps_s + 60.0 * (np.arange(80) >= 50))
    scores = np.repeat(np.random.default_rng(5).dirichlet(np.full(3, 0.5), size=40), 2, axis=0)
    scores[48:52] = 0.05, 0.9, 0.05
    for way in ("_step_scores", "window_scores"):
        monkeypatch.setattr(segments, way, lambda *_, **__: iter([scores]))
    options_of_all = SegmentOptions(1.0, 0.25, options) if head == "label" else SegmentOptions(events=options)
    expected = find_segments(model, list(model.specs), {("rgb", False): made}, streams=["rgb"], options=options_of_all)
    live, found = StepEvents(model, options), []
    for time_s, row in zip(made.timestamps_s.tolist(), scores, strict=True):
        found += live.push(time_s, row)
    found += live.finish(float(made.timestamps_s[-1]) + 0.1)
    spans = sorted((event.start_s, event.time_s, event.label) for event in found if event.kind == "end")
    wanted = [(row["start"], row["end"], row["label"]) for row in expected]
    assert len(wanted) > 3
    assert [label for *_, label in spans] == [label for *_, label in wanted]
    np.testing.assert_allclose([span[:2] for span in spans], [span[:2] for span in wanted], atol=1e-6)
    assert all(end < 10 or start > 60 for start, end, _ in wanted)
