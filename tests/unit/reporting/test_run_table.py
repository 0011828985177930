"""`vidrnn runs`: every run below a folder in a row, with the numbers of its files."""

import csv
import io
import json
import math
import os
from pathlib import Path

import pytest

from tests.integration.world import call
from tests.unit.reporting.report_worlds import HEADS, LABELS, write_run
from tests.worlds import make_run, make_search
from vidrnn.evaluation.comparison import compare
from vidrnn.evaluation.metrics import HEADLINES
from vidrnn.evaluation.report import write_json
from vidrnn.evaluation.video_figures import read_figures
from vidrnn.experiments.crossval import run_crossval
from vidrnn.experiments.evaluate import evaluate
from vidrnn.experiments.train import train
from vidrnn.experiments.tune import tune
from vidrnn.reporting.run_table import find_runs, in_order


def values_of(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_what_every_verb_writes_has_a_row_with_its_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The numbers are those of the files, read here by hand."""
    settings, runs = make_run(tmp_path / "data", splits=True), tmp_path / "runs"
    train(settings, output=runs / "a")
    evaluate(runs / "a" / "model.safetensors", settings, split="test", output=runs / "a" / "test")
    for name in ("cv", "cw"):
        run_crossval(make_run(tmp_path / name), output=runs / name, jobs=1)
    tune(make_search(tmp_path / "space", tuning={"trials": 1}), output=runs / "deep" / "search")
    compared = compare(read_figures(runs / "cv"), read_figures(runs / "cw")).as_dict()
    write_json(runs / "ab.json", {"folder_a": str(runs / "cv"), "folder_b": str(runs / "cw"), **compared})
    (runs / "other.json").write_text('{"a": 1}')

    rows, damaged = find_runs([runs, runs / "a"])
    assert damaged == []
    found = {str(Path(row.name).relative_to(runs)): row for row in rows}
    kinds = {name: row.kind for name, row in found.items()}
    assert kinds == {
        "a": "train", "a/test": "evaluate", "ab.json": "compare", "cv": "crossval", "cw": "crossval",
        "deep/search": "tune",
    }  # fmt: skip
    trained, tested = values_of(runs / "a" / "metrics.json"), values_of(runs / "a" / "test" / "metrics.json")
    crossed, tuned = values_of(runs / "cv" / "crossval.json"), values_of(runs / "deep" / "search" / "tune.json")
    numbers = {name: row.number for name, row in found.items() if name != "cw"}
    assert numbers == {
        "a": trained["val_top1"],
        "a/test": tested["top1"],
        "ab.json": compared["difference"],
        "cv": crossed["top1_mean"],
        "deep/search": tuned["best_val_top1"],
    }
    row = found["cv"]
    assert [row.low, row.high] == crossed["top1_interval"]
    assert row.baseline_number == max(crossed["baselines"].values()) == crossed["baselines"][row.baseline]
    assert (row.head, row.streams, row.cell, row.data, row.videos, row.classes) == (
        "label",
        "rgb",
        "gru",
        "list.csv",
        16,
        2,
    )
    assert (row.version, row.config) == (crossed["versions"]["vidrnn"], crossed["config_digest"])
    assert (found["a"].figure, found["a"].videos, found["a/test"].videos) == ("val top-1", 4, 4)
    assert (found["deep/search"].baseline, found["deep/search"].baseline_number) == (
        "untuned",
        tuned["untuned_val_top1"],
    )

    text = call(capsys, "runs", runs)
    assert (text.code, text.err, len(text.out.splitlines())) == (0, "", 2 + len(rows))
    assert f"{crossed['top1_mean']:.3f}" in next(line for line in text.out.splitlines() if " crossval " in line)
    as_json = json.loads(call(capsys, "runs", runs, "--json").out)
    as_csv = list(csv.DictReader(io.StringIO(call(capsys, "runs", runs, "--csv").out)))
    assert [one["name"] for one in as_json] == [one["name"] for one in as_csv] == [row.name for row in rows]
    assert float(as_csv[0]["number"]) == as_json[0]["number"] == rows[0].number


@pytest.mark.parametrize("head", HEADS)
def test_every_head_has_its_own_headline_and_the_better_baseline(tmp_path: Path, head) -> None:
    """Of an error the lowest baseline is the best."""
    write_run(tmp_path / "run", head, root=tmp_path, baselines={"high": 0.9, "low": 0.1})
    (row,), damaged = find_runs([tmp_path])
    headline = HEADLINES[head]
    assert (damaged, row.head, row.figure) == ([], head, headline.title)
    assert row.number == values_of(tmp_path / "run" / "metrics.json")[headline.name]
    assert row.baseline == ("high" if headline.higher_is_better else "low")
    assert row.classes in {len(LABELS), None}


def test_damaged_folders_cost_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "fine", "label", root=tmp_path)
    for name, text in {"cut": '{"top1": 0.', "list": "[1, 2]", "empty": ""}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(text)
    (tmp_path / "stopped").mkdir()
    (tmp_path / "stopped" / "checkpoint.safetensors").write_bytes(b"")
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "tune.json").write_text("{}")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "loop").symlink_to(tmp_path)
    outcome = call(capsys, "runs", tmp_path)
    assert outcome.code == 3
    assert len(outcome.out.splitlines()) == 3
    lines = outcome.err.splitlines()
    assert len(lines) == 5 and all(line.startswith("damaged: ") for line in lines)
    assert sum("metrics.json is damaged" in line for line in lines) == 3
    assert any("a training was stopped there" in line for line in lines)
    assert any("holds no configuration" in line for line in lines)


def test_a_configuration_of_another_version_leaves_the_number(tmp_path: Path, capsys) -> None:
    write_run(tmp_path / "run", "label")
    (tmp_path / "run" / "config.yaml").write_text("model: {brain: 3}")
    outcome = call(capsys, "runs", tmp_path)
    assert (outcome.code, len(outcome.out.splitlines())) == (0, 3)
    assert "config.yaml is of another version" in outcome.err


def test_rows_are_sorted_as_asked(tmp_path: Path) -> None:
    for number, (name, head, figures) in enumerate(
        [("b", "label", {"top1": 0.5}), ("a", "label", {"top1": 0.7}), ("c", "regression", {"mae": 2.0}),
         ("d", "regression", {"mae": 1.0}), ("e", "label", {"top1": None})]
    ):  # fmt: skip
        folder = write_run(tmp_path / name, head, **figures)
        os.utime(folder / "metrics.json", (1e9 + 60 * number, 1e9 + 60 * number))
    rows, _ = find_runs([tmp_path])

    def names(order) -> str:
        return "".join(Path(row.name).name for row in in_order(rows, order))

    assert (names("name"), names("date"), names("number")) == ("abcde", "edcab", "dcabe")
    assert math.isnan(next(row for row in rows if row.name.endswith("e")).number)


def test_nothing_and_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = call(capsys, "runs", tmp_path)
    assert outcome.code == 0 and outcome.out.startswith("no runs; ")
    outcome = call(capsys, "runs", tmp_path / "gone")
    assert outcome.code == 2 and "is no folder" in outcome.err
    assert call(capsys, "runs", tmp_path, "--sort", "size").code == 2
    assert call(capsys, "runs", tmp_path, "--csv", "--json").code == 2
