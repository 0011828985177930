"""The lists of videos of which an extraction made no features, as whoever uses the store reads them.

``failures.csv`` and ``absent.csv`` in the folder of a spec: path, stage, cause, seconds, and size, time and witness
of the source that was tried. These are empty where there was none.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from vidrnn.names import original
from vidrnn.store.source import State

FAILURE_LIST = "failures.csv"
"""The videos that failed, and why."""
ABSENT_LIST = "absent.csv"
"""The videos that do not have the stream of the spec, such as sound, and why."""
SOLVED = "solved"
"""Stage of a row that takes back the ones above it: the video has features now."""
COLUMNS = ("path", "stage", "cause", "seconds", "size", "mtime_ns", "witness")


@dataclass(frozen=True)
class NotMade:
    """A source that gave no features.

    Attributes:
        path: of the video, as in the annotations.
        stage: as of `vidrnn.extraction.jobs.Failure`.
        cause: why.
        seconds: that it took.
        size, mtime_ns, witness: of the source, as `vidrnn.store.source.state_of` gives them. They are
            empty where there was none. Earlier versions wrote no witness.
    """

    path: str
    stage: str
    cause: str
    seconds: float
    size: str
    mtime_ns: str
    witness: str

    @property
    def had_source(self) -> bool:
        """Whether there was a source to try."""
        return self.size != ""

    def is_of(self, source: State) -> bool:
        """Whether it was this source that was tried, as far as its size, time and witness tell."""
        return (self.size, self.mtime_ns) == (str(source.size), str(source.mtime_ns)) and (
            not self.witness or not source.witness or self.witness == source.witness
        )


def read_list(path: Path) -> dict[str, NotMade]:
    """What a list says of each video: its last row counts, and one that was cut off does not."""
    found: dict[str, NotMade] = {}
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            for row in csv.DictReader(file):
                try:
                    video, cause, seconds = original(row["path"]), original(row["cause"]), float(row["seconds"])
                    state = (row["size"] or "", row["mtime_ns"] or "", row.get("witness") or "")
                    found[video] = NotMade(video, row["stage"], cause, seconds, *state)
                except (KeyError, TypeError, ValueError):
                    continue
    except FileNotFoundError:
        return {}
    return {video: row for video, row in found.items() if row.stage != SOLVED}
