"""Files of segments as their users have them, whole."""

from collections import Counter
from pathlib import Path

import pytest

from vidrnn.annotations import Annotation, read_annotations
from vidrnn.settings.base import validate
from vidrnn.settings.data import DataSettings


def folder(data_root: Path, name: str) -> Path:
    if not (data_root / name).exists():
        pytest.skip(f"{name} is not in {data_root}")
    return data_root / name


def read(root: Path, kind: str, where: str, **settings: object) -> tuple[tuple[Annotation, ...], list[str]]:
    notes: list[str] = []
    tree = {"root": str(root), "format": kind, "annotations": where} | settings
    return read_annotations(validate(DataSettings, tree), notes), notes


@pytest.mark.parametrize("number", range(1, 6))
def test_50salads_in_the_layout_of_mstcn(data_root, number):
    """Five official folds of ten; each row is in a segment."""
    root = folder(data_root, "salads_eval")
    found, notes = read(root, "mstcn", ".", split_number=number, frame_rate=1.0)
    assert Counter(each.split for each in found) == {"train": 40, "test": 10}
    assert Counter(each.group for each in found) == {f"split{fold}": 10 for fold in range(1, 6)}
    assert {each.group for each in found if each.split == "test"} == {f"split{number}"}
    assert len({name for each in found for name in each.names}) == 10
    for each in found:
        rows = (root / "groundTruth" / f"{Path(each.path).stem}.txt").read_text().split()
        said = [label for own in each.segments or () for label in [own.label] * round(own.end_s - own.start_s)]
        assert said == rows
    assert notes == []
