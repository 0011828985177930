"""The video that features came from: enough of it to notice when it is another one."""

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

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


class State(NamedTuple):
    """What is known of a video without reading it.

    Attributes:
        size: in bytes; of several places the sum.
        mtime_ns: its time; of several places the sum.
        witness: what other content of the same size and time does not have: inode and time of the last change of
            content, name or rights, which no program can set. The same content elsewhere has another one too.
    """

    size: int
    mtime_ns: int
    witness: str


def state_of(path: Places) -> State:
    """Size, time and witness of a video, found without reading it. Raises OSError.

    A folder has the size of all its pictures, and in place of a time a number that changes when any of their names,
    sizes and times does. The newest time would not do: an older picture that is copied over another with its time
    leaves it as it was. Nor would a sum of times: pictures in another order leave that as it was.
    """
    if isinstance(path, tuple):
        sizes, times, witnesses = zip(*map(state_of, path), strict=True)
        return State(sum(sizes), sum(times), "+".join(witnesses))
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        return _state_of_file(status)
    size, seen, witness = 0, hashlib.sha256(), hashlib.sha256()
    for picture in picture_files(path):
        found = _state_of_file(picture.stat())
        size += found.size
        seen.update(os.fsencode(picture.name) + f"\0{found.size}\0{found.mtime_ns}\0".encode())
        witness.update(f"{found.witness}\0".encode())
    return State(size, int.from_bytes(seen.digest()[:8]) >> 1, witness.hexdigest()[:16])


def _state_of_file(status: os.stat_result) -> State:
    return State(status.st_size, status.st_mtime_ns, f"{status.st_ino}.{status.st_ctime_ns}")


@dataclass(frozen=True)
class Source:
    """What features came from.

    Attributes:
        size, mtime_ns: as `state_of` gives them.
        sha256: of the file; of a folder, of the names and contents of its pictures in the order of their names; of
            several places, of their hashes.
        witness: as `state_of` gives it; empty where an earlier version made the features.
    """

    size: int
    mtime_ns: int
    sha256: str
    witness: str = ""

    @property
    def state(self) -> State:
        """As `state_of` gave it."""
        return State(self.size, self.mtime_ns, self.witness)

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
            size, mtime_ns = sum(source.size for source in sources), sum(source.mtime_ns for source in sources)
            return cls(size, mtime_ns, together, "+".join(source.witness for source in sources))
        if path.is_dir():
            found, sha256 = state_of(path), _digest_of(path, on_read=on_read)
        else:
            with path.open("rb") as file:
                sha256 = _file_digest(file, on_read=on_read).hex()
                found = _state_of_file(os.fstat(file.fileno()))
        return cls(found.size, found.mtime_ns, sha256, found.witness)

    def is_still(self, path: Places, *, in_doubt: bool = False) -> bool:
        """Whether ``path`` is the same: by size, time and witness, and by content when only the size agrees.

        Args:
            path: what may be the same. OSError where it is missing.
            in_doubt: compare the content in any case.
        """
        found = state_of(path)
        if found.size != self.size:
            return False
        unmoved = found.mtime_ns == self.mtime_ns and self.witness in {"", found.witness}
        return (unmoved and not in_doubt) or Source.of(path).sha256 == self.sha256


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
