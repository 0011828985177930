"""The way from clips to labels through the command line, and that its parts agree with each other."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from tests.integration.world import ACTIONS, World, call, make_world

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def extracted(world: World, capsys) -> World:
    call(capsys, "extract", "--config", world.config)
    return world


@pytest.fixture
def trained(extracted: World, capsys) -> Path:
    """The run folder of a trained model."""
    run = extracted.folder / "run"
    if not (run / "model.safetensors").exists():
        assert call(capsys, "train", "--config", extracted.config, "--output", run).code == 0
    return run


def test_a_second_extraction_reuses_all_and_computes_nothing(extracted: World, capsys) -> None:
    outcome = call(capsys, "extract", "--config", extracted.config)
    assert outcome.code == 0
    assert outcome.out.splitlines()[-1] == f"extracted 0, reused {extracted.num_videos}, failed 0"


def test_check_counts_videos_classes_and_groups(world: World, tmp_path, capsys) -> None:
    outcome = call(capsys, "check", "--config", world.config, "--set", f"extraction.store={tmp_path}")
    assert outcome.code == 0
    assert "train: 12 videos, 4 groups; videos/groups of open_door 4/4, raise_arms 4/4, sit_down 4/4" in outcome.out


def test_training_writes_what_the_documentation_names(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert names >= {
        "model.safetensors",
        "best.safetensors",
        "last.safetensors",
        "config.yaml",
        "log.csv",
        "metrics.json",
    }
    rows = list(csv.DictReader((trained / "log.csv").open()))
    assert [int(float(row["epoch"])) for row in rows] == list(range(1, 13))
    assert all(float(row["gradient_norm_max"]) >= float(row["gradient_norm_mean"]) > 0 for row in rows)


def test_the_model_file_holds_all_that_is_needed_to_use_it(trained: Path) -> None:
    with safe_open(trained / "model.safetensors", framework="np") as file:
        header = json.loads(file.metadata()["vidrnn_model"])
    assert header["label_map"] == sorted(ACTIONS)
    assert header["spec"]["preprocessing"]["image_size"] == 64
    assert header["config"]["training"]["epochs"] == 12
    assert header["metrics"]["n"] == {"train": 12, "val": 3, "test": 6}


def test_evaluation_writes_numbers_with_protocol_and_baselines(extracted: World, trained: Path, capsys) -> None:
    output = extracted.folder / "evaluation"
    outcome = call(
        capsys, "evaluate", "--model", trained / "model.safetensors", "--config", extracted.config, "--output", output
    )
    assert outcome.code == 0
    metrics = json.loads((output / "metrics.json").read_text())
    assert metrics["n"] == 6
    assert set(metrics["baselines"]) == {
        "mean_pool",
        "own_inputs_mean",
        "own_inputs_max",
        "shuffled_time",
        "single_frame",
        "metadata_only",
        "majority",
    }
    assert "split test, n = 6, one answer per video from the middle steps;" in metrics["protocol"]
    for picture in ("confusion.png", "reliability.png"):
        assert (output / picture).read_bytes().startswith(b"\x89PNG")
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("temperature ")]
    assert f"ECE {metrics['ece_uncalibrated']:.3f} before, {metrics['ece']:.3f} after" in line
    assert line.endswith("every video is answered")
    assert (metrics["answers_per_video"], metrics["clip_top1"]) == (1, metrics["top1"])
    assert "clip" not in outcome.out


def test_classify_gives_the_numbers_of_evaluate(extracted: World, trained: Path, capsys) -> None:
    """Contract 7: one preprocessing, one sampling, one answer, whether features come from the store or the video."""
    output = extracted.folder / "evaluation"
    model = trained / "model.safetensors"
    call(capsys, "evaluate", "--model", model, "--config", extracted.config, "--output", output)
    answers = extracted.folder / "answers.jsonl"
    outcome = call(capsys, "classify", extracted.clips, "--model", model, "--output", answers)
    assert outcome.code == 0
    classified = {row["path"]: row for row in map(json.loads, answers.read_text().splitlines())}
    assert len(classified) == extracted.num_videos
    for row in csv.DictReader((output / "predictions.csv").open()):
        other = classified[str(extracted.clips / row["path"])]
        assert other["status"] == "ok"
        assert other["label"] == row["predicted"]
        for label, score in other["top_k"]:
            # Batches of the backbone are filled in another order, and features are stored in half precision.
            assert score == pytest.approx(float(row[f"p_{label}"]), abs=2e-3)


def test_classify_takes_a_threshold_by_hand(extracted: World, trained: Path, capsys, tmp_path) -> None:
    """Nothing but the label changes; what is no probability is refused before any video is opened."""
    clip, model = next(extracted.clips.rglob("*.mp4")), trained / "model.safetensors"
    arguments = ("classify", clip, "--model", model, "--output")
    rows = []
    for name, options in (("plain.jsonl", ()), ("careful.jsonl", ("--unknown-below", "1"))):
        assert call(capsys, *arguments, tmp_path / name, *options).code == 0
        rows.append(json.loads((tmp_path / name).read_text()))
    assert rows[1] == rows[0] | {"label": "unknown"}
    outcome = call(capsys, *arguments, tmp_path / "no.csv", "--unknown-below", "60")
    assert outcome.code == 2
    assert outcome.err == "error: --unknown-below 60.0: give a probability between 0 and 1\n"
    assert not (tmp_path / "no.csv").exists()


def test_classify_lists_a_bad_file_and_goes_on_and_resumes(extracted: World, trained: Path, capsys, tmp_path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    good = next(extracted.clips.rglob("*.mp4"))
    (videos / "good.mp4").write_bytes(good.read_bytes())
    (videos / "bad.mp4").write_bytes(good.read_bytes()[:500])
    (videos / "empty.mp4").touch()
    answers = tmp_path / "answers.csv"
    arguments = ("classify", videos, "--model", trained / "model.safetensors", "--output", answers)
    outcome = call(capsys, *arguments)
    assert outcome.code == 3
    assert "classified 1, reused 0, failed 2" in outcome.out
    rows = {Path(row["path"]).name: row for row in csv.DictReader(answers.open())}
    assert {name: row["status"] for name, row in rows.items()} == {
        "good.mp4": "ok",
        "bad.mp4": "failed",
        "empty.mp4": "failed",
    }
    assert rows["empty.mp4"]["error"].startswith("cannot be opened as a video (0 bytes)")
    before = answers.read_text()
    assert "classified 0, reused 1, failed 2" in call(capsys, *arguments, "--resume").out
    assert sorted(answers.read_text().splitlines()) == sorted(before.splitlines()), "a video has one row, not two"
    (videos / "empty.mp4").write_bytes(good.read_bytes())
    assert "classified 1, reused 1, failed 1" in call(capsys, *arguments, "--resume").out
    statuses = [(Path(row["path"]).name, row["status"]) for row in csv.DictReader(answers.open())]
    assert sorted(statuses) == [("bad.mp4", "failed"), ("empty.mp4", "ok"), ("good.mp4", "ok")]


def test_crossval_tests_every_video_and_reports_the_baselines(extracted: World, capsys) -> None:
    output = extracted.folder / "crossval"
    outcome = call(
        capsys, "crossval", "--config", extracted.config, "--output", output, "--set", "training.epochs=2",
        "--set", "evaluation.protocol=group_kfold", "--set", "evaluation.folds=3",
    )  # fmt: skip
    assert outcome.code == 0
    values = json.loads((output / "crossval.json").read_text())
    assert values["n"] == extracted.num_videos
    assert len(values["folds"]) == 3
    assert sum(fold["n"] for fold in values["folds"]) == extracted.num_videos
    assert set(values["baselines"]) == {
        "majority",
        "metadata_only",
        "mean_pool",
        "own_inputs_mean",
        "own_inputs_max",
        "shuffled_time",
        "single_frame",
    }
    assert len(values["top1_per_seed"]) == 2
    assert values["top1_mean"] == pytest.approx(sum(values["top1_per_seed"]) / 2)


def test_store_verbs_describe_and_verify(extracted: World, capsys) -> None:
    store = extracted.folder / "features"
    assert f"{extracted.num_videos} videos" in call(capsys, "store", "info", store).out
    outcome = call(capsys, "store", "verify", store, "--root", extracted.clips)
    assert outcome.code == 0
    assert outcome.out.strip() == f"{extracted.num_videos} ok, 0 damaged, 0 stale, 0 orphaned"


def test_the_scripts_in_tools_do_the_work_of_the_verbs(extracted: World, trained: Path, tmp_path) -> None:
    model = str(trained / "model.safetensors")
    config = ["--config", str(extracted.config)]
    quick = ["--set", "training.epochs=2", "--set", "evaluation.baselines=false"]
    clip = str(next(extracted.clips.rglob("*.mp4")))
    commands = {
        "extract_features.py": config,
        "train.py": [*config, *quick, "--output", str(tmp_path / "run")],
        "evaluate.py": [*config, *quick, "--model", model, "--output", str(tmp_path / "evaluation")],
        "crossval.py": [*config, *quick, "--output", str(tmp_path / "crossval")],
        "classify.py": [clip, "--model", model, "--output", str(tmp_path / "answers.csv")],
    }
    for script, arguments in commands.items():
        done = subprocess.run(
            [sys.executable, str(REPOSITORY / "tools" / script), *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (script, done.stderr)
    for written in ("run/model.safetensors", "evaluation/metrics.json", "crossval/crossval.json", "answers.csv"):
        assert (tmp_path / written).is_file(), written
