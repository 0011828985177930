"""A thread that reads a live source and keeps only the newest step: what comes too fast is dropped, never queued."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vidrnn.errors import VideoError
from vidrnn.frames.live_drawing import LiveDrawing, LiveStep
from vidrnn.video.live_source import Arrival, LiveSource

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_WALLS = 2000  # pictures whose time of arrival is remembered


@dataclass(frozen=True)
class Due:
    """A step to be answered, and when (by `time.monotonic`) its picture came or, of a file, was due."""

    step: LiveStep
    since: float


@dataclass(frozen=True)
class Interrupted:
    """The pictures begin anew, and why."""

    note: str


@dataclass(frozen=True)
class Ended:
    """Nothing more comes: the file is over, or the source could not be read from the start."""

    error: Exception | None = None


Item = Due | Interrupted | Ended


class LiveReader:
    """Reads a source in a thread of its own. Context manager.

    A file is read at its own pace, once. A live source that goes away is opened again, after pauses that double; one
    that never gave a picture is an error.

    Attributes:
        dropped: steps that were replaced by newer ones before they were taken.

    Args:
        source: where pictures come from.
        drawing: what is drawn of them.
    """

    def __init__(self, source: LiveSource, drawing: LiveDrawing) -> None:
        self._source, self._drawing = source, drawing
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-reader", daemon=True)
        self._walls: deque[tuple[float, float]] = deque(maxlen=_WALLS)
        self._size: tuple[int, int] | None = None
        self._first_at: float | None = None  # by `time.monotonic`, the first picture of all
        self._latest_s = 0.0
        self._pictures = 0
        self.dropped = 0

    def __enter__(self) -> "LiveReader":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout=2.0)  # one that waits for a picture ends with the process

    @property
    def shown_until_s(self) -> float:
        """When the last picture that came is no longer shown: it lasts as long as pictures usually do."""
        times_s = [time_s for time_s, _ in list(self._walls)]
        return self._latest_s + (float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0)

    def take(self, timeout_s: float) -> Item | None:
        """What came, in order; None when nothing did."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._items), timeout_s)
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        try:
            while not self._stopping.is_set():
                pictures = self._pictures
                try:
                    self._read()
                    if not self._source.is_live:
                        break
                    cause = f"{self._source.name} gives no more pictures"
                except VideoError as error:
                    if not self._source.is_live or not self._pictures:
                        raise
                    cause = str(error)
                if not self._pictures:
                    raise VideoError(f"{self._source.name} ended before its first picture; check what it is")
                pause_s = _FIRST_PAUSE_S if self._pictures > pictures else min(2 * pause_s, _LONGEST_PAUSE_S)
                self._begin_anew(f"{cause}; tried again in {pause_s:.0f} s")
                self._stopping.wait(pause_s)
            self._put(Ended())
        except Exception as error:  # noqa: BLE001  whoever takes the items raises it
            self._put(Ended(error))

    def _read(self) -> None:
        """One connection, or the file."""
        start_s: float | None = None
        for arrival in self._source.arrivals():
            if self._stopping.is_set():
                return
            now = time.monotonic()
            self._first_at = now if self._first_at is None else self._first_at
            if start_s is None:  # behind all that came before, also where a sender was faster than time
                start_s = max(now - self._first_at, self._latest_s + 1e-3) if self._pictures else 0.0
            due = now if self._source.is_live else self._first_at + arrival.timestamp_s
            self._stopping.wait(max(due - now, 0.0))
            self._pictures += 1
            self._take(Arrival(arrival.timestamp_s + start_s, arrival.size, arrival.frame), due)
        if not self._source.is_live:
            for step in self._drawing.finish():
                with self._changed:  # these are all due now, and none of them is late
                    self._changed.wait_for(lambda: not self._items or self._stopping.is_set())
                self._put(self._due(step))

    def _take(self, arrival: Arrival, due: float) -> None:
        if self._size is not None and arrival.size != self._size:
            was, now = ("x".join(map(str, size)) for size in (self._size, arrival.size))
            self._begin_anew(f"the pictures of {self._source.name} were {was} and are {now}: begun anew")
        self._size, self._latest_s = arrival.size, arrival.timestamp_s
        self._walls.append((arrival.timestamp_s, due))
        for step in self._drawing.push(arrival):
            self._put(self._due(step))

    def _begin_anew(self, note: str) -> None:
        self._drawing.reset()
        self._size = None
        self._put(Interrupted(note))

    def _due(self, step: LiveStep) -> Due:
        walls = (wall for time_s, wall in reversed(self._walls) if time_s <= step.timestamp_s)
        return Due(step, next(walls, time.monotonic()))

    def _put(self, item: Item) -> None:
        with self._changed:
            if isinstance(item, Due) and self._items and isinstance(self._items[-1], Due):
                self._items.pop()
                self.dropped += 1
            self._items.append(item)
            self._changed.notify_all()


def items(reader: LiveReader, *, until: float | None, stopping: threading.Event) -> Iterator[Item]:
    """What a reader gives until it ends, until a time by `time.monotonic`, or until somebody stops it."""
    while not stopping.is_set() and (until is None or time.monotonic() < until):
        item = reader.take(0.1)
        if item is not None:
            yield item
        if isinstance(item, Ended):
            return
