"""Kinetics CSV: label,youtube_id,time_start,time_end,split (Kay et al. 2017)."""

import re
from collections.abc import Mapping
from pathlib import Path

from vidrnn.annotations.class_names import refuse_twin_names
from vidrnn.annotations.csv_file import read_rows
from vidrnn.annotations.records import Annotation
from vidrnn.annotations.rows import add_once, fill_path, located, split_from_word
from vidrnn.errors import AnnotationError
from vidrnn.names import excerpt, quoted
from vidrnn.settings.data import DataSettings

_COLUMNS = ("youtube_id", "time_start", "time_end", "split")
_HEADER = "expected label,youtube_id,time_start,time_end,split[,is_cc]"
_ID = re.compile(r"[\w-]{11}", re.ASCII)
_SECONDS = re.compile(r"(\d{1,6})(?:\.0*)?", re.ASCII)


def read_kinetics(settings: DataSettings, notes: list[str]) -> list[Annotation]:
    """Read the CSV ``data.annotations``, or all CSV files of that folder; the column ``split`` says who trains.

    Files are named ``<youtube_id>_<start>_<end>.mp4`` with six digits each; the group is the YouTube id. A list without
    labels, as test lists were published, is left out; ``notes`` gets its length.

    Raises:
        MissingPathError: there is no such file.
        AnnotationError: a wrong header or value, two spellings of one class, or one clip listed twice.
    """
    source = settings.root / str(settings.annotations)
    found: dict[str, Annotation] = {}
    for path in _files(source):
        rows = read_rows(path, required=_COLUMNS, optional=("label", "is_cc"), expected=_HEADER)
        if rows and "label" not in rows[0][1]:
            notes.append(
                f"{path}: its {len(rows)} clips have no labels and were left out; nothing can be scored on them"
            )
            continue
        for line, row in rows:
            with located(f"{path}, line {line}"):
                add_once(found, _annotation(row, settings.video_path))
    if not found:
        raise AnnotationError(f"{source} has no rows with a label; add one row per clip")
    refuse_twin_names(sorted({annotation.label for annotation in found.values()}), where=str(source))
    return list(found.values())


def _files(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    return sorted(path for path in source.glob("*.csv") if not path.name.startswith("."))


def _annotation(row: Mapping[str, str], template: str | None) -> Annotation:
    split = split_from_word(row["split"])
    if split is None:
        raise AnnotationError(f"split {excerpt(row['split'])} is unknown; allowed: train, val, validate, test")
    if not _ID.fullmatch(row["youtube_id"]):
        raise AnnotationError(
            f"youtube_id {quoted(row['youtube_id'])} is not 11 letters, digits, - or _; spreadsheets spoil "
            "ids that begin "
            "with -, so take the CSV as it was published"
        )
    start, end = (_whole_seconds(row[column], column) for column in ("time_start", "time_end"))
    name = f"{row['youtube_id']}_{start:06}_{end:06}"
    path = fill_path(template or "{label}/{name}.mp4", name=name, split=split, label=row["label"])
    return Annotation(path, row["label"], split, row["youtube_id"])


def _whole_seconds(text: str, column: str) -> int:
    match = _SECONDS.fullmatch(text)
    if match is None:
        raise AnnotationError(f"{column} {excerpt(text)} is not a number of whole seconds; file names are made of it")
    return int(match[1])
