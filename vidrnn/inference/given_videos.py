"""The videos, texts and arrays that somebody gives from Python."""

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path

from vidrnn.errors import ConfigError
from vidrnn.inference.new_videos import find_videos, place_of
from vidrnn.inference.side_files import SideFiles, find_side_files
from vidrnn.names import quoted
from vidrnn.settings.data import Media

AnyPath = str | PathLike[str]


def find_one(
    path: AnyPath, *, media: Media, text: str | None, arrays: AnyPath | None, instead: str
) -> tuple[Path, SideFiles]:
    """One video with its text and array.

    Args:
        path: a video file, a still image, or a folder of frames.
        media: what to look for in folders.
        text: of the video.
        arrays: a folder that holds the array of the video.
        instead: what to do where there are several videos.

    Raises:
        MissingPathError: it does not exist. ConfigError: it holds several videos.
    """
    place = place_of(path)
    found = find_videos([place], media=media)
    if len(found) != 1:
        raise ConfigError(f"{quoted(place)} holds {len(found)} videos; {instead}")
    texts = None if text is None else {found[0]: text}
    return found[0], find_side_files([place], found, texts=texts, arrays=None if arrays is None else Path(arrays))


def find_all(
    paths: AnyPath | Iterable[AnyPath],
    *,
    media: Media,
    texts: AnyPath | Mapping[Path, str] | None,
    arrays: AnyPath | None,
) -> tuple[list[Path], SideFiles]:
    """All videos in files and folders, or in one of them, with their texts and arrays. Raises as the parts."""
    given = [paths] if isinstance(paths, str | PathLike) else list(paths)
    places = [place_of(path) for path in given]
    videos = find_videos(places, media=media)
    told = texts if texts is None or isinstance(texts, Mapping) else Path(texts)
    return videos, find_side_files(places, videos, texts=told, arrays=None if arrays is None else Path(arrays))
