"""What was found in order in the folder of a spec, so that the next extraction need not open a single feature file.

    STORE/<digest>/manifest.sqlite     for each video: the file it is, and the stored features it was compared with

It may be taken away at any time: then everything is read and compared once more. Where it cannot be written (a store
that is read-only, a file system without locks) it is left as it is.
"""

import os
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FILE = "manifest.sqlite"
JOURNAL = f"{FILE}-journal"

_ROWS_AT_ONCE = 1000
_WAIT_S = 5.0  # for another extraction that is writing
# Not a database, a damaged one, or one of another form. Locked, read-only and the like are no reason to throw it away.
_NO_MANIFEST = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR}
_SELECT = "SELECT source, sha256, stored, reader FROM found WHERE video = ?"
_TABLE = (
    "CREATE TABLE IF NOT EXISTS found "
    "(video BLOB PRIMARY KEY, source TEXT, sha256 TEXT, stored TEXT, reader INTEGER) WITHOUT ROWID"
)


@dataclass(frozen=True)
class Found:
    """A video and its stored features, as they were when they were last compared.

    Attributes:
        source: the state of the video, as `state` writes it.
        sha256: of the video.
        stored: the state of the file that holds its features.
        reader: version of the reading that gives these very features, see `vidrnn.store.reader`.
    """

    source: str
    sha256: str
    stored: str
    reader: int


def state(parts: Iterable[int | str]) -> str:
    """Sizes, times and the like in one string: sums over folders are larger than the integers of SQLite."""
    return " ".join(map(str, parts))


class Manifest:
    """The manifest of one folder. For several threads. Context manager: at the end everything is on disk.

    Args:
        folder: of the spec; it must be there.
        read_only: neither make a manifest nor change one.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self._path = folder / FILE
        self._read_only = read_only
        self._lock = threading.Lock()
        self._new: dict[str, Found] = {}
        self._database = self._open()

    def __enter__(self) -> "Manifest":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Put everything on disk; nothing is known afterwards."""
        with self._lock:
            self._write()
            if self._database is not None:
                self._database.close()
                self._database = None

    def get(self, video: str) -> Found | None:
        """What is known of a video, by its path in the annotations."""
        with self._lock:
            if (new := self._new.get(video)) is not None:
                return new
            if self._database is None:
                return None
            try:
                row = self._database.execute(_SELECT, (os.fsencode(video),)).fetchone()
            except sqlite3.Error:
                return None
        return None if row is None else Found(*row)

    def enter(self, video: str, found: Found) -> None:
        """Remember what was compared just now."""
        with self._lock:
            self._new[video] = found
            if len(self._new) >= _ROWS_AT_ONCE:
                self._write()

    def _write(self) -> None:
        """One short transaction; rows that cannot be written are forgotten."""
        rows = [
            (os.fsencode(video), found.source, found.sha256, found.stored, found.reader)
            for video, found in self._new.items()
        ]
        self._new.clear()
        if not rows or self._database is None:
            return
        with suppress(sqlite3.Error), self._database:
            self._database.executemany("INSERT OR REPLACE INTO found VALUES (?, ?, ?, ?, ?)", rows)

    def _open(self) -> sqlite3.Connection | None:
        try:
            return self._connect()
        except sqlite3.Error as error:
            if self._read_only or error.sqlite_errorcode not in _NO_MANIFEST:
                return None
        with suppress(sqlite3.Error, OSError):  # all that it holds is elsewhere too
            self._path.unlink()
            return self._connect()
        return None

    def _connect(self) -> sqlite3.Connection:
        place = f"{self._path.absolute().as_uri()}?mode={'ro' if self._read_only else 'rwc'}"
        database = sqlite3.connect(place, uri=True, timeout=_WAIT_S, check_same_thread=False)
        try:
            if not self._read_only:
                database.execute(_TABLE)
            database.execute(_SELECT, (b"",))  # is it of this form?
        except sqlite3.Error:
            database.close()
            raise
        return database
