"""The failures of a spec, remembered so that a file which hung a decoder for an hour does not hang it again tomorrow.

``failures.csv`` in the spec's folder: path, stage, cause, seconds, and size, time and witness of the file that failed.
``absent.csv``, of the same form: videos that do not have the stream.
"""

import csv
import io
from dataclasses import replace
from pathlib import Path

from vidrnn.atomic import write_atomically
from vidrnn.extraction.jobs import ABSENT, Failure
from vidrnn.names import writable
from vidrnn.store.not_made import ABSENT_LIST, COLUMNS, FAILURE_LIST, SOLVED, NotMade, read_list
from vidrnn.store.source import Places, State, state_of


class FailureList:
    """What failed so far. Rows are added as they happen, so that a killed run leaves them behind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._solved: set[str] = set()
        self._records = read_list(path)

    def known(self, path: str, source: Places) -> Failure | None:
        """The failure of just this file; None when it never failed or has changed since."""
        record = self._records.get(path)
        if record is None:
            return None
        found = _state_of(source)
        same = not record.had_source if found is None else record.is_of(found)
        return Failure(path, record.stage, record.cause, record.seconds) if same else None

    def add(self, failure: Failure, source: Places) -> None:
        """Remember a failure. Raises OSError."""
        found, before = _state_of(source), self._records.get(failure.path)
        record = NotMade(failure.path, failure.stage, failure.cause, failure.seconds, *map(str, found or ("", "", "")))
        if found is None and before is not None:  # gone, and what was there had failed
            record = replace(record, size=before.size, mtime_ns=before.mtime_ns, witness=before.witness)
        self._records[failure.path] = record
        self._solved.discard(failure.path)
        self._append(record)

    def _append(self, record: NotMade) -> None:
        lines = io.StringIO(newline="")
        writer = csv.writer(lines)
        with self.path.open("ab") as file:  # one write to the end: two runs may add at the same time
            if file.tell() == 0:
                writer.writerow(COLUMNS)
            writer.writerow(_row(record))
            file.write(lines.getvalue().encode())

    def solve(self, path: str) -> None:
        """The video has features now. Raises OSError."""
        if path in self._records and path not in self._solved:  # at once: a run that is killed leaves no wrong failure
            self._append(NotMade(path, SOLVED, "", 0.0, "", "", ""))
        self._solved.add(path)

    def tidy(self) -> None:
        """Sort the file, without repetitions and without what was solved; none when nothing is left. Raises OSError."""
        if not self._records and not self.path.exists():
            return
        records = {path: record for path, record in read_list(self.path).items() if path not in self._solved}
        if not records:
            self.path.unlink(missing_ok=True)
            return
        lines = io.StringIO(newline="")
        writer = csv.writer(lines)
        writer.writerow(COLUMNS)
        writer.writerows(_row(records[path]) for path in sorted(records))
        content = lines.getvalue().encode()
        if content != self.path.read_bytes():
            write_atomically(self.path, content)


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


def _state_of(source: Places) -> State | None:
    """None where it is not there, or cannot be looked at."""
    try:
        return state_of(source)
    except (OSError, ValueError):
        return None


def _row(record: NotMade) -> list[str]:
    path, cause = writable(record.path), writable(record.cause)
    return [path, record.stage, cause, f"{record.seconds:.1f}", record.size, record.mtime_ns, record.witness]
