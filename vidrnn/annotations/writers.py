"""One writer per annotation format, and what each has no place for."""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

from vidrnn.annotations.boris_writer import write_boris
from vidrnn.annotations.eaf_writer import write_eaf
from vidrnn.annotations.records import Annotation
from vidrnn.annotations.row_writers import write_cholec80, write_deepethogram, write_feral, write_mstcn
from vidrnn.annotations.segment_writers import (
    write_activitynet,
    write_activitynet_results,
    write_csv,
    write_srt,
    write_thumos14,
    write_vtt,
)
from vidrnn.annotations.writing import Writing, in_segments
from vidrnn.errors import AnnotationError, ConfigError
from vidrnn.stages import stage

Written = Literal[
    "csv",
    "activitynet",
    "activitynet_results",
    "thumos14",
    "mstcn",
    "deepethogram",
    "feral",
    "cholec80",
    "boris",
    "eaf",
    "srt",
    "vtt",
]
"""Formats that are written. All but ``activitynet_results`` are values of ``data.format`` that read them again."""
Kept = Literal["scores", "splits", "groups", "unlabelled", "texts"]

_KEEPS: dict[str, frozenset[Kept]] = {
    "csv": frozenset({"splits", "groups", "texts", "unlabelled"}),
    "activitynet": frozenset({"splits"}),
    "activitynet_results": frozenset({"scores"}),
    "thumos14": frozenset({"splits", "unlabelled"}),
    "mstcn": frozenset({"splits"}),
    "deepethogram": frozenset({"unlabelled"}),
    "feral": frozenset({"splits"}),
    "cholec80": frozenset(),
    "boris": frozenset({"scores", "splits", "groups"}),
    "eaf": frozenset(),
    "srt": frozenset(),
    "vtt": frozenset(),
}


@stage("write annotations")
def write_annotations(annotations: Sequence[Annotation], kind: str, writing: Writing) -> None:
    """Write annotations to ``writing.output``; what the format cannot hold is counted in ``writing.losses``.

    Raises:
        ConfigError: an unknown format.
        AnnotationError: no annotation, numbers where a format has labels, or a video that is not there and is needed.
        OSError: the output cannot be written.
    """
    writers: dict[str, Callable[[Sequence[Annotation], Writing], None]] = {
        "csv": write_csv,
        "activitynet": write_activitynet,
        "activitynet_results": write_activitynet_results,
        "thumos14": write_thumos14,
        "mstcn": write_mstcn,
        "deepethogram": write_deepethogram,
        "feral": write_feral,
        "cholec80": write_cholec80,
        "boris": write_boris,
        "eaf": write_eaf,
        "srt": write_srt,
        "vtt": write_vtt,
    }
    if kind not in writers:
        raise ConfigError(f"--to {kind!r} is unknown; allowed: {', '.join(get_args(Written))}")
    if not annotations:
        raise AnnotationError("there is no video to write; give annotations or predictions that have some")
    for name, number in _losses(annotations, _KEEPS[kind]):
        writing.losses[name] += number
    writers[kind](annotations if kind == "csv" else in_segments(annotations, writing), writing)


def _losses(annotations: Sequence[Annotation], keeps: frozenset[Kept]) -> list[tuple[str, int]]:
    scored = [
        segment for annotation in annotations for segment in annotation.segments or () if segment.score is not None
    ]
    unlabelled = sum(len(annotation.unlabelled) for annotation in annotations)
    counts: dict[Kept, tuple[str, int]] = {
        "scores": ("scores", len(scored)),
        "splits": ("splits of videos", sum(annotation.split is not None for annotation in annotations)),
        "groups": ("groups of videos", sum(annotation.group != annotation.path for annotation in annotations)),
        "unlabelled": ("unlabelled stretches, which are background now", unlabelled),
        "texts": ("texts of videos", sum(annotation.text is not None for annotation in annotations)),
    }
    return [count for name, count in counts.items() if name not in keeps]
