"""`vidrnn.inference.recogniser`: a new video gets what its model says, with its thresholds and temperature."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import torch

import vidrnn.inference.seen as module
from tests.worlds import tiny_model, tiny_spec, tiny_training, video_features
from vidrnn.annotations import LabelMap
from vidrnn.errors import ConfigError
from vidrnn.extraction.jobs import Failure
from vidrnn.inference import as_trained
from vidrnn.inference.new_videos import with_unknown_below
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.prediction_rows import COLUMNS, Clock, rows_of
from vidrnn.inference.recogniser import Recogniser
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.model_file import TrainedModel
from vidrnn.settings.data import DataSettings
from vidrnn.settings.model import Head
from vidrnn.settings.run import RunSettings
from vidrnn.store.video_features import VideoFeatures

LABELS = ("background", "jump, high", 'say "hi"', "сидеть")


@pytest.mark.parametrize(
    ("precision", "device", "expected"),
    [
        ("float32", "cpu", "float32"),
        ("float32", "cuda", "float32"),
        ("float16", "cuda", "float16"),
        ("float16", "cpu", "float32"),  # slow there, and near enough
        ("int8/nncf-3.4.0", "cpu", "int8"),
    ],
)
def test_a_model_says_the_precision_of_its_features(
    monkeypatch: pytest.MonkeyPatch, precision: str, device: str, expected: str
) -> None:
    """It was trained with `auto`, which is another one on another machine."""
    model = trained("label")
    assert model.settings.features.precision == "auto"
    model = replace(model, spec=replace(model.spec, precision=precision))
    monkeypatch.setattr(as_trained, "choose_device", torch.device)
    assert as_trained.features_for(model, {}, device=device).precision == expected


def trained(head: Head, *, classes: int = 4) -> TrainedModel:
    torch.manual_seed(0)
    settings = RunSettings(
        data=DataSettings(root=Path("v"), format="csv", annotations="a.csv"),
        model=tiny_model(head=head),
        training=tiny_training(steps=3),
    )
    labels = LabelMap(LABELS[:classes])
    classifier = SequenceClassifier(settings.model, dim=5, num_classes=len(labels)).eval()
    return TrainedModel(classifier, labels, tiny_spec(dim=5), settings, {}, {})


def predictions(
    monkeypatch: pytest.MonkeyPatch, model: TrainedModel, results: dict[str, VideoFeatures | Failure]
) -> dict[str, Prediction]:
    """Of videos whose features are given."""
    monkeypatch.setattr(module, "embed_passes", lambda *_, **__: ((path, {0: made}) for path, made in results.items()))
    recogniser = Recogniser(model, pictures=[SimpleNamespace(spec=model.spec)])  # type: ignore[list-item]
    return {prediction.path: prediction for prediction in recogniser.predict_found([])}


@pytest.mark.parametrize("head", get_args(Head))
@pytest.mark.parametrize("total", [1, 2, 11])
def test_a_new_video_gets_the_answer_of_its_model(monkeypatch: pytest.MonkeyPatch, head: Head, total: int) -> None:
    """By hand: the outputs of the middle steps, spread over the cached ones by the nearest; also of one step alone."""
    model = trained(head, classes=0 if "regression" in head else 4)
    video = video_features(np.random.default_rng(total).normal(size=(total, 5)))
    chosen = [0, 1, 2][:total] if total <= 3 else [1, 5, 9]
    with torch.inference_mode():
        steps = torch.from_numpy(video.features).float()[chosen][None]
        outputs = model.classifier(steps, torch.tensor([len(chosen)]))[0].numpy()
    if head in {"step_labels", "step_multilabel", "step_regression"}:
        nearest = [min(range(len(chosen)), key=lambda slot: (abs(chosen[slot] - own), slot)) for own in range(total)]
        outputs = outputs[nearest]
    clock = Clock(video.timestamps_s, total / 10)
    expected = rows_of(head, outputs, labels=model.label_map.names, clock=clock)
    found = predictions(monkeypatch, model, {"a.mp4": video})["a.mp4"]
    assert (found.status, found.error) == ("ok", None)
    assert json.dumps(found.rows) == json.dumps(expected)
    for answer in expected:
        assert tuple(answer) == COLUMNS[head]


def test_the_thresholds_of_the_model_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    video = video_features(np.ones((2, 5)))
    for cut, said in ((0.0, list(LABELS)), (1.0, [])):
        model = replace(trained("multilabel"), thresholds=(cut,) * 4)
        assert predictions(monkeypatch, model, {"a": video})["a"].rows[0]["labels"] == said
        model = replace(trained("step_multilabel"), thresholds=(cut,) * 4)
        assert [row["label"] for row in predictions(monkeypatch, model, {"a": video})["a"].rows] == said


def test_temperature_and_threshold_of_the_model_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    video = video_features(np.random.default_rng(0).normal(size=(4, 5)))
    plain = predictions(monkeypatch, trained("label"), {"a": video})["a"].rows[0]
    sharp = replace(trained("label"), temperature=0.25)
    score = predictions(monkeypatch, sharp, {"a": video})["a"].rows[0]["score"]
    assert score > plain["score"]
    for cut, label in ((score - 1e-6, plain["label"]), (score + 1e-6, "unknown")):
        found = predictions(monkeypatch, with_unknown_below(sharp, cut), {"a": video})["a"].rows[0]
        assert (found["label"], found["score"]) == (label, score)


@pytest.mark.parametrize(
    ("head", "labels", "threshold", "message"),
    [
        ("label", ("a", "b"), 1.5, "--unknown-below 1.5: give a probability between 0 and 1"),
        ("label", ("a", "b"), math.nan, "--unknown-below nan: give a probability between 0 and 1"),
        ("multilabel", ("a", "b"), 0.5,
         "--unknown-below 0.5 needs a model of head 'label', this one has 'multilabel'; leave it"),
        ("label", ("a", "unknown"), 0.5, "--unknown-below 0.5: the model has a class called 'unknown'; leave it"),
    ],
)  # fmt: skip
def test_a_threshold_that_the_model_cannot_have_is_refused(
    head: Head, labels: tuple[str, ...], threshold: float, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        with_unknown_below(replace(trained(head), label_map=LabelMap(labels)), threshold)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_video_whose_features_are_no_numbers_fails_alone(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    broken = np.ones((3, 5))
    broken[1, 2] = value
    results = {
        "broken.mp4": video_features(broken),
        "torn.mp4": Failure("torn.mp4", "decode", "holds no frame", 0.1),
        "good.mp4": video_features(np.ones((3, 5))),
    }
    found = predictions(monkeypatch, trained("label"), results)
    assert found["broken.mp4"] == Prediction(
        "broken.mp4", "failed", error="its features hold nan or inf; use another features.precision"
    )
    assert found["torn.mp4"] == Prediction("torn.mp4", "failed", error="holds no frame")
    assert found["good.mp4"].status == "ok"
