"""A live source, answered until it ends or somebody stops it: the lines that ``vidrnn stream`` writes."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

from vidrnn.inference.events import EventOptions
from vidrnn.inference.live import LiveStream
from vidrnn.inference.live_answers import LiveAnswer
from vidrnn.inference.live_reader import Due, Ended, Interrupted, LiveReader, items
from vidrnn.inference.step_events import StepEvents
from vidrnn.models.model_file import TrainedModel
from vidrnn.video.live_source import LiveSource

Line = dict[str, Any]
REPORT_S = 10.0


@dataclass
class _Figures:
    """What has been done since the last report."""

    since: float
    answered: int = 0
    dropped: int = 0
    lag_s: float = 0.0
    longest_lag_s: float = 0.0

    def add(self, lag_s: float) -> None:
        self.answered += 1
        self.lag_s += lag_s
        self.longest_lag_s = max(self.longest_lag_s, lag_s)

    def text(self, *, now: float, dropped: int) -> str:
        """Lag is from the arrival of a picture to its answer."""
        seconds, missed = max(now - self.since, 1e-3), dropped - self.dropped
        due = self.answered + missed
        lag = f"lag {self.lag_s / self.answered:.2f} s, at most {self.longest_lag_s:.2f} s; " if self.answered else ""
        share = f" ({100 * missed / due:.0f} %)" if due else ""
        return f"{self.answered / seconds:.1f} steps a second; {lag}{missed} of {due} steps dropped{share}"


class LiveSession:
    """One source and one model.

    Args:
        stream: of the model.
        model: the same, for the names of its classes.
        source: where pictures come from.
        options: which events count.
        limit_s: how long it lasts; None: until the source ends.
        on_note: called with what people should know: interruptions, and lag, drops and rate at intervals.
    """

    def __init__(
        self,
        stream: LiveStream,
        model: TrainedModel,
        source: LiveSource,
        *,
        options: EventOptions,
        limit_s: float | None,
        on_note: Callable[[str], None],
    ) -> None:
        self._stream, self._source, self._limit_s, self._on_note = stream, source, limit_s, on_note
        if model.settings.inference.decoding == "viterbi":
            on_note("inference.decoding: viterbi reads whole videos; live, each step is given its likeliest class")
        self._events = StepEvents(model, options)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End soon, cleanly; may be called from another thread or a signal handler."""
        self._stopping.set()

    def lines(self) -> Iterator[Line]:
        """A line for each answer and each event, as they come; at the end those that were waited for.

        Raises:
            VideoError: the source cannot be read.
        """
        self._warm_up()
        begun = time.monotonic()
        figures, dropped = _Figures(begun), 0
        until = None if self._limit_s is None else begun + self._limit_s
        with LiveReader(self._source, self._stream.drawing()) as reader:
            for item in items(reader, until=until, stopping=self._stopping):
                if isinstance(item, Due):
                    yield from self._say(self._stream.take(item.step))
                    figures.add(time.monotonic() - item.since)
                elif isinstance(item, Interrupted):
                    self._on_note(item.note)
                    yield from self._end(None)
                    self._stream.reset()
                elif isinstance(item, Ended) and item.error is not None:
                    raise item.error
                if (now := time.monotonic()) - figures.since >= REPORT_S:
                    self._on_note(figures.text(now=now, dropped=reader.dropped))
                    figures = _Figures(now, dropped=reader.dropped)
            dropped = reader.dropped
        yield from self._end(None if self._source.is_live else reader.shown_until_s)
        if figures.answered:
            self._on_note(figures.text(now=time.monotonic(), dropped=dropped))

    def _warm_up(self) -> None:
        """The first step takes seconds, because networks are prepared for it: a file waits until that is done."""
        if self._source.is_live:
            return
        drawing = self._stream.drawing()
        with closing(self._source.arrivals()) as arrivals:
            for arrival in islice(arrivals, 1):
                drawing.push(arrival)
        for step in drawing.finish():
            self._stream.take(step)
        self._stream.reset()

    def _end(self, end_s: float | None) -> Iterator[Line]:
        yield from self._say(self._stream.finish())
        for event in self._events.finish(end_s):
            yield event.to_dict()

    def _say(self, answers: list[LiveAnswer]) -> Iterator[Line]:
        for answer in answers:
            yield answer.to_dict()
            if answer.status == "final" and answer.scores is not None:
                for event in self._events.push(answer.time_s, answer.scores):
                    yield event.to_dict()
