"""What is known of a video that somebody looks at: its annotation, found by its path."""

from collections.abc import Sequence
from pathlib import Path

from vidrnn.annotations import Annotation, read_annotations
from vidrnn.annotations.csv_file import read_csv
from vidrnn.inference.side_files import absolute
from vidrnn.settings.base import load
from vidrnn.settings.run import RunSettings

_CONFIGURATIONS = frozenset({".yaml", ".yml"})


def read_truth(source: Path) -> tuple[Sequence[Annotation], Path]:
    """What a configuration or a CSV of annotations says, and the folder that its paths are relative to.

    The paths of a CSV are relative to its own folder.

    Raises:
        MissingPathError, ConfigError, AnnotationError: it cannot be read.
    """
    if source.suffix.lower() in _CONFIGURATIONS:
        data = load(RunSettings, source).data
        return read_annotations(data), data.root
    return read_csv(source), source.parent


def truth_of(video: Path, annotations: Sequence[Annotation], root: Path) -> Annotation | None:
    """The annotation of one video; None where there is none."""
    wanted = absolute(video)
    return next((found for found in annotations if absolute(found.source(root)) == wanted), None)
