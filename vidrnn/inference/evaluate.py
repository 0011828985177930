"""The verb ``evaluate``: a model file on an annotated split, with the baselines beside it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidrnn.annotations import LabelMap, Split, read_annotations
from vidrnn.device import choose_device
from vidrnn.errors import StoreError
from vidrnn.evaluation.baselines import majority, metadata_only
from vidrnn.evaluation.metrics import Metrics, measure
from vidrnn.evaluation.report import draw_confusion, write_json, write_predictions
from vidrnn.features.store import FeatureFolder, FeatureStore
from vidrnn.models.model_file import TrainedModel, load_model
from vidrnn.sequences.sequence_set import SequenceSet, load_sequences
from vidrnn.sequences.splits import split_annotations
from vidrnn.settings import RunSettings
from vidrnn.training.crossval import fit_and_predict
from vidrnn.training.fit import predict
from vidrnn.training.run import config_digest, describe_data, require_split, versions


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        metrics: of the model.
        baselines: name to top-1 on the same videos.
        protocol: how the numbers were made, in words.
        files: what was written.
        missing: annotated videos that have no features and so are not in n.
    """

    metrics: Metrics
    baselines: dict[str, float]
    protocol: str
    files: tuple[Path, ...]
    missing: tuple[str, ...]


def evaluate(model_path: Path, settings: RunSettings, *, split: Split, output: Path) -> Evaluation:
    """Score a model on a split; writes metrics.json, predictions.csv and confusion.png.

    The class order and the feature spec come from the model file alone. The trained baselines are fitted on the
    training split with the model's own settings.

    Raises:
        AnnotationError: there is no such split, or it holds a class that the model does not know.
        StoreError: the store lacks the features that the model was trained on.
        MissingPathError, ModelFileError: see `load_model`.
    """
    device = choose_device(settings.training.device)
    model = load_model(model_path, device=device)
    splits = split_annotations(read_annotations(settings.data), settings.data)
    folder = _folder_of(model, settings)
    chosen = load_sequences(require_split(splits[split], split), folder, model.label_map, device=device)
    scores = predict(model.classifier, chosen, model.settings.training).numpy()
    targets = chosen.targets.cpu().numpy()
    metrics = measure(
        scores,
        targets,
        labels=model.label_map.names,
        groups=[annotation.group for annotation in chosen.annotations],
        bootstrap=settings.evaluation.bootstrap,
    )
    baselines: dict[str, float] = {}
    if settings.evaluation.baselines:
        train = load_sequences(splits["train"], folder, model.label_map, device=device)
        baselines = _baselines(train, chosen, model.settings, model.label_map)
    protocol = (
        f"{describe_data(settings, folder.spec.digest)}; split {split}, n = {metrics.n}, one answer per video "
        f"from the middle steps; seed {model.settings.training.seed}; interval: bootstrap over groups; "
        "trained baselines: same settings and seed, last epoch"
    )
    values: dict[str, Any] = {
        "protocol": protocol,
        "split": split,
        **metrics.as_dict(),
        "baselines": baselines,
        "missing_features": list(chosen.missing),
        "model": str(model_path),
        "config_digest": config_digest(model.settings),
        "versions": versions(),
    }
    files = (output / "metrics.json", output / "predictions.csv", output / "confusion.png")
    write_json(files[0], values)
    write_predictions(
        files[1],
        paths=[annotation.path for annotation in chosen.annotations],
        labels=model.label_map.names,
        targets=targets,
        probabilities=torch.from_numpy(scores).double().softmax(1).numpy(),
    )
    draw_confusion(files[2], metrics, title=f"{split}: top-1 {metrics.top1:.3f}, n = {metrics.n}")
    return Evaluation(metrics, baselines, protocol, files, chosen.missing)


def _folder_of(model: TrainedModel, settings: RunSettings) -> FeatureFolder:
    folders = FeatureStore(settings.features.store).folders()
    for folder in folders:
        if folder.spec.digest == model.spec.digest:
            return folder
    here = ", ".join(folder.spec.digest for folder in folders) or "none"
    raise StoreError(
        f"the model was trained on features of spec {model.spec.digest}, the store {settings.features.store} "
        f"holds {here}; run `vidrnn extract` with the model's configuration (config.yaml beside it)"
    )


def _baselines(train: SequenceSet, test: SequenceSet, settings: RunSettings, labels: LabelMap) -> dict[str, float]:
    train_targets, targets = train.targets.cpu().numpy(), test.targets.cpu().numpy()
    answers = {
        variant: fit_and_predict(
            variant, train, test, num_classes=len(labels), settings=settings, seed=settings.training.seed
        ).argmax(1)
        for variant in ("mean_pool", "shuffled_time")
    }
    answers["metadata_only"] = metadata_only(train.metadata, train_targets, test.metadata)
    answers["majority"] = majority(train_targets, len(test))
    return {name: float(np.mean(answer == targets)) for name, answer in answers.items()}
