"""`vidrnn pretrain`, and a training that starts from what it wrote."""

import csv
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import vidrnn
from tests.integration.world import call
from tests.worlds import CPU, make_run
from vidrnn.errors import ModelFileError, TrainingError
from vidrnn.experiments.crossval import run_crossval
from vidrnn.experiments.provenance import config_digest
from vidrnn.models.model_file import load_model
from vidrnn.models.pretrained_file import load_pretrained, save_pretrained
from vidrnn.settings.base import dump_yaml
from vidrnn.settings.run import RunSettings


def world(folder: Path, groups: int = 8) -> tuple[RunSettings, Path]:
    settings = make_run(folder, groups=groups, splits=True)
    config = folder / "config.yaml"
    config.write_text(dump_yaml(settings))
    return settings, config


def starting_from(settings: RunSettings, path: Path, *, frozen: bool = False) -> RunSettings:
    training = settings.training.model_copy(update={"init": path, "frozen": frozen})
    return settings.model_copy(update={"training": training})


def test_from_stored_features_to_a_model_that_starts_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings, config = world(tmp_path)
    output = tmp_path / "pre"
    outcome = call(capsys, "pretrain", "--config", config, "--output", output)
    assert outcome.code == 0, outcome.err
    # Six actors of four clips are for training; the clips of one of them choose the epoch.
    assert "learned from 20 videos, epoch " in outcome.out
    assert "chosen by 4, left out 8 that validate or test" in outcome.out
    metrics = json.loads((output / "metrics.json").read_text())
    assert f"hidden steps: error {metrics['val_loss']:.3f}" in outcome.out
    assert len(list(csv.reader((output / "log.csv").open(newline="")))) == 1 + 3
    path = output / "pretrained.safetensors"
    assert f"--set training.init={path}" in outcome.out
    again = vidrnn.pretrain(settings, output=tmp_path / "again")
    assert again.weights.read_bytes() == path.read_bytes()
    run = tmp_path / "run"
    outcome = call(
        *(capsys, "train", "--config", config, "--output", run),
        *("--set", f"training.init={path}", "--set", "training.frozen=true"),
    )
    assert outcome.code == 0, outcome.err
    fitted = load_file(run / "model.safetensors")
    assert all(torch.equal(value, fitted[name]) for name, value in load_file(path).items())
    assert vidrnn.load_settings(run / "config.yaml").training.init == path.absolute()
    assert load_model(run / "model.safetensors", device=CPU).settings.training.init == Path(path.name)


def test_a_run_goes_on_only_from_the_same_weights(tmp_path: Path) -> None:
    settings, _ = world(tmp_path)
    first, second = tmp_path / "first", tmp_path / "second"
    vidrnn.pretrain(settings, output=first)
    vidrnn.pretrain(settings, output=second, mask_share=0.2)
    path = first / "pretrained.safetensors"
    started = starting_from(settings, path)
    whole = vidrnn.train(started, output=tmp_path / "run")
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(path.read_bytes())
    resumed = vidrnn.train(starting_from(settings, moved), output=tmp_path / "run", resume=True)
    assert resumed.metrics["val_loss"] == whole.metrics["val_loss"]
    path.write_bytes((second / "pretrained.safetensors").read_bytes())
    with pytest.raises(TrainingError, match="belongs to another configuration"):
        vidrnn.train(started, output=tmp_path / "run", resume=True)
    assert config_digest(settings) != config_digest(started)


def test_other_features_are_refused_and_baselines_start_from_nothing(tmp_path: Path) -> None:
    settings, _ = world(tmp_path, groups=3)
    made = vidrnn.pretrain(settings, output=tmp_path / "pre", val_fraction=0.0)
    assert (made.num_val, made.figures) == (0, {})
    result = run_crossval(starting_from(settings, made.weights), output=tmp_path / "crossval", jobs=1)
    assert result.baselines  # fitted with other layers than the weights are for
    header, weights = load_pretrained(made.weights), load_file(made.weights)
    save_pretrained(made.weights, weights, settings=settings.model, specs={"rgb": "0"}, facts=header.facts)
    with pytest.raises(ModelFileError, match="learned from features rgb 0, and the configuration asks for rgb "):
        vidrnn.train(starting_from(settings, made.weights), output=tmp_path / "run")


def test_options_that_mean_nothing_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, config = world(tmp_path, groups=3)
    for option, value in (("--mask-share", "1"), ("--mask-span", "0"), ("--val-fraction", "1")):
        outcome = call(capsys, "pretrain", "--config", config, "--output", tmp_path / "pre", option, value)
        assert (outcome.code, f"{option} {value}" in outcome.err) == (2, True), outcome.err
