"""What a model gives for one video as a prediction."""

import torch

from vidrnn.evaluation.segmentation import likeliest
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.prediction_rows import Clock, probabilities_of, rows_of
from vidrnn.models.model_file import TrainedModel


def prediction_of(path: str, outputs: torch.Tensor, model: TrainedModel, *, clock: Clock) -> Prediction:
    """The outputs of a model for one video as a prediction."""
    head, values = model.settings.model.head, outputs.numpy()
    rows = rows_of(
        head,
        values,
        labels=model.label_map.names,
        clock=clock,
        thresholds=model.thresholds,
        temperature=model.temperature,
        unknown_below=model.unknown_below,
        read=model.read_steps or likeliest,
    )
    scores = probabilities_of(head, values, temperature=model.temperature)
    return Prediction(
        path,
        "ok",
        tuple(rows),
        head=head,
        classes=model.label_map.names,
        probabilities=scores if scores.size else None,
        bounds_s=clock.bounds(),
    )
