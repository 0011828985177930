"""Files of segments as their users have them, whole."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from vidrnn.annotations import Annotation, read_annotations
from vidrnn.annotations.segments import presence_at
from vidrnn.annotations.writers import write_annotations
from vidrnn.annotations.writing import Footage, Writing
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


@pytest.mark.parametrize(("name", "classes"), [("labels_singlelabel.json", 5), ("labels_multilabel.json", 6)])
def test_feral_gives_every_label_of_every_frame(data_root, name, classes):
    """17 of 18 videos; the last is FERAL's `inference`. The rows are those of the file, whatever overlaps."""
    root = folder(data_root, "feral")
    found, notes = read(root, "feral", name, frame_rate=30.0, video_path="videos/{name}.mp4")
    tree = json.loads((root / name).read_text())
    names = [tree["class_names"][str(at)] for at in range(classes)]
    assert Counter(each.split for each in found) == {"train": 12, "val": 3, "test": 2}
    assert "1 videos train and test nothing and were left out, the first 'synthetic_17.mp4'" in notes[0]
    for each in found:
        assert each.source(root).exists()
        rows = np.array(tree["labels"][Path(each.path).name])
        truth = rows.astype(bool) if rows.ndim == 2 else np.eye(classes, dtype=bool)[rows]
        times = np.arange(len(rows)) / 30.0
        assert (presence_at(each.segments or (), (), names, times) == truth).all()


def test_thumos14_as_published(data_root):
    root = folder(data_root, "lists/thumos14")
    found, notes = read(root, "thumos14", ".")
    assert Counter(each.split for each in found) == {"train": 200, "test": 213}
    assert (len({name for each in found for name in each.names}), notes) == (20, [])
    assert sum(each.first_overlap is not None for each in found) == 51


def test_a_project_of_boris_as_its_users_have_it(data_root):
    """12 observations: 5 live, 7 of four files, some of several in a row, with an offset, or of a second player."""
    root = folder(data_root, "lists/boris")
    found, notes = read(root, "boris", "test.boris")
    assert [each.path for each in found] == [
        "/home/user/video/video1.mp4", "/home/user/video/video1.mp4.re-encoded.640px.avi",
        "video_test_25fps_180s.mp4", "video_test_25fps_360s.mp4",
    ]  # fmt: skip
    assert [len(each.segments or ()) for each in found] == [1, 0, 5, 10]
    assert [note.partition("test.boris: ")[2] for note in notes[:2]] == [
        "5 observations are of no media file and were left out",
        "17 point events were left out, for they have no length",
    ]
    assert all((each.segments or ())[-1].end_s <= 360 for each in found if each.segments)


@pytest.mark.parametrize("kind", ["deepethogram", "feral", "boris", "eaf", "srt", "vtt", "csv"])
def test_labels_that_overlap_survive_other_formats(data_root, tmp_path, kind):
    """FERAL's rendered mice to another format and back: the same rows."""
    root = folder(data_root, "feral")
    found, _ = read(root, "feral", "labels_multilabel.json", frame_rate=30.0)
    frames = {each.path: each.listed_frames or 0 for each in found}
    where = {"feral": "f.json", "boris": "f.boris", "csv": "f.csv"}.get(kind, "f")
    writing = Writing(
        tmp_path / where, tmp_path, lambda video: Footage(np.arange(frames[video.path] + 1) / 30.0)
    )  # fmt: skip
    write_annotations(found, kind, writing)
    again, _ = read(tmp_path, kind, where, **({"frame_rate": 30.0} if kind in {"deepethogram", "feral"} else {}))
    names = sorted({name for each in found for name in each.names})
    assert [each.path for each in again] == [each.path for each in found]
    for one, other in zip(found, again, strict=True):
        times = np.arange(frames[one.path]) / 30.0
        tables = [presence_at(each.segments or (), (), names, times) for each in (one, other)]
        assert (tables[0] == tables[1]).all()
