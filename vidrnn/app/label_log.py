"""What people said of clips: a file that only grows, a line for each thing said, on disk before the page goes on."""

import errno
import fcntl
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

from vidrnn.annotations.class_names import find_twin_names
from vidrnn.annotations.records import Segment, one_form
from vidrnn.errors import AnnotationError, ConfigError
from vidrnn.names import excerpt, original, quoted, writable

_SEPARATOR = "|"  # between labels in a CSV


@dataclass(frozen=True)
class Said:
    """What is said of one clip: a label, or its segments by start; neither where it was taken back."""

    label: str | None = None
    segments: tuple[Segment, ...] | None = None


NOTHING = Said()


class LabelLog:
    """Reads the lines that are there and appends new ones. Context manager.

    A line is a JSON object: ``{"time", "path", "label"}`` or ``{"time", "path", "segments": [[start, end, label]]}``
    with seconds; ``{"time", "path", "undo": true}`` takes back the latest that was not; ``{"time", "class"}`` names a
    class that no clip has yet. A line that a kill cut off is left out, and removed when the next one is written.

    Args:
        path: the file, which need not be there.

    Attributes:
        said: name of a clip to the latest that was said of it.
        classes: that were added by hand.
        notes: what is worth knowing of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: dict[str, Said] = {}
        self.classes: list[str] = []
        self.notes: list[str] = []
        self._history: list[tuple[str, Said]] = []  # what was said before, of each thing said
        self._file: FileIO | None = None
        self._size = self._found = 0  # bytes of whole lines, and of all that was there

    def __enter__(self) -> "LabelLog":
        """Raises ConfigError (another kind of file, or in use), OSError (it cannot be read)."""
        if self.path.exists():
            self._read(self.path.read_bytes())
        return self

    def __exit__(self, *_error: object) -> None:
        if self._file is not None:
            self._file.close()

    def say(self, path: str, said: Said) -> None:
        """Keep what is said of a clip. Raises OSError: it could not be written, and was not said."""
        self._append({"path": writable(path)} | _values(said))
        self._take(path, said)

    def undo(self) -> str | None:
        """Take the latest back; the name of its clip, or None where there is nothing more. Raises OSError."""
        if not self._history:
            return None
        path, _ = self._history[-1]
        self._append({"path": writable(path), "undo": True})
        self._take_back()
        return path

    def add_class(self, name: str, known: list[str]) -> str:
        """Keep a class that no clip has yet, in its composed form.

        Raises:
            AnnotationError: it is empty, holds what a CSV cannot, or looks like a class that is known. OSError.
        """
        name = one_form(name.strip())
        if not name or _SEPARATOR in name or not name.isprintable():
            raise AnnotationError(f"class {quoted(name)}: give a name in one line, without {_SEPARATOR}")
        if name in known:
            return name
        for before, twin in find_twin_names([*known, name]):
            if twin == name:
                raise AnnotationError(f"{quoted(name)} and {quoted(before)} look like one class; use one spelling")
        self._append({"class": name})
        self.classes.append(name)
        return name

    def _take(self, path: str, said: Said) -> None:
        self._history.append((path, self.said.get(path, NOTHING)))
        self._put(path, said)

    def _take_back(self) -> None:
        if self._history:
            self._put(*self._history.pop())

    def _put(self, path: str, said: Said) -> None:
        if said == NOTHING:
            self.said.pop(path, None)
        else:
            self.said[path] = said

    def _read(self, content: bytes) -> None:
        whole, newline, rest = content.rpartition(b"\n")
        self._size, self._found = len(whole) + len(newline), len(content)
        if rest:
            self.notes.append(f"the last line of {quoted(self.path)} was cut off and is left out")
        for number, line in enumerate(whole.splitlines() if whole else (), 1):
            try:
                self._understand(json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                raise ConfigError(
                    f"{quoted(self.path)}, line {number} is {excerpt(line.decode(errors='replace'))}, which `vidrnn "
                    f"app` did not write ({error}); name another file with --labels"
                ) from error

    def _understand(self, entry: Any) -> None:  # noqa: ANN401  what JSON can hold
        if not isinstance(entry, dict):
            raise TypeError("an object is wanted")
        if "class" in entry:
            if entry["class"] not in self.classes:
                self.classes.append(str(entry["class"]))
        elif entry.get("undo"):
            self._take_back()
        else:
            path = original(entry["path"])
            if "segments" in entry:
                self._take(path, Said(segments=segments_of(entry["segments"])))
            else:
                self._take(path, Said(label=entry["label"] or None))

    def _append(self, entry: dict[str, Any]) -> None:
        entry = {"time": datetime.now(UTC).isoformat(timespec="seconds")} | entry
        line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
        file = self._open()
        try:
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):  # half a line would be in the way of the next
                file.truncate(self._size)
            raise
        self._size += len(line)

    def _open(self) -> FileIO:
        """Only when something is said, so that looking works where nothing can be written."""
        if self._file is None:
            file = self.path.open("ab", buffering=0)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.close()
                raise ConfigError(f"{quoted(self.path)} is open in another `vidrnn app`; close that one") from error
            except OSError:  # a file system without locks
                pass
            if file.seek(0, os.SEEK_END) != self._found:
                file.close()
                raise ConfigError(f"{quoted(self.path)} was changed by another program; start `vidrnn app` again")
            file.truncate(self._size)
            self._file = file
        return self._file


def segments_of(rows: list[Any]) -> tuple[Segment, ...]:
    """Segments by start from rows of start, end, label and maybe a score, which people do not give.

    Raises:
        AnnotationError, ValueError, TypeError: one is no segment.
    """
    found = [Segment(float(start), float(end), str(label)) for start, end, label, *_score in rows]
    return tuple(sorted(found, key=lambda segment: (segment.start_s, segment.end_s)))


def _values(said: Said) -> dict[str, Any]:
    if said.segments is not None:
        return {"segments": [[segment.start_s, segment.end_s, segment.label] for segment in said.segments]}
    return {"label": said.label}
