"""MS-TCN folders: rows to segments by a stated rate, lists to splits and folds, each mistake with its line."""

import numpy as np
import pytest

from tests.annotation_files import data_settings, refused, write
from vidrnn.annotations import Annotation, Segment, read_annotations
from vidrnn.errors import AnnotationError, ConfigError, MissingPathError

FILES = {
    "m/mapping.txt": "0 cut\n1 peel tomato\n2 background\n",
    "m/groundTruth/a.txt": "background\ncut\ncut\npeel tomato\n",
    "m/groundTruth/b.txt": "\ufeffcut\r\ncut\r\n\r\n",
    "m/groundTruth/c.txt": "background\nbackground",
    "m/splits/train.split1.bundle": "b.txt\nc.txt\n",
    "m/splits/test.split1.bundle": "a.txt\n",
    "m/splits/train.split2.bundle": "a.txt\n",
    "m/splits/test.split2.bundle": "b.txt\nc.txt\n",
}


def settings(root, **changes):
    return data_settings(root, "mstcn", "m", **{"frame_rate": 2.0} | changes)


def test_rows_become_segments_and_test_lists_folds(tmp_path):
    write(tmp_path, FILES)
    segments = (Segment(0.5, 1.5, "cut"), Segment(1.5, 2.0, "peel tomato"))
    assert read_annotations(settings(tmp_path)) == (
        Annotation("a.mp4", "", "test", "split1", segments=segments, listed_s=2.0),
        Annotation("b.mp4", "", "train", "split2", segments=(Segment(0.0, 1.0, "cut"),), listed_s=1.0),
        Annotation("c.mp4", "", "train", "split2", segments=(), listed_s=1.0),
    )
    second = read_annotations(settings(tmp_path, split_number=2, video_path="v/{split}/{name}.avi"))
    assert [(each.path, each.split) for each in second] == [
        ("v/test/b.avi", "test"), ("v/test/c.avi", "test"), ("v/train/a.avi", "train"),
    ]  # fmt: skip


def test_without_lists_no_split_is_named_and_a_video_is_its_own_group(tmp_path):
    write(tmp_path, {name: text for name, text in FILES.items() if "splits" not in name})
    found = read_annotations(settings(tmp_path))
    assert [(each.split, each.group) for each in found] == [(None, "a.mp4"), (None, "b.mp4"), (None, "c.mp4")]


def test_lists_that_share_videos_are_no_folds_and_a_video_in_none_is_left_out(tmp_path):
    write(
        tmp_path, FILES | {"m/splits/test.split2.bundle": "a.txt\nb.txt\n", "m/splits/train.split2.bundle": "a.txt\n"}
    )
    notes: list[str] = []
    assert refused(settings(tmp_path, split_number=2), AnnotationError) == (
        "ROOT/m/splits/test.split2.bundle, line 1: 'a' is in the list of train too; keep one"
    )
    write(tmp_path, {"m/splits/train.split2.bundle": "c.txt\n", "m/groundTruth/d.txt": "cut"})
    found = read_annotations(settings(tmp_path, split_number=2), notes)
    assert [(each.path, each.group) for each in found] == [(f"{name}.mp4",) * 2 for name in "abc"]
    assert notes == [
        f"{tmp_path / 'm'}: 1 videos are in no list of split 2 and were left out, the first 'd'"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "changes", "kind", "message"),
    [
        ({"m/groundTruth/a.txt": "cut\n\ncut"}, {}, AnnotationError,
         "ROOT/m/groundTruth/a.txt, line 2: no label; every row is the label of one frame"),
        ({"m/groundTruth/a.txt": "cut\npeel"}, {}, AnnotationError,
         ("ROOT/m/groundTruth/a.txt, line 2: label 'peel' is not in mapping.txt, which has background, cut, "
          "peel tomato")),
        ({"m/groundTruth/a.txt": ""}, {}, AnnotationError,
         "ROOT/m/groundTruth/a.txt, line 1: no label; every row is the label of one frame"),
        ({"m/splits/test.split1.bundle": "a.txt\ne.txt"}, {}, AnnotationError,
         "ROOT/m/splits/test.split1.bundle, line 2: 'e' has no file in groundTruth; add it or drop the line"),
        ({}, {"split_number": 3}, MissingPathError,
         "data.split_number: ROOT/m/splits has no train.split3.bundle and test.split3.bundle; there are 1, 2"),
        ({}, {"frame_rate": None}, ConfigError,
         ("data.frame_rate is needed: the annotations of 'a.mp4' have a row for each frame and no times; set the "
          "rows per second, or let `vidrnn convert --to csv` take the times from the videos")),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_where_it_is(tmp_path, files, changes, kind, message):
    write(tmp_path, FILES | files)
    assert refused(settings(tmp_path, **changes), kind) == message


def test_times_may_come_from_the_videos(tmp_path):
    """Frames of a phone are not evenly spaced; a row more or less than frames is noted, another number refused."""
    write(tmp_path, {"m/groundTruth/a.txt": "cut\n" * 3 + "peel\n" * 2})
    times = np.array([0.0, 0.1, 0.4, 0.5, 0.6])
    ends = {4: 0.6, 3: 0.5}

    def read(frames):
        notes: list[str] = []
        bounds = np.append(times[:frames], ends.get(frames, 0.7))
        (found,) = read_annotations(settings(tmp_path, frame_rate=None), notes, bounds_of={"a.mp4": bounds}.__getitem__)
        return [(each.start_s, each.end_s, each.label) for each in found.segments or ()], notes

    assert read(5) == ([(0.0, 0.5, "cut"), (0.5, 0.7, "peel")], [])
    assert read(4) == (
        [(0.0, 0.5, "cut"), (0.5, pytest.approx(0.7), "peel")],
        ["a.mp4: has 4 frames, and its annotations go to frame 5"],
    )
    with pytest.raises(
        AnnotationError, match=r"'a.mp4' has 2 frames, and its annotations go to frame 5; they are about"
    ):
        read(2)
