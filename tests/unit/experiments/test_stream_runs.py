"""Training, evaluation and cross-validation with several streams."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.worlds import CPU, Array, fill_store, rgb, sequence_set, tiny_model, tiny_spec, tiny_training
from vidrnn.errors import AnnotationError, ConfigError, StoreError, TrainingError
from vidrnn.experiments.crossval import run_crossval
from vidrnn.experiments.evaluate import evaluate
from vidrnn.experiments.train import train
from vidrnn.models.model_file import load_model
from vidrnn.sequences.alignment import align
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.base import validate
from vidrnn.settings.evaluation import InferenceSettings
from vidrnn.settings.model import ModelSettings
from vidrnn.settings.run import RunSettings
from vidrnn.store.feature_store import FeatureStore
from vidrnn.training.fit import fit
from vidrnn.training.predict import PredictOptions, predict

BOTH = ("rgb", "text")


def xor_task(number: int, *, seed: int) -> tuple[dict[str, dict[str, Array]], list[int]]:
    """Pictures of one step and text of one step, each with one bit; the class is whether the bits differ."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(99).normal(size=(2, 6))
    bits = rng.permuted(np.tile([[0, 0], [0, 1], [1, 0], [1, 1]], (number // 4, 1)), axis=0)
    streams: dict[str, dict[str, Array]] = {}
    for column, name in enumerate(BOTH):
        values = (2 * bits[:, column, None] - 1) * directions[column] + rng.normal(scale=0.3, size=(len(bits), 6))
        streams[name] = {f"{i}.jpg": own[None] for i, own in enumerate(values)}
    return streams, (bits[:, 0] ^ bits[:, 1]).tolist()


def redundant_task(number: int, *, seed: int) -> tuple[dict[str, dict[str, Array]], list[int]]:
    """Each of the two streams tells the class by itself, the text at once, the picture by whether two bits differ."""
    streams, targets = xor_task(number, seed=seed)
    rng, direction = np.random.default_rng(seed + 100), np.random.default_rng(7).normal(size=6)
    pictures = {path: own + streams["text"][path] for path, own in streams["rgb"].items()}
    words = [(2 * target - 1) * direction[None] + rng.normal(scale=0.3, size=(1, 6)) for target in targets]
    return {"rgb": pictures, "text": dict(zip(pictures, words, strict=True))}, targets


def in_memory(task: tuple[dict[str, dict[str, Array]], list[int]], streams: tuple[str, ...] = BOTH) -> SequenceSet:
    """The set of a task, without a store."""
    features, targets = task
    alone = {name: sequence_set(list(features[name].values()), targets) for name in streams}
    first = next(iter(alone.values()))
    grid, _ = align({name: [np.zeros(1)] * len(targets) for name in streams})
    tables = {name: rgb(own) for name, own in alone.items()}
    return replace(first, streams=tables, grid=grid if len(streams) > 1 else None)


def top1(sequences: SequenceSet, model: Any, **inference: object) -> float:
    outputs = predict(model, sequences, PredictOptions(8, InferenceSettings.model_validate(inference)))
    return float((torch.stack(outputs).argmax(1) == sequences.targets.values).float().mean())


def learn(train_set: SequenceSet, model: ModelSettings, **training: object) -> Any:
    settings = tiny_training(**({"epochs": 25, "batch_size": 32, "learning_rate": 0.02} | training))
    return fit(train_set, None, num_classes=2, model_settings=model, settings=settings).model


@pytest.mark.parametrize("cell", ["lstm", "mingru"])
@pytest.mark.parametrize("fusion", ["concat", "gated", "cross_attention"])
def test_what_neither_stream_tells_alone_is_learned_from_both(fusion: str, cell: str) -> None:
    both = [in_memory(xor_task(400, seed=seed)) for seed in (0, 1)]
    model = tiny_model(fusion=fusion, cell=cell, hidden_size=16)
    assert top1(both[1], learn(both[0], model)) > 0.97


@pytest.mark.parametrize("stream", BOTH)
def test_either_of_them_alone_is_no_better_than_chance(stream: str) -> None:
    sides = [in_memory(xor_task(400, seed=seed), (stream,)) for seed in (0, 1)]
    assert abs(top1(sides[1], learn(sides[0], tiny_model(cell="lstm"))) - 0.5) < 0.1


def test_streams_that_answer_apart_cannot_learn_it_together() -> None:
    """A sum of what each says is no exclusive or; docs/fusion.md warns of it."""
    both = [in_memory(xor_task(400, seed=seed)) for seed in (0, 1)]
    assert top1(both[1], learn(both[0], tiny_model(fusion="late", cell="lstm"))) < 0.8


@pytest.mark.parametrize("fusion", ["concat", "late", "gated", "cross_attention"])
def test_with_stream_dropout_a_model_answers_from_any_stream(fusion: str) -> None:
    """Without it nothing is learned from a stream that is harder to read, unless the streams answer apart."""
    both = [in_memory(redundant_task(400, seed=seed)) for seed in (0, 1)]
    model = learn(both[0], tiny_model(fusion=fusion), stream_dropout=0.4)
    for streams in (None, ("rgb",), ("text",), ("text", "rgb")):
        assert top1(both[1], model, streams=streams) > 0.95, streams
    if fusion != "late":
        without = learn(both[0], tiny_model(fusion=fusion))
        assert top1(both[1], without) > 0.95
        assert top1(both[1], without, streams=("rgb",)) < 0.7


@pytest.mark.parametrize("fusion", ["concat", "late", "gated", "cross_attention"])
def test_every_option_of_training_takes_several_streams(fusion: str) -> None:
    """Together: half precision, a loss at every step, mixup, noise, balanced sampling, both kinds of averaging."""
    both = [in_memory(redundant_task(200, seed=seed)) for seed in (0, 1)]
    options = {"precision": "bfloat16", "step_loss_weight": 0.5, "mixup": 0.2, "feature_noise": 0.1}
    options |= {"step_dropout": 0.05, "sampling": "balanced", "ema_decay": 0.9, "stream_dropout": 0.2}
    model = learn(both[0], tiny_model(fusion=fusion), epochs=10, **options)
    assert top1(both[1], model) > 0.9


def test_stream_dropout_of_nothing_draws_nothing() -> None:
    """A fit without it is the same bit for bit as before there was any."""
    train_set = in_memory(redundant_task(40, seed=0), ("rgb",))
    one, other = (learn(train_set, tiny_model(), epochs=2, stream_dropout=share) for share in (0.0, 0.5))
    assert all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


def test_a_stream_of_which_nothing_would_be_seen_is_refused() -> None:
    train_set = in_memory(xor_task(8, seed=0))
    with pytest.raises(TrainingError) as caught:
        learn(train_set, tiny_model(inputs=["centred", "change"]))
    assert str(caught.value) == (
        "every training video has one step of rgb at most, of which centred, change show nothing; set "
        "model.stream_inputs: {rgb: [features]}"
    )


# Runs


def make_run(folder: Path, **changes: dict[str, Any]) -> RunSettings:
    """Six actors, the last of them in test, the one before in val; rgb and text each tell half of the answer."""
    features, targets = xor_task(48, seed=0)
    rows, groups = [["path", "label", "split", "group"]], 6
    for number, target in enumerate(targets):
        split = {groups - 1: "test", groups - 2: "val"}.get(number % groups, "train")
        rows.append([f"{number}.jpg", f"class{target}", split, f"actor{number % groups}"])
    (folder / "videos").mkdir(parents=True)
    with (folder / "videos" / "list.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    for name in BOTH:
        fill_store(folder / "features", features[name], dim=6, stream=name)
    tree: dict[str, Any] = {
        "data": {"root": str(folder / "videos"), "format": "csv", "annotations": "list.csv"},
        "features": {"nodes": {"last": 1}, "streams": list(BOTH)},
        "extraction": {"store": str(folder / "features")},
        "model": tiny_model(cell="lstm").model_dump(mode="json"),
        "training": tiny_training(epochs=2).model_dump(mode="json"),
        "evaluation": {"protocol": "group_kfold", "folds": 2, "seeds": 1, "bootstrap": 20},
    }
    for section, values in changes.items():
        tree[section] = tree.get(section, {}) | values
    return validate(RunSettings, tree)


def changed(settings: RunSettings, section: str, **values: object) -> RunSettings:
    part = getattr(settings, section).model_copy(update=values)
    return settings.model_copy(update={section: part})


def digest_of(stream: str) -> str:
    return tiny_spec(dim=6, stream=stream).digest


def test_a_run_knows_its_streams(tmp_path: Path) -> None:
    settings = make_run(tmp_path)
    run = train(settings, output=tmp_path / "run")
    assert [spec.stream for spec in load_model(tmp_path / "run" / "model.safetensors", device=CPU).specs] == list(BOTH)
    assert f"rgb {digest_of('rgb')} + text {digest_of('text')}, 8 steps" in run.metrics["protocol"]
    assert run.metrics["lacking_streams"] == {"rgb": 0, "text": 0}


def test_the_order_of_streams_in_a_configuration_does_not_matter(tmp_path: Path) -> None:
    settings = make_run(tmp_path)
    swapped = changed(settings, "features", streams=("text", "rgb"))
    models = [train(each, output=tmp_path / str(i)).model for i, each in enumerate((settings, swapped))]
    states = [model.classifier.state_dict() for model in models]
    assert all(map(torch.equal, states[0].values(), states[1].values()))
    assert models[0].specs == models[1].specs


def test_a_fit_is_not_resumed_with_other_streams(tmp_path: Path) -> None:
    settings = make_run(tmp_path)
    train(settings, output=tmp_path / "run")
    with pytest.raises(TrainingError, match="belongs to another configuration or other features"):
        train(changed(settings, "features", streams=("rgb",)), output=tmp_path / "run", resume=True)
    train(settings, output=tmp_path / "run", resume=True)


def test_a_model_is_evaluated_on_a_subset_where_the_other_streams_are_not_even_stored(tmp_path: Path) -> None:
    settings = changed(make_run(tmp_path, training={"stream_dropout": 0.3}), "evaluation", baselines=False)
    train(settings, output=tmp_path / "run")
    shutil.rmtree(FeatureStore(settings.extraction.store).find(settings.features, stream="text").path)
    model = tmp_path / "run" / "model.safetensors"
    with pytest.raises(StoreError, match=f"the model was trained on features of spec {digest_of('text')}"):
        evaluate(model, settings, split="test", output=tmp_path / "result")
    asked = changed(settings, "inference", streams=("rgb",))
    result = evaluate(model, asked, split="test", output=tmp_path / "result")
    assert result.metrics.n == 8
    assert "from the middle steps, shown rgb only" in result.protocol
    unknown = changed(settings, "inference", streams=("flow", "rgb"))
    with pytest.raises(ConfigError, match=r"inference.streams flow: the model was trained on rgb, text; name some"):
        evaluate(model, unknown, split="test", output=tmp_path / "result")


def test_a_video_that_was_trained_on_is_known_by_any_of_its_streams(tmp_path: Path) -> None:
    """Sound knows neither the size nor the length of the pictures that it comes with."""
    settings = changed(make_run(tmp_path, training={"stream_dropout": 0.3}), "evaluation", baselines=False)
    shutil.rmtree(settings.extraction.store)
    features, _ = xor_task(48, seed=0)
    for name, times in {"rgb": 1, "text": 3}.items():
        longer = {path: np.repeat(own, times, axis=0) for path, own in features[name].items()}
        fill_store(settings.extraction.store, longer, dim=6, stream=name)
    train(settings, output=tmp_path / "run")
    rows = (tmp_path / "videos" / "list.csv").read_text().replace("train,actor0", "test,actor0")
    (tmp_path / "videos" / "list.csv").write_text(rows)
    for streams in (("rgb",), ("text",), ("rgb", "text")):
        asked = changed(settings, "inference", streams=streams)
        with pytest.raises(AnnotationError, match=r"^8 of the 16 test videos were in the training or validation split"):
            evaluate(tmp_path / "run" / "model.safetensors", asked, split="test", output=tmp_path / "result")


def test_each_stream_is_told_apart_by_its_own_digest(tmp_path: Path) -> None:
    """Features of the same settings from other weights: what is said of one stream leaves the others alone."""
    settings = make_run(tmp_path)
    store = FeatureStore(settings.extraction.store)
    first = store.find(settings.features, stream="rgb").spec
    store.create(replace(first, weights_digest="b" * 64))
    with pytest.raises(
        StoreError, match=r"several specs in .* fit the configuration; set features\.spec_digest\.rgb to one of"
    ):
        train(settings, output=tmp_path / "run")
    named = changed(settings, "features", spec_digest={"rgb": first.digest[:6]})
    protocol = train(named, output=tmp_path / "run").metrics["protocol"]
    assert f"rgb {first.digest} + text {digest_of('text')}" in protocol


@pytest.mark.parametrize("fusion", ["concat", "late", "gated", "cross_attention"])
def test_results_hold_every_baseline_of_several_streams(tmp_path: Path, fusion: str) -> None:
    settings = make_run(tmp_path, model={"fusion": fusion}, training={"members": 2, "ema_decay": 0.9})
    run_crossval(settings, output=tmp_path / "cv")
    values = json.loads((tmp_path / "cv" / "crossval.json").read_text())
    assert {"majority", "mean_pool", "shuffled_time"} <= set(values["baselines"])
    assert (values["n"], values["lacking_streams"]) == (48, {"rgb": 0, "text": 0})
    train(settings, output=tmp_path / "run")
    result = evaluate(tmp_path / "run" / "model.safetensors", settings, split="test", output=tmp_path / "result")
    assert {"majority", "mean_pool", "shuffled_time"} <= set(result.baselines)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inference": {"streams": ["audio"]}}, "inference.streams audio is not among features.streams: rgb, text"),
        (
            {"features": {"streams": ["text"]}, "training": {"stream_dropout": 0.5}},
            "training.stream_dropout 0.5 needs several features.streams, there is only text; set it to 0",
        ),
        ({"inference": {"streams": []}}, r"inference.streams: got \[\]: Tuple should have at least 1 item"),
        ({"model": {"stream_inputs": {"smell": ["features"]}}}, "model.stream_inputs"),
        (
            {"features": {"spec_digest": "26a6"}},
            r"features.spec_digest '26a6' does not say .* belongs: rgb, text; name it, such as \{rgb: 26a6\}",
        ),
    ],
)
def test_settings_of_streams_that_do_not_fit_are_refused(tmp_path: Path, changes: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_run(tmp_path, **changes)
