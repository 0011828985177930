"""`vidrnn.annotations`: lists of other tools and ActivityNet's JSON to annotations, and what is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.annotation_files import data_settings, refused, write
from vidrnn.annotations import Annotation, Segment, read_annotations
from vidrnn.errors import VidrnnError
from vidrnn.settings.data import DataSettings


def test_pyslowfast_lists_split_from_the_right_at_a_space_or_comma(tmp_path: Path) -> None:
    write(tmp_path, {
        "l/train.csv": b"\xef\xbb\xbfa b/c, 1.mp4 0\r\n./d.mp4,1\r\n", "l/val.csv": "e.mp4\t1\n", "l/notes.txt": "x",
        "names.json": '{"\\"run\\"": 0, "walk slowly": 1}',
    })  # fmt: skip
    settings = data_settings(tmp_path, "pyslowfast", "l", classes="names.json")
    assert read_annotations(settings) == (
        Annotation("a b/c, 1.mp4", "run", "train", "a b/c, 1.mp4"),
        Annotation("d.mp4", "walk slowly", "train", "d.mp4"),
        Annotation("e.mp4", "walk slowly", "val", "e.mp4"),
    )


def test_one_list_names_no_split_and_numbers_are_names_without_a_class_file(tmp_path: Path) -> None:
    write(tmp_path, {"train.csv": "p1/a.mp4 0\np2/b.mp4 12\n"})
    settings = data_settings(tmp_path, "pyslowfast", "train.csv", group_pattern="^(p[0-9])/")
    assert read_annotations(settings) == (
        Annotation("p1/a.mp4", "0", None, "p1"), Annotation("p2/b.mp4", "12", None, "p2"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("classes", "labels"),
    [("run\n10 m sprint\n", "0 1"), ("7 run\n9 10 m sprint\n", "7 9"), ("1,run\n2,10 m sprint", "1 2")],
)
def test_class_files_count_from_0_unless_every_line_has_a_number(tmp_path: Path, classes: str, labels: str) -> None:
    first, second = labels.split()
    write(tmp_path, {"list.txt": f"a.mp4 {first}\nb.mp4 {second}\n", "names.txt": classes})
    found = read_annotations(data_settings(tmp_path, "mmaction", "list.txt", classes="names.txt"))
    assert [each.label for each in found] == ["run", "10 m sprint"]


def test_mmaction_lists_with_several_labels_give_labels_for_every_video(tmp_path: Path) -> None:
    write(tmp_path, {"my_train_list_videos.txt": "a 1.mp4 2 0\nb.mp4 1\n", "classes.txt": "run\njump\nsit"})
    settings = data_settings(tmp_path, "mmaction", "my_train_list_videos.txt", classes="classes.txt")
    assert read_annotations(settings) == (
        Annotation("a 1.mp4", "", None, "a 1.mp4", labels=("sit", "run")),
        Annotation("b.mp4", "", None, "b.mp4", labels=("jump",)),
    )


@pytest.mark.parametrize(("first", "names"), [(0, "run\njump\nsit"), (1, "1 run\n2 jump\n3 sit")])
def test_mmaction_lists_of_frame_folders_have_the_number_of_frames_before_the_label(tmp_path, first, names) -> None:
    rows = f"some/a_1 163 {first + 2}\nsome/b (2) 122 {first}\n"  # as hmdb51_train_split_1_rawframes.txt
    write(tmp_path, {"l/train_rawframes.txt": rows, "l/val_rawframes.txt": f"c 7 {first + 1}", "names.txt": names})
    settings = data_settings(tmp_path, "mmaction", "l", classes="names.txt", media="frames")
    assert read_annotations(settings) == (
        Annotation("c", "jump", "val", "c", listed_frames=7),
        Annotation("some/a_1", "sit", "train", "some/a_1", listed_frames=163),
        Annotation("some/b (2)", "run", "train", "some/b (2)", listed_frames=122),
    )


def test_mmaction_lists_of_frame_folders_with_several_labels(tmp_path: Path) -> None:
    write(tmp_path, {"list.txt": "a 163 2 0\nb 122 1\n"})
    assert read_annotations(data_settings(tmp_path, "mmaction", "list.txt", media="frames")) == (
        Annotation("a", "", None, "a", labels=("2", "0"), listed_frames=163),
        Annotation("b", "", None, "b", labels=("1",), listed_frames=122),
    )


def test_mmaction_lists_of_still_images(tmp_path: Path) -> None:
    write(tmp_path, {"list.txt": "a.jpg 0\nb.PNG 1\n"})
    found = read_annotations(data_settings(tmp_path, "mmaction", "list.txt", media="pictures"))
    assert [(each.path, each.label) for each in found] == [("a.jpg", "0"), ("b.PNG", "1")]


@pytest.mark.parametrize(
    ("media", "row", "message"),
    [
        ("frames", "a.mp4 3 1",
         "path 'a.mp4' has a video's suffix, but data.media is frames; lists of videos need videos"),
        ("frames", "a 3",
         "'a 3' does not end in a class number; expected 'path/folder 120 0' (120 frames), without a header"),
        ("frames", "a 0 163 1",
         ("path 'a' has 0 frames; rows 'path start frames number' (with_offset) are not read, so give each clip a "
          "folder of its own")),
        ("pictures", "a.mp4 1", "path 'a.mp4' has no picture's suffix, but data.media is pictures"),
    ],
)  # fmt: skip
def test_lists_that_do_not_fit_the_media_are_refused_with_their_line(tmp_path, media, row, message) -> None:
    write(tmp_path, {"list.txt": row})
    settings = data_settings(tmp_path, "mmaction", "list.txt", media=media)
    assert refused(settings) == f"ROOT/list.txt, line 1: {message}"


@pytest.mark.parametrize(
    ("kind", "files", "message"),
    [
        ("pyslowfast", {"l/train.csv": "path,label\na.mp4,0"},
         ("ROOT/l/train.csv, line 1: 'path,label' does not end in a class number; expected 'path/clip.mp4 0', "
          "without a header")),
        ("pyslowfast", {"l/train.csv": "a.mp4 0\nb.mp4"},
         ("ROOT/l/train.csv, line 2: 'b.mp4' does not end in a class number; expected 'path/clip.mp4 0', "
          "without a header")),
        ("mmaction", {"l/train.txt": "a.mp4 0\nb.mp4 2"},
         ("ROOT/l/train.txt, line 2: label 2 is not among the 2 classes numbered 0 to 1. A class file without numbers "
          "counts from 0; for labels that count from 1, write 'number name' on each of its lines")),
        ("mmaction", {"l/train.txt": "a.mp4 0\nframes/b 1 1"},
         ("ROOT/l/train.txt, line 2: path 'frames/b' has no video's suffix; for lists of frame folders "
          "('path frames number') set data.media: frames, for still images data.media: pictures")),
        ("mmaction", {"l/train.txt": "a.mp4 0", "l/val.txt": "b.mp4 1\na.mp4 1"},
         "ROOT/l/val.txt, line 2: video 'a.mp4' is listed twice, as 'run' (train) and 'walk' (val); keep one"),
        ("mmaction", {"l/train.txt": "../a.mp4 0"},
         ("ROOT/l/train.txt, line 1: path '../a.mp4' is not inside data.root; give it relative to the root without "
          "'..', or absolute")),
        ("pyslowfast", {"l/train_1.txt": "a.mp4 0", "l/train_2.txt": "b.mp4 1"},
         ("data.annotations: ROOT/l/train_2.txt is a second list of a split, or of two; keep one list each for train, "
          "val and test in the folder")),
        ("pyslowfast", {"l/list.txt": "a.mp4 0"},
         ("data.annotations: ROOT/l holds no .csv or .txt with train, val or test in its name; name them so, or give "
          "one file")),
    ],
)  # fmt: skip
def test_wrong_lists_are_refused_with_their_line(
    tmp_path: Path,
    kind: str,
    files: dict[str, str],
    message: str,
) -> None:
    write(tmp_path, files | {"classes.txt": "run\nwalk"})
    assert refused(data_settings(tmp_path, kind, "l", classes="classes.txt")) == message


def test_a_class_file_with_something_else_than_a_number_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"l.txt": "a.mp4 0", "c.json": '{"run": 0, "walk": "1"}', "t.json": '{"run": 0, "run": 1}'})
    assert refused(data_settings(tmp_path, "pyslowfast", "l.txt", classes="c.json")) == (
        "ROOT/c.json, 'walk': number '1' is not a whole number; write {name: number}"
    )
    assert refused(data_settings(tmp_path, "pyslowfast", "l.txt", classes="t.json")) == (
        "ROOT/t.json: key 'run' stands twice; keep one of the two"
    )


def anet(root: Path, database: object, **settings: object) -> DataSettings:
    write(root, {"anet.json": json.dumps({"version": "1.3", "taxonomy": [], "database": database})})
    return data_settings(root, "activitynet", "anet.json", **settings)


def video(subset: str, *segments: tuple[float, float, str]) -> dict[str, object]:
    annotations = [{"segment": [start, end], "label": label} for start, end, label in segments]
    return {"subset": subset, "duration": 60.0, "url": "https://example.org", "annotations": annotations}


def test_activitynet_segments_are_sorted_and_joined_and_secret_subsets_left_out(tmp_path: Path) -> None:
    database = {
        "a": video("training", (5, 9.5, "Long jump"), (0, 2, "High jump"), (9, 12, "Long jump"), (12, 13, "Long jump")),
        "b": video("validation"),
        "c": video("validation", (0.0, 1.0, "High jump")),
        "d": video("training", (0, 8, "Long jump"), (4, 9, "High jump")),
        "e": video("testing"),
    }
    jumps = (Segment(0, 2, "High jump"), Segment(5, 12, "Long jump"), Segment(12, 13, "Long jump"))
    assert read_annotations(anet(tmp_path, database)) == (
        Annotation("v_a.mp4", "", "train", "a", segments=jumps),
        Annotation("v_b.mp4", "", "val", "b", segments=()),
        Annotation("v_c.mp4", "", "val", "c", segments=(Segment(0, 1, "High jump"),)),
        Annotation("v_d.mp4", "", "train", "d", segments=(Segment(0, 8, "Long jump"), Segment(4, 9, "High jump"))),
    )
    moved = read_annotations(anet(tmp_path, {"c": database["c"]}, video_path="{split}/{name}.mkv"))
    assert [each.path for each in moved] == ["val/c.mkv"]


@pytest.mark.parametrize(
    ("database", "message"),
    [
        ({}, ": no videos under 'database'; expected {\"database\": {id: ...}}"),
        ({"a": {"subset": "training"}}, ", video 'a': expected an object with 'subset' and a list 'annotations'"),
        ({"a": video("dev")}, ", video 'a': subset 'dev' is unknown; allowed: training, validation, testing"),
        ({"a": video("training", (4, 3, "run"))},
         ", video 'a': segment from 4 to 3 s: start must be at least 0 and before the end"),
        ({"a": video("training", (3, 4, " "))},
         (", video 'a': annotation {'segment': [3, 4], 'label': ' '}; expected "
          '{"segment": [start_s, end_s], "label": "name"}')),
        ({"a": {"subset": "training", "annotations": [{"segment": ["1", 2], "label": "run"}]}},
         (", video 'a': annotation {'segment': ['1', 2], 'label': 'run'}; expected "
          '{"segment": [start_s, end_s], "label": "name"}')),
        ({"a": video("training", (0, 1, "Run")), "b": video("training", (0, 1, "run"))},
         ": 'Run' and 'run' look like one class; use one spelling"),
        ({"a": video("testing")}, ": no video has any annotation; give the file that holds the labels"),
    ],
)  # fmt: skip
def test_a_wrong_activitynet_file_is_refused_with_the_video(tmp_path: Path, database: object, message: str) -> None:
    assert refused(anet(tmp_path, database)) == f"ROOT/anet.json{message}"


def test_what_is_no_json_object_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"a.json": '{"database":\n x}', "b.json": "[]", "folder/c.json": "{}"})
    assert refused(data_settings(tmp_path, "activitynet", "a.json")) == "ROOT/a.json, line 2: not JSON: Expecting value"
    assert refused(data_settings(tmp_path, "activitynet", "b.json")) == (
        "ROOT/b.json: expected an object in braces, got list"
    )
    assert refused(data_settings(tmp_path, "activitynet", "folder")) == (
        "'ROOT/folder' is a folder; give the file inside it"
    )


HUGE = json.dumps({"database": {"a": video("training", (0, 1, "run"))}}).replace("[0, 1]", f"[0, 1{'0' * 400}]")


@settings(max_examples=200)
@given(
    kind=st.sampled_from(["pyslowfast", "mmaction", "kinetics", "activitynet"]),
    content=st.text() | st.binary() | st.text("a/.mp4 ,0123\n"),
)
@example(kind="activitynet", content=HUGE)
@example(kind="activitynet", content="[" * 100_000)
@example(kind="pyslowfast", content="a.mp4 " + "1" * 5000)
def test_any_file_is_read_or_refused_with_its_name(
    tmp_path_factory: pytest.TempPathFactory, kind: str, content: str | bytes
) -> None:
    """No content ends in another exception than one of vidrnn's."""
    folder = tmp_path_factory.mktemp("any")
    write(folder, {"list": content})
    refusal = None
    try:
        found = read_annotations(data_settings(folder, kind, "list"))
    except VidrnnError as error:
        refusal = str(error)
    assert f"{folder}/list" in refusal if refusal else all(annotation.names for annotation in found)
