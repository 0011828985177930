"""The verb ``check``: what can be known about annotations before an hour is spent on them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vidrnn.annotations import SPLITS, Annotation
from vidrnn.data_settings import DataSettings
from vidrnn.sequences.splits import split_annotations


@dataclass(frozen=True)
class Findings:
    """What `inspect` saw.

    Attributes:
        lines: for people.
        missing_files: annotated videos that do not exist.
    """

    lines: tuple[str, ...]
    missing_files: tuple[str, ...]


def inspect(annotations: Sequence[Annotation], settings: DataSettings) -> Findings:
    """Count videos, classes and groups of each split and look for missing files.

    Raises:
        AnnotationError: splits that would give a wrong number (see `split_annotations`).
    """
    splits = split_annotations(annotations, settings)
    lines = [f"{len(annotations)} videos in {settings.root}"]
    for split in SPLITS:
        members = splits[split]
        counts = Counter(name for annotation in members for name in annotation.names)
        groups = len({annotation.group for annotation in members})
        classes = ", ".join(f"{label} {count}" for label, count in sorted(counts.items()))
        lines.append(
            f"{split}: {len(members)} videos, {groups} groups; {classes or ('no classes' if members else 'empty')}"
        )
    missing = tuple(each.path for each in annotations if not each.source(settings.root).exists())
    if missing:
        where = missing[0]
        lines.append(f"{len(missing)} videos do not exist, first {where!r}; looked in {settings.root.resolve()}")
    return Findings(tuple(lines), missing)
