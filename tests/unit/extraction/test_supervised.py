"""Work in a process of its own: what it yields comes, what it raises is raised, and a crash is one named error."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from vidrnn.errors import ConfigError, VideoError
from vidrnn.extraction.supervised import supervised
from vidrnn.settings.extraction import ExtractionSettings

LIMITS = ExtractionSettings(stall_limit_s=20.0)


def counting(on_progress: Callable[[], None], *, until: int) -> Iterator[tuple[int, int]]:
    for number in range(until):
        on_progress()
        yield number, os.getpid()


def crashing(on_progress: Callable[[], None], *, by: int) -> Iterator[int]:
    yield 1
    os.kill(os.getpid(), by)


def raising(on_progress: Callable[[], None], *, error: Exception) -> Iterator[int]:
    yield 1
    raise error


def sleeping(on_progress: Callable[[], None]) -> Iterator[int]:
    yield 1
    time.sleep(600)


def hungry(on_progress: Callable[[], None]) -> Iterator[int]:
    yield len(bytearray(2_000_000_000))


def children() -> set[int | None]:
    return {child.pid for child in multiprocessing.active_children()}


def test_items_come_in_order_from_another_process() -> None:
    found = list(supervised(partial(counting, until=50), limits=LIMITS))
    assert [number for number, _ in found] == list(range(50))
    assert {pid for _, pid in found}.isdisjoint({os.getpid()})


@pytest.mark.parametrize(("by", "name"), [(signal.SIGSEGV, "SIGSEGV"), (signal.SIGKILL, "SIGKILL")])
def test_a_crash_names_the_signal(by: int, name: str) -> None:
    items = supervised(partial(crashing, by=by), limits=LIMITS)
    assert next(items) == 1
    with pytest.raises(VideoError, match=name):
        next(items)


@pytest.mark.parametrize("error", [VideoError("is broken"), ConfigError("no"), OSError(28, "No space left on device")])
def test_an_error_comes_as_it_was_raised(error: Exception) -> None:
    items = supervised(partial(raising, error=error), limits=LIMITS)
    assert next(items) == 1
    with pytest.raises(type(error)) as caught:
        next(items)
    assert str(caught.value) == str(error)


def test_what_hangs_is_ended() -> None:
    items = supervised(sleeping, limits=ExtractionSettings(stall_limit_s=0.5))
    assert next(items) == 1
    with pytest.raises(VideoError, match=r"hung: nothing read or written for 0\.5 s"):
        next(items)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="only Linux counts memory in a way that serves")  # noqa: PTH110
def test_memory_is_limited() -> None:
    with pytest.raises(VideoError, match="memory_limit_mb"):
        list(supervised(hungry, limits=ExtractionSettings(memory_limit_mb=500)))


def test_whoever_stops_early_leaves_no_process() -> None:
    before = children()
    items = supervised(sleeping, limits=LIMITS)
    assert next(items) == 1
    assert children() > before
    items.close()  # type: ignore[attr-defined]
    assert children() == before
