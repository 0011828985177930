"""Models of several streams answer for new videos as they did for the stored ones."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.integration.world import World, call, make_world
from tests.media import pictures, write_clip
from tests.unit.models.test_model_file import rewrite

YESTERDAY = "path,status,label,score,top_k,error\nold.mp4,ok,sit,0.9,,\n"  # as an earlier call wrote it


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


def evaluated(
    capsys: pytest.CaptureFixture[str], options: list[str], folder: Path
) -> tuple[Path, dict[str, dict[str, str]]]:
    """A model, and its answers for the stored test videos by path."""
    model = folder / "run" / "model.safetensors"
    assert call(capsys, "extract", *options).code == 0
    assert call(capsys, "train", *options, "--output", folder / "run").code == 0
    arguments = ["--model", model, *options, "--set", "evaluation.baselines=false", "--output", folder / "test"]
    assert call(capsys, "evaluate", *arguments).code == 0
    return model, {row["path"]: row for row in read(folder / "test" / "predictions.csv")}


def test_classify_gives_the_answers_of_evaluate_and_names_what_fails(
    world: World, options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, stored = evaluated(capsys, options, tmp_path)
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


def test_a_model_of_searched_mirrored_flow_is_refused_with_what_to_do(
    world: World, options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For new and for stored videos; its plain view alone is evaluated as ever, and what was written stays."""
    model, stored = evaluated(capsys, options, tmp_path)
    rewrite(model, lambda header: header.pop("mirrored_flow"))
    labels = tmp_path / "labels.csv"
    labels.write_text(YESTERDAY)
    refused = call(capsys, "classify", world.clips, "--model", model, "--output", labels)
    asked = ["evaluate", "--model", model, *options, "--set", "evaluation.baselines=false", "--output", tmp_path / "b"]
    for outcome in (refused, call(capsys, *asked)):
        assert outcome.code == 2
        assert "the model learned from mirrored flow of version 1, and this vidrnn makes version 2" in outcome.err
        assert "`vidrnn train --config config.yaml --output NEW_RUN`" in outcome.err
    assert labels.read_text() == YESTERDAY
    assert call(capsys, *asked, "--set", "inference.views=plain").code == 0
    assert {row["path"] for row in read(tmp_path / "b" / "predictions.csv")} == stored.keys()


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
    outcome = call(capsys, "classify", *arguments)
    assert outcome.code == 0
    answered = read(tmp_path / "labels.csv")
    assert [row["status"] for row in answered] == ["ok"] * len(rows)
    sounding = {str(world.clips / row["path"]) for row in rows[::2]}
    assert {row["path"] for row in answered if not row["lacking"]} == sounding
    assert {row["lacking"] for row in answered} == {"", "audio"}
    assert f"lacking: {len(rows) // 2} videos have no audio and were answered from the others" in outcome.err


def test_arrays_of_new_videos_come_from_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Named as in the training, wherever they lie; what is missing is masked, what does not fit fails by name."""
    world = make_world(tmp_path)
    random, arrays = np.random.default_rng(0), tmp_path / "poses"
    paths = [row["path"] for row in read(world.clips / "annotations.csv")]
    for path in paths:
        (arrays / path).parent.mkdir(parents=True, exist_ok=True)
        np.save(arrays / f"{path}.npy", random.normal(size=(5, 4)).astype(np.float32))
    changes = [f"features.external.folder={arrays}", "features.streams=[rgb,external]", "training.epochs=3"]
    options = ["--config", str(world.config), *(word for change in changes for word in ("--set", change))]
    model, stored = evaluated(capsys, options, tmp_path)
    new, others = tmp_path / "new", tmp_path / "new_poses"
    shutil.copytree(world.clips, new, ignore=shutil.ignore_patterns("*.csv"))
    shutil.copytree(arrays, others)
    lacking, unfit = [path for path in paths if path not in stored][:2]
    (others / f"{lacking}.npy").unlink()
    np.save(others / f"{unfit}.npy", np.zeros((5, 3), np.float32))
    arguments = [new, "--model", model, "--output", tmp_path / "labels.csv"]
    (tmp_path / "labels.csv").write_text(YESTERDAY)
    outcome = call(capsys, "classify", *arguments)
    assert outcome.code == 2
    assert (tmp_path / "labels.csv").read_text() == YESTERDAY
    assert "the model reads arrays ('poses-" in outcome.err
    assert "'): give --arrays FOLDER" in outcome.err
    outcome = call(capsys, "classify", *arguments, "--arrays", others)
    assert outcome.code == 3
    rows = {str(Path(row["path"]).relative_to(new)): row for row in read(tmp_path / "labels.csv")}
    assert rows.keys() == set(paths)
    assert [path for path, row in rows.items() if row["lacking"] == "external"] == [lacking]
    assert [path for path, row in rows.items() if row["status"] == "failed"] == [unfit]
    assert rows[unfit]["error"].startswith("external: ")
    assert "has 3 values per step where the others have 4" in rows[unfit]["error"]
    for path, row in stored.items():
        assert float(rows[path]["score"]) == pytest.approx(float(row[f"p_{rows[path]['label']}"]), abs=2e-3)


def test_videos_without_a_text_are_answered_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text_extra: None
) -> None:
    world = make_world(tmp_path)
    table = world.clips / "annotations.csv"
    rows = read(table)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "text"])
        writer.writeheader()
        writer.writerows(row | {"text": row["label"]} for row in rows)
    options = ["--config", str(world.config), "--set", "features.streams=[rgb,text]", "--set", "training.epochs=2"]
    assert call(capsys, "extract", *options).code == 0
    assert call(capsys, "train", *options, "--output", tmp_path / "run").code == 0
    texts = tmp_path / "texts.csv"
    texts.write_text(f"path,text\nclips/{rows[0]['path']},someone moves\n")
    arguments = ["--model", tmp_path / "run" / "model.safetensors", "--output", tmp_path / "labels.csv"]
    outcome = call(capsys, "classify", *(world.clips / row["path"] for row in rows[:5]), *arguments, "--texts", texts)
    assert outcome.code == 0, outcome.err
    answered = {row["path"]: (row["status"], row["lacking"]) for row in read(tmp_path / "labels.csv")}
    with_text, *without = (str(world.clips / row["path"]) for row in rows[:5])
    assert answered == {with_text: ("ok", "")} | dict.fromkeys(without, ("ok", "text"))
