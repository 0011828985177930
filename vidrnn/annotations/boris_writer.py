"""Projects for the annotation tool BORIS, which correct predictions, and its table of aggregated events."""

import csv
import io
import json
import string
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from vidrnn.annotations.boris_table import MEDIA_COLUMNS, TABLE_COLUMNS
from vidrnn.annotations.records import Annotation
from vidrnn.annotations.writing import Footage, Writing

_FORMAT_VERSION = "7.0"  # what BORIS 7 and 8 open
_PLAYERS = 8
_VARIABLES = ("split", "group")


def write_boris(annotations: Sequence[Annotation], writing: Writing) -> None:
    """A project with an observation per video, or, where the name ends in ``.tsv``, a table of aggregated events.

    Classes are state behaviours. Paths of videos are absolute. Split and group are independent variables, and a score
    is the comment of a start, so that a corrected project is read with all of them but the scores.
    """
    if writing.output.suffix.lower() in {".tsv", ".csv"}:
        _write_table(annotations, writing)
        return
    now = datetime.now().astimezone().replace(tzinfo=None).isoformat(timespec="seconds")
    classes = sorted({name for annotation in annotations for name in annotation.names})
    project = {
        "time_format": "hh:mm:ss",
        "project_date": now,
        "project_name": writing.output.stem,
        "project_description": "Written by vidrnn",
        "project_format_version": _FORMAT_VERSION,
        "subjects_conf": {},
        "behaviors_conf": {str(at): _behaviour(name, key) for at, (name, key) in enumerate(_with_keys(classes))},
        "observations": {annotation.path: _observation(annotation, writing, date=now) for annotation in annotations},
        "behavioral_categories": [],
        "independent_variables": {str(at): _variable(name) for at, name in enumerate(_VARIABLES)},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    writing.write(writing.output, json.dumps(project, indent=1))


def _with_keys(names: Sequence[str]) -> list[tuple[str, str]]:
    """A key for each behaviour: a letter of its name where one is free, else another; beyond 36 behaviours none."""
    free = dict.fromkeys(string.ascii_lowercase + string.digits)
    found: list[tuple[str, str]] = []
    for name in names:
        key = next((char for char in (*name.lower(), *free) if char in free), "")
        free.pop(key, None)
        found.append((name, key))
    return found


def _behaviour(name: str, key: str) -> dict[str, Any]:
    return {
        "type": "State event",
        "key": key,
        "code": name,
        "description": "",
        "color": "",
        "category": "",
        "modifiers": {},
        "excluded": "",
        "coding map": "",
    }


def _variable(name: str) -> dict[str, str]:
    return {"label": name, "description": "", "type": "text", "default value": "", "possible values": ""}


def _observation(annotation: Annotation, writing: Writing, *, date: str) -> dict[str, Any]:
    media, footage = str(annotation.source(writing.root).resolve()), writing.footage_of(annotation)
    writing.losses["lengths of videos that are not there; BORIS asks for the file"] += footage is None
    return {
        "file": {str(player): [media] if player == 1 else [] for player in range(1, _PLAYERS + 1)},
        "type": "MEDIA",
        "date": date,
        "description": "",
        "time offset": 0.0,
        "events": _events(annotation),
        "observation time interval": [0, 0],
        "independent_variables": {
            "split": annotation.split or "",
            "group": annotation.group if annotation.group != annotation.path else "",
        },
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "media_creation_date_as_offset": False,
        "media_scan_sampling_duration": 0,
        "image_display_duration": 1,
        "close_behaviors_between_videos": False,
        "media_info": _media_info(media, footage),
    }


def _events(annotation: Annotation) -> list[list[object]]:
    """Start and stop of each segment as [time, subject, code, modifier, comment]; a stop before a start at one time."""
    timed: list[tuple[float, bool, list[object]]] = []
    for segment in annotation.segments or ():
        comment = "" if segment.score is None else f"score {segment.score:.3f}"
        for time_s, starts in ((segment.start_s, True), (segment.end_s, False)):
            seconds = round(time_s, 3)
            timed.append((seconds, starts, [seconds, "", segment.label, "", comment if starts else ""]))
    return [event for _, _, event in sorted(timed, key=lambda entry: entry[:2])]


def _media_info(media: str, footage: Footage | None) -> dict[str, Any]:
    if footage is None:
        return {"length": {}, "fps": {}, "hasVideo": {}, "hasAudio": {}, "offset": {"1": 0.0}}
    return {
        "length": {media: round(footage.end_s, 3)},
        "fps": {media: round(footage.rate, 3)},
        "hasVideo": {media: True},
        "hasAudio": {media: footage.has_sound},
        "offset": {"1": 0.0},
    }


def _write_table(annotations: Sequence[Annotation], writing: Writing) -> None:
    """The columns of BORIS 8 that say something, one row per segment."""
    text = io.StringIO(newline="")
    is_tabbed = writing.output.suffix.lower() == ".tsv"
    table = csv.writer(text, delimiter="\t" if is_tabbed else ",", lineterminator="\n")
    name, subject, behaviour, kind, start, stop = TABLE_COLUMNS
    columns = [name, "Source", "FPS (frame/s)", subject, behaviour, kind, start, stop, "Duration (s)", MEDIA_COLUMNS[0]]
    table.writerow(columns)
    for annotation in annotations:
        footage = writing.footage_of(annotation)
        rate = "NA" if footage is None else f"{footage.rate:.3f}"
        media = str(annotation.source(writing.root).resolve())
        writing.losses["videos without a segment, which no row names"] += not annotation.segments
        writing.losses["splits of videos"] += annotation.split is not None
        writing.losses["groups of videos"] += annotation.group != annotation.path
        writing.losses["scores"] += sum(segment.score is not None for segment in annotation.segments or ())
        for segment in annotation.segments or ():
            times = (f"{time_s:.3f}" for time_s in (segment.start_s, segment.end_s, segment.end_s - segment.start_s))
            source = f"player #1:{media}"
            table.writerow(
                [
                    annotation.path,
                    source,
                    rate,
                    "No focal subject",
                    segment.label,
                    "STATE",
                    *times,
                    Path(media).as_posix(),
                ]
            )
    writing.write(writing.output, text.getvalue())
