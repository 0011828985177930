"""Formats with a row per frame: DeepEthogram, FERAL, Cholec80. Rows become segments; each mistake is named by its
place."""

import json

import pytest

from tests.annotation_files import data_settings, refused, write
from vidrnn.annotations import Annotation, Segment, read_annotations
from vidrnn.errors import AnnotationError, ConfigError


def read(root, kind, where, **settings):
    notes: list[str] = []
    return read_annotations(data_settings(root, kind, where, **settings), notes), notes


LABELS = ",background,groom,rear\n0,0,1,0\n1,0,1,1\n2,1,0,0\n3,-1,-1,-1\n4,0,0,1\n"


def test_deepethogram_tells_what_nobody_looked_at(tmp_path):
    """A column of -1.0 is what DeepEthogram writes for a behaviour that a project got later."""
    write(tmp_path, {
        "DATA/a/a_labels.csv": LABELS,
        "DATA/b/b_labels.csv": "\ufeff;none;groom;rear\r\n0;0;1.0;-1.0\r\n1;1;0.0;\r\n",
        "DATA/b/b_outputs.csv": "x",
    })  # fmt: skip
    found, notes = read(tmp_path, "deepethogram", "DATA", frame_rate=2.0, video_path="DATA/{name}.avi")
    assert found == (
        Annotation("DATA/a/a.avi", "", None, "DATA/a/a.avi",
                   segments=(Segment(0, 1, "groom"), Segment(0.5, 1, "rear"), Segment(2, 2.5, "rear")),
                   unlabelled=(Segment(1.5, 2),), listed_frames=5, listed_s=2.5),
        Annotation("DATA/b/b.avi", "", None, "DATA/b/b.avi", segments=(Segment(0, 0.5, "groom"),),
                   unlabelled=(Segment(0, 1, "rear"),), listed_frames=2, listed_s=1.0),
    )  # fmt: skip
    assert notes == []
    (alone,), _ = read(tmp_path, "deepethogram", "DATA/a/a_labels.csv", frame_rate=2.0)
    assert alone.path == "a.mp4"


def test_a_frame_that_is_background_and_a_behaviour_is_counted(tmp_path):
    write(tmp_path, {"a_labels.csv": ",background,groom\n0,1,1\n1,1,0\n"})
    (found,), notes = read(tmp_path, "deepethogram", ".", frame_rate=1.0)
    assert found.segments == (Segment(0, 1, "groom"),)
    assert notes == [f"{tmp_path / 'a_labels.csv'}: 1 frames are both background and a behaviour; the behaviour counts"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LABELS.replace("1,0,1,1", "1,0,2,1"),
         "line 3: 'groom' is '2'; allowed: 1 (seen), 0 (not seen), -1 or nothing (nobody looked)"),
        (LABELS.replace("2,1,0,0", "1,1,0,0"),
         "line 4: frame '1'; expected 2, for each row is the next frame from 0 on"),
        (LABELS.replace("2,1,0,0", "2,1,0"),
         "line 4: 3 values for 4 columns; put a value that holds a comma into double quotes"),
        (",background\n0,1\n", ("line 1: header ',background'; expected a column that counts frames, then background, "
                               "then one column for each behaviour")),
        (",a,a\n0,1,1\n", ("line 1: header ',a,a'; expected a column that counts frames, then background, then "
                           "one column for each behaviour")),
    ],
)  # fmt: skip
def test_a_wrong_deepethogram_file_is_refused_with_its_line(tmp_path, content, message):
    write(tmp_path, {"a_labels.csv": content})
    assert refused(data_settings(tmp_path, "deepethogram", ".", frame_rate=1.0)) == f"ROOT/a_labels.csv, {message}"


def feral(**changes):
    tree = {
        "class_names": {"0": "background", "1": "eat", "2": "sleep"},
        "is_multilabel": False,
        "labels": {"a.mp4": [0, 1, 1, 2], "b/b.mp4": [2, 2], "c.mp4": [1]},
        "splits": {"train": ["a.mp4"], "val": [], "test": ["b/b.mp4"], "inference": ["c.mp4", "d.mp4"]},
    }
    return json.dumps(tree | changes)


def test_feral_of_one_label_per_frame(tmp_path):
    write(tmp_path, {"f.json": feral()})
    found, notes = read(tmp_path, "feral", "f.json", frame_rate=1.0)
    assert found == (
        Annotation("a.mp4", "", "train", "a.mp4", segments=(Segment(1, 3, "eat"), Segment(3, 4, "sleep")),
        listed_frames=4, listed_s=4.0), Annotation("b/b.mp4", "", "test", "b/b.mp4", segments=(Segment(0, 2, "sleep"),),
        listed_frames=2, listed_s=2.0),
    )  # fmt: skip
    assert notes == [
        f"{tmp_path / 'f.json'}: 1 videos train and test nothing and were left out, the first 'c.mp4'"
    ]  # fmt: skip
    found, _ = read(tmp_path, "feral", "f.json", frame_rate=1.0, video_path="v/{split}/{name}.avi")
    assert [each.path for each in found] == ["v/test/b/b.avi", "v/train/a.avi"]


