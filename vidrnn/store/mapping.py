"""Files mapped into memory one behind another, so that the rows of all of them are rows of one array.

Gathering a batch from one array is a single call; from a list of arrays, one for each file, it took three times as long
for short sequences. `mmap` of the standard library cannot choose the address and keeps every file open. So the system's
is called directly: POSIX.1-2017, mmap with MAP_FIXED inside a range that was reserved before.
"""

import ctypes
import math
import mmap
import os
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

DATA_START = 1 << 16
"""Where the rows begin in each file: a multiple of the page size of every usual machine."""

_MAP_FIXED = 0x10  # the same on Linux and macOS; the module mmap does not name it
_FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (*(ctypes.c_void_p, ctypes.c_size_t), *(ctypes.c_int,) * 3, ctypes.c_long)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


class Mapping:
    """The mapped files. The memory is private: what is written to it does not reach the files.

    Attributes:
        table: (rows, D) float16. Between two files lie rows that mean nothing.
        starts: first row of each file in ``table``, -1 for a file that is not there with its size.
        room: first of the rows at the end that belong to no file, zero until they are written.
    """

    def __init__(self, files: Sequence[tuple[Path, int]], *, dim: int, room: int = 0) -> None:
        """Map files of rows of ``dim`` values, each with its size in bytes. Raises OSError."""
        row = 2 * dim
        step = math.lcm(mmap.PAGESIZE, row)  # a row of the table and a page begin together
        places, end = [], 0
        for _, size in files:
            data = _up(end + DATA_START, step)
            places.append(data - DATA_START)
            end = _up(places[-1] + size, mmap.PAGESIZE)
        rest = _up(end, step)
        region = _Region(max(rest + _up(room * row, mmap.PAGESIZE), mmap.PAGESIZE))
        self._bytes = np.asarray(region)
        self._places = places
        whole = [region.map_file(path, size, at) for (path, size), at in zip(files, places, strict=True)]
        self.starts = [(at + DATA_START) // row if there else -1 for at, there in zip(places, whole, strict=True)]
        self.room = rest // row
        rows = len(self._bytes) // row
        self.table: npt.NDArray[np.float16] = self._bytes[: rows * row].view(np.float16).reshape(rows, dim)

    def bytes_of(self, file: int, start: int, end: int) -> npt.NDArray[np.uint8]:
        """Bytes ``start`` to ``end`` of one of the files."""
        at = self._places[file]
        return self._bytes[at + start : at + end]


class _Region:
    """A range of addresses that is given back when nothing refers to it any more."""

    def __init__(self, size: int) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
        self._address = _map(None, size, flags, -1)
        self.__array_interface__ = {"version": 3, "typestr": "|u1", "shape": (size,), "data": (self._address, False)}
        weakref.finalize(self, _libc.munmap, self._address, size)

    def map_file(self, path: Path, size: int, at: int) -> bool:
        """Whether the file is there with just this size: reading a mapping beyond its end would kill the process."""
        try:
            number = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            if os.fstat(number).st_size != size:
                return False
            _map(self._address + at, size, mmap.MAP_PRIVATE | _MAP_FIXED, number)
        finally:
            os.close(number)
        return True


def _map(address: int | None, size: int, flags: int, number: int) -> int:
    found = _libc.mmap(address, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, number, 0)
    if found == _FAILED:
        error = ctypes.get_errno()
        raise OSError(error, f"{os.strerror(error)}: {size} bytes cannot be mapped")
    return int(found)


def _up(value: int, step: int) -> int:
    return -(-value // step) * step
