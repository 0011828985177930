"""`vidrnn report` on files that a hand has edited: what is odd is named, without a traceback."""

import json
from pathlib import Path

import pytest

from tests.unit.reporting.report_worlds import Page, write_run
from vidrnn.errors import ConfigError, MissingPathError
from vidrnn.reporting.options import ReportOptions
from vidrnn.reporting.report import write_report
from vidrnn.settings.model import Head

NO_CLIPS = ReportOptions(clips=0)


def text_of(place: Path) -> str:
    return Page(write_report(place, options=NO_CLIPS).path).text


@pytest.mark.parametrize(
    ("head", "column", "value", "said"),
    [
        ("multilabel", "predicted", "Wave", "class 'Wave' of 'clips/0.mp4' has no column"),
        ("step_multilabel", "predicted", "Wave", "class 'Wave' of 'clips/0.mp4' has no column"),
        ("label", "p_run", "nan", "nan of 'clips/0.mp4' is no probability"),
        ("multilabel", "p_run", "1.5", "1.5 of 'clips/0.mp4' is no probability"),
        ("label", "score", "inf", "inf of 'clips/0.mp4' is no probability"),
        ("step_labels", "score", "-0.5", "-0.5 of 'clips/0.mp4' is no probability"),
    ],
)
def test_a_cell_that_was_edited_is_named(tmp_path: Path, head: Head, column: str, value: str, said: str) -> None:
    folder = write_run(tmp_path / "run", head)
    header, first, *rest = (folder / "predictions.csv").read_text().splitlines()
    cells = first.split(",")
    cells[header.split(",").index(column)] = value
    (folder / "predictions.csv").write_text("\n".join([header, ",".join(cells), *rest]) + "\n")
    written = write_report(folder, options=NO_CLIPS)
    assert f"predictions.csv cannot be used ({said}" in Page(written.path).text
    assert said in written.notes[0]


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"versions": [1]}, "versions holds [1] where an object is wanted"),
        ({"folds": 3}, "folds holds 3 where a list of objects is wanted"),
        ({"folds": [3]}, "folds holds 3 where a list of objects is wanted"),
        ({"per_class": 3}, "per_class holds 3 where a list of objects is wanted"),
        ({"head": ["a"]}, "head holds ['a'] where a text is wanted"),
        ({"baselines": [0.5]}, "baselines holds [0.5] where an object is wanted"),
        ({"per_class": [{"label": ["a"], "threshold": "x"}]}, ""),
        ({"baselines": {"majority": 10**400}}, ""),
    ],
)
@pytest.mark.parametrize("has_table", [True, False])
def test_a_figure_of_another_kind_is_named(
    tmp_path: Path, part: dict[str, object], said: str, *, has_table: bool
) -> None:
    folder = write_run(tmp_path / "run", "multilabel", root=tmp_path)
    figures = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(figures | part))
    if not has_table:
        (folder / "predictions.csv").unlink()
    text = text_of(folder)
    assert "mAP" in text
    assert (f"metrics.json is damaged ({said})" in text) == bool(said) == ("is damaged" in text)


def test_a_head_that_nobody_knows_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"head": "labels"}')
    with pytest.raises(MissingPathError, match="the head is 'labels', and known are label, "):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("told_apart", None, "told_apart holds None where true or false is wanted"),
        ("pairs", 3, "pairs holds 3 where a list of objects is wanted"),
        ("pairs", [{}], "seeds of a pair holds None"),
        ("pairs", [{"seeds": [0, 0], "a": "x"}], "a of a pair holds 'x' where a number is wanted"),
        ("head", ["a"], r"head holds \['a'\] where a text is wanted"),
        ("pairs", [{"seeds": [0, 0], "a": None, "b": 0.5, "only_a": None, "only_b": 2}], ""),
    ],
)
def test_a_comparison_with_an_odd_part_is_named(tmp_path: Path, key: str, value: object, said: str) -> None:
    """A figure that is not defined is null, and has a dash."""
    pair = {"seeds": [0, 0], "a": 0.5, "b": 0.5, "only_a": 0, "only_b": 0}
    values = {"folder_a": "a", "folder_b": "b", "head": "label", "sentence": "same", "told_apart": False}
    file = tmp_path / "ab.json"
    file.write_text(json.dumps(values | {"pairs": [pair]} | {key: value}))
    if said:
        with pytest.raises(ConfigError, match=said):
            write_report(file)
    else:
        assert "– 0.500 –" in text_of(file)


ANSWERS = "path,status,label,score,top_k,error\na.mp4,ok,run,SCORE,run:TOP|sit:0.1,\n"


@pytest.mark.parametrize("number", ["nan", "inf", "1.5", "-0.5"])
def test_a_score_of_classify_that_is_no_probability_is_refused(tmp_path: Path, number: str) -> None:
    file = tmp_path / "labels.csv"
    for scores in (("0.9", number), (number, "0.9")):
        file.write_text(ANSWERS.replace("SCORE", scores[0]).replace("TOP", scores[1]))
        with pytest.raises(ConfigError, match=f"score {number} is no probability"):
            write_report(file)
    file.write_text(f"path,status,start,end,label,score,error\na.mp4,ok,{number},nan,run,0.9,\n")
    with pytest.raises(ConfigError, match="is no finite number"):
        write_report(file)


def test_what_a_spreadsheet_saved_is_read_or_told_why(tmp_path: Path) -> None:
    """A byte order mark in front changes nothing; semicolons between the cells are named."""
    folder = write_run(tmp_path / "run", "label")
    predictions, answers = folder / "predictions.csv", tmp_path / "labels.csv"
    text = predictions.read_text()
    predictions.write_text(text, encoding="utf-8-sig")
    assert "What is confused with what" in text_of(folder)
    predictions.write_text(text.replace(",", ";"), encoding="utf-8-sig")
    assert "predictions.csv cannot be read: its cells are separated by semicolons" in text_of(folder)
    answers.write_text(ANSWERS.replace(",", ";"))
    with pytest.raises(ConfigError, match="its cells are separated by semicolons; save it as CSV with commas"):
        write_report(answers)
