"""What is being done, and how long it took, for `vidrnn --verbose`: the logger ``vidrnn`` gets a line for each."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

LOG = logging.getLogger("vidrnn")
"""Whoever uses vidrnn as a library may read it too; nothing is shown unless somebody asks."""


@contextmanager
def stage(what: str) -> Iterator[None]:
    """Say when a stage begins, and how long it took when it ends, also by an error. Also a decorator of functions.

    Args:
        what: such as ``fit``.
    """
    LOG.info("%s ...", what)
    started = time.perf_counter()
    try:
        yield
    except BaseException as error:
        LOG.info("%s: %s after %.2f s", what, type(error).__name__, time.perf_counter() - started)
        raise
    LOG.info("%s: %.2f s", what, time.perf_counter() - started)


class _BesideBars(logging.Handler):
    """Writes to standard error, above a bar that is there."""

    def __init__(self) -> None:
        super().__init__()
        self._started = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(f"[{time.monotonic() - self._started:8.2f} s] {self.format(record)}", file=sys.stderr)


@contextmanager
def shown_stages() -> Iterator[None]:
    """Show all lines until the block ends."""
    handler, level = _BesideBars(), LOG.level
    LOG.setLevel(logging.INFO)
    LOG.addHandler(handler)
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        LOG.setLevel(level)
