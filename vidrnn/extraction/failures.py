"""The failures of a spec, remembered so that a file which hung a decoder for an hour does not hang it again tomorrow.

``failures.csv`` in the spec's folder: path, stage, cause, seconds, and the size and time of the file that failed.
``absent.csv``, of the same form: videos that do not have the stream.
"""

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path

from vidrnn.atomic import write_atomically
from vidrnn.extraction.jobs import ABSENT, Failure
from vidrnn.names import writable
from vidrnn.store.not_made import ABSENT_LIST, COLUMNS, FAILURE_LIST, SOLVED, read_list
from vidrnn.store.source import Places, state_of


@dataclass(frozen=True)
class _Record:
    failure: Failure
    size: str
    mtime_ns: str

    def row(self) -> list[str]:
        failure = self.failure
        path, cause = writable(failure.path), writable(failure.cause)
        return [path, failure.stage, cause, f"{failure.seconds:.1f}", self.size, self.mtime_ns]


class FailureList:
    """What failed so far. Rows are added as they happen, so that a killed run leaves them behind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._solved: set[str] = set()
        self._records = self._read()

    def known(self, path: str, source: Places) -> Failure | None:
        """The failure of just this file; None when it never failed or has changed since."""
        record = self._records.get(path)
        return record.failure if record and (record.size, record.mtime_ns) == _state_of(source) else None

    def add(self, failure: Failure, source: Places) -> None:
        """Remember a failure. Raises OSError."""
        record = _Record(failure, *_state_of(source))
        if not record.size and (before := self._records.get(failure.path)) is not None:
            record = replace(record, size=before.size, mtime_ns=before.mtime_ns)  # gone, and what was there had failed
        self._records[failure.path] = record
        self._solved.discard(failure.path)
        self._append(record)

    def _append(self, record: _Record) -> None:
        lines = io.StringIO(newline="")
        writer = csv.writer(lines)
        with self.path.open("ab") as file:  # one write to the end: two runs may add at the same time
            if file.tell() == 0:
                writer.writerow(COLUMNS)
            writer.writerow(record.row())
            file.write(lines.getvalue().encode())

    def solve(self, path: str) -> None:
        """The video has features now. Raises OSError."""
        if path in self._records and path not in self._solved:  # at once: a run that is killed leaves no wrong failure
            self._append(_Record(Failure(path, SOLVED, ""), "", ""))
        self._solved.add(path)

    def tidy(self) -> None:
        """Sort the file, without repetitions and without what was solved; none when nothing is left. Raises OSError."""
        if not self._records and not self.path.exists():
            return
        records = {path: record for path, record in self._read().items() if path not in self._solved}
        if not records:
            self.path.unlink(missing_ok=True)
            return
        lines = io.StringIO(newline="")
        writer = csv.writer(lines)
        writer.writerow(COLUMNS)
        writer.writerows(records[path].row() for path in sorted(records))
        content = lines.getvalue().encode()
        if content != self.path.read_bytes():
            write_atomically(self.path, content)

    def _read(self) -> dict[str, _Record]:
        """Rows by path, the last one counts; a row that was cut off is forgotten, so its video is tried again."""
        return {
            path: _Record(Failure(path, row.stage, row.cause, row.seconds), row.size, row.mtime_ns)
            for path, row in read_list(self.path).items()
        }


class MissingLists:
    """The videos without features: what failed, and what does not have this stream. No video is in both lists."""

    def __init__(self, folder: Path) -> None:
        self._failures, self._absent = FailureList(folder / FAILURE_LIST), FailureList(folder / ABSENT_LIST)

    def known(self, path: str, source: Places) -> Failure | None:
        """As of `FailureList`, from either list."""
        return self._absent.known(path, source) or self._failures.known(path, source)

    def add(self, failure: Failure, source: Places) -> None:
        """Remember it in the list that its stage names. Raises OSError."""
        right, other = (self._absent, self._failures) if failure.stage == ABSENT else (self._failures, self._absent)
        right.add(failure, source)
        other.solve(failure.path)

    def solve(self, path: str) -> None:
        """The video has features now."""
        self._failures.solve(path)
        self._absent.solve(path)

    def tidy(self) -> None:
        """As of `FailureList`. Raises OSError."""
        self._failures.tidy()
        self._absent.tidy()


def _state_of(source: Places) -> tuple[str, str]:
    try:
        found = state_of(source)
    except (OSError, ValueError):
        return "", ""
    return str(found.size), str(found.mtime_ns)
