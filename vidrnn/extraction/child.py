"""What every supervised process does for its owner: it says that it lives, keeps its limits, and ends when he does."""

import errno
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from pathlib import Path

NEEDS_MEMORY = "needs more memory than extraction.memory_limit_mb allows a decoder"
_ALIVE_EVERY_S = 1.0
_NO_MEMORY_OF_OPENCV = -4  # StsNoMem
_NO_MEMORY_OF_PYTORCH = "can't allocate memory"  # a RuntimeError like any other


def alive(channel: Connection) -> Callable[[], None]:
    """Something to call at every packet and frame, which says now and then that there was one."""
    spoken_s = time.monotonic()

    def on_progress() -> None:
        nonlocal spoken_s
        if time.monotonic() - spoken_s > _ALIVE_EVERY_S:
            channel.send(None)
            spoken_s = time.monotonic()

    return on_progress


def end_with_parent() -> None:
    """A decoder that hangs in C would outlive a killed parent; nothing that it holds needs an orderly end."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def limit_memory(megabytes: int) -> None:
    """Bound what the process may take from here on. Only Linux counts memory in a way that serves."""
    if sys.platform != "linux":
        return
    status = Path("/proc/self/status").read_text(encoding="ascii")
    taken_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:"))
    limit = taken_kb * 1024 + megabytes * 1_000_000
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def lacks_memory(error: BaseException | None) -> bool:
    """Whether memory could not be had: an error, or what caused it, as Python, FFmpeg, OpenCV or PyTorch say it."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        if getattr(error, "code", None) == _NO_MEMORY_OF_OPENCV or (
            isinstance(error, RuntimeError) and _NO_MEMORY_OF_PYTORCH in str(error)
        ):
            return True
        error = error.__cause__
    return False


def obituary(exitcode: int | None) -> str:
    """Why a process that read a video is gone."""
    if exitcode is None or exitcode >= 0:
        return f"the decoder process ended by itself with exit code {exitcode}; what it printed says more"
    name = signal.Signals(-exitcode).name
    if name == "SIGKILL":
        return "the decoder process was killed (SIGKILL), probably because the machine ran out of memory"
    return f"the decoder crashed ({name}); re-encode or replace the file"
