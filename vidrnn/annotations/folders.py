"""Folders as annotations: a folder per class, and in it videos, folders of frames, still images or sounds."""

from collections.abc import Iterator
from pathlib import Path

from vidrnn.annotations.class_names import refuse_twin_names
from vidrnn.annotations.records import SPLITS, Annotation, as_split
from vidrnn.annotations.suffixes import SOUND_SUFFIXES, VIDEO_SUFFIXES
from vidrnn.errors import AnnotationError, MissingPathError
from vidrnn.frame_folders import PICTURE_SUFFIXES
from vidrnn.settings.data import DataSettings, Media

SUFFIXES: dict[Media, frozenset[str]] = {
    "videos": VIDEO_SUFFIXES,
    "frames": PICTURE_SUFFIXES,
    "pictures": PICTURE_SUFFIXES,
    "sounds": SOUND_SUFFIXES,
}
"""Which files each kind of video is found by."""


def find_media(folder: Path, media: Media) -> list[Path]:
    """All videos below a folder, sorted: files; with ``frames`` each folder, this one too, that holds a picture itself.

    What is hidden, or lies in a hidden folder below, is not looked at.
    """
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES[media]
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not path.is_dir()
    ]
    return list(dict.fromkeys(path.parent for path in files)) if media == "frames" else files


def read_folder(settings: DataSettings) -> list[Annotation]:
    """Read ``root/<class>/*`` or ``root/{train,val,test}/<class>/*``, at any depth below the folder of a class.

    Raises:
        MissingPathError: ``data.root`` is no folder.
        AnnotationError: split folders beside others, no video, frames that lie in the folder of a class itself, or two
            spellings of one class.
    """
    root = settings.root
    if not root.is_dir():
        raise MissingPathError(
            f"data.root {str(root)!r} is not a folder; give the folder that holds one folder per class"
        )
    annotations: list[Annotation] = []
    for split, folder in _class_folders(root):
        for video in find_media(folder, settings.media):
            if video == folder:
                raise AnnotationError(
                    f"{str(folder)!r} holds pictures itself; with data.media: frames a class holds one folder per "
                    "video, for still images set data.media: pictures"
                )
            path = video.relative_to(root).as_posix()
            annotations.append(Annotation(path, folder.name, as_split(split) if split else None, group=path))
    if not annotations:
        raise AnnotationError(_nothing_in(root, settings.media))
    refuse_twin_names(sorted({annotation.label for annotation in annotations}), where=str(root))
    return annotations


def _class_folders(root: Path) -> Iterator[tuple[str, Path]]:
    """Name of the split, empty where there is none, and folder of each class."""
    folders = _folders_in(root)
    split_folders = [folder for folder in folders if folder.name in SPLITS]
    if split_folders and len(split_folders) < len(folders):
        others = sorted({folder.name for folder in folders} - set(SPLITS))
        raise AnnotationError(
            f"data.root {str(root)!r} holds both split folders and others ({', '.join(others[:5])}); "
            "use root/<class>/ or root/{train,val,test}/<class>/, not both"
        )
    if not split_folders:
        yield from (("", folder) for folder in folders)
    for split in split_folders:
        yield from ((split.name, folder) for folder in _folders_in(split))


def _folders_in(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))


def _nothing_in(root: Path, media: Media) -> str:
    examples = {"videos": "clip.mp4", "frames": "clip/img_00001.jpg", "pictures": "picture.jpg", "sounds": "a.wav"}
    message = (
        f"data.root {str(root)!r} holds no video; expected files such as {root}/<class>/{examples[media]} "
        f"({', '.join(sorted(SUFFIXES[media])[:6])} ...)"
    )
    others: tuple[Media, ...] = ("videos", "pictures", "sounds")
    for other in others:
        if SUFFIXES[other] != SUFFIXES[media] and any(find_media(folder, other) for _, folder in _class_folders(root)):
            also = "frames, or pictures for still images" if other == "pictures" else other
            return f"{message}; there are {other}: set data.media to {also}"
    return message
