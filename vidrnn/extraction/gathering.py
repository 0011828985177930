"""Where the features of a video are kept while more of them come: in memory, or on disk for videos of any length."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from vidrnn.extraction.batches import Features


class Gathered(Protocol):
    """The features of one pass over one video, in order of time."""

    def append(self, rows: Features) -> None:
        """Take (n, D) more. Raises OSError when there is no room."""

    def whole(self) -> Features:
        """(T, D) all that was taken, at least one row."""


_SPARE = 8  # of so many rows, one more is made room for

Gather = Callable[[], Gathered]
"""Begins with a video."""


class InMemory:
    """For videos whose features fit into memory: one array that grows, so that they are never there twice."""

    def __init__(self) -> None:
        self._array: Features = np.empty((0, 0), dtype=np.float16)
        self._rows = 0

    def append(self, rows: Features) -> None:
        """See `Gathered`."""
        first, self._rows = self._rows, self._rows + len(rows)
        if self._rows > len(self._array):
            self._resize(self._rows + self._rows // _SPARE, rows.shape[1])
        self._array[first : self._rows] = rows

    def whole(self) -> Features:
        """See `Gathered`; nothing may be appended afterwards."""
        self._resize(self._rows, self._array.shape[1])
        return self._array

    def _resize(self, rows: int, dim: int) -> None:
        """Large arrays are moved by the system, page by page, and not copied."""
        self._array.resize((rows, dim), refcheck=False)  # no view of it leaves before it is whole


class OnDisk:
    """A file without a name, which is gone with the array that maps it or with the process.

    Args:
        folder: on the disk that holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  open for as long as rows come
        self._rows = self._dim = 0

    def append(self, rows: Features) -> None:
        """See `Gathered`."""
        self._file.write(np.ascontiguousarray(rows).data)
        self._rows, self._dim = self._rows + rows.shape[0], rows.shape[1]

    def whole(self) -> Features:
        """See `Gathered`; mapped, so that only what is looked at is in memory."""
        self._file.flush()
        mapped = np.memmap(self._file, dtype=np.float16, mode="r+", shape=(self._rows, self._dim))
        self._file.close()  # the mapping keeps the content
        return mapped
