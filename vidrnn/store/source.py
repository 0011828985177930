"""The video that features came from: enough of it to notice when it is another one."""

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vidrnn.frame_folders import picture_files

OnRead = Callable[[int], object]
_PIECE = 1 << 20  # bytes, a second on the slowest of drives
Places = Path | tuple[Path, ...]
"""What decides the features of a video: mostly the video; for arrays without times of their own the video as well."""


def is_there(path: Places) -> bool:
    """Whether a video may be read there: a file, or a folder, which may hold frames. Raises OSError, ValueError."""
    if isinstance(path, tuple):
        return all(map(is_there, path))
    return path.is_file() or path.is_dir()


def is_reachable(path: Path) -> bool:
    """As `is_there`, and False where the name is impossible or may not be looked at."""
    try:
        return is_there(path)
    except (OSError, ValueError):
        return False


def state_of(path: Places) -> tuple[int, int]:
    """Size and time of a video, found without reading it; for several places the sums. Raises OSError.

    A folder has the size of all its pictures, and in place of a time a number that changes when any of their names,
    sizes and times does. The newest time would not do: an older picture that is copied over another with its time
    leaves it as it was. Nor would a sum of times: pictures in another order leave that as it was.
    """
    if isinstance(path, tuple):
        sizes, times = zip(*map(state_of, path), strict=True)
        return sum(sizes), sum(times)
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        return status.st_size, status.st_mtime_ns
    size, hasher = 0, hashlib.sha256()
    for picture in picture_files(path):
        status = picture.stat()
        size += status.st_size
        hasher.update(os.fsencode(picture.name) + f"\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return size, int.from_bytes(hasher.digest()[:8]) >> 1


@dataclass(frozen=True)
class Source:
    """What features came from.

    Attributes:
        size, mtime_ns: as `state_of` gives them.
        sha256: of the file; of a folder, of the names and contents of its pictures in the order of their names; of
            several places, of their hashes.
    """

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Places, *, on_read: OnRead = lambda _count: None) -> "Source":
        """Read everything once for the hash. Raises OSError.

        Args:
            path: a file, a folder of pictures, or several of these.
            on_read: called with the number of bytes of each piece, so that whoever waits can tell slow from hung.
        """
        if isinstance(path, tuple):
            sources = [cls.of(place, on_read=on_read) for place in path]
            together = hashlib.sha256("".join(source.sha256 for source in sources).encode()).hexdigest()
            return cls(sum(source.size for source in sources), sum(source.mtime_ns for source in sources), together)
        if path.is_dir():
            return cls(*state_of(path), _digest_of(path, on_read=on_read))
        with path.open("rb") as file:
            digest = _file_digest(file, on_read=on_read)
            status = os.fstat(file.fileno())
        return cls(status.st_size, status.st_mtime_ns, digest.hex())

    def is_still(self, path: Places) -> bool:
        """Whether ``path`` is the same: by size and time, and by content when only the time differs."""
        size, mtime_ns = state_of(path)
        if size != self.size:
            return False
        return mtime_ns == self.mtime_ns or Source.of(path).sha256 == self.sha256


def _digest_of(folder: Path, *, on_read: OnRead) -> str:
    hasher = hashlib.sha256()
    for path in picture_files(folder):
        with path.open("rb") as file:
            content = _file_digest(file, on_read=on_read)
        hasher.update(os.fsencode(path.name) + b"\0" + content)  # no name holds a zero byte
    return hasher.hexdigest()


def _file_digest(file: BinaryIO, *, on_read: OnRead) -> bytes:
    """As `hashlib.file_digest`, which says nothing until it has read gigabytes."""
    hasher = hashlib.sha256()
    while piece := file.read(_PIECE):
        hasher.update(piece)
        on_read(len(piece))
    return hasher.digest()
