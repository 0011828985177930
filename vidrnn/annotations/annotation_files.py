"""Formats with a file for each video: which files there are, and which video each is about."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from vidrnn.annotations.rows import fill_path
from vidrnn.annotations.suffixes import VIDEO_SUFFIXES
from vidrnn.errors import AnnotationError, MissingPathError
from vidrnn.names import quoted
from vidrnn.settings.data import DataSettings


def find_files(settings: DataSettings, ending: str) -> Iterator[tuple[Path, str]]:
    """Files whose names have an ending, at any depth in the folder ``data.annotations``, or that one file.

    Hidden files are not looked at.

    Yields:
        File, and its name without the ending, with the folders below ``data.annotations``.

    Raises:
        MissingPathError: there is nothing at that path. AnnotationError: no such file in it.
    """
    source = settings.root / str(settings.annotations)
    if source.is_file():
        yield source, source.name.removesuffix(ending)
        return
    if not source.is_dir():
        raise MissingPathError(f"data.annotations: {quoted(source)} does not exist; give a folder, or a file")
    found = [path for path in sorted(source.rglob(f"*{ending}")) if not path.name.startswith(".")]
    if not found:
        raise AnnotationError(f"data.annotations: {source} holds no file that ends in {ending}; give the right folder")
    for path in found:
        yield path, path.relative_to(source).as_posix().removesuffix(ending)


def video_of(settings: DataSettings, name: str) -> str:
    """Path of the video of a name from `find_files`: the name itself where it ends as a video's does, else ``.mp4``."""
    suffix = PurePosixPath(name).suffix.lower()
    return fill_path(settings.video_path or ("{name}" if suffix in VIDEO_SUFFIXES else "{name}.mp4"), name=name)
