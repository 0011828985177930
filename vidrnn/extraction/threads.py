"""Threads for work beside the caller's, also once the main thread of the program has ended.

`concurrent.futures` refuses work from then on, though Python waits for all other threads of the user, which may be in
the middle of an extraction.
"""

import atexit
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")


class Threads:
    """Some threads that take work in the order in which it was handed over.

    Args:
        number: how many.
        name: what their names begin with.
    """

    def __init__(self, number: int, name: str) -> None:
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        # Python waits for other threads before it ends, so for ever, where nobody ends these.
        self._threads = [
            threading.Thread(target=_serve, args=(self._work,), name=f"{name}_{place}", daemon=True)
            for place in range(number)
        ]
        for thread in self._threads:
            thread.start()
        _running.add(self)

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        """Hand over work."""
        future: Future[Result] = Future()
        self._work.put((future, work))
        return future

    def end(self, *, cancel: bool = False) -> None:
        """Wait until everything is done; with ``cancel`` only for what has been begun."""
        if cancel:
            with suppress(queue.Empty):
                while (item := self._work.get_nowait()) is not None:
                    item[0].cancel()
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()
        _running.discard(self)


def _serve(work: "queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]") -> None:
    """Body of a thread. It holds nothing between two pieces of work."""
    while (item := work.get()) is not None:
        future, function = item
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001  whoever asks for the result raises it
            future.set_exception(error)
        del item, future, function


_running: "weakref.WeakSet[Threads]" = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """The program ends, and a thread in the middle of a computation would crash it."""
    for threads in list(_running):
        threads.end(cancel=True)
