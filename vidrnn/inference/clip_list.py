"""The lists beside clips: ``clips.csv``, which ``data.format: csv`` reads, and ``cuts.csv``, where each is from."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidrnn.annotations.records import Split, as_split
from vidrnn.atomic import write_atomically
from vidrnn.errors import AnnotationError, ConfigError
from vidrnn.names import original, quoted, writable
from vidrnn.store.source import state_of

CLIPS, CUTS = "clips.csv", "cuts.csv"
_COLUMNS = ("path", "video", "start", "end", "label", "group", "split", "how", "exact", "source")


@dataclass(frozen=True)
class ClipRow:
    """One clip.

    Attributes:
        path: below the folder.
        video: which it was cut out of, as it was given.
        start_s, end_s: of the stretch.
        label, group, split: of the clip.
        how: ``copied`` or ``encoded``.
        exact: whether it was to be encoded in any case.
        source: size and time of the video's file, as `state_in_words` gives them; empty where that is not known.
    """

    path: str
    video: str
    start_s: float
    end_s: float
    label: str
    group: str
    split: Split | None
    how: str
    exact: bool
    source: str

    def serves(self, start_s: float, end_s: float, *, exact: bool, source: str) -> bool:
        """Whether cutting this stretch of the video as it is now would make the same clip; a video may be gone."""
        same = (_seconds(self.start_s), _seconds(self.end_s)) == (_seconds(start_s), _seconds(end_s))
        as_asked = self.how == "encoded" if exact else not self.exact
        return same and as_asked and (not source or self.source == source)


def state_in_words(video: Path) -> str:
    """Size and time of a video for a list; empty where it cannot be looked at."""
    try:
        found = state_of(video)
        return f"{found.size} {found.mtime_ns}"
    except (OSError, ValueError):
        return ""


def read_rows(folder: Path) -> dict[str, ClipRow]:
    """What earlier runs cut, by path, as far as the clips are still there.

    Raises:
        ConfigError: ``cuts.csv`` is something else, or ``clips.csv`` is there alone.
    """
    path = folder / CUTS
    if not path.exists():
        if (folder / CLIPS).exists():
            raise ConfigError(
                f"{quoted(folder / CLIPS)} is there, and no {CUTS} of `vidrnn cut` beside it; give another --output"
            )
        return {}
    try:
        found = [_row(row) for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))]
    except (KeyError, ValueError, TypeError, csv.Error, AnnotationError) as error:
        raise ConfigError(
            f"{quoted(path)} is no list of clips ({type(error).__name__}: {error}); give another --output"
        ) from error
    return {row.path: row for row in found if (folder / row.path).exists()}


def write_lists(folder: Path, rows: Mapping[str, ClipRow]) -> None:
    """Write both lists, whole or not at all. A split stands in ``clips.csv`` where all clips have one."""
    found = [rows[path] for path in sorted(rows)]
    with_split = bool(found) and all(row.split is not None for row in found)
    header = ("path", "label", *(("split",) if with_split else ()), "group")
    clips = [(row.path, row.label, *((row.split or "",) if with_split else ()), row.group) for row in found]
    cuts = [
        (
            *(row.path, row.video, _seconds(row.start_s), _seconds(row.end_s), row.label, row.group, row.split or ""),
            *(row.how, "yes" if row.exact else "no", row.source),
        )
        for row in found
    ]
    write_atomically(folder / CUTS, _csv([_COLUMNS, *cuts]))
    write_atomically(folder / CLIPS, _csv([header, *clips]))


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([writable(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _row(row: Mapping[str, str]) -> ClipRow:
    start_s, end_s = float(row["start"]), float(row["end"])
    if math.isnan(start_s) or math.isnan(end_s):
        raise ValueError("a time is no number")
    split = as_split(row["split"]) if row["split"] else None
    path, video, label, group = (original(row[name]) for name in ("path", "video", "label", "group"))
    exact, source = row.get("exact") == "yes", row.get("source") or ""  # earlier versions did not say
    return ClipRow(path, video, start_s, end_s, label, group, split, row["how"], exact, source)


def _seconds(seconds: float) -> str:
    return f"{seconds:.9g}"
