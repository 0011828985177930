"""MS-TCN folders: groundTruth/, mapping.txt and splits/ (Farha & Gall 2019, after Lea et al. 2017)."""

import re
from pathlib import Path, PurePosixPath

from vidrnn.annotations.class_names import read_class_names, refuse_twin_names
from vidrnn.annotations.frame_clock import FrameClock
from vidrnn.annotations.records import BACKGROUND, SPLITS, Annotation, Split
from vidrnn.annotations.rows import fill_path, list_folder, read_lines, read_text
from vidrnn.annotations.segments import segments_of_rows
from vidrnn.errors import AnnotationError, MissingPathError
from vidrnn.names import quoted
from vidrnn.settings.data import DataSettings

_BUNDLE = re.compile(r"test\.split(\d+)\.bundle")


def read_mstcn(settings: DataSettings, clock: FrameClock, notes: list[str]) -> list[Annotation]:
    """Read ``groundTruth/<name>.txt``, a label per row, in the folder ``data.annotations``.

    ``mapping.txt`` (``number name``) says which labels there are. ``splits/train.splitN.bundle`` and
    ``test.splitN.bundle`` list files of ``groundTruth``; N is ``data.split_number``, and a file in neither is left out.
    Where each video is in exactly one test list, its group is the number of that list, so that leaving one group out
    gives the official folds. Otherwise each video is a group. ``background`` is no class: nothing happens there.

    Raises:
        MissingPathError: the folder, ``groundTruth``, or the lists of that number do not exist.
        AnnotationError: an empty row, an unknown label, a list that names no video, or one video in two lists.
        ConfigError: nobody says when rows are.
    """
    folder = list_folder(settings.root / str(settings.annotations), expected="groundTruth, mapping.txt and splits")
    truth = list_folder(folder / "groundTruth", expected="a text file per video")
    names = _class_names(folder / "mapping.txt")
    files = {path.stem: path for path in sorted(truth.glob("*.txt")) if not path.name.startswith(".")}
    if not files:
        raise AnnotationError(f"{truth} holds no .txt; give a file per video, with a label per row")
    splits = _splits(folder / "splits", settings.split_number, files)
    groups = _groups(folder / "splits", files)
    listed = [name for name in files if not splits or name in splits]
    if len(listed) < len(files):
        notes.append(
            f"{folder}: {len(files) - len(listed)} videos are in no list of split {settings.split_number} and "
            f"were left out, the first {quoted(next(name for name in files if name not in splits))}"
        )
    found: list[Annotation] = []
    for name in listed:
        labels = _labels(files[name], names)
        split = splits.get(name)
        path = fill_path(settings.video_path or "{name}.mp4", name=name, split=split)
        segments = segments_of_rows(labels, clock.bounds(path, range(len(labels))))
        listed_s = clock.lasts(len(labels))
        found.append(Annotation(path, "", split, groups.get(name, path), segments=segments, listed_s=listed_s))
    refuse_twin_names(sorted({name for annotation in found for name in annotation.names}), where=str(truth))
    return found


def _class_names(path: Path) -> frozenset[str] | None:
    return frozenset(read_class_names(path).values()) if path.exists() else None


def _labels(path: Path, names: frozenset[str] | None) -> list[str]:
    """The label of each row, empty for the background."""
    rows = [row.strip() for row in read_text(path).rstrip().split("\n")]
    for line, label in enumerate(rows, start=1):
        if not label:
            raise AnnotationError(f"{path}, line {line}: no label; every row is the label of one frame")
        if names is not None and label not in names:
            raise AnnotationError(
                f"{path}, line {line}: label {quoted(label)} is not in mapping.txt, which has "
                f"{', '.join(sorted(names)[:8])}"
                f"{' ...' if len(names) > 8 else ''}"
            )
    return ["" if label == BACKGROUND else label for label in rows]


def _splits(folder: Path, number: int, files: dict[str, Path]) -> dict[str, Split]:
    """The split of each listed video; empty where there are no lists."""
    if not folder.is_dir():
        return {}
    lists = {split: folder / f"{split}.split{number}.bundle" for split in SPLITS}
    there = sorted(int(match[1]) for path in folder.iterdir() if (match := _BUNDLE.fullmatch(path.name)))
    if not (lists["train"].exists() and lists["test"].exists()):
        raise MissingPathError(
            f"data.split_number: {folder} has no train.split{number}.bundle and test.split{number}.bundle; there are "
            f"{', '.join(map(str, there)) or 'none'}"
        )
    found: dict[str, Split] = {}
    for split, path in lists.items():
        for line, name in _names_in(path) if path.exists() else ():
            if name not in files:
                raise AnnotationError(
                    f"{path}, line {line}: {quoted(name)} has no file in groundTruth; add it or drop the line"
                )
            if found.setdefault(name, split) != split:
                raise AnnotationError(
                    f"{path}, line {line}: {quoted(name)} is in the list of {found[name]} too; keep one"
                )
    return found


def _groups(folder: Path, files: dict[str, Path]) -> dict[str, str]:
    """The number of the test list of each video; empty unless the lists share the videos out."""
    if not folder.is_dir():
        return {}
    tested = [
        (name, f"split{match[1]}")
        for path in sorted(folder.iterdir())
        if (match := _BUNDLE.fullmatch(path.name))
        for _, name in _names_in(path)
    ]
    groups = dict(tested)
    return (
        groups if len(groups) == len(tested) and len(set(groups.values())) > 1 and groups.keys() == files.keys() else {}
    )


def _names_in(path: Path) -> list[tuple[int, str]]:
    """Line and name without suffix of each video of a list."""
    return [(line, PurePosixPath(text).stem) for line, text in read_lines(path)]
