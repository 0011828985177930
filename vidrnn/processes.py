"""How many processes are worth having, and how to start one that does not run the user's script once more."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import spawn
from multiprocessing.process import BaseProcess
from typing import Any

_SCRIPT = ("init_main_from_name", "init_main_from_path")
_one_at_a_time = threading.Lock()


def usable_cores() -> int:
    """Cores that this process may use: on Linux its affinity counts, elsewhere all cores of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start(process: BaseProcess) -> None:
    """Start a process that does not run the user's script once more. Raises OSError, EOFError.

    Python imports the script of the parent in each process, for functions that are defined there. What vidrnn starts
    needs none of them. A script without an ``if __name__ == "__main__"`` guard would begin its work again in every
    process, and one that is read from standard input cannot be imported at all.
    """
    with _without_script():
        process.start()


@contextmanager
def _without_script() -> Iterator[None]:
    """Processes that this thread starts meanwhile are told of no script; other threads start theirs as usual."""
    with _one_at_a_time:
        whole, here = spawn.get_preparation_data, threading.get_ident()

        def told(name: str) -> dict[str, Any]:
            data: dict[str, Any] = whole(name)
            if threading.get_ident() != here:
                return data
            return {key: value for key, value in data.items() if key not in _SCRIPT}

        spawn.get_preparation_data = told
        try:
            yield
        finally:
            spawn.get_preparation_data = whole
