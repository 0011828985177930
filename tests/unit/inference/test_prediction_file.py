"""`vidrnn.inference.prediction_file`: the rows of every head on disk, continued, cut off and refused."""

import csv
import io
import json
import os
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import get_args

import pytest

from vidrnn.errors import ConfigError
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.prediction_file import PredictionWriter, finished_paths, origin_of
from vidrnn.inference.prediction_rows import COLUMNS, PredictionRow
from vidrnn.names import original
from vidrnn.settings.model import Head

SAID: dict[Head, tuple[PredictionRow, ...]] = {
    "label": ({"label": 'say "hi"', "score": 0.75, "top_k": [('say "hi"', 0.75), ("jump, high", 0.25)]},),
    "multilabel": ({"labels": ["сидеть", "jump, high"], "top_k": [("сидеть", 0.9)]},),
    "step_labels": (
        {"start": 0.0, "end": 1.5, "label": "jump, high", "score": 0.5},
        {"start": 2.0, "end": 12345.678, "label": "сидеть", "score": 1 / 3},
    ),
    "step_multilabel": (
        {"start": 0.0, "end": 2.5, "label": "jump, high", "score": 0.5},
        {"start": 0.5, "end": 1.0, "label": "сидеть", "score": 0.75},
    ),
    "transcript": ({"labels": ["сидеть", "сидеть"]},),
    "regression": ({"target": 0.1},),
    "step_regression": ({"start": 0.0, "end": 0.1, "target": 3.0}, {"start": 0.1, "end": 0.2, "target": -1e-9}),
}


ROWS: dict[Head, list[list[str]]] = {
    "label": [['say "hi"', "0.750000", 'say "hi":0.750000|jump, high:0.250000']],
    "multilabel": [["сидеть|jump, high", "сидеть:0.900000"]],
    "step_labels": [["0", "1.5", "jump, high", "0.500000"], ["2", "12345.678", "сидеть", "0.333333"]],
    "step_multilabel": [["0", "2.5", "jump, high", "0.500000"], ["0.5", "1", "сидеть", "0.750000"]],
    "transcript": [["сидеть|сидеть"]],
    "regression": [["0.1"]],
    "step_regression": [["0", "0.1", "3"], ["0.1", "0.2", "-1e-09"]],
}


def write(path: Path, head: Head, *predictions: Prediction, append: bool = False) -> None:
    with PredictionWriter(path, head=head, append=append, origin={}) as put:
        for prediction in predictions:
            put(replace(prediction, head=head))


def read_rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("head", get_args(Head))
def test_a_csv_has_the_columns_of_the_head_and_a_row_for_every_answer(tmp_path: Path, head: Head) -> None:
    """A failed video has one row with its cause, whatever the head."""
    path = tmp_path / "new" / "out.csv"
    write(path, head, Prediction("a, b.mp4", "ok", SAID[head]), Prediction("c.mp4", "failed", error="holds no frame"))
    assert read_rows(path) == [
        ["path", "status", *COLUMNS[head], "error"],
        *(["a, b.mp4", "ok", *row, ""] for row in ROWS[head]),
        ["c.mp4", "failed", *[""] * len(COLUMNS[head]), "holds no frame"],
    ]


@pytest.mark.parametrize("head", get_args(Head))
def test_a_jsonl_has_one_object_per_video(tmp_path: Path, head: Head) -> None:
    path = tmp_path / "out.jsonl"
    write(path, head, Prediction("ü.mp4", "ok", SAID[head]), Prediction("c.mp4", "failed", error="holds no frame"))
    good, bad = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    said = json.loads(json.dumps(SAID[head]))  # pairs become lists
    in_segments = head in {"step_labels", "step_multilabel", "step_regression"}
    assert good == {"path": "ü.mp4", "status": "ok", **({"segments": said} if in_segments else said[0]), "error": None}
    nothing: dict[str, None] = dict.fromkeys(["segments"] if in_segments else COLUMNS[head])
    assert bad == {"path": "c.mp4", "status": "failed", **nothing, "error": "holds no frame"}
    assert "ü" in path.read_text(encoding="utf-8")


