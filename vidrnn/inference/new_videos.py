"""Which videos a model is given, and how sure its label must be."""

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from vidrnn.annotations import UNKNOWN, find_media
from vidrnn.annotations.folders import SUFFIXES
from vidrnn.errors import ConfigError, MissingPathError
from vidrnn.models.model_file import TrainedModel
from vidrnn.names import listed, quoted
from vidrnn.settings.data import Media
from vidrnn.stages import stage


@stage("find the videos")
def find_videos(paths: Sequence[Path], *, media: Media = "videos") -> list[Path]:
    """Files as they are given, and all videos below folders, sorted; each once.

    A folder without any video that holds pictures itself is taken as the frames of one.

    Args:
        paths: files and folders.
        media: what to look for in folders.

    Raises:
        MissingPathError: no path is given, one does not exist, or there is no video at all.
    """
    if not paths:
        raise MissingPathError("no path was given; give video files or folders")
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise MissingPathError(f"{quoted(path)} does not exist; give video files or folders")
        if path.is_dir():
            inside = find_media(path, media) or [folder for folder in find_media(path, "frames") if folder == path]
            found.update(dict.fromkeys(inside))
        else:
            found[path] = None
    if not found:
        raise MissingPathError(f"no {media} below {listed(paths)}; known suffixes: {' '.join(sorted(SUFFIXES[media]))}")
    return list(found)


def place_of(path: str | PathLike[str]) -> Path:
    """Raises MissingPathError for an empty text, which `Path` takes for the current folder."""
    if str(path) == "":
        raise MissingPathError("an empty path was given; give a video file or a folder, '.' is the current folder")
    return Path(path)


def with_unknown_below(model: TrainedModel, threshold: float) -> TrainedModel:
    """The model with another threshold for ``unknown`` than the one in its file.

    Raises:
        ConfigError: it is no probability, the model does not answer one class per video, or a class has that name.
    """
    head = model.settings.model.head
    if not 0.0 <= threshold <= 1.0:
        raise ConfigError(f"--unknown-below {threshold}: give a probability between 0 and 1")
    if head != "label":
        raise ConfigError(f"--unknown-below {threshold} needs a model of head 'label', this one has {head!r}; leave it")
    if UNKNOWN in model.label_map.names:
        raise ConfigError(f"--unknown-below {threshold}: the model has a class called {UNKNOWN!r}; leave it")
    return replace(model, unknown_below=threshold)
