"""`vidrnn.inference.live_reader`: the newest step waits alone, and a source that goes away is opened again."""

import threading
import time
from collections.abc import Callable, Generator

import numpy as np
import pytest

from tests.unit.frames.test_live_drawing import drawing
from vidrnn.errors import VideoError
from vidrnn.frames.live_drawing import LiveDrawing
from vidrnn.inference import live_reader
from vidrnn.inference.live_reader import Due, Ended, Interrupted, Item, LiveReader, items
from vidrnn.video.decode import Frame
from vidrnn.video.live_source import Arrival, LiveSource


def arrival(time_s: float, *, width: int = 32) -> Arrival:
    return Arrival(time_s, (width, 24), lambda: Frame(np.zeros((24, width, 3), np.uint8), time_s))


class Scripted(LiveSource):
    """A source of which each connection does what a function says."""

    def __init__(self, *connections: Callable[[], Generator[Arrival, None, None]], is_live: bool = True) -> None:
        self.name, self.is_live, self._connections = "the camera", is_live, list(connections)

    def arrivals(self) -> Generator[Arrival, None, None]:
        if not self._connections:
            threading.Event().wait(5)
            return
        yield from self._connections.pop(0)()


def pictures(*times_s: float, width: int = 32) -> Callable[[], Generator[Arrival, None, None]]:
    return lambda: (arrival(time_s, width=width) for time_s in times_s)


def refusing() -> Generator[Arrival, None, None]:
    raise VideoError("the camera cannot be opened: refused")
    yield


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_reader, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(live_reader, "_LONGEST_PAUSE_S", 0.05)


def read(source: LiveSource, *, seconds: float = 1.0, slow_s: float = 0.0) -> tuple[list[Item], int]:
    with LiveReader(source, LiveDrawing({0: drawing(None)}, window_s=None)) as reader:
        found = []
        for item in items(reader, until=time.monotonic() + seconds, stopping=threading.Event()):
            found.append(item)
            time.sleep(slow_s)
        return found, reader.dropped


def times_of(found: list[Item]) -> list[float]:
    return [item.step.timestamp_s for item in found if isinstance(item, Due)]


def test_a_file_gives_all_its_steps_at_their_times() -> None:
    begun = time.monotonic()
    found, dropped = read(Scripted(pictures(0.0, 0.1, 0.2, 0.3, 0.4), is_live=False), seconds=20)
    assert time.monotonic() - begun > 0.4
    assert times_of(found) == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert (found[-1], dropped) == (Ended(), 0)


def test_what_comes_while_the_reader_is_busy_is_dropped() -> None:
    """Thirty pictures at once, and a model that takes 50 ms: the newest is answered, the rest is counted."""
    found, dropped = read(Scripted(pictures(*[0.1 * number for number in range(30)])), slow_s=0.05)
    times = times_of(found)
    assert len(times) + dropped == 29
    assert dropped > 20
    assert times[-1] == pytest.approx(2.8)


def test_a_source_that_goes_away_is_opened_again() -> None:
    """Also after failures in between; times go on from what came before, however fast that came."""
    found, _ = read(Scripted(pictures(0.0, 0.1, 0.2), refusing, refusing, pictures(0.0, 0.1, 0.2)), seconds=3.0)
    notes = [item.note for item in found if isinstance(item, Interrupted)]
    assert len(notes) >= 3
    assert "the camera gives no more pictures; tried again in" in notes[0]
    assert "refused; tried again in" in notes[1]
    times = times_of(found)
    assert len(times) >= 2
    assert times == sorted(set(times))


@pytest.mark.parametrize("connection", [refusing, pictures()])
def test_a_source_that_never_gave_a_picture_is_an_error(
    connection: Callable[[], Generator[Arrival, None, None]],
) -> None:
    (ended,), _ = read(Scripted(connection))
    assert isinstance(ended, Ended)
    assert isinstance(ended.error, VideoError)


def test_another_size_begins_anew() -> None:
    def turned() -> Generator[Arrival, None, None]:
        yield from (arrival(0.0), arrival(0.1), arrival(0.2, width=48), arrival(0.3, width=48))

    found, _ = read(Scripted(turned, is_live=False), seconds=20)
    (note,) = [item.note for item in found if isinstance(item, Interrupted)]
    assert note == "the pictures of the camera were 32x24 and are 48x24: begun anew"
    assert times_of(found)[-1] == pytest.approx(0.3)


def test_an_error_of_any_kind_ends_it() -> None:
    """Else whoever waits for pictures would wait for ever."""

    def broken() -> Generator[Arrival, None, None]:
        yield arrival(0.0)
        raise RuntimeError("a bug")

    found, _ = read(Scripted(broken))
    assert isinstance(found[-1], Ended)
    assert isinstance(found[-1].error, RuntimeError)
