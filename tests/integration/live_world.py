"""Models of random weights for streams: they answer at once, and differently for every picture."""

from pathlib import Path

import torch

from tests.media import pictures, write_clip
from tests.worlds import tiny_model, tiny_training
from vidrnn.annotations import LabelMap
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.ensemble import Ensemble
from vidrnn.models.model_file import TrainedModel, save_model
from vidrnn.settings.base import validate
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.run import RunSettings
from vidrnn.settings.streams import in_order
from vidrnn.streams.passes import load_passes

CLASSES = ("background", "sit", "stand")


def live_model_file(
    folder: Path,
    *,
    features: dict[str, object] | None = None,
    training: dict[str, object] | None = None,
    inference: dict[str, object] | None = None,
    members: int = 1,
    **model: object,
) -> Path:
    """A model file whose answers swing between its classes."""
    tree = {
        "data": {"root": str(folder), "format": "csv", "annotations": "annotations.csv"},
        "features": {"backbone": "timm/test_resnet", "weights": "random", "image_size": 32} | (features or {}),
        "extraction": {"device": "cpu", "batch_size": 4, "workers": 1},
        "inference": inference or {},
    }
    values: dict[str, object] = {"head": "step_labels", "bidirectional": False, "inputs": ["centred", "change"]}
    settings = validate(RunSettings, tree).model_copy(
        update={
            "model": tiny_model(**(values | model)),
            "training": tiny_training(**({"steps": None, "members": members} | (training or {}))),
        }
    )
    specs = [
        one_pass.spec
        for one_pass in load_passes(
            validate(FeatureSettings, tree["features"] | {"mirrored": False}),
            validate(ExtractionSettings, tree["extraction"]),
        )
    ]
    order = in_order([spec.stream for spec in specs])
    specs = sorted(specs, key=lambda spec: order.index(spec.stream))
    classes = () if "regression" in settings.model.head else CLASSES
    torch.manual_seed(1)
    classifier = Ensemble.create(
        settings.model, dim={spec.stream: spec.dim for spec in specs}, num_classes=len(classes), members=members
    ).eval()
    with torch.no_grad():  # so that answers change from step to step
        for name, weights in classifier.named_parameters():
            if name.endswith("output.weight"):
                weights.mul_(20.0)
    first = classifier.members[0]
    assert isinstance(first, SequenceClassifier)
    model_of_all = TrainedModel(
        classifier if members > 1 else first, LabelMap(classes), specs[0], settings, {}, {}, others=tuple(specs[1:])
    )
    path = folder / "model.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    save_model(model_of_all, path)
    return path


def live_clip(path: Path, *, count: int = 60) -> Path:
    """Pictures whose bar runs and whose colour changes, at 25 per second."""
    return write_clip(path, pictures(count, width=64, height=48))
