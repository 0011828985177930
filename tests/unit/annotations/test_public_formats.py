"""`vidrnn.annotations`: the lists of public data sets and other tools to annotations, and what is refused."""

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from tests.annotation_files import data_settings, refused, write
from vidrnn.annotations import Annotation, read_annotations
from vidrnn.annotations.splits import split_annotations
from vidrnn.errors import MissingPathError, VidrnnError
from vidrnn.settings.base import validate
from vidrnn.settings.data import DataSettings
from vidrnn.settings.run import RunSettings

UCF_CLASSES = "1 ApplyEyeMakeup\r\n2 HandstandPushups\r\n"
UCF_TRAIN = "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\r\nHandstandPushups/v_HandStandPushups_g09_c02.avi 2\r\n"
UCF_TEST = "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi\nHandStandPushups/v_HandStandPushups_g01_c01.avi\n"
KINETICS_HEADER = "label,youtube_id,time_start,time_end,split\n"


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
         ("ROOT/l/trainlist02.txt, line 1: label 3 is not among the 2 classes numbered 1 to 2. A class file without "
          "numbers counts from 0; for labels that count from 1, write 'number name' on each of its lines")),
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
    end = "does not exist; correct the path (a configuration gives it relative to data.root)"
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
        ("label,youtube_id,time_start,split\n",
         (", line 1: header 'label,youtube_id,time_start,split'; "
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
        (KINETICS_HEADER, " has no rows with a label; add one row per clip"),
        ("youtube_id,time_start,time_end,split\nZZZZZZZZZZZ,1,11,test\n",
         " has no rows with a label; add one row per clip"),
        ("läuft".encode("latin-1"), ", line 1: b'l\\xe4uft' is not UTF-8; save the file as UTF-8"),
    ],
)  # fmt: skip
def test_a_wrong_kinetics_csv_is_refused_with_its_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    write(tmp_path, {"k.csv": content})
    assert refused(data_settings(tmp_path, "kinetics", "k.csv")) == f"ROOT/k.csv{message}"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "kinetics"}, "format kinetics needs data.annotations, relative to data.root: docs/annotations.md"),
        ({"format": "ucf101", "annotations": "l", "classes": "c.txt"},
         "data.classes is for the formats pyslowfast and mmaction, not for ucf101"),
        ({"format": "mmaction", "annotations": "l", "video_path": "{name}.mp4"},
         "data.video_path is for formats that do not name paths themselves, not for mmaction"),
        ({"format": "ucf101", "annotations": "l", "split_number": 4},
         "data.split_number 4 is none of the official ones; allowed: 1, 2, 3"),
        ({"format": "csv", "annotations": "l", "frame_rate": 25},
         "data.frame_rate is for mstcn, deepethogram, feral, cholec80, not for csv"),
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
    page = (Path(__file__).resolve().parents[3] / "docs" / "annotations.md").read_text(encoding="utf-8")
    found = [validate(RunSettings, yaml.safe_load(text)) for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    formats = get_args(DataSettings.model_fields["format"].annotation)
    shown = dict.fromkeys(each.data.format for each in found)
    assert [name for name in shown if name != "folder"] == [name for name in formats if name not in {"folder", "csv"}]
    assert all(f"| `{name}` |" in page for name in formats)
