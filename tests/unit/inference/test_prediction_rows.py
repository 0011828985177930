"""`vidrnn.inference.prediction_rows` and the files of `classify`: every head, as tables and as JSON."""

import csv
import io
import json
import math
import os
from dataclasses import asdict, replace
from io import FileIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

import vidrnn.inference.seen as module
from tests.worlds import Array, tiny_model, tiny_spec, tiny_training, video_features
from vidrnn.annotations import LabelMap
from vidrnn.errors import ConfigError
from vidrnn.extraction.jobs import Failure
from vidrnn.inference import as_trained
from vidrnn.inference.new_videos import with_unknown_below
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.prediction_file import PredictionWriter, finished_paths, origin_of
from vidrnn.inference.prediction_rows import COLUMNS, Clock, PredictionRow, clock_of, rows_of
from vidrnn.inference.recogniser import Recogniser
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.model_file import TrainedModel
from vidrnn.names import original
from vidrnn.settings.data import DataSettings
from vidrnn.settings.model import Head
from vidrnn.settings.run import RunSettings
from vidrnn.store.source import Source
from vidrnn.store.video_features import VideoFeatures, VideoMetadata
from vidrnn.video.sampling import Sampling

LABELS = ("background", "jump, high", 'say "hi"', "сидеть")


def answers(head: Head, outputs: Array, times: Array | None = None, *, duration_s: float = 0.0, **rest: Any) -> Any:
    times = np.arange(len(outputs)) / 10 if times is None else times
    clock = Clock(np.asarray(times, dtype=np.float64), duration_s)
    return rows_of(head, outputs, labels=LABELS, clock=clock, **rest)


def test_one_label_with_its_probability_and_those_of_the_others() -> None:
    logits = np.asarray([0.0, 3.0, -1.0, 3.0])
    (found,) = answers("label", logits, np.zeros(1))
    shares = [math.exp(each) / sum(math.exp(other) for other in logits) for each in logits]
    assert found["label"] == "jump, high"  # the first of equals
    assert found["score"] == pytest.approx(shares[1])
    assert [name for name, _ in found["top_k"]] == ["jump, high", "сидеть", "background", 'say "hi"']
    assert [score for _, score in found["top_k"]] == pytest.approx([shares[1], shares[3], shares[0], shares[2]])


def test_the_temperature_changes_the_scores_and_never_the_order() -> None:
    logits = np.asarray([0.0, 3.0, -1.0, 2.5], dtype=np.float32)
    (before,), (after,) = (answers("label", logits, np.zeros(1), temperature=each) for each in (1.0, 0.5))
    shares = np.exp(2.0 * logits) / np.exp(2.0 * logits).sum()
    assert [name for name, _ in after["top_k"]] == [name for name, _ in before["top_k"]]
    assert [score for _, score in after["top_k"]] == pytest.approx(np.sort(shares)[::-1])
    assert after["score"] == pytest.approx(shares[1]) != before["score"]


def test_a_score_below_the_threshold_is_unknown_and_stays_to_be_seen() -> None:
    """One that equals it counts; the threshold is one of scores after the temperature."""
    logits = np.asarray([math.log(3), 0.0, -100.0, -100.0])  # 0.75, at half the temperature 0.9
    (plain,) = answers("label", logits, np.zeros(1))
    cut = plain["score"]
    assert answers("label", logits, np.zeros(1), unknown_below=cut) == [plain]
    assert answers("label", logits, np.zeros(1), unknown_below=cut + 1e-9) == [plain | {"label": "unknown"}]
    (warm,) = answers("label", logits, np.zeros(1), temperature=0.5, unknown_below=0.89)
    assert (warm["label"], warm["score"]) == ("background", pytest.approx(0.9))


def test_no_more_than_five_are_listed() -> None:
    names = [f"c{number}" for number in range(8)]
    clock = Clock(np.zeros(1), 0.0)
    (found,) = rows_of("label", np.arange(8.0), labels=names, clock=clock)
    assert [name for name, _ in found["top_k"]] == ["c7", "c6", "c5", "c4", "c3"]


