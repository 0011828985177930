"""Cholec80: the phase at each frame of an operation, or the tools in view once a second (Twinanda et al. 2016)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vidrnn.annotations.class_names import refuse_twin_names
from vidrnn.annotations.csv_file import Table, read_table
from vidrnn.annotations.frame_clock import FrameClock
from vidrnn.annotations.records import BACKGROUND, Annotation, Segment
from vidrnn.annotations.rows import fill_path, list_folder
from vidrnn.annotations.segments import segments_of_presence, segments_of_rows
from vidrnn.errors import AnnotationError
from vidrnn.names import excerpt
from vidrnn.settings.data import DataSettings

FRAME_RATE = 25.0
"""Frames per second of its videos. Its frame numbers count these."""
PHASE = "-phase.txt"
_TOOL = "-tool.txt"


def read_cholec80(settings: DataSettings, clock: FrameClock) -> list[Annotation]:
    """Read ``<name>-phase.txt`` or ``<name>-tool.txt``, whichever the folder ``data.annotations`` holds.

    Phases have the columns ``Frame`` and ``Phase``, separated by tabs. Tools have ``Frame`` and a 0 or 1 for each tool,
    every 25 frames, so that a row holds until the next. A video is ``videos/<name>.mp4`` and a group of its own; no
    split is named, for several are in use.

    Raises:
        MissingPathError: there is no such folder.
        AnnotationError: no such file, or of both kinds, another header, frames that do not increase, a value that is
            neither 0 nor 1, or two spellings of one phase.
    """
    folder = list_folder(settings.root / str(settings.annotations), expected=f"video01{PHASE} or video01{_TOOL}")
    files = {ending: sorted(folder.glob(f"*{ending}")) for ending in (PHASE, _TOOL)}
    if bool(files[PHASE]) == bool(files[_TOOL]):
        raise AnnotationError(
            f"data.annotations: {folder} holds {len(files[PHASE])} files *{PHASE} and {len(files[_TOOL])} "
            f"*{_TOOL}; give a "
            "folder with one of the two kinds"
        )
    ending = PHASE if files[PHASE] else _TOOL
    found: list[Annotation] = []
    for file in files[ending]:
        name = file.name.removesuffix(ending)
        path = fill_path(settings.video_path or "videos/{name}.mp4", name=name)
        table = read_table(file)
        read = _phases if ending == PHASE else _tools
        # A row of tools holds until the next, which is a second later: it does not tell the end.
        listed_s = clock.lasts(len(table.rows)) if ending == PHASE else None
        segments = read(file, table, path, clock)
        found.append(Annotation(path, "", None, path, segments=segments, listed_s=listed_s))
    refuse_twin_names(sorted({name for annotation in found for name in annotation.names}), where=str(folder))
    return found


def _phases(file: Path, table: Table, path: str, clock: FrameClock) -> tuple[Segment, ...]:
    if table.header != ("Frame", "Phase"):
        raise AnnotationError(
            f"{file}, line 1: header {excerpt(table.header)}; expected Frame and Phase, separated by a tab"
        )
    if empty := next((line for line, values in table.rows if not values[1]), None):
        raise AnnotationError(f"{file}, line {empty}: no phase; name one, or {BACKGROUND}")
    labels = ["" if values[1] == BACKGROUND else values[1] for _, values in table.rows]
    return segments_of_rows(labels, clock.bounds(path, _frames(file, table)))


def _tools(file: Path, table: Table, path: str, clock: FrameClock) -> tuple[Segment, ...]:
    if table.header[0] != "Frame" or len(table.header) < 2 or "" in table.header:
        raise AnnotationError(
            f"{file}, line 1: header {excerpt(table.header)}; expected Frame and the tools, separated by tabs"
        )
    for line, values in table.rows:
        if not set(values[1:]) <= {"0", "1"}:
            raise AnnotationError(f"{file}, line {line}: values {values[1:]}; allowed: 0 or 1 for each tool")
    presence = np.array([values[1:] for _, values in table.rows], dtype=np.int8).reshape(-1, len(table.header) - 1)
    segments, _ = segments_of_presence(presence, table.header[1:], clock.bounds(path, _frames(file, table)))
    return segments


def _frames(file: Path, table: Table) -> Sequence[int]:
    numbers: list[int] = []
    last = -1
    for line, values in table.rows:
        number = int(values[0]) if values[0].isdecimal() else -1
        if number <= last:
            raise AnnotationError(
                f"{file}, line {line}: frame {excerpt(values[0])}; expected a whole number"
                + (f" above {last}" if numbers else " from 0 on")
            )
        numbers.append(number)
        last = number
    return numbers
