"""The CSV of annotations: one row per video, or one per segment of a video."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vidrnn.annotations.class_names import find_twin_names
from vidrnn.annotations.records import Annotation, Segment, Split, as_split, plain_path
from vidrnn.annotations.rows import number_of, read_text
from vidrnn.errors import AnnotationError
from vidrnn.names import excerpt, quoted

_ANSWERS = ("label", "labels", "target")
_SPAN = ("start", "end")
_FORMS = (
    "expected path and label, labels or target, or path,start,end and label or target; then [,unseen][,split][,group]"
    "[,text]"
)
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
_UNSEEN = "unseen"
_UNLABELLED = ("", "-1")  # what tables of frames write where nobody looked
_NAMES_SEPARATOR = re.compile(r'"?sep=([,;\t])"?')
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d*)?)")


def read_csv(path: Path) -> list[Annotation]:
    """Read the annotation CSV, one annotation per video.

    Columns: ``path``, then exactly one of ``label``, ``labels`` (names separated by ``|``, in order of time if known;
    empty where the video shows none of them) and ``target`` (a number). ``split``, ``group`` and ``text`` (a title, a
    caption, what is said) may follow.

    With ``start,end`` (seconds, or ``[hours:]minutes:seconds``) a row is a segment with a ``label`` or ``target``, and
    a video has a row per segment. A row with times and an empty ``label``, or -1, is a stretch at which nobody looked.
    The column ``unseen`` names the class; where it is empty or not there, it is all classes. A video without segments
    has one row, with these three left empty.

    Raises:
        MissingPathError: there is no such file.
        AnnotationError: with the line, the value and what is expected; also for two spellings of one class.
    """
    optional = (*_ANSWERS, *_SPAN, _UNSEEN, "split", "group", "text")
    rows = read_rows(path, required=("path",), optional=optional, numbers=("target", *_SPAN), expected=_FORMS)
    if not rows:
        raise AnnotationError(f"{path} has a header but no rows; add one row per video")
    columns = set(rows[0][1])
    given = [name for name in _ANSWERS if name in columns]
    spans = "start" in columns
    unfit = (spans and given == ["labels"]) or (_UNSEEN in columns and not (spans and given == ["label"]))
    if len(given) != 1 or len(columns & set(_SPAN)) == 1 or unfit:
        raise AnnotationError(f"{path}, line 1: header {excerpt(','.join(rows[0][1]))}; {_FORMS}")
    annotations = _join_segments(path, rows) if spans else _one_per_row(path, rows, given[0])
    _refuse_twin_names(path, rows)
    with_split = sum(annotation.split is not None for annotation in annotations)
    if 0 < with_split < len(annotations):
        raise AnnotationError(
            f"{path}: {with_split} of {len(annotations)} rows name a split; fill the column in every row or in none"
        )
    return annotations


def _refuse_twin_names(path: Path, rows: Iterable[tuple[int, Mapping[str, str]]]) -> None:
    lines: dict[str, int] = {}
    for line, row in rows:
        for name in row["labels"].split("|") if "labels" in row else [row.get("label", ""), row.get(_UNSEEN, "")]:
            if not ("start" in row and name in _UNLABELLED):  # -1 is no other spelling of a class 1
                lines.setdefault(name.strip(), line)
    for before, name in find_twin_names(lines):
        raise AnnotationError(
            f"{path}, line {lines[name]}: {quoted(name)} and, in line {lines[before]}, {quoted(before)} look "
            "like one class; "
            "use one spelling"
        )


def _one_per_row(path: Path, rows: Iterable[tuple[int, Mapping[str, str]]], answer: str) -> list[Annotation]:
    annotations: dict[str, Annotation] = {}
    for line, row in rows:
        try:
            video, split, group = _who(row)
            text = row.get("text")
            if answer == "labels":
                names = tuple(name.strip() for name in row["labels"].split("|")) if row["labels"] else ()
                annotation = Annotation(video, "", split, group, labels=names, text=text)
            elif answer == "target":
                annotation = Annotation(video, "", split, group, target=_number(row["target"], "target"), text=text)
            else:
                annotation = Annotation(video, row["label"], split, group, text=text)
        except AnnotationError as error:
            raise AnnotationError(f"{path}, line {line}: {error}") from None
        if video in annotations:
            before = annotations[video]
            raise AnnotationError(
                f"{path}, line {line}: video {quoted(video)} is listed twice, as {excerpt(_said(before))} and "
                f"{excerpt(_said(annotation))}; keep one row"
            )
        annotations[video] = annotation
    return list(annotations.values())


def _join_segments(path: Path, rows: Iterable[tuple[int, Mapping[str, str]]]) -> list[Annotation]:
    who: dict[str, tuple[Split | None, str]] = {}
    texts: dict[str, str | None] = {}
    segments: dict[str, list[Segment]] = {}
    unlabelled: dict[str, list[Segment]] = {}
    for line, row in rows:
        try:
            video, split, group = _who(row)
            if who.setdefault(video, (split, group)) != (split, group):
                raise AnnotationError(
                    f"path {quoted(video)} has another split or group than in an earlier row; make them equal"
                )
            if texts.setdefault(video, row.get("text")) != row.get("text"):
                raise AnnotationError(f"path {quoted(video)} has another text than in an earlier row; make them equal")
            found, unseen = segments.setdefault(video, []), unlabelled.setdefault(video, [])
            if segment := _segment(row):
                is_known = segment.target is not None or row["label"] not in _UNLABELLED
                (found if is_known else unseen).append(segment)
        except AnnotationError as error:
            raise AnnotationError(f"{path}, line {line}: {error}") from None
    try:
        return [
            Annotation(
                video,
                "",
                *who[video],
                segments=tuple(sorted(found, key=lambda segment: segment.start_s)),
                text=texts[video],
                unlabelled=tuple(sorted(unlabelled[video], key=lambda segment: segment.start_s)),
            )
            for video, found in segments.items()
        ]
    except AnnotationError as error:
        raise AnnotationError(f"{path}: {error}") from None


def _who(row: Mapping[str, str]) -> tuple[str, Split | None, str]:
    video = plain_path(row["path"])
    return video, as_split(row["split"]) if row.get("split") else None, row.get("group") or video


def _segment(row: Mapping[str, str]) -> Segment | None:
    answer = "target" if "target" in row else "label"
    if not (row["start"] or row["end"] or row[answer] or row.get(_UNSEEN)):
        return None
    if answer == "target" and not row["target"]:
        raise AnnotationError(f"the segment from {row['start']} to {row['end']} has no target; fill it in")
    start_s, end_s = _seconds(row["start"], "start"), _seconds(row["end"], "end")
    if answer == "target":
        return Segment(start_s, end_s, target=_number(row["target"], "target"))
    if row["label"] in _UNLABELLED:
        return Segment(start_s, end_s, row.get(_UNSEEN, ""))
    if row.get(_UNSEEN):
        raise AnnotationError(
            f"label {excerpt(row['label'])} and {_UNSEEN} {excerpt(row[_UNSEEN])} in one row; give each its own row"
        )
    return Segment(start_s, end_s, row["label"])


def _seconds(text: str, column: str) -> float:
    if clock := _CLOCK.fullmatch(text):
        return 3600.0 * int(clock[1] or 0) + 60.0 * int(clock[2]) + float(clock[3])
    return _number(text, column)


def _number(text: str, column: str) -> float:
    try:
        return number_of(text)
    except ValueError:
        raise AnnotationError(f"{column} {excerpt(text)} is not a number; write it as 12.5") from None


def _said(annotation: Annotation) -> str:
    return "|".join(annotation.names) if annotation.target is None else f"{annotation.target:g}"


def read_rows(
    path: Path,
    *,
    required: tuple[str, ...],
    optional: tuple[str, ...] | None,
    numbers: tuple[str, ...] = (),
    expected: str = "",
) -> list[tuple[int, dict[str, str]]]:
    """Read a CSV with a header, as programs and spreadsheets of any country write it; values are stripped.

    A byte order mark is skipped. Commas, semicolons or tabs separate, whichever the header has most of. Columns
    without a name are left out: row numbers of pandas, and empty columns of spreadsheets. ``Path`` is ``path``.

    Args:
        path: the file.
        required: columns that must be there.
        optional: columns that may be there; None allows all.
        numbers: columns in which a comma is a decimal point where it does not separate.
        expected: what an error says about the header; empty lists the columns.

    Returns:
        Pairs of line number and row.

    Raises:
        MissingPathError: there is no such file.
        AnnotationError: not UTF-8, a wrong header, or a row of another width; with the line and what is expected.
    """
    table = read_table(path)
    spelled = {name.casefold(): name for name in (*required, *(optional or ()))}
    header = [spelled.get(name.casefold(), name) for name in table.header]
    named = [name for name in header if name]
    allowed = set(named) if optional is None else {*required, *optional}
    expected = expected or f"expected {','.join(required)}" + "".join(f"[,{name}]" for name in optional or ())
    if not set(required) <= set(named) <= allowed or len(set(named)) != len(named):
        raise AnnotationError(f"{path}, line 1: header {excerpt(table.separator.join(table.header))}; {expected}")
    rows: list[tuple[int, dict[str, str]]] = []
    for line, values in table.rows:
        row = {name: value for name, value in zip(header, values, strict=True) if name}
        if table.separator != ",":
            row |= {name: row[name].replace(",", ".") for name in numbers if name in row}
        rows.append((line, row))
    return rows


@dataclass(frozen=True)
class Table:
    """Attributes: header; rows, each with its line number; separator. All values are stripped."""

    header: tuple[str, ...]
    rows: tuple[tuple[int, list[str]], ...]
    separator: str


def read_table(path: Path) -> Table:
    """Read a file of values that commas, semicolons or tabs separate, whichever its first line has most of.

    A line ``sep=;`` in front of the header, as Excel understands it, names the separator.

    Raises:
        MissingPathError: there is no such file.
        AnnotationError: not UTF-8, a quote that is left open, or a row of another width than the first.
    """
    text = read_text(path)
    first = text.partition("\n")[0]
    named = _NAMES_SEPARATOR.fullmatch(first.strip())
    separator = named[1] if named else max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    rows: list[tuple[int, list[str]]] = []
    try:
        if named:
            next(reader)
        header = tuple(name.strip() for name in next(reader, []))
        for values in reader:
            stripped = [value.strip() for value in values]
            if not any(stripped):
                continue
            if len(stripped) != len(header):
                raise AnnotationError(
                    f"{path}, line {reader.line_num}: {len(stripped)} values for {len(header)} columns; "
                    f"put a value that holds a {_SEPARATORS[separator]} into double quotes"
                )
            rows.append((reader.line_num, stripped))
    except csv.Error as error:
        raise AnnotationError(f"{path}, line {reader.line_num}: {error}; is a double quote left open?") from error
    return Table(header, tuple(rows), separator)