def test_labels_from_their_thresholds_on() -> None:
    """Each class has its own, and a probability that equals it counts; there may be none."""
    logits = np.asarray([0.0, math.log(4), -1.0, math.log(0.25)])  # 0.5, 0.8, 0.27, 0.2
    assert answers("multilabel", logits, np.zeros(1))[0]["labels"] == ["background", "jump, high"]
    (found,) = answers("multilabel", logits, np.zeros(1), thresholds=(0.51, 0.81, 0.28, 0.19))
    assert found["labels"] == ["сидеть"]
    assert [score for _, score in found["top_k"]] == pytest.approx([0.8, 0.5, 1 / (1 + math.e), 0.2])
    assert answers("multilabel", np.full(4, -50.0), np.zeros(1))[0]["labels"] == []


def test_a_transcript_says_repeats_once_unless_a_blank_stands_between() -> None:
    path = np.eye(5)[[4, 1, 1, 4, 1, 3, 2, 2, 4]]
    assert answers("transcript", path) == [{"labels": ["jump, high", "jump, high", "сидеть", 'say "hi"']}]
    assert answers("transcript", np.eye(5)[[4, 4]]) == [{"labels": []}]


def test_a_number() -> None:
    assert answers("regression", np.asarray([-1.25]), np.zeros(1)) == [{"target": -1.25}]


def test_a_number_for_every_step_lasts_until_the_next() -> None:
    found = answers("step_regression", np.asarray([[1.5], [2.5], [-1.0]]), np.asarray([0.2, 0.5, 0.7]), duration_s=1.0)
    assert found == [
        {"start": 0.2, "end": 0.5, "target": 1.5},
        {"start": 0.5, "end": 0.7, "target": 2.5},
        {"start": 0.7, "end": 1.0, "target": -1.0},
    ]


