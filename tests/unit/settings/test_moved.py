"""`vidrnn.settings.moved`: a key in its old place is refused by name, and an older model file still opens."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.unit.models.test_model_file import make_model
from tests.worlds import CPU
from vidrnn.errors import ConfigError, ModelFileError
from vidrnn.models.model_file import load_model, save_model
from vidrnn.settings.base import Settings, load, validate
from vidrnn.settings.evaluation import InferenceSettings
from vidrnn.settings.model import ModelSettings
from vidrnn.settings.moved import ADDED, MOVED, as_first_written, with_moved_keys
from vidrnn.settings.run import RunSettings
from vidrnn.settings.training import TrainingSettings

VALUES: dict[str, Any] = {
    "features.spec": "26a6",
    "features.store": "elsewhere",
    "features.device": "cuda:1",
    "features.engine": "eager",
    "features.batch_size": 8,
    "features.workers": 3,
    "features.time_limit_s": 1.5,
    "features.stall_limit_s": 2.5,
    "features.memory_limit_mb": 300,
    "model.late": "average",
    "inference.jitters": 5,
}
"""A value for each old key that is not its default."""


def under(tree: dict[str, Any], key: str, value: object) -> dict[str, Any]:
    """A configuration with one more key."""
    section, name = key.split(".")
    return {**tree, section: {**tree.get(section, {}), name: value}}


def value_at(settings: RunSettings, key: str) -> object:
    section, name = key.split(".")
    return settings.model_dump(mode="json")[section][name]


def test_every_moved_key_has_a_value_here_and_a_setting_in_its_new_place() -> None:
    assert VALUES.keys() == MOVED.keys()
    for key, value in VALUES.items():
        settings = validate(RunSettings, under({"data": {"root": "videos"}}, MOVED[key], value))
        assert value_at(settings, MOVED[key]) == value
        assert value_at(RunSettings(data=settings.data), MOVED[key]) != value


@pytest.mark.parametrize("key", MOVED)
def test_a_key_in_its_old_place_is_refused_with_its_new_place_and_value(tmp_path: Path, key: str) -> None:
    config, value = tmp_path / "c.yaml", json.dumps(VALUES[key])
    config.write_text(json.dumps(under({"data": {"root": "videos"}}, key, VALUES[key])))  # JSON is YAML
    with pytest.raises(ConfigError) as in_file:
        load(RunSettings, config)
    assert str(in_file.value) == f"{config}: {key}: this key has moved; write {MOVED[key]}: {value}"
    config.write_text("data: {root: videos}")
    with pytest.raises(ConfigError) as on_command_line:
        load(RunSettings, config, [f"{key}={value}"])
    assert str(on_command_line.value) == str(in_file.value)


def test_a_model_file_with_all_keys_in_their_old_places_opens_with_their_values(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_model(make_model(), path)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["vidrnn_model"])
    config = header["config"]
    for old, new in MOVED.items():
        (section, key), (new_section, new_key) = old.split("."), new.split(".")
        del config[new_section][new_key]
        config[section][key] = VALUES[old]
    header["config"] = {name: section for name, section in config.items() if section}  # as before it had a new section
    save_file(load_file(path), path, metadata={"vidrnn_model": json.dumps(header)})
    settings = load_model(path, device=CPU).settings
    assert {old: value_at(settings, new) for old, new in MOVED.items()} == VALUES


@pytest.mark.parametrize("key", MOVED)
def test_a_key_in_both_places_stays_in_both_and_is_refused(tmp_path: Path, key: str) -> None:
    tree = under(under({"data": {"root": "videos"}}, key, VALUES[key]), MOVED[key], None)
    assert with_moved_keys(tree) == tree
    path = tmp_path / "m.safetensors"
    save_model(make_model(), path)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["vidrnn_model"])
    header["config"] = tree
    save_file(load_file(path), path, metadata={"vidrnn_model": json.dumps(header)})
    with pytest.raises(ModelFileError, match=f"{key}: this key has moved; write {MOVED[key]}: "):
        load_model(path, device=CPU)


@pytest.mark.parametrize(
    "tree", [None, 3, [], "text", {}, {"features": None}, {"features": [1]}, {"data": {"root": 1}}]
)
def test_what_holds_no_moved_key_comes_back_as_it_is(tree: object) -> None:
    assert with_moved_keys(tree) == tree


@pytest.mark.parametrize(
    ("section", "settings", "first", "new"),
    [
        ("model", ModelSettings(fusion="late", late_weights="average"), "late", "late_weights"),
        ("inference", InferenceSettings(draws=3), "jitters", "draws"),
    ],
)
def test_fingerprints_are_made_of_the_names_that_keys_had_first(
    section: str, settings: Settings, first: str, new: str
) -> None:
    """The JSON of an earlier version, byte for byte, so that a run that it began goes on."""
    now = settings.model_dump(mode="json")
    before = {first if key == new else key: value for key, value in now.items() if key not in ADDED.get(section, ())}
    text = as_first_written(section, settings)
    assert text == json.dumps(before, separators=(",", ":"))
    assert first in before and new not in before


_FIRST: dict[str, tuple[Settings, tuple[str, ...]]] = {
    "model": (
        ModelSettings(),
        (
            *("head", "inputs", "stream_inputs", "fusion", "late", "change_steps", "cell", "nonlinearity"),
            *("hidden_size", "layers", "bidirectional", "attention_heads", "positions", "kernel_size", "projection"),
            *("input_norm", "pooling", "pooling_heads", "dropout"),
        ),
    ),
    "training": (
        TrainingSettings(),
        (
            *("steps", "jitter", "epochs", "min_updates", "batch_size", "learning_rate", "weight_decay", "loss"),
            *("focal_gamma", "label_smoothing", "class_weight", "step_loss_weight", "time_crop", "time_warp"),
            *("stream_dropout", "step_dropout", "feature_noise", "mixup", "sampling", "ema_decay", "members"),
            *("schedule", "warmup_fraction", "clip_norm", "patience", "select", "precision", "seed", "device"),
        ),
    ),
    "inference": (InferenceSettings(), ("jitters", "views", "streams", "average", "max_risk")),
}


@pytest.mark.parametrize("section", _FIRST)
def test_fingerprints_know_nothing_of_settings_that_came_later_and_have_their_default(section: str) -> None:
    """Else every run that an earlier version began is refused. A new setting belongs into ``ADDED``."""
    settings, first = _FIRST[section]
    assert list(json.loads(as_first_written(section, settings))) == list(first)


def test_a_setting_that_came_later_counts_once_it_is_named() -> None:
    """Two fits that differ in it are two fits."""
    written = as_first_written("model", ModelSettings(bidirectional=False, attention_window=8))
    assert json.loads(written)["attention_window"] == 8
    assert "attention_window" not in json.loads(as_first_written("model", ModelSettings(bidirectional=False)))


def test_what_a_fit_does_not_depend_on_stays_out() -> None:
    """Such as the device."""
    assert "device" not in json.loads(as_first_written("training", TrainingSettings(), exclude={"device"}))
