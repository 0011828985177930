"""Names that print alike are one class; what a spreadsheet made of names, and lists without answers, get a note."""

import json
import unicodedata
from pathlib import Path

import pytest

from tests.annotation_files import data_settings, refused, write
from vidrnn.annotations import Annotation, LabelMap, Segment, read_annotations

COMPOSED, DECOMPOSED = unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")


def read(root: Path, kind: str, name: str) -> tuple[tuple[Annotation, ...], list[str]]:
    notes: list[str] = []
    return read_annotations(data_settings(root, kind, name), notes), [each.replace(str(root), "ROOT") for each in notes]


def test_two_forms_of_one_name_are_one_class_and_one_group(tmp_path):
    assert COMPOSED != DECOMPOSED
    write(tmp_path, {"l.csv": f"path,label,group\na.mp4,{COMPOSED},{DECOMPOSED}\nb.mp4,{DECOMPOSED},{COMPOSED}\n"})
    found, notes = read(tmp_path, "csv", "l.csv")
    assert ({each.label for each in found}, {each.group for each in found}, notes) == ({COMPOSED}, {COMPOSED}, [])
    assert Annotation("a", "", None, "a", labels=(DECOMPOSED,)).names == (COMPOSED,)
    assert Segment(0, 1, DECOMPOSED).label == COMPOSED
    old = LabelMap(("a", DECOMPOSED))  # of a model that was trained before
    assert (old.index(DECOMPOSED), old.index(COMPOSED), old.names) == (1, 1, ("a", COMPOSED))


def test_two_class_folders_of_one_name_are_one_class(tmp_path):
    for name in (COMPOSED, DECOMPOSED):
        write(tmp_path, {f"{name}/clip.mp4": b"x"})
    if len(list(tmp_path.iterdir())) == 2:  # file systems of macOS hold one of the two
        found = read_annotations(data_settings(tmp_path, "folder", "unused"))
        assert [each.label for each in found] == [COMPOSED] * 2


def test_numbers_in_several_spellings_and_missing_values_get_a_note(tmp_path):
    rows = "".join(f"{name}.mp4,{name}\n" for name in ("1", "1.0", "01", "2", "nan", "1-1"))
    write(tmp_path, {"l.csv": f"path,label\n{rows}"})
    found, notes = read(tmp_path, "csv", "l.csv")
    assert len({each.label for each in found}) == 6
    assert notes == [
        "class 'nan' looks like a missing value; if it is one, leave these videos out",
        "'01', '1' and '1.0' are one number, but 3 classes; if they are meant as one, use one spelling",
    ]


def test_a_test_list_without_labels_is_left_out_with_a_note(tmp_path):
    write(
        tmp_path,
        {
            "k/test.csv": "youtube_id,time_start,time_end,split\nZZZZZZZZZZZ,1,11,test\nYYYYYYYYYYY,1,11,test\n",
            "k/train.csv": "label,youtube_id,time_start,time_end,split\nrun,XXXXXXXXXXX,1,11,train\n",
        },
    )
    found, notes = read(tmp_path, "kinetics", "k")
    assert [each.group for each in found] == ["XXXXXXXXXXX"]
    assert notes == ["ROOT/k/test.csv: its 2 clips have no labels and were left out; nothing can be scored on them"]


def test_segments_without_length_are_left_out_and_counted(tmp_path):
    spans = [{"segment": [1.0, 1.0], "label": "run"}, {"segment": [2.0, 3.0], "label": "run"}]
    database = {"a": {"subset": "training", "annotations": spans}}
    write(tmp_path, {"a.json": json.dumps({"database": database})})
    found, notes = read(tmp_path, "activitynet", "a.json")
    assert found[0].segments == (Segment(2.0, 3.0, "run"),)
    assert notes == [
        "ROOT/a.json: 1 segments without length were left out, the first at 1 s in 'v_a.mp4' (run); they say nothing"
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
def test_a_list_may_be_in_utf_16_as_some_programs_write_it(tmp_path, encoding):
    content = "path,label\r\na.mp4,läuft\r\n"
    write(tmp_path, {"a.csv": content.encode(encoding)})
    (found,) = read_annotations(data_settings(tmp_path, "csv", "a.csv"))
    assert (found.path, found.label) == ("a.mp4", "läuft")


def test_an_error_shows_the_beginning_of_a_header_that_is_a_whole_file(tmp_path):
    write(tmp_path, {"a.csv": '{"project": ' + "x" * 10_000})
    message = refused(data_settings(tmp_path, "csv", "a.csv"))
    assert "characters)" in message and len(message) < 500
