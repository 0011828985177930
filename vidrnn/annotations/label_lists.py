"""Lists ``path number``, as PySlowFast, pytorchvideo and MMAction2 have them, of videos or of frame folders."""

import re
from dataclasses import replace
from pathlib import Path

from vidrnn.annotations.class_names import name_of, read_class_names
from vidrnn.annotations.records import Annotation, Split, plain_path
from vidrnn.annotations.rows import add_once, located, read_lines, split_from_word
from vidrnn.annotations.suffixes import VIDEO_SUFFIXES
from vidrnn.errors import AnnotationError
from vidrnn.frame_folders import PICTURE_SUFFIXES
from vidrnn.names import excerpt, quoted
from vidrnn.settings.data import DataSettings, Media

# From the right, so that spaces and commas in paths survive.
_ONE = re.compile(r"(?P<path>.*[^\s,])[\s,]+(?P<numbers>\d{1,9})")
_MANY = re.compile(r"(?P<path>.*?[^\s,])(?P<numbers>(?:\s+\d{1,9})+)")
_FRAMES = re.compile(r"(?P<path>.*?[^\s,])\s+(?P<frames>\d{1,9})(?P<numbers>(?:\s+\d{1,9})+)")


def read_pyslowfast(settings: DataSettings) -> list[Annotation]:
    """Read lists of ``path number``, separated by spaces or a comma; every video has one label.

    ``data.annotations`` is one list, which names no split, or a folder of lists of which each has ``train``, ``val``
    or ``test`` in its name. Names come from ``data.classes``; without it the numbers are the names.

    Raises:
        MissingPathError: a file does not exist.
        AnnotationError: no list, two for one split, a row of another form, or a number outside the classes.
    """
    return [annotation for annotation, _ in _read(settings, _ONE)]


def read_mmaction(settings: DataSettings) -> list[Annotation]:
    """Read lists of ``path number [number ...]``, files as in `read_pyslowfast`.

    With ``data.media: frames`` each path is a folder of frames and their number stands before the labels. When any
    video has several labels, all are given as ``labels``, in the order of the list.

    Raises:
        MissingPathError, AnnotationError: as `read_pyslowfast`; a path or number of frames that does not fit the media.
    """
    rows = _read(settings, _FRAMES if settings.media == "frames" else _MANY)
    for annotation, where in rows:
        with located(where):
            _check_media(annotation, settings.media)
    if all(len(annotation.names) == 1 for annotation, _ in rows):
        return [annotation for annotation, _ in rows]
    return [replace(annotation, label="", labels=annotation.names) for annotation, _ in rows]


def _check_media(annotation: Annotation, media: Media) -> None:
    """Rows of the three kinds of lists look alike, so what tells them apart must not be contradicted."""
    suffix = Path(annotation.path).suffix.lower()
    if media == "videos" and suffix not in VIDEO_SUFFIXES:
        raise AnnotationError(
            f"path {quoted(annotation.path)} has no video's suffix; for lists of frame folders ('path frames "
            "number') set "
            "data.media: frames, for still images data.media: pictures"
        )
    if media == "pictures" and suffix not in PICTURE_SUFFIXES:
        raise AnnotationError(f"path {quoted(annotation.path)} has no picture's suffix, but data.media is pictures")
    if media == "frames" and suffix in VIDEO_SUFFIXES:
        raise AnnotationError(
            f"path {quoted(annotation.path)} has a video's suffix, but data.media is frames; lists of videos "
            "need videos"
        )
    if annotation.listed_frames == 0:
        raise AnnotationError(
            f"path {quoted(annotation.path)} has 0 frames; rows 'path start frames number' (with_offset) are not read, "
            "so give each clip a folder of its own"
        )


def _read(settings: DataSettings, form: re.Pattern[str]) -> list[tuple[Annotation, str]]:
    names = None if settings.classes is None else read_class_names(settings.root / settings.classes)
    found: dict[str, Annotation] = {}
    where: list[str] = []
    for split, path in _lists(settings.root / str(settings.annotations)):
        for line, text in read_lines(path):
            where.append(f"{path}, line {line}")
            with located(where[-1]):
                add_once(found, _annotation(text, form, split, names))
    return list(zip(found.values(), where, strict=True))


def _lists(source: Path) -> list[tuple[Split | None, Path]]:
    if not source.is_dir():
        return [(None, source)]
    lists: dict[Split, Path] = {}
    for path in sorted(path for path in source.iterdir() if path.suffix.lower() in {".csv", ".txt"}):
        words = {split_from_word(word) for word in re.split(r"[\W_]+", path.stem)} - {None}
        for split in words:
            if split is None or len(words) > 1 or split in lists:
                raise AnnotationError(
                    f"data.annotations: {path} is a second list of a split, or of two; keep one list each for "
                    "train, val and test in the folder"
                )
            lists[split] = path
    if not lists:
        raise AnnotationError(
            f"data.annotations: {source} holds no .csv or .txt with train, val or test in its name; name them so, or "
            "give one file"
        )
    return list(lists.items())


def _annotation(text: str, form: re.Pattern[str], split: Split | None, names: dict[int, str] | None) -> Annotation:
    row = form.fullmatch(text)
    if row is None:
        expected = "'path/folder 120 0' (120 frames)" if form is _FRAMES else "'path/clip.mp4 0'"
        raise AnnotationError(f"{excerpt(text)} does not end in a class number; expected {expected}, without a header")
    labels = tuple(name_of(int(number), names) for number in row["numbers"].split())
    path = plain_path(row["path"])
    frames = int(row["frames"]) if form is _FRAMES else None
    if len(labels) == 1:
        return Annotation(path, labels[0], split, path, listed_frames=frames)
    return Annotation(path, "", split, path, labels=labels, listed_frames=frames)