@configure(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=20), st.integers(0, 99))
def test_segments_are_runs_of_equal_steps_without_the_background(classes: list[int], seed: int) -> None:
    """Against a walk from step to step; the score is the mean probability of the segment's own class."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(classes), 4))
    logits[np.arange(len(classes)), classes] += 10.0
    times = np.cumsum(rng.uniform(0.1, 0.5, len(classes)))
    end = float(times[-1]) + 0.6  # later than a usual step would end
    expected: list[dict[str, Any]] = []
    before = 0
    for step, kind in enumerate(classes):
        until = times[step + 1] if step + 1 < len(classes) else end
        share = math.exp(logits[step, kind]) / sum(math.exp(each) for each in logits[step])
        if kind and kind == before:
            expected[-1] |= {"end": until, "scores": [*expected[-1]["scores"], share]}
        elif kind:
            expected.append({"start": times[step], "end": until, "label": LABELS[kind], "scores": [share]})
        before = kind
    found = answers("step_labels", logits, times, duration_s=end)
    assert [each["label"] for each in found] == [each["label"] for each in expected]
    for own, other in zip(found, expected, strict=True):
        assert (own["start"], own["end"]) == (other["start"], other["end"])
        assert own["score"] == pytest.approx(np.mean(other["scores"]))


def test_segments_of_different_classes_overlap_and_those_of_one_do_not() -> None:
    """Each class from its own threshold on, in order of starts, with the mean probability of its steps."""
    sure, likely, no = math.log(9), math.log(4), -50.0  # 0.9, 0.8
    logits = np.asarray([[no, sure, no, no], [no, likely, sure, no], [no, no, likely, no], [no, sure, no, 0.0]])
    found = answers("step_multilabel", logits, np.asarray([0.0, 0.5, 1.0, 1.5]), thresholds=(0.5, 0.5, 0.85, 0.51))
    assert [(row["start"], row["end"], row["label"]) for row in found] == [
        (0.0, 1.0, LABELS[1]),
        (0.5, 1.0, LABELS[2]),
        (1.5, 2.0, LABELS[1]),
    ]
    assert [row["score"] for row in found] == pytest.approx([0.85, 0.9, 0.9])
    assert answers("step_multilabel", np.full((3, 4), no)) == []


def test_a_video_that_is_all_background_has_no_segment() -> None:
    assert answers("step_labels", np.eye(4)[[0, 0, 0]]) == []


@pytest.mark.parametrize(
    ("times", "duration_s", "expected"),
    [
        ([0.0, 0.1, 0.2], 0.25, [0.0, 0.1, 0.2, 0.25]),  # not behind the end of the video
        ([0.4, 0.5, 0.6], 0.25, [0.4, 0.5, 0.6, 0.65]),  # which began late
        ([0.0, 0.1, 0.2], 0.5, [0.0, 0.1, 0.2, 0.5]),
        ([1.0, 1.1, 1.5, 1.6], 0.0, [1.0, 1.1, 1.5, 1.6, 1.7]),  # late start, a gap, no duration: the median distance
        ([0.0], 2.0, [0.0, 2.0]),
        ([0.5], 0.1, [0.5, 0.5]),
        ([2.5, 7.5, 12.5], 15.0, [2.5, 7.5, 12.5, 15.0]),  # spread over the video: half a part after its first frame
    ],
)
def test_steps_end_where_the_next_begins_and_the_last_one_with_the_video(
    times: list[float], duration_s: float, expected: list[float]
) -> None:
    np.testing.assert_allclose(Clock(np.asarray(times), duration_s).bounds(), expected)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling("fps", rate=10.0),
        Sampling("fps", rate=0.2),
        Sampling("uniform", count=6),
        Sampling("uniform", count=1000),
        Sampling("uniform", count=6, window_s=5.0),
        Sampling("fps", rate=10.0, max_frames=6),
        Sampling("fps", rate=10.0, max_frames=300),
        Sampling("every", stride=7, max_frames=6),
    ],
)
@pytest.mark.parametrize("late_s", [0.0, 0.3])
def test_the_last_step_ends_with_the_video_however_its_frames_are_chosen(sampling: Sampling, late_s: float) -> None:
    """Never after it; where frames are spread and its first picture is late, earlier by that at most."""
    frames_s = late_s + np.arange(750) / 25.0
    kept = frames_s[sampling.select(frames_s)]
    video = VideoFeatures(
        np.zeros((len(kept), 1), np.float16), kept, VideoMetadata(64, 48, 750, 30.0), Source(0, 0, "")
    )
    values = {key: value for key, value in asdict(sampling).items() if value is not None}
    end = float(clock_of(video, replace(tiny_spec(dim=1), sampling=values)).bounds()[-1])
    assert max(30.0, float(kept[-1])) <= end <= 30.0 + late_s + 1e-9
    if sampling.most is None or sampling.most > len(kept) or sampling.window_s is not None:
        assert end == pytest.approx(30.0 + late_s)


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


@pytest.mark.parametrize(
    ("precision", "device", "expected"),
    [
        ("float32", "cpu", "float32"),
        ("float32", "cuda", "float32"),
        ("float16", "cuda", "float16"),
        ("float16", "cpu", "float32"),  # slow there, and near enough
        ("int8/nncf-3.4.0", "cpu", "int8"),
    ],
)
def test_a_model_says_the_precision_of_its_features(
    monkeypatch: pytest.MonkeyPatch, precision: str, device: str, expected: str
) -> None:
    """It was trained with `auto`, which is another one on another machine."""
    model = trained("label")
    assert model.settings.features.precision == "auto"
    model = replace(model, spec=replace(model.spec, precision=precision))
    monkeypatch.setattr(as_trained, "choose_device", torch.device)
    assert as_trained.features_for(model, {}, device=device).precision == expected


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
    for damage in ("{", "[]"):
        beside.write_text(damage)
        with pytest.raises(ConfigError, match=r"out\.jsonl\.origin\.json' is damaged"):
            PredictionWriter(path, append=True, origin=origin)


def trained(head: Head, *, classes: int = 4) -> TrainedModel:
    torch.manual_seed(0)
    settings = RunSettings(
        data=DataSettings(root=Path("v"), format="csv", annotations="a.csv"),
        model=tiny_model(head=head),
        training=tiny_training(steps=3),
    )
    labels = LabelMap(LABELS[:classes])
    classifier = SequenceClassifier(settings.model, dim=5, num_classes=len(labels)).eval()
    return TrainedModel(classifier, labels, tiny_spec(dim=5), settings, {}, {})


def predictions(
    monkeypatch: pytest.MonkeyPatch, model: TrainedModel, results: dict[str, VideoFeatures | Failure]
) -> dict[str, Prediction]:
    """Of videos whose features are given."""
    monkeypatch.setattr(module, "embed_passes", lambda *_, **__: ((path, {0: made}) for path, made in results.items()))
    recogniser = Recogniser(model, pictures=[SimpleNamespace(spec=model.spec)])  # type: ignore[list-item]
    return {prediction.path: prediction for prediction in recogniser.predict_found([])}


@pytest.mark.parametrize("head", get_args(Head))
@pytest.mark.parametrize("total", [1, 2, 11])
def test_a_new_video_gets_the_answer_of_its_model(monkeypatch: pytest.MonkeyPatch, head: Head, total: int) -> None:
    """By hand: the outputs of the middle steps, spread over the cached ones by the nearest; also of one step alone."""
    model = trained(head, classes=0 if "regression" in head else 4)
    video = video_features(np.random.default_rng(total).normal(size=(total, 5)))
    chosen = [0, 1, 2][:total] if total <= 3 else [1, 5, 9]
    with torch.inference_mode():
        steps = torch.from_numpy(video.features).float()[chosen][None]
        outputs = model.classifier(steps, torch.tensor([len(chosen)]))[0].numpy()
    if head in {"step_labels", "step_multilabel", "step_regression"}:
        nearest = [min(range(len(chosen)), key=lambda slot: (abs(chosen[slot] - own), slot)) for own in range(total)]
        outputs = outputs[nearest]
    clock = Clock(video.timestamps_s, total / 10)
    expected = rows_of(head, outputs, labels=model.label_map.names, clock=clock)
    found = predictions(monkeypatch, model, {"a.mp4": video})["a.mp4"]
    assert (found.status, found.error) == ("ok", None)
    assert json.dumps(found.rows) == json.dumps(expected)
    for answer in expected:
        assert tuple(answer) == COLUMNS[head]


def test_the_thresholds_of_the_model_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    video = video_features(np.ones((2, 5)))
    for cut, said in ((0.0, list(LABELS)), (1.0, [])):
        model = replace(trained("multilabel"), thresholds=(cut,) * 4)
        assert predictions(monkeypatch, model, {"a": video})["a"].rows[0]["labels"] == said
        model = replace(trained("step_multilabel"), thresholds=(cut,) * 4)
        assert [row["label"] for row in predictions(monkeypatch, model, {"a": video})["a"].rows] == said


def test_temperature_and_threshold_of_the_model_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    video = video_features(np.random.default_rng(0).normal(size=(4, 5)))
    plain = predictions(monkeypatch, trained("label"), {"a": video})["a"].rows[0]
    sharp = replace(trained("label"), temperature=0.25)
    score = predictions(monkeypatch, sharp, {"a": video})["a"].rows[0]["score"]
    assert score > plain["score"]
    for cut, label in ((score - 1e-6, plain["label"]), (score + 1e-6, "unknown")):
        found = predictions(monkeypatch, with_unknown_below(sharp, cut), {"a": video})["a"].rows[0]
        assert (found["label"], found["score"]) == (label, score)


@pytest.mark.parametrize(
    ("head", "labels", "threshold", "message"),
    [
        ("label", ("a", "b"), 1.5, "--unknown-below 1.5: give a probability between 0 and 1"),
        ("label", ("a", "b"), math.nan, "--unknown-below nan: give a probability between 0 and 1"),
        ("multilabel", ("a", "b"), 0.5,
         "--unknown-below 0.5 needs a model of head 'label', this one has 'multilabel'; leave it"),
        ("label", ("a", "unknown"), 0.5, "--unknown-below 0.5: the model has a class called 'unknown'; leave it"),
    ],
)  # fmt: skip
def test_a_threshold_that_the_model_cannot_have_is_refused(
    head: Head, labels: tuple[str, ...], threshold: float, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        with_unknown_below(replace(trained(head), label_map=LabelMap(labels)), threshold)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_video_whose_features_are_no_numbers_fails_alone(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    broken = np.ones((3, 5))
    broken[1, 2] = value
    results = {
        "broken.mp4": video_features(broken),
        "torn.mp4": Failure("torn.mp4", "decode", "holds no frame", 0.1),
        "good.mp4": video_features(np.ones((3, 5))),
    }
    found = predictions(monkeypatch, trained("label"), results)
    assert found["broken.mp4"] == Prediction(
        "broken.mp4", "failed", error="its features hold nan or inf; use another features.precision"
    )
    assert found["torn.mp4"] == Prediction("torn.mp4", "failed", error="holds no frame")
    assert found["good.mp4"].status == "ok"


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
