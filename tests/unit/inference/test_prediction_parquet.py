"""`vidrnn.inference.prediction_parquet`: the rows of a CSV as a Parquet file, whole or not there."""

import csv
import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.unit.inference.test_prediction_file import SAID, read_rows, write
from vidrnn.errors import ConfigError
from vidrnn.inference import predicted_annotations, prediction_parquet
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.prediction_file import PredictionWriter, finished_paths
from vidrnn.inference.written_predictions import read_predictions
from vidrnn.settings.model import Head

FAILED = Prediction("c\udce9.mp4", "failed", error="holds no frame")


def written_twice(folder: Path, head: Head, *predictions: Prediction) -> tuple[Path, Path]:
    for name in ("out.csv", "out.parquet"):
        write(folder / name, head, *predictions)
    return folder / "out.csv", folder / "out.parquet"


@pytest.mark.parametrize("head", get_args(Head))
def test_it_has_the_columns_and_values_of_the_csv(tmp_path: Path, head: Head, monkeypatch) -> None:
    """Numbers are numbers, empty cells are null; also where the rows fill several groups."""
    monkeypatch.setattr(prediction_parquet, "_AT_A_TIME", 2)
    rows, path = written_twice(tmp_path, head, Prediction('a, "b".mp4', "ok", SAID[head]), FAILED)
    header, *cells = read_rows(rows)
    table = parquet.read_table(path)
    assert table.schema.names == header
    for name, kind in zip(table.schema.names, table.schema.types, strict=True):
        is_number = name in {"start", "end", "score", "target"}
        assert kind == (pa.float64() if is_number else pa.string()), name
        place = header.index(name)
        expected = [None if not row[place] else float(row[place]) if is_number else row[place] for row in cells]
        assert table[name].to_pylist() == expected
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "out.csv", "out.csv.origin.json", "out.parquet", "out.parquet.origin.json",
    ]  # fmt: skip


@pytest.mark.parametrize("head", get_args(Head))
def test_it_is_read_as_the_csv_is(tmp_path: Path, head: Head) -> None:
    """By `annotate`, `cut`, `report` and by `convert`; and back to the very bytes of the CSV."""
    rows, path = written_twice(tmp_path, head, Prediction("a.mp4", "ok", SAID[head]), FAILED)
    assert prediction_parquet.read_as_csv(path) == rows.read_bytes()
    assert read_predictions(path) == read_predictions(rows)
    as_annotations = [predicted_annotations.read_predictions(file, root=Path(), notes=[]) for file in (rows, path)]
    assert as_annotations[0] == as_annotations[1]


@pytest.mark.parametrize("head", ["label", "step_labels"])
def test_after_a_kill_the_rows_are_there_and_a_resumed_run_makes_the_same_file(tmp_path: Path, head: Head) -> None:
    """What was killed has no Parquet file yet, and loses only what a CSV loses."""
    said, names = SAID[head], ["a.mp4", "b.mp4", "c.mp4"]
    videos = [Prediction(name, "ok", said, head=head) for name in names]
    write(tmp_path / "whole.parquet", head, *videos)
    path = tmp_path / "out.parquet"
    put = PredictionWriter(path, head=head, origin={}).__enter__()
    for video in videos[:2]:
        put(video)  # and killed
    assert not path.exists()
    done = finished_paths(path)
    assert done == ({"a.mp4", "b.mp4"} if head == "label" else {"a.mp4"})
    write(path, head, *(video for video in videos if video.path not in done), append=True)
    assert parquet.read_table(path) == parquet.read_table(tmp_path / "whole.parquet")
    assert not list(tmp_path.glob("*.rows.csv")) and not list(tmp_path.glob(".*"))


def test_an_error_on_the_way_keeps_the_earlier_file_and_the_new_rows(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    write(path, "label", Prediction("a.mp4", "ok", SAID["label"]))
    before = path.read_bytes()
    writer = PredictionWriter(path, origin={})
    writer.__enter__()(Prediction("b.mp4", "ok", SAID["label"]))
    writer.__exit__(KeyboardInterrupt, None, None)
    assert path.read_bytes() == before
    assert finished_paths(path) == {"b.mp4"}


def test_a_finished_file_is_continued_and_failures_are_tried_again(tmp_path: Path) -> None:
    path, said = tmp_path / "out.parquet", SAID["step_labels"]
    write(path, "step_labels", Prediction("a.mp4", "ok", said), FAILED)
    assert finished_paths(path) == {"a.mp4"}
    again = replace(FAILED, status="ok", rows=said, error=None, head="step_labels")
    with PredictionWriter(path, head="step_labels", append=True, again=[FAILED.path], origin={}) as put:
        put(again)
    assert [found.path for found in read_predictions(path)] == ["a.mp4", FAILED.path]
    assert finished_paths(path) == {"a.mp4", FAILED.path}
    assert json.loads((tmp_path / "out.parquet.origin.json").read_text())["bytes"] > 0


def test_what_is_no_file_of_predictions_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.parquet"
    parquet.write_table(pa.table({"price": [1.0]}), path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="is there and holds no predictions"):
        PredictionWriter(path)
    assert path.read_bytes() == before
    path.write_bytes(b"PAR1 cut off")
    with pytest.raises(ConfigError, match="is there and holds no predictions"):
        PredictionWriter(path)
    with pytest.raises(ConfigError, match="is no Parquet file of predictions"):
        read_predictions(path)
    with (tmp_path / "new.parquet.rows.csv").open("w", newline="") as file:
        csv.writer(file).writerow(["date", "price"])
    with pytest.raises(ConfigError, match=r"rows\.csv' is there and holds no predictions"):
        PredictionWriter(tmp_path / "new.parquet")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"needs pyarrow; pip install 'vidrnn\[parquet\]', or write a \.csv"):
        PredictionWriter(tmp_path / "other.parquet")
