"""Who is extracting what: two extractions into one store, on one machine or on several, share the work.

A claim is a lock on one byte of one file, so it vanishes with the process that holds it, however that ends.
"""

import errno
import fcntl
import hashlib
from contextlib import suppress
from pathlib import Path
from typing import IO

FILE = ".claims"
"""In the folder of a spec: empty, and left there when nobody claims anything any more."""
_HELD_BY_ANOTHER = {errno.EACCES, errno.EAGAIN}


class Claims:
    """Claims on the videos of one spec. Context manager; leaving it gives everything back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "Claims":
        """Nothing is opened yet: a store that only serves what it has may be read-only."""
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give all claims back."""
        if self._file is not None:
            self._file.close()

    def take(self, video_path: str) -> bool:
        """Claim a video; False when another process holds it. Raises OSError (read-only store)."""
        if self._file is None:
            self._file = self._path.open("ab")
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place_of(video_path))
        except OSError as error:
            # A file system without locks: the work is done twice at worst.
            return error.errno not in _HELD_BY_ANOTHER
        return True

    def give_back(self, video_path: str) -> None:
        """Release one video."""
        if self._file is not None:
            with suppress(OSError):  # a file system without locks, as in `take`
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _place_of(video_path))


def _place_of(video_path: str) -> int:
    """A byte of its own for each video; a collision (of 2^62 places) would only make one wait for the other."""
    return int.from_bytes(hashlib.sha256(video_path.encode(errors="surrogateescape")).digest()[:8]) >> 2
