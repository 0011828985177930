"""Processes for decoders that share nothing with this one, which has threads and open devices. Imports nothing heavy.

A fork server imports PyTorch once, by itself; each decoder is a fork of that clean process and starts in milliseconds,
also after a crash.
"""

import multiprocessing
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

_PRELOADED = "vidrnn.extraction.decode_worker"


def decoder_context() -> ForkServerContext:
    """Where decoder processes come from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_PRELOADED])
    return context


def warm_up() -> None:
    """Let the fork server begin with its imports while this process goes on."""
    decoder_context()
    forkserver.ensure_running()
