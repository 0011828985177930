"""DeepEthogram's labels: a CSV per video, a row per frame, a column per behaviour (Bohnslav et al. 2021)."""

from pathlib import Path

import numpy as np

from vidrnn.annotations.annotation_files import find_files, video_of
from vidrnn.annotations.class_names import refuse_twin_names
from vidrnn.annotations.csv_file import Table, read_table
from vidrnn.annotations.frame_clock import FrameClock
from vidrnn.annotations.records import BACKGROUND, Annotation
from vidrnn.annotations.segments import ABSENT, PRESENT, UNSEEN, Presence, segments_of_presence
from vidrnn.errors import AnnotationError
from vidrnn.names import excerpt
from vidrnn.settings.data import DataSettings

ENDING = "_labels.csv"
_VALUES = {"0": ABSENT, "1": PRESENT, "-1": UNSEEN, "": UNSEEN}
_NO_BEHAVIOUR = {BACKGROUND, "none"}


def read_deepethogram(settings: DataSettings, clock: FrameClock, notes: list[str]) -> list[Annotation]:
    """Read ``<name>_labels.csv`` in the folder ``data.annotations``, at any depth.

    The first column counts frames from 0. The others are behaviours: 1 where one is seen, 0 where it is not, -1 or
    nothing where nobody looked. A project that got a new behaviour has -1 in its column. ``background`` (or ``none``)
    is no behaviour, but what is left. A video is ``<name>.mp4`` and a group of its own.

    Raises:
        MissingPathError: there is no such folder.
        AnnotationError: no such file, no behaviour, frames that do not count from 0 on, another value, or two
            spellings of one behaviour.
        ConfigError: nobody says when frames are.
    """
    found: list[Annotation] = []
    for file, name in find_files(settings, ENDING):
        table = read_table(file)
        behaviours = _behaviours(file, table)
        presence, contradicting = _presence(file, table, behaviours)
        if contradicting:
            notes.append(f"{file}: {contradicting} frames are both background and a behaviour; the behaviour counts")
        path = video_of(settings, name)
        bounds = clock.bounds(path, range(len(presence)))
        segments, unlabelled = segments_of_presence(presence, behaviours, bounds)
        found.append(
            Annotation(
                path,
                "",
                None,
                path,
                segments=segments,
                listed_frames=len(presence) or None,
                listed_s=clock.lasts(len(presence)),
                unlabelled=unlabelled,
            )
        )
    refuse_twin_names(
        sorted({name for annotation in found for name in annotation.names}), where=str(settings.annotations)
    )
    return found


def _behaviours(file: Path, table: Table) -> list[str]:
    names = [name for name in table.header[1:] if name not in _NO_BEHAVIOUR]
    if not names or "" in names or len(set(names)) != len(names):
        raise AnnotationError(
            f"{file}, line 1: header {excerpt(table.separator.join(table.header))}; expected a column that counts "
            "frames, then "
            "background, then one column for each behaviour"
        )
    return names


def _presence(file: Path, table: Table, behaviours: list[str]) -> tuple[Presence, int]:
    """(frames, behaviours), and how many frames are background and a behaviour."""
    columns = [table.header.index(name, 1) for name in behaviours]
    rest = next((table.header.index(name, 1) for name in _NO_BEHAVIOUR if name in table.header[1:]), None)
    presence = np.empty((len(table.rows), len(columns)), dtype=np.int8)
    contradicting = 0
    for frame, (line, values) in enumerate(table.rows):
        if values[0].removesuffix(".0") != str(frame):
            raise AnnotationError(
                f"{file}, line {line}: frame {excerpt(values[0])}; expected {frame}, for each row is the next frame "
                "from 0 on"
            )
        try:
            row = [_VALUES[values[column].removesuffix(".0")] for column in columns]
        except KeyError:
            column = next(column for column in columns if values[column].removesuffix(".0") not in _VALUES)
            raise AnnotationError(
                f"{file}, line {line}: {excerpt(table.header[column])} is {excerpt(values[column])}; allowed: 1 "
                "(seen), 0 (not seen), -1 or nothing (nobody looked)"
            ) from None
        presence[frame] = row
        contradicting += rest is not None and PRESENT in row and values[rest].removesuffix(".0") == "1"
    return presence, contradicting
