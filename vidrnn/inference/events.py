"""What happens from when to when, found step by step: the same for a whole video, its parts, and a live stream."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vidrnn.annotations import BACKGROUND
from vidrnn.errors import ConfigError


@dataclass(frozen=True)
class EventOptions:
    """Which events count.

    Attributes:
        hysteresis: how much more likely another class must be before it takes the place of the present one. Where
            classes may overlap, how far a score may fall below the threshold of its class before the event ends.
        min_length_s: shorter events are left out.
        min_gap_s: events of a class with a shorter gap between them are one.
    """

    hysteresis: float = 0.0
    min_length_s: float = 0.0
    min_gap_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if not 0 <= self.hysteresis < 1:
            raise ConfigError(f"a hysteresis of {self.hysteresis}: give a difference of scores, from 0 to below 1")
        for name, seconds in (("length", self.min_length_s), ("gap", self.min_gap_s)):
            if not 0 <= seconds < np.inf:
                raise ConfigError(f"a shortest {name} of {seconds} s: give a number of seconds, 0 or more")


@dataclass(frozen=True)
class Event:
    """The start or the end of something that happens.

    Attributes:
        kind: which of both.
        label: the class.
        time_s: when it is.
        start_s: when the event started.
        score: mean probability of the class while it lasted; at the start, over the first steps.
    """

    kind: Literal["start", "end"]
    label: str
    time_s: float
    start_s: float
    score: float

    def to_dict(self) -> dict[str, Any]:
        """What `vidrnn stream` writes as a line."""
        line: dict[str, Any] = {"event": self.kind, "label": self.label, "time": round(self.time_s, 3)}
        return line | ({"start": round(self.start_s, 3)} if self.kind == "end" else {}) | {"score": self.score}


@dataclass
class _Open:
    """An event that has started: its steps so far, since when it has paused, and whether its start was said."""

    start_s: float
    total: float = 0.0
    steps: int = 0
    paused_s: float | None = None
    was_said: bool = False

    @property
    def score(self) -> float:
        return self.total / self.steps


class EventFinder:
    """Takes the scores of steps in order of time and gives the events that have become certain.

    Args:
        classes: names of the classes. Where the likeliest happens, the background is no event; where classes may
            overlap, one of that name is a class as any other.
        thresholds: (C,) from which score a class happens, where classes may overlap; None: the likeliest class happens.
        options: which events count.
    """

    def __init__(
        self, classes: Sequence[str], *, thresholds: Sequence[float] | None = None, options: EventOptions | None = None
    ) -> None:
        self._classes, self._options = tuple(classes), options or EventOptions()
        self._cuts = None if thresholds is None else np.asarray(thresholds, dtype=np.float64)
        self.reset()

    def reset(self) -> None:
        """Forget all steps."""
        self._open: dict[int, _Open] = {}
        self._happens = np.zeros(len(self._classes), dtype=np.bool_)

    def push(self, time_s: float, scores: npt.NDArray[np.float64]) -> list[Event]:
        """Take a step, later than the one before, with the probabilities (C,) of the classes."""
        self._happens = self._happening(scores)
        events = []
        for number, name in enumerate(self._classes):
            if name == BACKGROUND and self._cuts is None:
                continue
            if self._happens[number]:
                events += self._go_on(number, time_s, float(scores[number]))
            elif number in self._open:
                events += self._pause(number, time_s)
        return events

    def finish(self, end_s: float) -> list[Event]:
        """The ends of what still happens, at the end of the video."""
        events = []
        for number in list(self._open):
            opened = self._open[number]
            events += self._close(number, end_s if opened.paused_s is None else opened.paused_s)
        self.reset()
        return events

    def _happening(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """(C,) which classes happen at this step, given what happened at the one before."""
        if self._cuts is not None:
            least: npt.NDArray[np.float64] = self._cuts - self._options.hysteresis * self._happens
            happens: npt.NDArray[np.bool_] = scores >= least
            return happens
        likeliest = int(scores.argmax())
        if self._happens.any():
            present = int(self._happens.argmax())
            if scores[likeliest] <= scores[present] + self._options.hysteresis:
                likeliest = present
        one: npt.NDArray[np.bool_] = np.arange(len(scores)) == likeliest
        return one

    def _go_on(self, number: int, time_s: float, score: float) -> list[Event]:
        before = self._pause(number, time_s) if number in self._open and self._open[number].paused_s is not None else []
        opened = self._open.setdefault(number, _Open(time_s))
        opened.paused_s = None
        opened.total, opened.steps = opened.total + score, opened.steps + 1
        return before + (self._start(number) if time_s - opened.start_s >= self._options.min_length_s else [])

    def _pause(self, number: int, time_s: float) -> list[Event]:
        opened = self._open[number]
        if opened.paused_s is None:
            opened.paused_s = time_s
        return self._close(number, opened.paused_s) if time_s - opened.paused_s >= self._options.min_gap_s else []

    def _start(self, number: int) -> list[Event]:
        opened = self._open[number]
        if opened.was_said:
            return []
        opened.was_said = True
        return [Event("start", self._classes[number], opened.start_s, opened.start_s, opened.score)]

    def _close(self, number: int, end_s: float) -> list[Event]:
        opened = self._open[number]
        events = self._start(number) if end_s - opened.start_s >= self._options.min_length_s else []
        del self._open[number]
        if not opened.was_said:
            return []
        return [*events, Event("end", self._classes[number], end_s, opened.start_s, opened.score)]
