"""Models of random weights, and videos whose features are walks, for long recordings."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from tests.worlds import tiny_model, tiny_spec, tiny_training, video_features
from vidrnn.annotations import LabelMap
from vidrnn.inference.one_sequence import sequence_of
from vidrnn.models.ensemble import Ensemble
from vidrnn.models.model_file import TrainedModel
from vidrnn.sequences.long_sequence import View
from vidrnn.settings.base import validate
from vidrnn.settings.run import RunSettings
from vidrnn.settings.streams import Stream
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.video_features import VideoFeatures
from vidrnn.training.predict import predict, predict_options

DIM = 6


def model_of(*, members: int = 1, streams: tuple[Stream, ...] = ("rgb",), **model: object) -> TrainedModel:
    tree = {"data": {"root": "/", "format": "csv", "annotations": "a.csv"}}
    head = {"head": "step_labels", "bidirectional": False}
    settings = validate(RunSettings, tree).model_copy(
        update={"model": tiny_model(**(head | model)), "training": tiny_training(steps=None)}
    )
    specs = [replace(tiny_spec(dim=DIM + number), stream=stream) for number, stream in enumerate(streams)]
    labels = () if "regression" in settings.model.head else ("background", "sit", "stand")
    torch.manual_seed(3)
    classifier = Ensemble.create(
        settings.model, dim={spec.stream: spec.dim for spec in specs}, num_classes=len(labels), members=members
    ).eval()
    return TrainedModel(classifier, LabelMap(labels), specs[0], settings, {}, {}, others=tuple(specs[1:]))


def video(steps: int, *, dim: int = DIM, rate: float = 10, start_s: float = 0.0) -> VideoFeatures:
    rng = np.random.default_rng(steps + dim)
    made = video_features(rng.normal(size=(steps, dim)).cumsum(axis=0) / 5, rate=rate)
    return replace(made, timestamps_s=made.timestamps_s + start_s)


def whole(model: TrainedModel, specs: Sequence[FeatureSpec], features: Mapping[View, VideoFeatures]) -> np.ndarray:
    """The outputs for the video in one piece."""
    sequences = sequence_of(model, specs, features, streams=[spec.stream for spec in model.specs])
    (outputs,) = predict(model.classifier, sequences, predict_options(model.settings))
    return np.asarray(outputs.numpy())
