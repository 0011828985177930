"""What goes wrong for real people ends in one clear line and the documented exit code, and loses nothing."""

import shutil
from pathlib import Path

import pytest

from tests.integration.world import World, call, make_world


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("original"))


@pytest.fixture
def world(original: World, tmp_path: Path) -> World:
    """A copy that a test may break."""
    shutil.copytree(original.clips, tmp_path / "clips")
    config = tmp_path / "config.yaml"
    config.write_text(original.config.read_text().replace(str(original.folder), str(tmp_path)))
    return World(tmp_path, tmp_path / "clips", config, original.num_videos)


def test_bad_videos_are_listed_and_the_others_extracted_and_trained(world: World, capsys) -> None:
    clips = sorted((world.clips / "sit_down").glob("train*.mp4"))
    clips[0].write_bytes(b"")
    clips[1].write_bytes(clips[1].read_bytes()[:300])
    clips[2].unlink()
    outcome = call(capsys, "extract", "--config", world.config)
    assert outcome.code == 3
    assert outcome.out.splitlines()[-1] == f"extracted {world.num_videos - 3}, reused 0, failed 3"
    failures = next((world.folder / "features").glob("*/failures.csv")).read_text()
    assert "cannot be opened as a video (0 bytes)" in failures
    assert "does not exist; correct its path, or put the file there" in failures
    trained = call(capsys, "train", "--config", world.config, "--output", world.folder / "run")
    assert trained.code == 0
    assert "warning: 3 annotated videos have no features and were left out" in trained.err
    quick = ("--set", "training.epochs=1", "--set", "evaluation.baselines=false")
    crossval = call(capsys, "crossval", "--config", world.config, "--output", world.folder / "crossval", *quick)
    assert crossval.code == 0
    assert "warning: 3 annotated videos have no features and were left out" in crossval.err
    assert f"n = {world.num_videos - 3}; protocol: " in crossval.out


@pytest.mark.parametrize(
    ("override", "code", "message"),
    [
        ("data.root=/nowhere", 2, "'/nowhere/annotations.csv' does not exist"),
        ("data.format=folder", 2, "holds no video"),
        (
            "modle.cell=gru",
            2,
            "modle: unknown key; known here: data, features, extraction, model, training, inference, evaluation, ",
        ),
        ("model.cell=mamba", 2, "model.cell: got 'mamba'"),
        ("features.backbone=resnet999", 2, "features.backbone: 'resnet999' is unknown"),
        ("features.weights=/nowhere.pth", 2, "'/nowhere.pth' does not exist"),
        ("training", 2, "expected section.key=value"),
    ],
)
def test_wrong_settings_end_before_any_work(world: World, capsys, override: str, code: int, message: str) -> None:
    if override == "data.format=folder":
        shutil.rmtree(world.clips)
        world.clips.mkdir()
    outcome = call(capsys, "extract", "--config", world.config, "--set", override)
    assert outcome.code == code
    assert message in outcome.err
    assert not (world.folder / "features").exists()


def test_a_repeated_key_is_refused(world: World, capsys) -> None:
    world.config.write_text(world.config.read_text() + "\nmodel:\n  cell: lstm\n")
    outcome = call(capsys, "train", "--config", world.config)
    assert outcome.code == 2
    assert "key 'model' stands twice" in outcome.err


def test_a_missing_class_and_a_shared_group_are_refused(world: World, capsys) -> None:
    annotations = world.clips / "annotations.csv"
    text = annotations.read_text()
    annotations.write_text("\n".join(line for line in text.splitlines() if not line.startswith("sit_down/test")))
    outcome = call(capsys, "check", "--config", world.config)
    assert outcome.code == 2
    assert "refused: classes ['sit_down'] are missing from test" in outcome.out
    annotations.write_text(text.replace(",test,test0", ",test,train0"))
    outcome = call(capsys, "train", "--config", world.config)
    assert outcome.code == 2
    assert "1 groups are in more than one split ('train0' in test and train)" in outcome.err


def test_a_store_of_another_spec_is_not_silently_used(world: World, capsys) -> None:
    call(capsys, "extract", "--config", world.config)
    arguments = ("train", "--config", world.config, "--output", world.folder / "run")
    outcome = call(capsys, *arguments, "--set", "features.count=5")
    assert outcome.code == 2
    assert "no spec in" in outcome.err
    assert "sampling: {'count': 6, 'kind': 'uniform'}, asked {'count': 5, 'kind': 'uniform'}" in outcome.err
    assert call(capsys, *arguments).code == 0


def test_a_file_that_is_not_a_model_is_named(world: World, capsys) -> None:
    fake = world.folder / "model.safetensors"
    fake.write_bytes(b"not a model")
    outcome = call(capsys, "classify", world.clips, "--model", fake, "--output", world.folder / "answers.csv")
    assert outcome.code == 2
    assert f"{str(fake)!r} is not a vidrnn model file" in outcome.err


def test_wrong_usage_has_its_own_exit_code(world: World, capsys) -> None:
    assert call(capsys, "train").code == 2
    assert call(capsys, "no-such-verb").code == 2
    assert call(capsys, "train", "--config", world.folder / "none.yaml").code == 2
    answers = world.folder / "answers.xlsx"
    assert call(capsys, "classify", world.clips, "--model", "m", "--output", answers).code == 2
