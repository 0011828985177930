"""Memory that a decoder process and its owner share, so that frames need not go through a pipe.

It has a few *places*, each for one chunk of frames, and a byte for each that says whether it is taken. The decoder
fills a place; it is free again when the owner holds no reference to the array any longer, wherever that was.

The memory is an unnamed file in RAM: /dev/shm, of which containers often have only 64 MB, is not touched.
"""

import mmap
import os
import tempfile
import time
import weakref
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_PAGE = 4096
_GLANCE_S = 0.0005

Pixels = npt.NDArray[np.uint8]


class SharedFrames:
    """The places, seen from one of the two sides.

    Args:
        file: descriptor of the memory, which may be closed afterwards.
        places: how many.
        place_bytes: size of each.
    """

    def __init__(self, file: int, *, places: int, place_bytes: int) -> None:
        self._bytes = place_bytes
        self._memory = mmap.mmap(file, _size(places, place_bytes))
        self._taken = np.frombuffer(self._memory, np.uint8, places)

    @staticmethod
    def create(*, places: int, place_bytes: int) -> int:
        """A descriptor of new memory, all places free. Raises OSError when the system has no memory."""
        if hasattr(os, "memfd_create"):
            file = os.memfd_create("vidrnn")
        else:  # macOS
            with tempfile.TemporaryFile() as temporary:
                file = os.dup(temporary.fileno())
        os.ftruncate(file, _size(places, place_bytes))
        return file

    @property
    def is_full(self) -> bool:
        """Whether the decoder can only wait for its owner."""
        return bool(self._taken.all())

    def put(self, frames: Sequence[Pixels]) -> int:
        """Copy frames of one shape into a free place, once there is one; returns its number. For the decoder."""
        while self.is_full:
            time.sleep(_GLANCE_S)
        place = int(np.argmin(self._taken))
        np.stack(frames, out=self._view(place, (len(frames), *frames[0].shape)))
        self._taken[place] = 1
        return place

    def get(self, place: int, shape: tuple[int, ...]) -> Pixels:
        """What lies in a place, not copied; taken until the array and all parts of it are gone. For the owner.

        The memory lasts as long as the arrays in it, also when the decoder and this object are gone.
        """
        array = self._view(place, shape)
        # NumPy lets parts of a view refer to what the view was made of, not to the view, so that is what must be gone.
        weakref.finalize(array.base, _release, self._taken, place)
        return array

    def _view(self, place: int, shape: tuple[int, ...]) -> Pixels:
        count = int(np.prod(shape))
        assert count <= self._bytes, (shape, self._bytes)
        offset = _start(len(self._taken)) + place * self._bytes
        return np.frombuffer(self._memory, np.uint8, count, offset).reshape(shape)


def _release(taken: Pixels, place: int) -> None:
    taken[place] = 0


def _start(places: int) -> int:
    return -(-places // _PAGE) * _PAGE


def _size(places: int, place_bytes: int) -> int:
    return _start(places) + places * place_bytes
