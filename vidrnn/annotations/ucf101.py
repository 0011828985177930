"""UCF101's official lists: classInd.txt, trainlistNN.txt and testlistNN.txt (Soomro et al. 2012)."""

import re
from collections.abc import Mapping

from vidrnn.annotations.class_names import name_of, read_class_names
from vidrnn.annotations.records import Annotation, Split
from vidrnn.annotations.rows import add_once, fill_path, list_folder, located, read_lines
from vidrnn.errors import AnnotationError
from vidrnn.names import excerpt, quoted
from vidrnn.settings.data import DataSettings

_ROW = re.compile(r"(?P<folder>[^/]+)/(?P<name>[^/]+)\.\w+?(?:\s+(?P<number>\d{1,9}))?")
_NAME = re.compile(r"v_.+_(?P<group>g\d+)_c\d+")


def read_ucf101(settings: DataSettings) -> list[Annotation]:
    """Read the lists of ``data.split_number`` in the folder ``data.annotations``.

    The class is spelled as in ``classInd.txt``, the path as in the list. The group is the ``gNN`` of
    ``v_Class_gNN_cNN``, the same for all classes, which is what the official splits keep apart.

    Raises:
        MissingPathError: the folder or a list does not exist.
        AnnotationError: a row of another form, an unknown class or number, or one video listed twice.
    """
    folder = list_folder(
        settings.root / str(settings.annotations), expected="classInd.txt, trainlist01.txt, testlist01.txt ..."
    )
    names = read_class_names(folder / "classInd.txt")
    folded = {name.casefold(): name for name in names.values()}
    found: dict[str, Annotation] = {}
    splits: tuple[Split, ...] = ("train", "test")
    for split in splits:
        path = folder / f"{split}list{settings.split_number:02}.txt"
        for line, text in read_lines(path):
            with located(f"{path}, line {line}"):
                add_once(found, _annotation(text, split, names, folded, settings.video_path))
    return list(found.values())


def _annotation(
    text: str, split: Split, names: dict[int, str], folded: Mapping[str, str], template: str | None
) -> Annotation:
    row = _ROW.fullmatch(text)
    if row is None or (split == "train" and row["number"] is None):
        raise AnnotationError(
            f"{excerpt(text)}; expected 'Class/v_Class_g01_c01.avi{' 1' if split == 'train' else ''}'"
        )
    # The videos of HandstandPushups are called v_HandStandPushups..., and copies of the set spell the folder so too.
    label = folded.get(row["folder"].casefold())
    if label is None:
        raise AnnotationError(
            f"class {quoted(row['folder'])} is not in classInd.txt; add it there, or correct the folder"
        )
    if row["number"] is not None and name_of(int(row["number"]), names) != label:
        raise AnnotationError(
            f"folder {quoted(row['folder'])} with number {row['number']}, which is "
            f"{quoted(names[int(row['number'])])} in "
            "classInd.txt; make the two agree"
        )
    name = _NAME.fullmatch(row["name"])
    if name is None:
        raise AnnotationError(f"name {quoted(row['name'])}; expected v_Class_gNN_cNN, where gNN is the group")
    path = fill_path(template or "{label}/{name}.avi", name=row["name"], split=split, label=row["folder"])
    return Annotation(path, label, split, name["group"])
