"""Processes for decoders that share nothing with this one, which has threads and open devices. Imports nothing heavy.

A fork server imports PyTorch once, by itself; each decoder is a fork of that clean process and starts in milliseconds,
also after a crash. Where there is none (Windows), each decoder imports for itself.
"""

import multiprocessing
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, SpawnContext

_PRELOADED = "vidrnn.extraction.decode_worker"


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
