"""The video that features came from: enough of it to notice when it is another one."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from vidrnn.frame_folders import picture_files


def is_there(path: Path) -> bool:
    """Whether a video may be read there: a file, or a folder, which may hold frames. Raises OSError, ValueError."""
    return path.is_file() or path.is_dir()


def is_reachable(path: Path) -> bool:
    """As `is_there`, and False where the name is impossible or may not be looked at."""
    try:
        return is_there(path)
    except (OSError, ValueError):
        return False


def state_of(path: Path) -> tuple[int, int]:
    """Size and time of a video, found without reading it. Raises OSError.

    Of a folder these are the sums over its pictures, and the folder's own time, which counts what is added, removed or
    renamed. The newest time would not do: an older picture that is copied over another with its time leaves it as it
    was.
    """
    status = path.stat()
    if not path.is_dir():
        return status.st_size, status.st_mtime_ns
    pictures = [file.stat() for file in picture_files(path)]
    return sum(each.st_size for each in pictures), status.st_mtime_ns + sum(each.st_mtime_ns for each in pictures)


@dataclass(frozen=True)
class Source:
    """What features came from.

    Attributes:
        size, mtime_ns: as `state_of` gives them.
        sha256: of the file; of a folder, of the names and contents of its pictures in the order of their names.
    """

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Source":
        """Read everything once for the hash. Raises OSError."""
        if path.is_dir():
            return cls(*state_of(path), _digest_of(path))
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            status = os.fstat(file.fileno())
        return cls(status.st_size, status.st_mtime_ns, digest.hexdigest())

    def is_still(self, path: Path) -> bool:
        """Whether ``path`` is the same: by size and time, and by content when only the time differs."""
        size, mtime_ns = state_of(path)
        if size != self.size:
            return False
        return mtime_ns == self.mtime_ns or Source.of(path).sha256 == self.sha256


def _digest_of(folder: Path) -> str:
    hasher = hashlib.sha256()
    for path in picture_files(folder):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256")
        hasher.update(os.fsencode(path.name) + b"\0" + content.digest())  # no name holds a zero byte
    return hasher.hexdigest()
