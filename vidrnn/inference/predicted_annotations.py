"""The file that ``classify`` writes, read as annotations: what a model said, to be looked at and corrected."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vidrnn.annotations import Annotation, Segment
from vidrnn.annotations.rows import located, read_text
from vidrnn.errors import AnnotationError
from vidrnn.inference.prediction_parquet import SUFFIX, read_as_csv
from vidrnn.json_text import parse_json
from vidrnn.names import original, quoted

_FORM = "expected what `vidrnn classify` writes: path, and label, labels, target, or start, end and one of them"


def read_predictions(file: Path, *, root: Path, notes: list[str]) -> list[Annotation]:
    """Read a ``.csv``, ``.jsonl`` or ``.parquet`` of answers, one annotation per video, in the order of the file.

    Args:
        file: as ``classify`` writes it; a CSV needs ``path`` and the columns of an answer, all others are ignored.
        root: paths below it become relative to it.
        notes: gets how many videos had failed, and are left out.

    Raises:
        MissingPathError: there is no such file. AnnotationError: another form, with the line.
    """
    rows = _json_lines(file) if file.suffix == ".jsonl" else _csv_rows(file)
    answers: dict[str, list[Mapping[str, Any]]] = {}
    failed: set[str] = set()
    for line, row in rows:
        if not isinstance(row.get("path"), str) or not row["path"]:
            raise AnnotationError(f"{file}, line {line}: no path; {_FORM}")
        path = _below(root, original(row["path"]))
        if row.get("status", "ok") != "ok":
            failed.add(path)
            continue
        entries = row["segments"] if isinstance(row.get("segments"), list) else [row]
        answers.setdefault(path, []).extend({"line": line, **entry} for entry in entries)
    if not answers:
        raise AnnotationError(f"{file} has no answer for any video; {_FORM}")
    if failed := failed - answers.keys():
        notes.append(f"{file}: {len(failed)} videos had failed and were left out, the first {quoted(min(failed))}")
    return [_annotation(path, entries, file) for path, entries in answers.items()]


def _csv_rows(file: Path) -> Iterable[tuple[int, Mapping[str, Any]]]:
    text = read_as_csv(file).decode() if file.suffix == SUFFIX else read_text(file)
    reader = csv.DictReader(io.StringIO(text, newline=""))
    for row in reader:
        yield reader.line_num, row


def _json_lines(file: Path) -> Iterable[tuple[int, Mapping[str, Any]]]:
    for line, text in enumerate(read_text(file).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            row = parse_json(text)
        except json.JSONDecodeError as error:
            raise AnnotationError(f"{file}, line {line}: not JSON: {error.msg}") from None
        if not isinstance(row, dict):
            raise AnnotationError(f"{file}, line {line}: expected an object in braces; {_FORM}")
        yield line, row


def _below(root: Path, path: str) -> str:
    place, base = Path(path).resolve(), root.resolve()
    return place.relative_to(base).as_posix() if place.is_relative_to(base) else str(place)


def _annotation(path: str, entries: list[Mapping[str, Any]], file: Path) -> Annotation:
    if any(entry.get("start") not in {None, ""} for entry in entries) or not entries or "start" in entries[0]:
        segments = tuple(_segment(entry, file) for entry in entries if entry.get("start") not in {None, ""})
        with located(str(file)):
            return Annotation(path, "", None, path, segments=tuple(sorted(segments, key=lambda found: found.start_s)))
    entry = entries[-1]
    with located(f"{file}, line {entry['line']}"):
        if entry.get("labels") is not None:
            labels = entry["labels"].split("|") if isinstance(entry["labels"], str) else entry["labels"]
            return Annotation(path, "", None, path, labels=tuple(filter(None, labels)))
        if entry.get("target") not in {None, ""}:
            return Annotation(path, "", None, path, target=_number(entry["target"], "target"))
        if not entry.get("label"):
            raise AnnotationError(f"no answer; {_FORM}")
        return Annotation(path, str(entry["label"]), None, path)


def _segment(entry: Mapping[str, Any], file: Path) -> Segment:
    with located(f"{file}, line {entry['line']}"):
        start_s, end_s = _number(entry["start"], "start"), _number(entry.get("end"), "end")
        score = None if entry.get("score") in {None, ""} else _number(entry["score"], "score")
        if entry.get("target") not in {None, ""}:
            return Segment(start_s, end_s, target=_number(entry["target"], "target"))
        if not entry.get("label"):
            raise AnnotationError(f"the segment from {start_s:g} to {end_s:g} s has no label; {_FORM}")
        return Segment(start_s, end_s, str(entry["label"]), score=score)


def _number(value: object, name: str) -> float:
    try:
        return float(str(value))
    except ValueError:
        raise AnnotationError(f"{name} {value!r} is not a number; write it as 12.5") from None