def test_feral_of_several_labels_per_frame_and_without_splits(tmp_path):
    rows = [[0, 1, 0], [0, 1, 1], [1, 0, 0]]
    write(tmp_path, {"f.json": feral(is_multilabel=True, labels={"a.mp4": rows}, splits=None)})
    (found,), _ = read(tmp_path, "feral", "f.json", frame_rate=1.0)
    assert (found.split, found.segments) == (None, (Segment(0, 2, "eat"), Segment(1, 2, "sleep")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": {"a.mp4": [0, 3]}, "splits": None}, ", video 'a.mp4': frame 1: 3 is no class; allowed: 0 to 2"),
        ({"labels": {"a.mp4": [0, True]}, "splits": None},
         ", video 'a.mp4': frame 1: True is no class; allowed: 0 to 2"),
        ({"labels": {"a.mp4": [[0, 1, 0], [0, 1]]}, "splits": None},
         ", video 'a.mp4': frame 1: [0, 1]; expected 3 values of 0 or 1, one for each class"),
        ({"labels": {"a.mp4": [[0, 1, 0], [0, 1, -1]]}, "splits": None},
         ", video 'a.mp4': frame 1: [0, 1, -1]; expected 3 values of 0 or 1, one for each class"),
        ({"labels": {"a.mp4": []}, "splits": None}, ", video 'a.mp4': has no rows; expected one for each frame"),
        ({"splits": {"train": ["x.mp4"]}}, ": 'x.mp4' is in the split 'train' and has no labels; add them"),
        ({"splits": {"train": ["a.mp4"], "test": ["a.mp4"]}},
         ": 'a.mp4' is in the splits 'train' and 'test'; keep one"),
        ({"splits": {"trian": ["a.mp4"]}}, ": split 'trian' is unknown; allowed: train, val, test, inference"),
        ({"class_names": {"1": "eat"}}, ": class_names are {'1': 'eat'}; expected a name for each number from 0 on"),
        ({"class_names": {"0": "eat", "1": "Eat", "2": "x"}},
         ": 'eat' and 'Eat' look like one class; use one spelling"),
    ],
)  # fmt: skip
def test_a_wrong_feral_file_is_refused_with_its_frame(tmp_path, changes, message):
    write(tmp_path, {"f.json": feral(**changes)})
    assert refused(data_settings(tmp_path, "feral", "f.json", frame_rate=1.0)) == f"ROOT/f.json{message}"


def test_cholec80_phases_and_tools(tmp_path):
    write(tmp_path, {
        "p/video01-phase.txt": "Frame\tPhase\r\n0\tPreparation\r\n1\tPreparation\r\n2\tClipping Cutting\r\n",
        "t/video01-tool.txt": "Frame\tGrasper\tHook\n0\t1\t0\n25\t1\t1\n50\t0\t1\n",
    })  # fmt: skip
    (phases,), _ = read(tmp_path, "cholec80", "p")
    assert phases == Annotation(
        "videos/video01.mp4", "", None, "videos/video01.mp4",
        segments=(Segment(0, 0.08, "Preparation"), Segment(0.08, 0.12, "Clipping Cutting")), listed_s=0.12
    )  # fmt: skip
    (tools,), _ = read(tmp_path, "cholec80", "t", video_path="{name}.avi", frame_rate=50)
    assert (tools.path, tools.segments) == ("video01.avi", (Segment(0, 1, "Grasper"), Segment(0.5, 1.5, "Hook")))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"c/a-phase.txt": "Frame\tPhase\n0\tA\n0\tB\n"},
         "ROOT/c/a-phase.txt, line 3: frame '0'; expected a whole number above 0"),
        ({"c/a-phase.txt": "Frame\tPhase\nx\tA\n"},
         "ROOT/c/a-phase.txt, line 2: frame 'x'; expected a whole number from 0 on"),
        ({"c/a-phase.txt": "Frame\tPhase\n0\t\n"}, "ROOT/c/a-phase.txt, line 2: no phase; name one, or background"),
        ({"c/a-phase.txt": "Frame\tLabel\n0\tA\n"},
         "ROOT/c/a-phase.txt, line 1: header ('Frame', 'Label'); expected Frame and Phase, separated by a tab"),
        ({"c/a-tool.txt": "Frame\tHook\n0\t2\n"},
         "ROOT/c/a-tool.txt, line 2: values ['2']; allowed: 0 or 1 for each tool"),
        ({"c/a-tool.txt": "Frame\tHook\n", "c/a-phase.txt": ""},
         ("data.annotations: ROOT/c holds 1 files *-phase.txt and 1 *-tool.txt; give a folder with one of the two "
          "kinds")),
    ],
)  # fmt: skip
def test_a_wrong_cholec80_file_is_refused_with_its_line(tmp_path, files, message):
    write(tmp_path, files)
    assert refused(data_settings(tmp_path, "cholec80", "c"), AnnotationError) == message


@pytest.mark.parametrize(("kind", "name", "content"), [("deepethogram", ".", LABELS), ("feral", "f.json", feral())])
def test_a_rate_is_never_guessed(tmp_path, kind, name, content):
    write(tmp_path, {"a_labels.csv" if name == "." else name: content})
    assert refused(data_settings(tmp_path, kind, name), ConfigError).startswith("data.frame_rate is needed: ")
