"""FERAL's JSON: one label, or a 0 or 1 for each class, per frame; classes and splits (Skovorodnikov et al. 2025)."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from vidrnn.annotations.class_names import refuse_twin_names
from vidrnn.annotations.frame_clock import FrameClock
from vidrnn.annotations.records import BACKGROUND, Annotation, Split, plain_path
from vidrnn.annotations.rows import fill_path, located, read_json_object, split_from_word
from vidrnn.annotations.segments import ABSENT, PRESENT, Presence, segments_of_presence
from vidrnn.errors import AnnotationError
from vidrnn.names import excerpt, quoted
from vidrnn.settings.data import DataSettings

_FORM = '{"class_names": {"0": ...}, "labels": {"video.mp4": [...]}, "splits": {"train": [...]}}'
INFERENCE = "inference"
"""The split of videos that FERAL only answers for."""


def read_feral(settings: DataSettings, clock: FrameClock, notes: list[str]) -> list[Annotation]:
    """Read ``{"class_names": {"0": name}, "is_multilabel": ..., "labels": {video: rows}, "splits": {split: videos}}``.

    A row is the number of a class, or a list of 0 and 1, one for each class. The name ``background`` is not a class:
    nothing happens there. Videos of the split ``inference``, and those in no split where there are any, are left out. A
    video is a group of its own.

    Raises:
        MissingPathError: there is no such file.
        AnnotationError: another form, a number that is no class, rows of several forms, a video in two splits or in one
            but without labels, or two spellings of one class.
        ConfigError: nobody says when frames are.
    """
    file = settings.root / str(settings.annotations)
    tree = read_json_object(file)
    names = _class_names(file, tree)
    labels = tree.get("labels")
    if not isinstance(labels, dict) or not labels:
        raise AnnotationError(f"{file}: no videos under 'labels'; expected {_FORM}")
    splits = _splits(file, tree.get("splits"), labels)
    listed = [video for video in labels if not splits or splits.get(video, INFERENCE) != INFERENCE]
    if len(listed) < len(labels):
        others = [video for video in labels if video not in listed]
        notes.append(
            f"{file}: {len(others)} videos train and test nothing and were left out, the first {quoted(others[0])}"
        )
    found: list[Annotation] = []
    for video in listed:
        split = split_from_word(splits[video]) if splits else None
        with located(f"{file}, video {quoted(video)}"):
            found.append(_annotation(video, labels[video], names, split, settings, clock))
    refuse_twin_names(names, where=str(file))
    return found


def _class_names(file: Path, tree: Mapping[str, object]) -> list[str]:
    given = tree.get("class_names")
    numbered = given if isinstance(given, dict) else dict(enumerate(given)) if isinstance(given, list) else {}
    names = [numbered.get(key, numbered.get(str(key))) for key in range(len(numbered))]
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise AnnotationError(f"{file}: class_names are {excerpt(given)}; expected a name for each number from 0 on")
    return [str(name).strip() for name in names]


def _splits(file: Path, splits: object, labels: Mapping[str, object]) -> dict[str, str]:
    """The split of each video, in FERAL's words; empty where none is named."""
    if splits is None:
        return {}
    found: dict[str, str] = {}
    if not isinstance(splits, dict):
        raise AnnotationError(f"{file}: splits are {type(splits).__name__}; expected {_FORM}")
    for split, videos in splits.items():
        if split != INFERENCE and split_from_word(split) is None:
            raise AnnotationError(f"{file}: split {excerpt(split)} is unknown; allowed: train, val, test, {INFERENCE}")
        for video in videos:
            if split != INFERENCE and video not in labels:
                raise AnnotationError(
                    f"{file}: {quoted(video)} is in the split {excerpt(split)} and has no labels; add them"
                )
            if found.setdefault(video, split) != split:
                raise AnnotationError(
                    f"{file}: {quoted(video)} is in the splits {quoted(found[video])} and {excerpt(split)}; keep one"
                )
    return found


def _annotation(
    video: str, rows: object, names: list[str], split: Split | None, settings: DataSettings, clock: FrameClock
) -> Annotation:
    presence = _presence(rows, names)
    path = plain_path(video)
    if settings.video_path is not None:
        path = fill_path(settings.video_path, name=PurePosixPath(video).with_suffix("").as_posix(), split=split)
    kept = [at for at, name in enumerate(names) if name != BACKGROUND]
    segments, _ = segments_of_presence(
        presence[:, kept], [names[at] for at in kept], clock.bounds(path, range(len(presence)))
    )
    listed_s = clock.lasts(len(presence))
    return Annotation(path, "", split, path, segments=segments, listed_frames=len(presence), listed_s=listed_s)


def _presence(rows: object, names: list[str]) -> Presence:
    """(frames, classes) of rows of either form."""
    if not isinstance(rows, list) or not rows:
        raise AnnotationError("has no rows; expected one for each frame")
    several = isinstance(rows[0], list)
    presence = np.full((len(rows), len(names)), ABSENT, dtype=np.int8)
    for frame, row in enumerate(rows):
        if several:
            if not _is_indicator(row, len(names)):
                raise AnnotationError(
                    f"frame {frame}: {excerpt(row)}; expected {len(names)} values of 0 or 1, one for each class"
                )
            presence[frame] = row
        elif type(row) is int and 0 <= row < len(names):
            presence[frame, row] = PRESENT
        else:
            raise AnnotationError(f"frame {frame}: {excerpt(row)} is no class; allowed: 0 to {len(names) - 1}")
    return presence


def _is_indicator(row: Any, length: int) -> bool:  # noqa: ANN401  whatever JSON holds
    return isinstance(row, list) and len(row) == length and all(value in {0, 1} for value in row)