def test_a_video_without_any_segment_is_no_failure(tmp_path: Path) -> None:
    for name in ("out.csv", "out.jsonl"):
        write(tmp_path / name, "step_labels", Prediction("a.mp4", "ok"))
        assert finished_paths(tmp_path / name) == {"a.mp4"}
    assert read_rows(tmp_path / "out.csv")[1:] == [["a.mp4", "ok", "", "", "", "", ""]]
    assert json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))["segments"] == []


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_continued_file_knows_what_is_answered(tmp_path: Path, suffix: str) -> None:
    """Each video once, however many rows it has; failed ones are tried again; there is one header."""
    path = tmp_path / f"out.{suffix}"
    assert finished_paths(path) == set()
    said = SAID["step_labels"]
    write(path, "step_labels", Prediction("a\nb.mp4", "ok", said), Prediction("bad.mp4", "failed", error="torn"))
    assert finished_paths(path) == {"a\nb.mp4"}
    write(path, "step_labels", Prediction("bad.mp4", "ok", said), append=True)
    assert finished_paths(path) == {"a\nb.mp4", "bad.mp4"}
    if suffix == "csv":
        assert [row[0] for row in read_rows(path)] == ["path", "a\nb.mp4", "a\nb.mp4", "bad.mp4", "bad.mp4", "bad.mp4"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_row_that_was_cut_off_goes_with_its_video_when_the_file_is_continued(tmp_path: Path, suffix: str) -> None:
    """Wherever a kill or a power loss cut, also between two rows: the videos before stay byte for byte, and that video
    is answered again.
    """
    path, names = tmp_path / f"out.{suffix}", ['a\n"ü".mp4', "b.mp4", "сидеть, c.mp4"]
    said = SAID["step_labels"]
    ends = []
    for name in names:
        write(path, "step_labels", Prediction(name, "ok", said), append=True)
        ends.append(path.stat().st_size)
    whole = path.read_bytes()
    for cut in range(ends[0] + 1, len(whole)):
        path.write_bytes(whole[:cut])
        done = finished_paths(path)
        assert done == set(names[: sum(end <= cut for end in ends)]) or (suffix == "csv" and cut in ends)
        missing = [name for name in names if name not in done]
        assert names[0] in done or cut == ends[0]
        write(path, "step_labels", *(Prediction(name, "ok", said) for name in missing), append=True)
        assert path.read_bytes() == whole, cut


@pytest.mark.parametrize("head", ["step_labels", "step_multilabel", "step_regression"])
def test_the_last_video_of_a_run_that_was_killed_is_answered_again(tmp_path: Path, head: Head) -> None:
    """Nothing in a CSV says how many rows a video has; a run that came to its end keeps all."""
    path, said = tmp_path / "out.csv", SAID[head]
    write(path, head, Prediction("a.mp4", "ok", said), Prediction("b.mp4", "ok", said))
    whole = path.read_bytes()
    assert finished_paths(path) == {"a.mp4", "b.mp4"}
    writer = PredictionWriter(path, head=head, append=True, origin={})
    writer.__enter__()  # and never left, as by a kill
    assert path.read_bytes() == whole
    assert finished_paths(path) == {"a.mp4"}
    write(path, head, Prediction("b.mp4", "ok", said), append=True)
    assert path.read_bytes() == whole
    assert finished_paths(path) == {"a.mp4", "b.mp4"}


def test_a_file_that_lost_all_rows_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    write(path, "label", Prediction("a.mp4", "ok", SAID["label"]))
    whole = path.read_bytes()
    path.write_bytes(whole[:9])
    write(path, "label", Prediction("a.mp4", "ok", SAID["label"]), append=True)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_the_rows_of_a_video_are_one_write(tmp_path: Path, suffix: str) -> None:
    path, said = tmp_path / f"out.{suffix}", ({"start": 0.0, "end": 1.0, "label": "x" * 99, "score": 0.5},) * 999
    with PredictionWriter(path, head="step_labels", origin={}) as put:
        header = path.stat().st_size
        assert header == 0 or suffix == "csv"
        put(Prediction("a.mp4", "ok", said, head="step_labels"))
        assert path.stat().st_size > 99_000, "on disk before the next one is asked for"
    before = path.read_bytes()
    with PredictionWriter(path, head="step_labels", append=True, origin={}) as put:
        writer = put.__self__  # type: ignore[attr-defined]
        writer._file = _Full(path)
        with pytest.raises(OSError, match="No space left"):
            put(Prediction("b.mp4", "ok", said, head="step_labels"))
    assert path.read_bytes() == before, "a disk that is full leaves whole rows"


class _Full(FileIO):
    """A file on a disk that has room for a part of what is written."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "ab")

    def write(self, content: bytes) -> int:  # type: ignore[override]
        return super().write(content[: len(content) // 2])


def test_rows_of_another_model_threshold_or_rate_are_not_continued(tmp_path: Path) -> None:
    """Else one file would hold answers of two models, and no row would say of which."""
    path, model = tmp_path / "out.csv", tmp_path / "m.safetensors"
    model.write_bytes(b"weights")
    first = origin_of(model, unknown_below=0.5, frame_rate=None)
    with PredictionWriter(path, append=True, origin=first) as put:
        put(Prediction("a.mp4", "ok", SAID["label"]))
    before = path.read_bytes()
    with PredictionWriter(path, append=True, origin=origin_of(model, unknown_below=0.5, frame_rate=None)):
        pass
    assert path.read_bytes() == before
    for changes, told in (
        ({"unknown_below": 0.6, "frame_rate": None}, r"\(unknown_below 0\.5, now 0\.6\)"),
        ({"unknown_below": None, "frame_rate": None}, r"\(unknown_below 0\.5, now None\)"),
        ({"unknown_below": 0.5, "frame_rate": 25.0}, r"\(frame_rate None, now 25\.0\)"),
    ):
        with pytest.raises(ConfigError, match=told):
            PredictionWriter(path, append=True, origin=origin_of(model, **changes))
    model.write_bytes(b"other weights")
    other = origin_of(model, unknown_below=0.5, frame_rate=None)
    with pytest.raises(
        ConfigError, match=f"predictions of another origin .model '{first['model']}', now '{other['model']}'"
    ):
        PredictionWriter(path, append=True, origin=other)
    assert path.read_bytes() == before
    with PredictionWriter(path, origin=other):  # begun anew
        pass
    with PredictionWriter(path, append=True, origin=other):
        pass


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_of_several_streams_each_row_says_which_are_lacking(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    with PredictionWriter(path, several_streams=True) as put:
        put(Prediction("a.mp4", "ok", SAID["label"], lacking=("audio", "text")))
        put(Prediction("b.mp4", "ok", SAID["label"]))
        put(Prediction("c.mp4", "failed", error="broken"))
    if suffix == ".csv":
        header, *rows = read_rows(path)
        assert header == ["path", "status", *COLUMNS["label"], "lacking", "error"]
        assert [row[-2:] for row in rows] == [["audio|text", ""], ["", ""], ["", "broken"]]
    else:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert [row["lacking"] for row in rows] == [["audio", "text"], [], []]


def test_rows_with_other_columns_are_not_continued(tmp_path: Path) -> None:
    """Each value would stand below the name of another one."""
    path = tmp_path / "out.csv"
    write(path, "label", Prediction("a.mp4", "ok", SAID["label"]))
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"has the columns path, status, .*, and rows would have .*, lacking, error"):
        PredictionWriter(path, several_streams=True, append=True)
    with pytest.raises(ConfigError, match="and rows would have path, status, start"):
        PredictionWriter(path, head="step_labels", append=True)
    assert path.read_bytes() == before


def test_a_damaged_origin_is_named_and_a_file_without_one_is_continued(tmp_path: Path) -> None:
    path, model = tmp_path / "out.jsonl", tmp_path / "m.safetensors"
    model.write_bytes(b"weights")
    origin = origin_of(model, unknown_below=None, frame_rate=None)
    with PredictionWriter(path) as put:
        put(Prediction("a.mp4", "ok", SAID["label"]))
    with PredictionWriter(path, append=True, origin=origin):
        pass
    assert finished_paths(path) == {"a.mp4"}
    beside = tmp_path / "out.jsonl.origin.json"
    for damage in ("{", "[]", "[" * 200_000):
        beside.write_text(damage)
        with pytest.raises(ConfigError, match=r"out\.jsonl\.origin\.json' is damaged"):
            PredictionWriter(path, append=True, origin=origin)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_rows_of_videos_that_are_answered_again_are_not_kept(tmp_path: Path, suffix: str) -> None:
    names = ["a.mp4", 'b "c",\n\u2028 d.mp4', os.fsdecode(b"caf\xe9.mp4")]
    path = tmp_path / f"answers.{suffix}"
    with PredictionWriter(path) as write:
        for name in names:
            write(Prediction(name, "failed", error="a cause"))
    whole = path.read_bytes()
    for name in names:
        path.write_bytes(whole)
        with PredictionWriter(path, append=True, again=[name]) as write:
            write(Prediction(name, "failed", error="a cause"))
        text = path.read_bytes().decode()
        rows = (
            [json.loads(line) for line in text.split("\n") if line]
            if suffix == "jsonl"
            else list(csv.DictReader(io.StringIO(text, newline="")))
        )
        assert [original(row["path"]) for row in rows] == [*(each for each in names if each != name), name]


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.csv", b"path,label\na.mp4,run\n"),
        ("notes.csv", b"dear diary"),
        ("notes.jsonl", b'{"path": "a.mp4", "label": "run"}\n'),
        ("notes.jsonl", b"[1, 2]\n"),
    ],
)
def test_a_file_that_holds_no_predictions_is_never_replaced(
    tmp_path: Path, name: str, content: bytes, append: bool
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"is there and holds no predictions; name another --output, or move it away"):
        PredictionWriter(path, append=append)
    assert path.read_bytes() == content


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_a_file_of_predictions_and_an_empty_one_are_begun_anew(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    write(path, "label", Prediction("a.mp4", "ok", SAID["label"]), Prediction("b.mp4", "ok", SAID["label"]))
    write(path, "step_labels", Prediction("c.mp4", "ok", SAID["step_labels"], head="step_labels"))
    assert finished_paths(path) == {"c.mp4"}


def test_times_in_json_have_no_digits_of_rounding(tmp_path: Path) -> None:
    segment = {"start": 3.4 * 2, "end": 0.1 + 7.0, "label": "sit", "score": 0.5}
    write(tmp_path / "a.jsonl", "step_labels", Prediction("a.mp4", "ok", (segment,), head="step_labels"))
    assert '"start": 6.8, "end": 7.1,' in (tmp_path / "a.jsonl").read_text()
