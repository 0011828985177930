"""One reader per annotation format. All give a tuple of `Annotation` in a fixed order."""

import re
from collections.abc import Callable
from dataclasses import replace

from vidrnn.annotations.activitynet import read_activitynet
from vidrnn.annotations.boris import read_boris
from vidrnn.annotations.cholec80 import FRAME_RATE, read_cholec80
from vidrnn.annotations.class_names import doubtful_names
from vidrnn.annotations.csv_file import read_csv
from vidrnn.annotations.deepethogram import read_deepethogram
from vidrnn.annotations.eaf import read_eaf
from vidrnn.annotations.feral import read_feral
from vidrnn.annotations.folders import read_folder
from vidrnn.annotations.frame_clock import FrameBounds, FrameClock
from vidrnn.annotations.hmdb51 import read_hmdb51
from vidrnn.annotations.kinetics import read_kinetics
from vidrnn.annotations.label_lists import read_mmaction, read_pyslowfast
from vidrnn.annotations.mstcn import read_mstcn
from vidrnn.annotations.records import Annotation
from vidrnn.annotations.subtitles import read_subtitles
from vidrnn.annotations.thumos14 import read_thumos14
from vidrnn.annotations.ucf101 import read_ucf101
from vidrnn.errors import AnnotationError, ConfigError
from vidrnn.names import quoted
from vidrnn.settings.data import DataSettings
from vidrnn.stages import stage


@stage("read the annotations")
def read_annotations(
    settings: DataSettings, notes: list[str] | None = None, *, bounds_of: FrameBounds | None = None
) -> tuple[Annotation, ...]:
    """Read the annotations that a configuration names, sorted by path.

    Args:
        settings: of the data.
        notes: gets what was left out and what deserves a second look, a sentence each.
        bounds_of: asked when the frames of a video are, where rows count frames and ``data.frame_rate`` is not set.

    Raises:
        MissingPathError: ``data.root`` or the annotation file does not exist.
        AnnotationError: nothing to read, a wrong header or row, or one video listed twice.
        ConfigError: rows count frames, and nobody says when frames are;
            ``data.group_pattern`` is not a regular expression with a parenthesis.
    """
    notes = [] if notes is None else notes
    rate = settings.frame_rate or (FRAME_RATE if settings.format == "cholec80" else None)
    clock = FrameClock(rate, bounds_of, notes)
    readers: dict[str, Callable[[DataSettings], list[Annotation]]] = {
        "folder": lambda settings: read_folder(settings, notes),
        "csv": lambda settings: read_csv(settings.root / str(settings.annotations)),
        "ucf101": read_ucf101,
        "hmdb51": read_hmdb51,
        "kinetics": lambda settings: read_kinetics(settings, notes),
        "pyslowfast": read_pyslowfast,
        "mmaction": read_mmaction,
        "activitynet": lambda settings: read_activitynet(settings, notes),
        "deepethogram": lambda settings: read_deepethogram(settings, clock, notes),
        "feral": lambda settings: read_feral(settings, clock, notes),
        "thumos14": lambda settings: read_thumos14(settings, notes),
        "cholec80": lambda settings: read_cholec80(settings, clock),
        "boris": lambda settings: read_boris(settings, notes),
        "eaf": lambda settings: read_eaf(settings, notes),
        "srt": lambda settings: read_subtitles(settings, notes),
        "vtt": lambda settings: read_subtitles(settings, notes),
        "mstcn": lambda settings: read_mstcn(settings, clock, notes),
    }
    annotations = readers[settings.format](settings)
    if settings.group_pattern is not None and settings.format != "csv":  # a CSV has a column for it
        group_of = _group_finder(settings.group_pattern)
        annotations = [replace(annotation, group=group_of(annotation.path)) for annotation in annotations]
    notes += doubtful_names(name for annotation in annotations for name in annotation.names)
    return tuple(sorted(annotations, key=lambda annotation: annotation.path))


def _group_finder(pattern: str) -> Callable[[str], str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"data.group_pattern: {pattern!r} is not a regular expression: {error}") from None
    if compiled.groups < 1:
        raise ConfigError(f"data.group_pattern: {pattern!r} has no parenthesis; put the group's name in one")

    def group_of(path: str) -> str:
        match = compiled.search(path)
        if match is None or match[1] is None:
            raise AnnotationError(
                f"data.group_pattern {pattern!r} does not match {quoted(path)}; every video needs a group"
            )
        return match[1]

    return group_of
