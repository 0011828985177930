"""What is known of a video that somebody looks at: its annotation, found by its path."""

from collections.abc import Sequence
from pathlib import Path

from vidrnn.annotations import Annotation, read_annotations
from vidrnn.annotations.csv_file import read_csv
from vidrnn.errors import ConfigError
from vidrnn.inference.side_files import absolute
from vidrnn.names import quoted
from vidrnn.settings.base import load
from vidrnn.settings.run import RunSettings

_CONFIGURATIONS = frozenset({".yaml", ".yml"})
_TABLES = frozenset({".csv", ".tsv", ".txt"})


def read_truth(source: Path) -> tuple[Sequence[Annotation], Path]:
    """What a configuration or a CSV of annotations says, and the folder that its paths are relative to.

    The paths of a CSV are relative to its own folder.

    Raises:
        MissingPathError, ConfigError, AnnotationError: it cannot be read.
    """
    if source.suffix.lower() in _CONFIGURATIONS:
        data = load(RunSettings, source).data
        return read_annotations(data), data.root
    if source.suffix.lower() not in _TABLES:
        raise ConfigError(
            f"--truth {quoted(source)}: give a CSV of annotations, or a YAML configuration, which reads any format "
            "that its data.format names"
        )
    return read_csv(source), source.parent


def truth_of(video: Path, source: Path) -> Annotation:
    """The annotation of one video in a configuration or a CSV.

    Raises:
        MissingPathError, ConfigError, AnnotationError: see `read_truth`; or the video is not in it.
    """
    annotations, root = read_truth(source)
    wanted = absolute(video)
    found = next((found for found in annotations if absolute(found.source(root)) == wanted), None)
    if found is None:
        raise ConfigError(
            f"{quoted(source)} says nothing of {quoted(video)}; give the annotations in which it stands, or no truth"
        )
    return found
