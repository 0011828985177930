"""What ``classify`` writes is read back as it was predicted, from both kinds of file and for every head."""

from pathlib import Path

import pytest

from vidrnn.errors import ConfigError, MissingPathError
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.prediction_file import PredictionWriter
from vidrnn.inference.written_predictions import prediction_of, read_predictions
from vidrnn.settings.model import Head

ROWS: dict[Head, list[tuple[dict[str, object], ...]]] = {
    "label": [({"label": "cut: on|off", "score": 0.75, "top_k": [("cut", 0.75), ("a:b", 0.25)]},)],
    "multilabel": [
        ({"labels": ["cut", "stir"], "top_k": [("cut", 0.5)]},),
        ({"labels": [], "top_k": [("cut", 0.25)]},),
    ],
    "step_labels": [
        (
            {"start": 0.5, "end": 1.5, "label": "cut", "score": 0.5},
            {"start": 2.0, "end": 3.0, "label": "b", "score": 1.0},
        ),
        (),
    ],
    "step_multilabel": [
        (
            {"start": 0.5, "end": 2.5, "label": "cut", "score": 0.5},
            {"start": 2.0, "end": 3.0, "label": "b", "score": 1.0},
        ),
        (),
    ],
    "transcript": [({"labels": ["cut", "stir", "cut"]},), ({"labels": []},)],
    "regression": [({"target": 12.5},)],
    "step_regression": [({"start": 0.0, "end": 1.0, "target": 2.5}, {"start": 1.0, "end": 2.0, "target": -1.0})],
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize("head", ROWS)
def test_what_is_written_is_read_back(tmp_path: Path, head: Head, suffix: str) -> None:
    written = [
        Prediction(f"clips/{number} caf\udce9.mp4", "ok", rows, head=head) for number, rows in enumerate(ROWS[head])
    ]
    failed = Prediction("clips/broken.mp4", "failed", error="no video", head=head)
    with PredictionWriter(tmp_path / f"a{suffix}", head=head) as write:
        for prediction in (*written, failed):
            write(prediction)
    found = read_predictions(tmp_path / f"a{suffix}")
    assert [(one.path, one.status, one.rows, one.error) for one in found] == [
        (one.path, one.status, one.rows, one.error) for one in (*written, failed)
    ]
    assert {one.head for one in found if one.rows} == {head}


def test_a_video_is_found_by_its_path_else_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    listed = tmp_path / "out" / "a.csv"
    names = ["clips/a.mp4", "../clips/b.mp4", "/elsewhere/c.mp4", "x/d.mp4", "y/d.mp4"]
    predictions = [Prediction(name, "ok") for name in names]
    for video, path in (
        ("clips/a.mp4", names[0]),
        ("clips/b.mp4", names[1]),
        ("other/c.mp4", names[2]),
        ("y/d.mp4", names[4]),
    ):
        assert prediction_of(Path(video), predictions, listed_in=listed).path == path, video
    with pytest.raises(ConfigError, match=r"holds 2 videos called 'd\.mp4'"):
        prediction_of(Path("z/d.mp4"), predictions, listed_in=listed)
    with pytest.raises(ConfigError, match=r"holds no video called 'e\.mp4'"):
        prediction_of(Path("e.mp4"), predictions, listed_in=listed)
    with pytest.raises(ConfigError, match="failed: no video"):
        prediction_of(Path("a.mp4"), [Prediction("a.mp4", "failed", error="no video")], listed_in=listed)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.csv", "path,colour\na.mp4,red\n"), ("a.csv", "\0"), ("a.jsonl", "no json\n"), ("a.jsonl", '{"path": "a"}\n'),
     ("a.csv", "path,status,label,score,top_k,error\na.mp4,ok,cut,high,cut:1,\n")],
)  # fmt: skip
def test_other_files_are_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=r"is no file of predictions"):
        read_predictions(tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingPathError, match=r"none\.csv"):
        read_predictions(tmp_path / "none.csv")
