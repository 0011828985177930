"""Writers of formats with a row per frame: MS-TCN, DeepEthogram, FERAL, Cholec80."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace

from vidrnn.annotations.cholec80 import FRAME_RATE, PHASE
from vidrnn.annotations.deepethogram import ENDING
from vidrnn.annotations.feral import INFERENCE
from vidrnn.annotations.records import BACKGROUND, SPLITS, Annotation
from vidrnn.annotations.segments import ABSENT, PRESENT, UNSEEN, presence_at
from vidrnn.annotations.writing import Writing, file_names


def write_mstcn(annotations: Sequence[Annotation], writing: Writing) -> None:
    """The folder that `read_mstcn` reads; lists in ``splits``, as split 1, where all videos have a split."""
    names = file_names(annotations, flat=True)
    used: set[str] = set()
    for annotation in annotations:
        rows = [row or BACKGROUND for row in writing.one_label_each(annotation, writing.instants(annotation))]
        used |= set(rows)
        writing.write(
            writing.output / "groundTruth" / f"{names[annotation.path]}.txt", "".join(f"{row}\n" for row in rows)
        )
    mapping = "".join(f"{number} {name}\n" for number, name in enumerate(sorted(used)))
    writing.write(writing.output / "mapping.txt", mapping)
    by_split = {split: [annotation for annotation in annotations if annotation.split == split] for split in SPLITS}
    if not (by_split["train"] and by_split["test"]):
        writing.losses["splits of videos: lists need a train and a test split"] += sum(map(len, by_split.values()))
        return
    for split, members in by_split.items():
        if members:
            lines = "".join(f"{names[member.path]}.txt\n" for member in members)
            writing.write(writing.output / "splits" / f"{split}.split1.bundle", lines)


def write_deepethogram(annotations: Sequence[Annotation], writing: Writing) -> None:
    """A ``<name>_labels.csv`` per video, in folders as the videos, with the columns of all classes in each."""
    classes = _classes(annotations)
    names = file_names(annotations, flat=False)
    for annotation in annotations:
        times = writing.instants(annotation)
        presence = presence_at(annotation.segments or (), annotation.unlabelled, classes, times)
        text = io.StringIO(newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["", BACKGROUND, *classes])
        for frame, row in enumerate(presence.tolist()):
            unseen = row.count(UNSEEN) == len(row)
            rest = UNSEEN if unseen and row else ABSENT if PRESENT in row else PRESENT
            table.writerow([frame, rest, *row])
        writing.write(writing.output / f"{names[annotation.path]}{ENDING}", text.getvalue())


def write_feral(annotations: Sequence[Annotation], writing: Writing) -> None:
    """The JSON that `read_feral` reads: of one label per frame where none overlap, else of 0 and 1 for each class."""
    several = any(annotation.first_overlap is not None for annotation in annotations)
    classes = _classes(annotations)
    rows: dict[str, list[object]] = {}
    for annotation in annotations:
        times = writing.instants(annotation)
        if several:
            presence = presence_at(annotation.segments or (), (), classes, times)
            rows[annotation.path] = presence.tolist()
        else:
            rows[annotation.path] = list(writing.one_label_each(annotation, times))
    if not several:
        classes = [*([BACKGROUND] if any("" in labels for labels in rows.values()) else []), *classes]
        number = {name: at for at, name in enumerate(classes)} | {"": 0}
        rows = {path: [number[str(label)] for label in labels] for path, labels in rows.items()}
    splits: dict[str, list[str]] = {split: [] for split in (*SPLITS, INFERENCE)}
    for annotation in annotations:
        splits[annotation.split or "train"].append(annotation.path)
    unnamed = sum(annotation.split is None for annotation in annotations)
    writing.losses["videos without a split, which are in train now, for FERAL needs one"] += unnamed
    tree = {
        "class_names": {str(number): name for number, name in enumerate(classes)},
        "is_multilabel": several,
        "labels": rows,
        "splits": splits,
    }
    writing.write(writing.output, json.dumps(tree, ensure_ascii=False))


def write_cholec80(annotations: Sequence[Annotation], writing: Writing) -> None:
    """A ``<name>-phase.txt`` per video, 25 rows a second, or at ``writing.rate``: its frames are of that rate.

    Rows of no phase are ``background``.
    """
    writing = replace(writing, rate=writing.rate or FRAME_RATE)
    names = file_names(annotations, flat=True)
    for annotation in annotations:
        rows = writing.one_label_each(annotation, writing.instants(annotation))
        lines = "".join(f"{frame}\t{row or BACKGROUND}\n" for frame, row in enumerate(rows))
        writing.write(writing.output / f"{names[annotation.path]}{PHASE}", f"Frame\tPhase\n{lines}")


def _classes(annotations: Sequence[Annotation]) -> list[str]:
    unlabelled = {segment.label for annotation in annotations for segment in annotation.unlabelled}
    return sorted({name for annotation in annotations for name in annotation.names} | unlabelled - {""})
