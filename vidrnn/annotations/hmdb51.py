"""HMDB51's official lists: one <class>_test_split<N>.txt per class (Kuehne et al. 2011)."""

import re

from vidrnn.annotations.records import Annotation, Split
from vidrnn.annotations.rows import add_once, fill_path, list_folder, located, read_lines
from vidrnn.errors import AnnotationError
from vidrnn.names import excerpt
from vidrnn.settings.data import DataSettings

_ROW = re.compile(r"(?P<name>[^/]+)\.\w+\s+(?P<mark>\d+)")
_SPLITS: dict[str, Split | None] = {"0": None, "1": "train", "2": "test"}
_ATTRIBUTES = 6
"""Behind source and class a name says: visible part, camera motion, number of people, viewpoint, quality, count."""


def read_hmdb51(settings: DataSettings) -> list[Annotation]:
    """Read the lists of ``data.split_number`` in the folder ``data.annotations``; videos marked 0 are in no split.

    The group is the name without its last six parts, ``Movie_12_brush_hair_u_nm_np1_ba_goo_0``: all clips that were
    cut from one source for one class. Shorter names are groups of their own.

    Raises:
        MissingPathError: the folder does not exist.
        AnnotationError: no list of that number, a row of another form, or one video listed twice.
    """
    folder = list_folder(settings.root / str(settings.annotations), expected="brush_hair_test_split1.txt ...")
    ending = f"_test_split{settings.split_number}.txt"
    lists = sorted(path for path in folder.iterdir() if path.name.endswith(ending) and not path.name.startswith("."))
    if not lists:
        raise AnnotationError(f"{folder} holds no list <class>{ending}; give the folder of the lists")
    found: dict[str, Annotation] = {}
    for path in lists:
        label = path.name.removesuffix(ending)
        for line, text in read_lines(path):
            with located(f"{path}, line {line}"):
                if annotation := _annotation(text, label, settings.video_path):
                    add_once(found, annotation)
    return list(found.values())


def _annotation(text: str, label: str, template: str | None) -> Annotation | None:
    row = _ROW.fullmatch(text)
    if row is None or row["mark"] not in _SPLITS:
        raise AnnotationError(f"{excerpt(text)}; expected 'name.avi 0', 1 or 2 (0 unused, 1 train, 2 test)")
    split = _SPLITS[row["mark"]]
    if split is None:
        return None
    path = fill_path(template or "{label}/{name}.avi", name=row["name"], split=split, label=label)
    parts = row["name"].rsplit("_", _ATTRIBUTES)
    return Annotation(path, label, split, parts[0] if len(parts) > _ATTRIBUTES else row["name"])
