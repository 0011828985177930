"""Folders as annotations: a folder per class, and in it videos, folders of frames, still images or sounds."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from vidrnn.annotations.class_names import refuse_twin_names
from vidrnn.annotations.records import SPLITS, Annotation, Split
from vidrnn.annotations.rows import split_from_word
from vidrnn.annotations.suffixes import SOUND_SUFFIXES, VIDEO_SUFFIXES
from vidrnn.errors import AnnotationError, MissingPathError
from vidrnn.frame_folders import PICTURE_SUFFIXES
from vidrnn.names import quoted
from vidrnn.settings.data import DataSettings, Media

SUFFIXES: dict[Media, frozenset[str]] = {
    "videos": VIDEO_SUFFIXES,
    "frames": PICTURE_SUFFIXES,
    "pictures": PICTURE_SUFFIXES,
    "sounds": SOUND_SUFFIXES,
}
"""Which files each kind of video is found by."""
_SHOWN = 5  # names in a message


def find_media(folder: Path, media: Media) -> list[Path]:
    """All videos below a folder, sorted: files; with ``frames`` each folder, this one too, that holds a picture itself.

    What is hidden, or lies in a hidden folder below, is not looked at. Links to folders are followed, but for those
    that lead back to where they lie. A folder that may not be read stands at the end, as a video that cannot be read.
    """
    unread: list[Path] = []
    return [*_media_below(folder, media, unread), *sorted(unread)]


def _media_below(folder: Path, media: Media, unread: list[Path]) -> list[Path]:
    files = [path for path in sorted(_files_below(folder, unread)) if path.suffix.lower() in SUFFIXES[media]]
    return list(dict.fromkeys(path.parent for path in files)) if media == "frames" else files


def _loose(root: Path, media: Media) -> list[str]:
    return [path.name for path in _media_below(root, media, []) if path.parent == root]


def _files_below(folder: Path, unread: list[Path], above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Path]:
    """All files that are not hidden; ``above`` are device and number of the folders on the way.

    ``unread`` gets the folders that may not be read.
    """
    try:
        status = folder.stat()
        here = above | {(status.st_dev, status.st_ino)}
        if len(here) == len(above):  # a link led back
            return
        with os.scandir(folder) as entries:
            names = [(folder / entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith(".")]
    except OSError:
        unread.append(folder)
        return
    for path, is_folder in names:
        if is_folder:
            yield from _files_below(path, unread, here)
        else:
            yield path


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: a file that cannot be read
        return False


def read_folder(settings: DataSettings, notes: list[str]) -> list[Annotation]:
    """Read ``root/<class>/*`` or ``root/<split>/<class>/*``, at any depth below the folder of a class.

    A split is ``train``, ``val`` or ``test``, or another word for it, such as ``Training``. ``notes`` gets the files
    that were left out, by their suffixes, and the classes without a video. A folder below a
    class that may not be read is a video, which fails.

    Raises:
        MissingPathError: ``data.root`` is no folder.
        AnnotationError: split folders that lie beside others or inside the folders of classes; two folders of one
            split; no video; frames that lie in the folder of a class itself; two spellings of one class.
    """
    root = settings.root
    if not root.is_dir():
        raise MissingPathError(
            f"data.root {quoted(root)} is not a folder; give the folder that holds one folder per class"
        )
    annotations: list[Annotation] = []
    empty: list[str] = []
    closed: list[str] = []
    for split, folder in _class_folders(root, settings.media, notes):
        unread: list[Path] = []
        videos = _media_below(folder, settings.media, unread)
        if unread == [folder]:
            closed.append(folder.relative_to(root).as_posix())
            continue
        if not videos and not unread:
            empty.append(folder.relative_to(root).as_posix())
        for video in [*videos, *sorted(unread)]:
            if video == folder:
                raise AnnotationError(
                    f"{quoted(folder)} holds pictures itself; with data.media: frames a class holds one folder per "
                    "video, for still images set data.media: pictures"
                )
            path = video.relative_to(root).as_posix()
            annotations.append(Annotation(path, folder.name, split, group=path))
    if not annotations:
        raise AnnotationError(_nothing_in(root, settings.media))
    _refuse_splits_inside(annotations, root)
    refuse_twin_names(sorted({annotation.label for annotation in annotations}), where=str(root))
    if empty:
        notes.append(f"{len(empty)} folders hold no video and are no class: {_listed(empty)}")
    if closed:
        notes.append(f"{len(closed)} folders may not be read and are no class: {_listed(closed)}")
    notes += _left_out(root, settings.media)
    return annotations


def _refuse_splits_inside(annotations: Sequence[Annotation], root: Path) -> None:
    """``walk/train`` and ``walk/test``: as one class, videos that were kept for a test would be learned."""
    found: dict[Split, str] = {}
    for annotation in annotations:
        parts = annotation.path.split("/")
        if annotation.split is None and len(parts) > 2 and (split := split_from_word(parts[1])):
            found.setdefault(split, "/".join(parts[:2]))
    if len(found) > 1:
        raise AnnotationError(
            f"data.root {quoted(root)} holds split folders inside the folders of classes "
            f"({_listed(sorted(found.values()))}); "
            "turn them round, root/<split>/<class>/, or write a CSV with a column split"
        )


def _left_out(root: Path, media: Media) -> Iterator[str]:
    """A note on the other files, which are no videos of this kind."""
    others = [path for path in sorted(_files_below(root, [])) if path.suffix.lower() not in SUFFIXES[media]]
    if others:
        counts = Counter(path.suffix.lower() or "none" for path in others)
        suffixes = ", ".join(f"{suffix} {count}" for suffix, count in counts.most_common(_SHOWN))
        yield (
            f"{len(others)} files are no {media} by their suffix and were left out ({suffixes}"
            f"{' ...' if len(counts) > _SHOWN else ''}), the first {quoted(others[0].relative_to(root).as_posix())}"
        )
    if media != "frames" and (loose := _loose(root, media)):
        yield f"{len(loose)} {media} lie in no folder of a class and were left out: {_listed(loose)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")


def _class_folders(root: Path, media: Media, notes: list[str]) -> Iterator[tuple[Split | None, Path]]:
    """Split and folder of each class; the split is None where the folders name no split."""
    folders = _folders_in(root)
    words = {folder: split_from_word(folder.name) for folder in folders}
    if any(words.values()) and (
        empty := [name for name in folders if not words[name] and not _media_below(name, media, [])]
    ):
        # What a zip of macOS or a run of another program leaves beside the splits is no class.
        notes.append(f"{len(empty)} folders hold no video and are no class: {_listed([name.name for name in empty])}")
        folders = [folder for folder in folders if folder not in empty]
    splits = {folder: split for folder, split in words.items() if split}
    split_folders = _listed([folder.name for folder in splits])
    if splits and len(splits) < len(folders):
        others = [folder.name for folder in folders if folder not in splits]
        if not any(folder.name in SPLITS for folder in splits) and len(set(splits.values())) == 1:
            # One folder called Training among jump and walk is an action like them.
            notes.append(f"{split_folders}: taken for a class, because other folders are")
            splits = {}
        else:
            raise AnnotationError(
                f"data.root {quoted(root)} holds both split folders ({split_folders}) and "
                f"others ({_listed(others)}); use root/<class>/ or root/{{train,val,test}}/<class>/, not both"
            )
    if len(set(splits.values())) < len(splits):
        raise AnnotationError(
            f"data.root {quoted(root)} holds several folders of one split ({split_folders}); join them"
        )
    if not splits:
        yield from ((None, folder) for folder in folders)
    for folder, split in splits.items():
        yield from ((split, named) for named in _folders_in(folder))


def _folders_in(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))


def _nothing_in(root: Path, media: Media) -> str:
    if media != "frames" and (loose := _loose(root, media)):
        return (
            f"data.root {quoted(root)} holds {len(loose)} {media} ({_listed(loose)}) in no folder of a class; "
            f"put the {media} of each class into a folder of its own, or write a CSV path,label and set "
            "data.format: csv"
        )
    examples = {"videos": "clip.mp4", "frames": "clip/img_00001.jpg", "pictures": "picture.jpg", "sounds": "a.wav"}
    message = (
        f"data.root {quoted(root)} holds no video; expected files such as {root}/<class>/{examples[media]} "
        f"({', '.join(sorted(SUFFIXES[media])[:6])} ...)"
    )
    others: tuple[Media, ...] = ("videos", "pictures", "sounds")
    for other in others:
        if SUFFIXES[other] != SUFFIXES[media] and any(
            _media_below(folder, other, []) for _, folder in _class_folders(root, other, [])
        ):
            also = "frames, or pictures for still images" if other == "pictures" else other
            return f"{message}; there are {other}: set data.media to {also}"
    return message
