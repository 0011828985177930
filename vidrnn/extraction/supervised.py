"""One piece of work on one video in a process of its own, as decoders are: a crash of FFmpeg costs one named error."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

import torch

from vidrnn.errors import VideoError, VidrnnError
from vidrnn.extraction.child import alive, end_with_parent, lacks_memory, limit_memory, obituary
from vidrnn.extraction.processes import decoder_context
from vidrnn.processes import start
from vidrnn.settings.extraction import ExtractionSettings

_GLANCE_S = 0.1
_START_LIMIT_S = 300.0  # a first import from a slow network drive
_Item = TypeVar("_Item")
Work = Callable[[Callable[[], None]], Iterator[_Item]]
"""Yields what it finds; its argument is to be called for every packet, so that slow can be told from hung."""


class _Done:
    """The last message."""


class _Found(Generic[_Item]):
    """One item on its way."""

    def __init__(self, item: _Item) -> None:
        self.item = item


def supervised(work: Work[_Item], *, limits: ExtractionSettings) -> Iterator[_Item]:
    """Run some work in a process of its own and hand on what it yields.

    Args:
        work: can be pickled: a function of a module, or a partial of one.
        limits: ``stall_limit_s`` and ``memory_limit_mb`` are kept. How long it takes in all is not limited.

    Raises:
        VidrnnError, OSError: as the work raised it. VideoError: the process crashed or hung.
    """
    context = decoder_context()
    channel, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work, limits.memory_limit_mb), daemon=True)
    start(process)
    theirs.close()
    silent_since, limit_s = time.monotonic(), max(_START_LIMIT_S, limits.stall_limit_s)
    try:
        while True:
            if not channel.poll(_GLANCE_S):
                if time.monotonic() - silent_since > limit_s:
                    raise VideoError(
                        f"the process hung: nothing read or written for {limit_s:g} s; re-encode or replace the file"
                    )
                continue
            message = channel.recv()
            limit_s = limits.stall_limit_s
            if isinstance(message, _Done):
                return
            if isinstance(message, Exception):
                raise message
            if isinstance(message, _Found):
                yield message.item
            silent_since = time.monotonic()
    except EOFError:
        process.join(timeout=5)
        raise VideoError(obituary(process.exitcode)) from None
    finally:
        process.kill()
        process.join()
        process.close()
        channel.close()


def _serve(channel: Connection, work: Work[object], memory_limit_mb: int) -> None:
    """Body of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    threading.Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    limit_memory(memory_limit_mb)
    try:
        channel.send(None)  # ready
        for item in work(alive(channel)):
            channel.send(_Found(item))
        channel.send(_Done())
    except Exception as error:
        if lacks_memory(error):
            channel.send(VideoError(f"needs more than {memory_limit_mb} MB (extraction.memory_limit_mb)"))
        elif isinstance(error, VidrnnError | OSError):
            channel.send(error)
        else:
            raise
