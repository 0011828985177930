"""THUMOS14: a text file per class with a line ``video start end`` per action (Jiang et al. 2014)."""

from collections import defaultdict
from pathlib import Path

from vidrnn.annotations.class_names import refuse_twin_names
from vidrnn.annotations.records import Annotation, Segment, Split
from vidrnn.annotations.rows import fill_path, list_folder, located, number_of, read_lines, split_from_word
from vidrnn.annotations.segments import join_equal
from vidrnn.errors import AnnotationError
from vidrnn.names import excerpt, quoted
from vidrnn.settings.data import DataSettings

AMBIGUOUS = "Ambiguous"
"""The file of stretches that are hard to tell: they are left out of every evaluation, so nobody looked."""


def read_thumos14(settings: DataSettings, notes: list[str]) -> list[Annotation]:
    """Read ``<class>_val.txt`` and ``<class>_test.txt`` in the folder ``data.annotations``, at any depth.

    The validation videos train, as everybody uses them, for those that the set calls training are cut to one action
    each. A file without such a word names no split. A video is ``<name>.mp4`` and a group of its own. Lines of one
    class that overlap become one segment; ``Ambiguous`` gives the unlabelled stretches. ``notes`` gets how many
    segments have no length, and are left out.

    Raises:
        MissingPathError: there is no such folder.
        AnnotationError: no file, a line of another form, an end before its start, a video in two splits, or two
            spellings of one class.
    """
    folder = list_folder(settings.root / str(settings.annotations), expected="files such as Diving_val.txt")
    splits: dict[str, Split | None] = {}
    segments: defaultdict[str, list[Segment]] = defaultdict(list)
    unlabelled: defaultdict[str, list[Segment]] = defaultdict(list)
    empty: list[str] = []
    for path in _files_in(folder):
        label, split = _class_of(path)
        for line, text in read_lines(path):
            with located(f"{path}, line {line}"):
                name, start, end = _row(text)
                if splits.setdefault(name, split) != split:
                    raise AnnotationError(
                        f"video {quoted(name)} is in {splits[name]} in another file, and in {split} here"
                    )
                if start == end:
                    empty.append(f"{path}, line {line}")
                elif label == AMBIGUOUS:
                    unlabelled[name].append(Segment(start, end))
                else:
                    segments[name].append(Segment(start, end, label))
    if not splits:
        raise AnnotationError(f"{folder} holds no line; give files such as Diving_val.txt, one for each class")
    if empty:
        notes.append(f"{folder}: {len(empty)} segments without length were left out, the first in {empty[0]}")
    refuse_twin_names(sorted({segment.label for found in segments.values() for segment in found}), where=str(folder))
    return [
        Annotation(
            fill_path(settings.video_path or "{name}.mp4", name=name, split=split),
            "",
            split,
            name,
            segments=join_equal(segments[name]),
            unlabelled=join_equal(unlabelled[name]),
        )
        for name, split in splits.items()
    ]


def _files_in(folder: Path) -> list[Path]:
    files = sorted(folder.rglob("*.txt"))
    return [path for path in files if not path.name.startswith(".") and path.stem.casefold() != "readme"]


def _class_of(path: Path) -> tuple[str, Split | None]:
    label, _, word = path.stem.rpartition("_")
    split = split_from_word(word)
    if not label or split is None:
        return path.stem, None
    return label, "train" if split == "val" else split


def _row(text: str) -> tuple[str, float, float]:
    parts = text.rsplit(maxsplit=2)
    try:
        name, start, end = parts[0], number_of(parts[1].replace(",", ".")), number_of(parts[2].replace(",", "."))
    except (ValueError, IndexError):
        raise AnnotationError(
            f"{excerpt(text)}; expected a video, start and end in seconds, separated by spaces"
        ) from None
    if not 0.0 <= start <= end:
        raise AnnotationError(f"segment from {start:g} to {end:g} s: start must be at least 0 and not behind the end")
    return name, start, end
