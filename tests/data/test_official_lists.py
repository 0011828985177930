"""The official lists of public sets, whole: how many videos they give, and what is said of the rest."""

import json
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from vidrnn.annotations import Annotation, read_annotations
from vidrnn.settings.base import validate
from vidrnn.settings.data import DataSettings


@pytest.fixture(scope="module")
def lists(data_root) -> Path:
    folder = data_root / "lists"
    if not folder.is_dir():
        pytest.skip(f"the official lists are not at {folder}")
    return folder


def read(root: Path, kind: str, where: str, **settings: object) -> tuple[tuple[Annotation, ...], list[str]]:
    notes: list[str] = []
    tree = {"root": str(root), "format": kind, "annotations": where} | settings
    return read_annotations(validate(DataSettings, tree), notes), notes


@pytest.mark.parametrize(("number", "train", "test"), [(1, 9537, 3783), (2, 9586, 3734), (3, 9624, 3696)])
def test_ucf101(lists, number, train, test):
    found, notes = read(lists, "ucf101", "ucf101_splits", split_number=number)
    assert Counter(each.split for each in found) == {"train": train, "test": test}
    assert (len({each.label for each in found}), notes) == (101, [])


@pytest.mark.parametrize("number", [1, 2, 3])
def test_hmdb51(lists, number):
    found, notes = read(lists, "hmdb51", "hmdb51_splits", split_number=number)
    assert Counter(each.split for each in found) == {"train": 3570, "test": 1530}
    assert (len({each.label for each in found}), notes) == (51, [])


def test_activitynet(lists):
    found, notes = read(lists, "activitynet", "activitynet_v1_3.json")
    assert len({each.path for each in found}) == len(found)
    assert Counter(each.split for each in found) == {"train": 9649, "val": 4728}
    assert len({name for each in found for name in each.names}) == 200
    (note,) = notes
    assert note.startswith(
        f"{lists / 'activitynet_v1_3.json'}: 12 segments without length were left out, the first at "
    )


def test_thumos14_in_the_form_of_activitynet(lists):
    """Its text files hold a line ``video start end`` per segment; most people have them as one JSON of this form."""
    database: dict[str, dict[str, object]] = {}
    for subset, folder in (("validation", "annotations_val"), ("testing", "annotations_test")):
        for path in sorted((lists / "thumos14" / folder).glob("*_*.txt")):
            label = path.stem.rsplit("_", 1)[0]
            if label == "Ambiguous":  # no class
                continue
            for name, start, end in map(str.split, path.read_text().splitlines()):
                own = database.setdefault(name, {"subset": subset, "annotations": []})
                own["annotations"].append({"segment": [float(start), float(end)], "label": label})  # type: ignore[attr-defined]
    assert len(database) == 412
    found, notes = _through_json(database)
    assert (len(found), notes) == (412, [])
    several = [each for each in found if each.first_overlap is not None]
    assert len(several) == len([each for each in database.values() if _overlaps(each["annotations"])]) == 51


def _through_json(database: dict[str, dict[str, object]]) -> tuple[tuple[Annotation, ...], list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "thumos14.json").write_text(json.dumps({"database": database}))
        return read(Path(folder), "activitynet", "thumos14.json")


def _overlaps(annotations: object) -> bool:
    spans = [(*each["segment"], each["label"]) for each in annotations]  # type: ignore[attr-defined]
    return any(
        one is not other and one[2] != other[2] and one[0] < other[1] and other[0] < one[1]
        for one in spans
        for other in spans
    )
