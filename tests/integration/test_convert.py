"""The verb ``convert``: annotations and predictions to files of other programs, with the times of real videos."""

import csv
import json
from pathlib import Path

import av
import numpy as np
import pytest
import yaml

from tests.integration.test_mstcn_folder import config as mstcn_config  # noqa: F401  a fixture
from tests.integration.world import call
from tests.media import pictures, write_clip
from vidrnn.annotations import read_annotations
from vidrnn.settings.base import load
from vidrnn.settings.run import RunSettings

FRAMES = 30
PTS = [*range(20), *range(30, 40)]  # at 25 per second, with a gap: no rate tells when frame 25 is


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips with a gap, and what happens in them as FERAL's JSON, which has a row per frame and no times."""
    root = tmp_path_factory.mktemp("convert")
    (root / "clips").mkdir()
    for name in ("a", "b"):
        write_clip(root / "clips" / f"{name}.mp4", pictures(FRAMES), pts=list(PTS))
    rows = [0] * 10 + [1] * 15 + [2] * 5
    tree = {
        "class_names": {"0": "background", "1": "eat", "2": "sleep"},
        "labels": {"a.mp4": rows, "b.mp4": rows[::-1]},
        "splits": {"train": ["a.mp4"], "test": ["b.mp4"]},
    }
    (root / "clips" / "labels.json").write_text(json.dumps(tree))
    data = {"root": str(root / "clips"), "format": "feral", "annotations": "labels.json"}
    (root / "config.yaml").write_text(yaml.safe_dump({"data": data, "model": {"head": "step_labels"}}))
    return root


def test_times_come_from_the_videos_and_the_csv_trains(world: Path, tmp_path: Path, capsys) -> None:
    """Without data.frame_rate the annotations are refused; `convert` looks into the videos."""
    refused = call(capsys, "check", "--config", world / "config.yaml", "--quick")
    assert (refused.code, "data.frame_rate is needed" in refused.err) == (2, True)
    output = world / "clips" / "list.csv"
    outcome = call(capsys, "convert", "--config", world / "config.yaml", "--to", "csv", "--output", output)
    assert (outcome.code, outcome.out.splitlines()[-1]) == (0, f"wrote 2 videos, 4 segments: {output}")
    with av.open(str(world / "clips" / "a.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    rows = [row for row in csv.DictReader(output.open()) if row["path"] == "a.mp4"]
    assert [(row["label"], row["split"]) for row in rows] == [("eat", "train"), ("sleep", "train")]
    assert [float(row["start"]) for row in rows] == pytest.approx([times[10], times[25]], abs=1e-9)
    changes = ["--set", "data.format=csv", "--set", "data.annotations=list.csv"]
    checked = call(capsys, "check", "--config", world / "config.yaml", "--quick", *changes)
    assert "train: 1 videos" in checked.out


def test_a_project_of_boris_is_corrected_and_trains(world: Path, tmp_path: Path, capsys) -> None:
    project = tmp_path / "p.boris"
    call(capsys, "convert", "--config", world / "config.yaml", "--to", "boris", "--output", project)
    again = call(capsys, "convert", "--config", world / "config.yaml", "--to", "boris", "--output", project)
    assert (again.code, "maybe corrected by hand; name another --output, or say --overwrite" in again.err) == (2, True)
    tree = json.loads(project.read_text())
    tree["observations"]["a.mp4"]["events"][1][0] = 0.84
    assert tree["observations"]["a.mp4"]["media_info"]["length"] == {str(world / "clips" / "a.mp4"): 1.6}
    project.write_text(json.dumps(tree))
    changes = ["data.format=boris", f"data.annotations={project}"]
    settings = load(RunSettings, world / "config.yaml", changes)
    found, _ = read_annotations(settings.data)
    assert [(each.start_s, each.end_s, each.label) for each in found.segments or ()] == [
        (0.4, 0.84, "eat"), (1.4, 1.6, "sleep"),
    ]  # fmt: skip
    assert (found.path, found.split) == ("a.mp4", "train")


def test_what_is_lost_and_what_is_not_there_is_said(world: Path, tmp_path: Path, capsys) -> None:
    changes = ["--set", "data.video_path=gone/{name}.mp4", "--set", "data.frame_rate=25"]
    outcome = call(
        capsys,
        "convert",
        "--config",
        world / "config.yaml",
        "--to",
        "boris",
        "--output",
        tmp_path / "t.boris",
        *changes,
    )
    assert "note: boris has no place for 2 lengths of videos that are not there; BORIS asks for the file" in outcome.out
    outcome = call(
        capsys, "convert", "--config", world / "config.yaml", "--to", "srt", "--output", tmp_path / "s", *changes
    )
    assert "note: srt has no place for 2 splits of videos" in outcome.out


def test_predictions_become_subtitles(world: Path, tmp_path: Path, capsys) -> None:
    said = tmp_path / "said.csv"
    said.write_text(
        "path,status,start,end,label,score,error\n"
        f"{world / 'clips' / 'a.mp4'},ok,0.4,1,eat,0.9,\n{world / 'clips' / 'b.mp4'},failed,,,,,no frame\n"
    )
    options = ["--to", "vtt", "--root", world / "clips", "--output", tmp_path / "subtitles"]
    outcome = call(capsys, "convert", "--predictions", said, *options)
    assert (outcome.code, "1 videos had failed and were left out" in outcome.out) == (0, True)
    assert (tmp_path / "subtitles" / "a.vtt").read_text() == "WEBVTT\n\n00:00:00.400 --> 00:00:01.000\neat\n"
    neither = call(capsys, "convert", "--to", "vtt", "--output", tmp_path / "x")
    assert (neither.code, "one of --config and --predictions" in neither.err) == (2, True)


def test_features_of_the_store_go_to_a_folder_of_mstcn(mstcn_config: Path, tmp_path: Path, capsys) -> None:  # noqa: F811
    """A row of groundTruth for each step of the features; what comes out is what went in."""
    call(capsys, "extract", "--config", mstcn_config)
    options = ["--to", "mstcn", "--features", "--output", tmp_path / "out"]
    assert call(capsys, "convert", "--config", mstcn_config, *options).code == 0
    given, written = mstcn_config.parent / "set", tmp_path / "out"
    for path in sorted((given / "groundTruth").iterdir()):
        assert (written / "groundTruth" / path.name).read_text() == path.read_text()
        features = np.load(written / "features" / f"{path.stem}.npy")
        np.testing.assert_allclose(features, np.load(given / "features" / f"{path.stem}.npy"), atol=1e-3)
        assert (features.dtype, features.flags.c_contiguous) == (np.float32, True)
    assert (written / "mapping.txt").read_text() == (given / "mapping.txt").read_text()
    for split in ("train", "test"):
        name = f"splits/{split}.split1.bundle"
        assert (written / name).read_text() == (given / name).read_text()
    bad = call(capsys, "convert", "--config", mstcn_config, "--to", "csv", "--features", "--output", tmp_path / "y.csv")
    assert (bad.code, "--features goes with --config and --to mstcn" in bad.err) == (2, True)
