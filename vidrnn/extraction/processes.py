"""Processes for decoders that share nothing with this one, which has threads and open devices. Imports nothing heavy.

A fork server imports PyTorch once, by itself; each decoder is a fork of that clean process and starts in milliseconds,
also after a crash. Where there is none (Windows), each decoder imports for itself.
"""

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, spawn
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any

_PRELOADED = "vidrnn.extraction.decode_worker"
_SCRIPT = ("init_main_from_name", "init_main_from_path")
_one_at_a_time = threading.Lock()


def decoder_context() -> ForkServerContext | SpawnContext:
    """Where decoder processes come from."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_PRELOADED])
    return context


def warm_up() -> None:
    """Let the fork server begin with its imports, beside those of this process."""
    if isinstance(decoder_context(), ForkServerContext):
        forkserver.ensure_running()


def start(process: BaseProcess) -> None:
    """Start a process that does not run the user's script once more. Raises OSError, EOFError.

    Python imports the script of the parent in each process, for functions that are defined there. A decoder needs none
    of them. A script without an ``if __name__ == "__main__"`` guard would begin its work again in every decoder, and
    one that is read from standard input cannot be imported at all.
    """
    with _without_script():
        process.start()


@contextmanager
def _without_script() -> Iterator[None]:
    """Processes that this thread starts meanwhile are told of no script; those of other threads are."""
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
