"""Models of several streams answer for new videos as they did for the stored ones."""

import csv
import shutil
from pathlib import Path

import pytest

from tests.integration.world import World, call, make_world
from tests.media import pictures, write_clip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("streams"))


@pytest.fixture(scope="module")
def options(world: World) -> list[str]:
    """Both views of pictures and their flow, fused by gates."""
    changes = ["features.streams=[rgb,flow]", "features.mirrored=true", "model.fusion=gated"]
    return ["--config", str(world.config), *(word for change in changes for word in ("--set", change))]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_classify_gives_the_answers_of_evaluate_and_names_what_fails(
    world: World, options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(capsys, "extract", *options).code == 0
    assert call(capsys, "train", *options, "--output", tmp_path / "run").code == 0
    model = tmp_path / "run" / "model.safetensors"
    arguments = ["--model", model, *options, "--set", "evaluation.baselines=false", "--output", tmp_path / "test"]
    assert call(capsys, "evaluate", *arguments).code == 0
    stored = {row["path"]: row for row in read(tmp_path / "test" / "predictions.csv")}
    new = tmp_path / "new"
    for path in stored:
        (new / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(world.clips / path, new / path)
    (new / "broken.mp4").write_bytes(b"no video at all")
    outcome = call(capsys, "classify", new, "--model", model, "--output", tmp_path / "labels.csv")
    assert outcome.code == 3
    rows = {str(Path(row["path"]).relative_to(new)): row for row in read(tmp_path / "labels.csv")}
    broken = rows.pop("broken.mp4")
    assert broken["status"] == "failed"
    assert broken["error"]
    assert rows.keys() == stored.keys()
    for path, row in rows.items():
        assert row["label"] == stored[path]["predicted"]
        assert float(row["score"]) == pytest.approx(float(stored[path][f"p_{row['label']}"]), abs=2e-3)


def test_a_stream_that_a_video_lacks_is_masked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Trained with and without sound; a new silent clip is answered, one that is only sound too."""
    world = make_world(tmp_path)
    rows = read(world.clips / "annotations.csv")
    for row in rows[::2]:
        path = world.clips / row["path"]
        write_clip(path, pictures(20, width=96, height=72), audio_from_s=0.0)
    options = ["--config", str(world.config), "--set", "features.streams=[rgb,audio]", "--set", "training.epochs=2"]
    outcome = call(capsys, "extract", *options)
    assert outcome.code == 0
    assert f"absent {len(rows) // 2}" in outcome.out.splitlines()[-1]
    assert call(capsys, "train", *options, "--output", tmp_path / "run").code == 0
    arguments = [world.clips, "--model", tmp_path / "run" / "model.safetensors", "--output", tmp_path / "labels.csv"]
    assert call(capsys, "classify", *arguments).code == 0
    assert [row["status"] for row in read(tmp_path / "labels.csv")] == ["ok"] * len(rows)
