"""Both views and several nodes through the command line: extraction, training, evaluation, classification."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.world import World, call, make_world
from vidrnn.device import choose_device
from vidrnn.models.model_file import TrainedModel, load_model, save_model
from vidrnn.settings.evaluation import InferenceSettings
from vidrnn.store.feature_store import FeatureStore

SETTINGS = (
    "features.mirrored=true", "features.backbone=resnet18", "features.weights=random",
    "features.nodes={last: 1, layer3: 2}", "training.members=2", "inference.draws=2",
)  # fmt: skip
OPTIONS = tuple(part for setting in SETTINGS for part in ("--set", setting))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("mirrored"))


@pytest.fixture
def trained(world: World, capsys) -> Path:
    """The model file of a run with both views of two nodes."""
    run = world.folder / "run"
    if not (run / "model.safetensors").exists():
        outcome = call(capsys, "extract", "--config", world.config, *OPTIONS)
        assert outcome.code == 0, outcome.err
        outcome = call(capsys, "train", "--config", world.config, "--output", run, *OPTIONS)
        assert outcome.code == 0, outcome.err
    return run / "model.safetensors"


def read(path: Path) -> TrainedModel:
    return load_model(path, device=choose_device("cpu"))


def evaluated(world: World, model: Path, capsys, *options: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Predictions of the test split: path on disk and row."""
    output = world.folder / "evaluation"
    outcome = call(capsys, "evaluate", "--model", model, "--config", world.config, "--output", output, *options)
    assert outcome.code == 0, outcome.err
    for row in csv.DictReader((output / "predictions.csv").open()):
        yield str(world.clips / row["path"]), row


def test_both_views_of_several_nodes_are_stored_and_named_in_the_model(world: World, trained: Path) -> None:
    """256 channels of layer3 in four cells beside the 512 of the last map; two folders with equally many steps."""
    model = read(trained)
    assert (model.spec.node, model.spec.parts, model.spec.dim) == ("last/1,layer3/2", (512, 1024), 1536)
    store = FeatureStore(world.folder / "features")
    plain, mirrored = store.find(model.settings.features), store.find_mirrored(model.settings.features)
    assert (plain.spec.digest, mirrored.spec.digest) == (model.spec.digest, model.spec.mirrored().digest)
    assert sorted(plain.videos()) == sorted(mirrored.videos())
    for path in plain.videos():
        first, second = plain.read(path), mirrored.read(path)
        assert first.features.shape == second.features.shape == (6, 1536)
        assert first.features.tobytes() != second.features.tobytes()


def test_classify_gives_the_numbers_of_evaluate(world: World, trained: Path, capsys) -> None:
    """Contract 7 with two views, nodes, members and answers: the views of one decoding are those of the store."""
    answers = world.folder / "answers.jsonl"
    outcome = call(capsys, "classify", world.clips, "--model", trained, "--output", answers)
    assert outcome.code == 0, outcome.err
    classified = {row["path"]: row for row in map(json.loads, answers.read_text().splitlines())}
    assert len(classified) == world.num_videos
    compared = 0
    for path, row in evaluated(world, trained, capsys, "--set", "evaluation.baselines=false"):
        assert classified[path]["status"] == "ok"
        for label, score in classified[path]["top_k"]:
            # Batches of the backbone are filled in another order, and features are stored in half precision.
            assert score == pytest.approx(float(row[f"p_{label}"]), abs=2e-3)
            compared += 1
    assert compared == 6 * 3


def test_the_mirror_takes_part_in_the_answer(world: World, trained: Path, capsys, tmp_path: Path) -> None:
    """The same weights, asked for the plain view alone, say something else, and evaluate and classify agree on it."""

    model = read(trained)
    settings = model.settings.model_copy(update={"inference": InferenceSettings(draws=2, views="plain")})
    save_model(replace(model, settings=settings), tmp_path / "plain.safetensors")
    quick = ("--set", "evaluation.baselines=false")
    both = {path: float(row["p_sit_down"]) for path, row in evaluated(world, trained, capsys, *quick)}
    plain = {
        path: float(row["p_sit_down"]) for path, row in evaluated(world, tmp_path / "plain.safetensors", capsys, *quick)
    }
    assert max(abs(both[path] - plain[path]) for path in both) > 1e-4
    answers = tmp_path / "answers.jsonl"
    outcome = call(capsys, "classify", *both, "--model", tmp_path / "plain.safetensors", "--output", answers)
    assert outcome.code == 0, outcome.err
    for row in map(json.loads, answers.read_text().splitlines()):
        assert dict(row["top_k"])["sit_down"] == pytest.approx(plain[row["path"]], abs=2e-3)


def test_the_baselines_of_evaluate_are_fitted_on_both_views(world: World, trained: Path, capsys) -> None:
    assert len(list(evaluated(world, trained, capsys))) == 6
    metrics = json.loads((world.folder / "evaluation" / "metrics.json").read_text())
    assert set(metrics["baselines"]) == {
        "mean_pool",
        "own_inputs_mean",
        "own_inputs_max",
        "shuffled_time",
        "single_frame",
        "metadata_only",
        "majority",
    }
    assert (
        "one answer per video averaged over 2 draws of steps, over both views, over 2 members;" in metrics["protocol"]
    )


def test_training_without_the_mirrored_features_says_what_to_do(world: World, trained: Path, capsys) -> None:
    spec = read(trained).spec.mirrored()
    (world.folder / "features" / spec.digest).rename(world.folder / "aside")
    outcome = call(capsys, "train", "--config", world.config, "--output", world.folder / "other", *OPTIONS)
    (world.folder / "aside").rename(world.folder / "features" / spec.digest)
    assert outcome.code == 2
    assert "run `vidrnn extract` with features.mirrored: true" in outcome.err
