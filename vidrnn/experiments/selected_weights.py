"""The weights that a fit selects, and the figures, thresholds and temperature that follow from them."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from vidrnn.evaluation.metrics import sigmoid
from vidrnn.evaluation.multilabel import best_thresholds
from vidrnn.evaluation.step_multilabel import best_step_thresholds
from vidrnn.experiments.model_calibration import calibrated
from vidrnn.models.ensemble import Model
from vidrnn.models.model_file import TrainedModel, save_model
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.model import MULTILABEL_HEADS
from vidrnn.settings.run import RunSettings
from vidrnn.training.checkpoint import History
from vidrnn.training.members import Fitted
from vidrnn.training.predict import predict, predict_options
from vidrnn.training.validation import validate


def save_others(model: TrainedModel, result: Fitted, val_set: SequenceSet | None, output: Path) -> list[Path]:
    """The weights of the last and the best epoch, each with epoch, figures, thresholds and temperature of its own."""
    rows = result.history
    members = sorted({int(row.get("member", 1)) for row in rows})
    histories = [[row for row in rows if int(row.get("member", 1)) == member] for member in members]
    epochs = {"last": tuple(int(history[-1]["epoch"]) for history in histories)}
    if result.best is not None:
        lowest = [min(history, key=lambda row: row["val_loss"]) for history in histories]
        epochs["best"] = tuple(int(row["epoch"]) for row in lowest)
    files = []
    for name, weights in (("last", result.last), ("best", result.best)):
        if weights is not None:
            files.append(output / f"{name}.safetensors")
            save_model(with_figures(model, weights, epochs[name], rows, val_set), files[-1])
    return files


def with_figures(
    model: TrainedModel, weights: Model, epochs: tuple[int, ...], history: History, val_set: SequenceSet | None
) -> TrainedModel:
    """The model with other weights and all that follows from them.

    Args:
        model: what does not depend on the weights.
        weights: of these epochs, one for each member.
        epochs: from 1.
        history: one row per member and epoch.
        val_set: gives thresholds and temperature; None leaves both out.
    """
    settings = model.settings
    chosen = [row for row in history if row["epoch"] == epochs[int(row.get("member", 1)) - 1]]
    metrics = model.metrics | {
        "epoch": epochs[0] if len(epochs) == 1 else list(epochs),
        **{key: float(np.mean([row[key] for row in chosen])) for key in chosen[0] if key.startswith("train_")},
    }
    if val_set is not None:
        metrics |= validate(weights, val_set, predict_options(settings), num_classes=len(model.label_map))
    thresholds = _thresholds(weights, val_set, settings)
    return calibrated(replace(model, classifier=weights, metrics=metrics, thresholds=thresholds), val_set)


def _thresholds(model: Model, val: SequenceSet | None, settings: RunSettings) -> tuple[float, ...] | None:
    """The probability from which each class counts as said, by the validation split; None for heads that have none."""
    if settings.model.head not in MULTILABEL_HEADS or val is None:
        return None
    probabilities = [sigmoid(output.numpy()) for output in predict(model, val, predict_options(settings))]
    truth = [values.astype(np.float64) for values in val.targets.per_video(val.totals)]
    if settings.model.head == "step_multilabel":
        return tuple(best_step_thresholds(probabilities, truth).tolist())
    return tuple(best_thresholds(np.stack(probabilities), np.stack(truth) > 0.5).tolist())
