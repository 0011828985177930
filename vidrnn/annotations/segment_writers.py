"""Writers of formats with a start and an end per segment: vidrnn's CSV, ActivityNet, THUMOS14, subtitles."""

import csv
import html
import io
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from vidrnn.annotations.records import Annotation, Segment, Split
from vidrnn.annotations.thumos14 import AMBIGUOUS
from vidrnn.annotations.writing import Writing, file_names, in_segments, writable_text

_UNLABELLED_FOR_ONE = "stretches that are unlabelled for one class"
"""What is lost of a format that has unlabelled stretches, and only for all classes at once."""
_SUBSETS: dict[Split, str] = {"train": "training", "val": "validation", "test": "testing"}


def write_csv(annotations: Sequence[Annotation], writing: Writing) -> None:
    """The CSV that ``data.format: csv`` reads, with segments as soon as any video has them."""
    kinds = {annotation.known for annotation in annotations}
    if len(kinds) > 1 and any(annotation.segments is not None for annotation in annotations):
        annotations = in_segments(annotations, writing)
        kinds = {annotation.known for annotation in annotations}
    columns = ["labels"] if len(kinds) > 1 else next(iter(kinds)).split(",")
    is_for_one = any(stretch.label for annotation in annotations for stretch in annotation.unlabelled)
    columns += ["unseen"] if is_for_one else []
    more = [
        *(["split"] if any(annotation.split for annotation in annotations) else []),
        *(["group"] if any(annotation.group != annotation.path for annotation in annotations) else []),
        *(["text"] if any(annotation.text is not None for annotation in annotations) else []),
    ]
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", *columns, *more])
    for annotation in annotations:
        for row in _csv_rows(annotation, columns):
            table.writerow([annotation.path, *row, *(getattr(annotation, name) or "" for name in more)])
    writing.write(writing.output, text.getvalue())


def _csv_rows(annotation: Annotation, columns: Sequence[str]) -> list[list[object]]:
    if "start" in columns:
        answer = "target" if "target" in columns else "label"
        known = [(segment, getattr(segment, answer), "") for segment in annotation.segments or ()]
        unknown = [(stretch, "", stretch.label) for stretch in annotation.unlabelled]
        in_order = sorted([*known, *unknown], key=lambda row: row[0].start_s)
        rows: list[list[object]] = [[segment.start_s, segment.end_s, *said] for segment, *said in in_order]
        return [row[: len(columns)] for row in rows or [["", "", "", ""]]]
    if columns == ["labels"]:
        return [["|".join(annotation.names)]]
    return [[getattr(annotation, columns[0])]]


def write_activitynet(annotations: Sequence[Annotation], writing: Writing) -> None:
    """``{"database": {id: ...}}``, as the annotations of ActivityNet; a video without a split is of the training."""
    names = _ids(annotations)
    unnamed = sum(annotation.split is None for annotation in annotations)
    writing.losses["videos without a split, which are in training now"] += unnamed
    database = {
        names[annotation.path]: _duration(annotation, writing)
        | {"subset": _SUBSETS[annotation.split or "train"], "annotations": _entries(annotation)}
        for annotation in annotations
    }
    writing.write(writing.output, json.dumps({"version": "vidrnn", "database": database}, ensure_ascii=False))


def write_activitynet_results(annotations: Sequence[Annotation], writing: Writing) -> None:
    """``{"results": {id: [{"label", "score", "segment"}]}}``, as ActivityNet's server takes them; no score is 1."""
    names = _ids(annotations)
    results = {
        names[annotation.path]: [
            entry | {"score": 1.0 if segment.score is None else segment.score}
            for entry, segment in zip(_entries(annotation), annotation.segments or (), strict=True)
        ]
        for annotation in annotations
    }
    tree = {"version": "VERSION 1.3", "results": results, "external_data": {"used": False, "details": ""}}
    writing.write(writing.output, json.dumps(tree, ensure_ascii=False))


def _ids(annotations: Sequence[Annotation]) -> dict[str, str]:
    """ActivityNet's videos are called ``v_<id>``."""
    return {path: writable_text(name).removeprefix("v_") for path, name in file_names(annotations, flat=True).items()}


def _duration(annotation: Annotation, writing: Writing) -> dict[str, Any]:
    footage = writing.footage_of(annotation)
    return {} if footage is None else {"duration": footage.end_s}


def _entries(annotation: Annotation) -> list[dict[str, Any]]:
    return [
        {"segment": [segment.start_s, segment.end_s], "label": segment.label} for segment in annotation.segments or ()
    ]


def write_thumos14(annotations: Sequence[Annotation], writing: Writing) -> None:
    """A file per class and split; ``train`` and ``val`` are its validation, unlabelled stretches are ambiguous."""
    names = file_names(annotations, flat=True)
    lines: defaultdict[str, list[str]] = defaultdict(list)
    for annotation in annotations:
        word = {"train": "_val", "val": "_val", "test": "_test", None: ""}[annotation.split]
        writing.losses["videos of val, which are with the videos of train now"] += annotation.split == "val"
        writing.losses["videos without a segment, which no line names"] += not annotation.segments
        ambiguous = [stretch for stretch in annotation.unlabelled if not stretch.label]
        writing.losses[_UNLABELLED_FOR_ONE] += len(annotation.unlabelled) - len(ambiguous)
        for segment in (*(annotation.segments or ()), *ambiguous):
            name = f"{segment.label or AMBIGUOUS}{word}.txt"
            lines[name].append(f"{names[annotation.path]} {segment.start_s:.10g} {segment.end_s:.10g}\n")
    for name, texts in lines.items():
        writing.write(writing.output / name.replace("/", "_"), "".join(texts))


def write_srt(annotations: Sequence[Annotation], writing: Writing) -> None:
    """A ``.srt`` per video, in folders as the videos: a cue per segment."""
    for annotation, name in _subtitled(annotations):
        cues = (
            f"{number}\n{_clock(segment.start_s, ',')} --> {_clock(segment.end_s, ',')}\n{_words(segment)}\n"
            for number, segment in enumerate(annotation.segments or (), start=1)
        )
        writing.write(writing.output / f"{name}.srt", "\n".join(cues))


def write_vtt(annotations: Sequence[Annotation], writing: Writing) -> None:
    """A ``.vtt`` per video, in folders as the videos: a cue per segment."""
    for annotation, name in _subtitled(annotations):
        cues = (
            f"\n{_clock(segment.start_s, '.')} --> {_clock(segment.end_s, '.')}\n{_words(segment)}\n"
            for segment in annotation.segments or ()
        )
        writing.write(writing.output / f"{name}.vtt", "WEBVTT\n" + "".join(cues))


def _subtitled(annotations: Sequence[Annotation]) -> list[tuple[Annotation, str]]:
    names = file_names(annotations, flat=False)
    return [(annotation, str(PurePosixPath(names[annotation.path]))) for annotation in annotations]


def _words(segment: Segment) -> str:
    return html.escape(segment.label, quote=False)


def _clock(time_s: float, point: str) -> str:
    milliseconds = round(time_s * 1000)
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{rest:03}"
