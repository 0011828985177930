"""The table of aggregated events that the annotation tool BORIS exports."""

import math
from collections.abc import Mapping
from pathlib import Path

from vidrnn.annotations.boris_observed import LeftOut, Video
from vidrnn.annotations.csv_file import read_rows, read_table
from vidrnn.annotations.records import Segment
from vidrnn.annotations.rows import located, number_of
from vidrnn.errors import AnnotationError
from vidrnn.names import excerpt, quoted

TABLE_COLUMNS = ("Observation id", "Subject", "Behavior", "Behavior type", "Start (s)", "Stop (s)")
MEDIA_COLUMNS = ("Media file name", "Media file")
"""The name of the column in BORIS 8, and in earlier releases."""
_OFFSET, _DURATION = _OF_OBSERVATION = ("Time offset (s)", "Media duration (s)")
"""Columns of BORIS 8. Start and stop are times of the project, so that the offset is in them."""


def read_table_of_events(file: Path, left_out: LeftOut) -> dict[str, Video]:
    """What the rows of each video say, by the path of its file as BORIS writes it."""
    _refuse_tabular_events(file)
    rows = read_rows(file, required=TABLE_COLUMNS, optional=None, numbers=("Start (s)", "Stop (s)", *_OF_OBSERVATION))
    column = next((name for name in MEDIA_COLUMNS if rows and name in rows[0][1]), None)
    if column is None:
        raise AnnotationError(f"{file}, line 1: no column {' or '.join(MEDIA_COLUMNS)}; export aggregated events anew")
    videos: dict[str, Video] = {}
    media_of: dict[str, str] = {}
    for line, row in rows:
        with located(f"{file}, line {line}"):
            media, name = row[column], row["Observation id"]
            if not media or media in {"NA", "Not found", "LIVE"}:
                left_out.live += 1
                continue
            if media_of.setdefault(name, media) != media:
                raise AnnotationError(
                    f"observation {quoted(name)} shows several files one after the other, and their lengths are not "
                    "here; give "
                    "the project (.boris) instead"
                )
            video = videos.setdefault(media, Video())
            video.observations += [] if name in video.observations else [name]
            _add_row(video, row, left_out)
    return videos


def _seconds_of_offset(text: str) -> float:
    try:
        return float(text) if text not in {"", "NA"} else 0.0
    except ValueError:
        raise AnnotationError(f"{_OFFSET} {text!r} is no number of seconds") from None


def _refuse_tabular_events(file: Path) -> None:
    header = read_table(file).header
    if "Start (s)" not in header and ("Time" in header or header[:1] == ("Observation id",)):
        raise AnnotationError(
            f"{file} is a table of tabular events, with a row for each start and each stop; export the aggregated "
            "events of BORIS, or give the project (.boris)"
        )


def _media_s(row: Mapping[str, str]) -> float:
    """Seconds that the media of the first player last; infinite where the table does not tell."""
    try:
        return sum(map(float, row.get(_DURATION, "").partition("|")[0].split(";")))
    except ValueError:
        return math.inf


def _add_row(video: Video, row: Mapping[str, str], left_out: LeftOut) -> None:
    if row["Behavior type"].upper() == "POINT":
        left_out.points += 1
        return
    try:
        start_s, end_s = number_of(row["Start (s)"]), number_of(row["Stop (s)"])
    except ValueError:
        raise AnnotationError(
            f"Start (s) {excerpt(row['Start (s)'])} and Stop (s) {excerpt(row['Stop (s)'])} are no numbers of seconds"
        ) from None
    if start_s == end_s:
        left_out.points += 1
        return
    offset_s = _seconds_of_offset(row.get(_OFFSET, ""))
    start_s, end_s = round(start_s - offset_s, 6), round(end_s - offset_s, 6)
    if start_s > _media_s(row) + 1.0:
        raise AnnotationError(
            f"{excerpt(row['Behavior'])} begins at {start_s:g} s, and its media last {_media_s(row):g} s; BORIS may "
            "count from the creation of the media, which the table does not tell: give the project (.boris) instead"
        )
    left_out.subjects |= {row["Subject"]} - {"", "No focal subject"}
    left_out.modified += any(value for name, value in row.items() if name.startswith("Modifier"))
    video.segments.append(Segment(start_s, end_s, row["Behavior"]))
