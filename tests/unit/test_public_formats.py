"""`vidrnn.annotations`: the lists of public data sets and other tools to annotations, and what is refused."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest
import yaml

from vidrnn.annotations import Annotation, Segment, read_annotations
from vidrnn.config import validate
from vidrnn.errors import MissingPathError, VidrnnError
from vidrnn.sequences.splits import split_annotations
from vidrnn.settings import DataSettings, RunSettings

UCF_CLASSES = "1 ApplyEyeMakeup\r\n2 HandstandPushups\r\n"
UCF_TRAIN = "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\r\nHandstandPushups/v_HandStandPushups_g09_c02.avi 2\r\n"
UCF_TEST = "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi\nHandStandPushups/v_HandStandPushups_g01_c01.avi\n"
KINETICS_HEADER = "label,youtube_id,time_start,time_end,split\n"


def data_settings(root: Path, kind: str, annotations: str, **settings: object) -> DataSettings:
    return validate(DataSettings, {"root": str(root), "format": kind, "annotations": annotations} | settings)


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def refused(settings: DataSettings, kind: type[VidrnnError] = VidrnnError) -> str:
    """The whole message, with the root written as ROOT."""
    with pytest.raises(kind) as caught:
        read_annotations(settings)
    return str(caught.value).replace(str(settings.root), "ROOT")


def ucf(root: Path, *, classes: str = UCF_CLASSES, train: str = UCF_TRAIN, test: str = UCF_TEST, **settings: object):
    write(root, {"l/classInd.txt": classes, "l/trainlist02.txt": train, "l/testlist02.txt": test})
    return data_settings(root, "ucf101", "l", split_number=2, **settings)


def test_ucf101_takes_spelling_of_classes_from_classind_and_of_paths_from_the_lists(tmp_path: Path) -> None:
    assert read_annotations(ucf(tmp_path)) == (
        Annotation("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi", "ApplyEyeMakeup", "test", "g01"),
        Annotation("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi", "ApplyEyeMakeup", "train", "g08"),
        Annotation("HandStandPushups/v_HandStandPushups_g01_c01.avi", "HandstandPushups", "test", "g01"),
        Annotation("HandstandPushups/v_HandStandPushups_g09_c02.avi", "HandstandPushups", "train", "g09"),
    )


def test_ucf101_classes_may_count_from_0_and_videos_lie_flat(tmp_path: Path) -> None:
    settings = ucf(
        tmp_path,
        classes="0 ApplyEyeMakeup\n1 HandstandPushups",
        train="ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 0\nHandstandPushups/v_HandStandPushups_g09_c02.avi 1",
        video_path="clips/{name}.mp4",
    )
    assert [(each.path, each.label) for each in read_annotations(settings)] == [
        ("clips/v_ApplyEyeMakeup_g01_c01.mp4", "ApplyEyeMakeup"),
        ("clips/v_ApplyEyeMakeup_g08_c01.mp4", "ApplyEyeMakeup"),
        ("clips/v_HandStandPushups_g01_c01.mp4", "HandstandPushups"),
        ("clips/v_HandStandPushups_g09_c02.mp4", "HandstandPushups"),
    ]


def test_validation_is_carved_from_ucf101s_training_list_by_group(tmp_path: Path) -> None:
    rows = [
        f"{name}/v_{name}_g{group:02}_c{clip:02}.avi {number}"
        for number, name in ((1, "ApplyEyeMakeup"), (2, "HandstandPushups"))
        for group in range(8, 18)
        for clip in (1, 2)
    ]
    settings = ucf(tmp_path, train="\n".join(rows))
    splits = split_annotations(read_annotations(settings), settings)
    assert {name: len({each.group for each in members}) for name, members in splits.items()} == {
        "train": 8, "val": 2, "test": 1,
    }  # fmt: skip
    assert len(splits["val"]) == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": UCF_TEST},
         ("ROOT/l/trainlist02.txt, line 1: 'ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi'; "
          "expected 'Class/v_Class_g01_c01.avi 1'")),
        ({"test": "\n\nv_Run_g01_c01.avi"},
         "ROOT/l/testlist02.txt, line 3: 'v_Run_g01_c01.avi'; expected 'Class/v_Class_g01_c01.avi'"),
        ({"test": "Run/v_Run_g01_c01.avi"},
         ("ROOT/l/testlist02.txt, line 1: class 'Run' is not in classInd.txt; add it there, or correct the folder")),
        ({"train": "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 2"},
         ("ROOT/l/trainlist02.txt, line 1: folder 'ApplyEyeMakeup' with number 2, which is 'HandstandPushups' in "
          "classInd.txt; make the two agree")),
        ({"train": "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 3"},
         ("ROOT/l/trainlist02.txt, line 1: label 3 is not among the 2 classes numbered 1 to 2; a class file without "
          "numbers counts from 0, so write 'number name' on each of its lines for labels that count from 1")),
        ({"test": "ApplyEyeMakeup/mine.avi"},
         ("ROOT/l/testlist02.txt, line 1: name 'mine'; expected v_Class_gNN_cNN, where gNN is the group")),
        ({"test": UCF_TRAIN},
         ("ROOT/l/testlist02.txt, line 1: video 'ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi' is listed twice, as "
          "'ApplyEyeMakeup' (train) and 'ApplyEyeMakeup' (test); keep one")),
        ({"classes": UCF_CLASSES + "3 Apply Eye_makeup"},
         "ROOT/l/classInd.txt: 'ApplyEyeMakeup' and 'Apply Eye_makeup' look like one class; use one spelling"),
        ({"classes": UCF_CLASSES + "2 Run"},
         "ROOT/l/classInd.txt, line 3: number 2 is 'HandstandPushups' already; give each class its own"),
        ({"test": " \n"}, "ROOT/l/testlist02.txt is empty; give one line per entry"),
    ],
)  # fmt: skip
def test_wrong_ucf101_lists_are_refused_with_their_line(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    assert refused(ucf(tmp_path, **changes)) == message


def test_missing_lists_are_named(tmp_path: Path) -> None:
    settings = ucf(tmp_path)
    (tmp_path / "l" / "testlist02.txt").unlink()
    end = "does not exist; the path is taken relative to data.root"
    assert refused(settings, MissingPathError) == f"'ROOT/l/testlist02.txt' {end}"
    assert refused(data_settings(tmp_path, "activitynet", "a.json"), MissingPathError) == f"'ROOT/a.json' {end}"
    assert refused(data_settings(tmp_path, "hmdb51", "gone"), MissingPathError) == (
        "data.annotations: 'ROOT/gone' is not a folder; give the one that holds brush_hair_test_split1.txt ..."
    )


def test_hmdb51_groups_are_what_was_cut_from_one_source_for_one_class(tmp_path: Path) -> None:
    write(tmp_path, {
        "l/brush_hair_test_split1.txt": (
            "April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1 \nApril_09_brush_hair_u_cm_np2_fr_med_11.avi 1 \n"
            "(Rad) Zähne & mehr!_brush_hair_h_nm_np1_le_bad_0.avi 2\nunused_brush_hair_h_nm_np1_le_bad_0.avi 0\n"
            "short_name.avi 1\n"
        ),
        "l/brush_hair_test_split2.txt": "April_09_brush_hair_u_nm_np1_ba_goo_0.avi 2",
        "l/eat_test_split1.txt": "April_09_eat_u_nm_np1_ba_goo_0.avi 2",
    })  # fmt: skip
    group = "April_09_brush_hair"
    assert read_annotations(data_settings(tmp_path, "hmdb51", "l")) == (
        Annotation("brush_hair/(Rad) Zähne & mehr!_brush_hair_h_nm_np1_le_bad_0.avi", "brush_hair", "test",
                   "(Rad) Zähne & mehr!_brush_hair"),
        Annotation("brush_hair/April_09_brush_hair_u_cm_np2_fr_med_11.avi", "brush_hair", "train", group),
        Annotation("brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi", "brush_hair", "train", group),
        Annotation("brush_hair/short_name.avi", "brush_hair", "train", "short_name"),
        Annotation("eat/April_09_eat_u_nm_np1_ba_goo_0.avi", "eat", "test", "April_09_eat"),
    )  # fmt: skip
    assert [each.split for each in read_annotations(data_settings(tmp_path, "hmdb51", "l", split_number=2))] == ["test"]


@pytest.mark.parametrize("row", ["a.avi 3", "a.avi", "a 1"])
def test_wrong_hmdb51_lists_are_refused_with_their_line(tmp_path: Path, row: str) -> None:
    write(tmp_path, {"l/eat_test_split1.txt": f"b.avi 1\n{row}\n"})
    assert refused(data_settings(tmp_path, "hmdb51", "l")) == (
        f"ROOT/l/eat_test_split1.txt, line 2: {row!r}; expected 'name.avi 0', 1 or 2 (0 unused, 1 train, 2 test)"
    )
    assert refused(data_settings(tmp_path, "hmdb51", "l", split_number=3)) == (
        "ROOT/l holds no list <class>_test_split3.txt; give the folder of the lists"
    )


def test_kinetics_files_are_named_after_id_and_seconds_and_grouped_by_id(tmp_path: Path) -> None:
    write(tmp_path, {
        "k/train.csv": b"\xef\xbb\xbf" + f"{KINETICS_HEADER}air drumming,-0aB_cdefg1,3,13,train\n".encode(),
        "k/validate.csv": f'{KINETICS_HEADER}"dive, high",ZZZZZZZZZZZ,120,130.0,validate\n',
    })  # fmt: skip
    assert read_annotations(data_settings(tmp_path, "kinetics", "k")) == (
        Annotation("air drumming/-0aB_cdefg1_000003_000013.mp4", "air drumming", "train", "-0aB_cdefg1"),
        Annotation("dive, high/ZZZZZZZZZZZ_000120_000130.mp4", "dive, high", "val", "ZZZZZZZZZZZ"),
    )
    by_split = data_settings(tmp_path, "kinetics", "k/train.csv", video_path="{split}/{name}.mkv")
    assert [each.path for each in read_annotations(by_split)] == ["train/-0aB_cdefg1_000003_000013.mkv"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("youtube_id,time_start,time_end,split\n",
         (", line 1: header 'youtube_id,time_start,time_end,split'; "
          "expected label,youtube_id,time_start,time_end,split[,is_cc]")),
        (KINETICS_HEADER + "run,#NAME?,1,11,train",
         (", line 2: youtube_id '#NAME?' is not 11 letters, digits, - or _; spreadsheets spoil ids that begin with -, "
          "so take the CSV as it was published")),
        (KINETICS_HEADER + "run,ZZZZZZZZZZZ,1.5,11,train",
         ", line 2: time_start '1.5' is not a number of whole seconds; file names are made of it"),
        (KINETICS_HEADER + "run,ZZZZZZZZZZZ,1,11,holdout",
         ", line 2: split 'holdout' is unknown; allowed: train, val, validate, test"),
        (KINETICS_HEADER + ",ZZZZZZZZZZZ,1,11,train",
         ", line 2: path '/ZZZZZZZZZZZ_000001_000011.mp4' has an empty label; name its class"),
        (KINETICS_HEADER + "run,ZZZZZZZZZZZ,1,11,train\n" * 2,
         (", line 3: video 'run/ZZZZZZZZZZZ_000001_000011.mp4' is listed twice, as 'run' (train) and 'run' (train); "
          "keep one")),
        (KINETICS_HEADER + "run far,ZZZZZZZZZZZ,1,11,train\nrun_far,YYYYYYYYYYY,1,11,train\n",
         ": 'run far' and 'run_far' look like one class; use one spelling"),
        (KINETICS_HEADER, " has no rows; add one row per clip"),
        ("läuft".encode("latin-1"), (" is not UTF-8 ('utf-8' codec can't decode byte 0xe4 in position 1: invalid "
         "continuation byte); save it as UTF-8")),
    ],
)  # fmt: skip
def test_a_wrong_kinetics_csv_is_refused_with_its_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    write(tmp_path, {"k.csv": content})
    assert refused(data_settings(tmp_path, "kinetics", "k.csv")) == f"ROOT/k.csv{message}"


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
         ("ROOT/l/train.txt, line 2: label 2 is not among the 2 classes numbered 0 to 1; a class file without numbers "
          "counts from 0, so write 'number name' on each of its lines for labels that count from 1")),
        ("mmaction", {"l/train.txt": "a.mp4 0\nframes/b 1 1"},
         ("ROOT/l/train.txt, line 2: path 'frames/b' has no video's suffix; lists of frame folders "
          "('path frames number') are not read, give the list of videos")),
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
        Annotation("v_d.mp4", "", "train", "d", labels=("Long jump", "High jump")),
    )
    moved = read_annotations(anet(tmp_path, {"c": database["c"]}, video_path="{split}/{name}.mkv"))
    assert [each.path for each in moved] == ["val/c.mkv"]


@pytest.mark.parametrize(
    ("database", "message"),
    [
        ({}, ": no videos under 'database'; expected {\"database\": {id: ...}}"),
        ({"a": {"subset": "training"}}, ", video 'a': expected an object with 'subset' and a list 'annotations'"),
        ({"a": video("dev")}, ", video 'a': subset 'dev' is unknown; allowed: training, validation, testing"),
        ({"a": video("training", (3, 3, "run"))},
         ", video 'a': segment from 3 to 3 s: start must be at least 0 and before the end"),
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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "kinetics"}, "format kinetics needs data.annotations, relative to data.root: docs/annotations.md"),
        ({"format": "ucf101", "annotations": "l", "classes": "c.txt"},
         "data.classes is for the formats pyslowfast and mmaction, not for ucf101"),
        ({"format": "mmaction", "annotations": "l", "video_path": "{name}.mp4"},
         "data.video_path is for ucf101, hmdb51, kinetics and activitynet, not for mmaction"),
        ({"format": "kinetics", "annotations": "l", "video_path": "{label}.mp4"},
         "data.video_path '{label}.mp4' must hold {name} and no other braces than {label}, {name}, {split}"),
        ({"format": "activitynet", "annotations": "l", "video_path": "{label}/{name}.mp4"},
         "data.video_path '{label}/{name}.mp4' must hold {name} and no other braces than {name}, {split}"),
    ],
)  # fmt: skip
def test_settings_that_a_format_does_not_read_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(VidrnnError) as caught:
        validate(DataSettings, {"root": "r"} | settings)
    assert str(caught.value).endswith(message)


def test_braces_in_names_are_no_placeholders(tmp_path: Path) -> None:
    write(tmp_path, {"l/eat_test_split1.txt": "a{label}.avi 1"})
    found = read_annotations(data_settings(tmp_path, "hmdb51", "l", video_path="{label}/{name}.avi"))
    assert found == (Annotation("eat/a{label}.avi", "eat", "train", "a{label}"),)


def test_every_block_of_the_page_about_annotations_is_a_configuration() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "annotations.md").read_text(encoding="utf-8")
    found = [validate(RunSettings, yaml.safe_load(text)) for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    formats = get_args(DataSettings.model_fields["format"].annotation)
    assert [each.data.format for each in found] == [name for name in formats if name not in {"folder", "csv"}]
    assert all(f"| `{name}` |" in page for name in formats)
