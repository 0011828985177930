"""Tiny models with random weights, and questions about sequences without a store."""

from collections.abc import Sequence

import numpy as np
import torch

from tests.worlds import Array, sequence_set, tiny_model, tiny_spec, tiny_training
from vidrnn.annotations import LabelMap
from vidrnn.explanation.question import Question, ask_why
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.ensemble import Ensemble
from vidrnn.models.model_file import TrainedModel
from vidrnn.settings.base import validate
from vidrnn.settings.evaluation import InferenceSettings
from vidrnn.settings.run import RunSettings

DIM, CLASSES = 5, ("a", "b", "c")


def make_model(*, members: int = 1, draws: int = 1, temperature: float = 1.0, **changes: object) -> TrainedModel:
    torch.manual_seed(3)
    model = tiny_model(**changes)
    classes = () if "regression" in model.head else CLASSES
    built = [SequenceClassifier(model, dim=DIM, num_classes=len(classes)).eval() for _ in range(members)]
    settings = validate(RunSettings, {"data": {"root": "nowhere"}}).model_copy(
        update={
            "model": model,
            "training": tiny_training(steps=6),
            "inference": InferenceSettings(draws=draws),
        }
    )
    classifier = built[0] if members == 1 else Ensemble(built)
    return TrainedModel(classifier, LabelMap(classes), tiny_spec(dim=DIM), settings, {}, {}, temperature=temperature)


def arrays(lengths: Sequence[int], seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(length, DIM)).astype(np.float16) for length in lengths]


def question_of(model: TrainedModel, array: Array, *, label: str | None = None) -> Question:
    return ask_why(model, sequence_set([array], [0]), 0, label=label)


def log_odds(logits: torch.Tensor, target: int) -> float:
    p = logits.double().softmax(-1)[..., target]
    return float(torch.log(p / (1 - p)))
