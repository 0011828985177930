"""What a model says while a video is still coming."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vidrnn.inference.prediction_rows import Outputs, PredictionRow, probabilities_of
from vidrnn.models.model_file import TrainedModel
from vidrnn.settings.model import MULTILABEL_HEADS

Status = Literal["provisional", "final"]


@dataclass(frozen=True)
class LiveAnswer:
    """The answer at one time of a stream.

    Attributes:
        time_s: of the picture that it is about, in seconds since the start of the stream.
        status: ``provisional`` when a later answer about the same time may differ.
        row: ``label`` and ``score``, ``labels`` or ``target``, as the head gives them. ``labels`` of a transcript are
            those that begin here.
        scores: (C,) probabilities of the classes; None for heads without.
        classes: their names.
        window_s: from where to where the model looked, for models with one answer per video; None for others.
    """

    time_s: float
    status: Status
    row: PredictionRow
    scores: npt.NDArray[np.float64] | None = field(default=None, compare=False)
    classes: tuple[str, ...] = field(default=(), compare=False, repr=False)
    window_s: tuple[float, float] | None = None

    @property
    def label(self) -> str | None:
        """The likeliest class, or ``unknown``; None from heads that do not choose one."""
        return self.row.get("label")

    @property
    def score(self) -> float | None:
        """Probability of the likeliest class; None as for `label`."""
        return self.row.get("score")

    @property
    def labels(self) -> tuple[str, ...]:
        """All classes that are said."""
        return (
            tuple(self.row["labels"]) if "labels" in self.row else (self.row["label"],) if "label" in self.row else ()
        )

    @property
    def target(self) -> float | None:
        """The number, from regressions; None from others."""
        return self.row.get("target")

    def to_dict(self) -> dict[str, Any]:
        """What `vidrnn stream` writes as a line; `json.dumps` takes it."""
        row: dict[str, Any] = {"time": round(self.time_s, 3), "status": self.status, **self.row}
        return row | ({"window": [round(end, 3) for end in self.window_s]} if self.window_s else {})


def step_answer(
    model: TrainedModel, outputs: Outputs, *, time_s: float, status: Status, before: Outputs | None
) -> LiveAnswer:
    """The answer of a head that answers at every step.

    Args:
        model: that gave the outputs.
        outputs: (outputs,) of the step.
        time_s: of the step.
        status: of the answer.
        before: outputs of the step before, None at the start; a transcript says a class where it begins.
    """
    head, classes = model.settings.model.head, model.label_map.names
    if head == "step_regression":
        return LiveAnswer(time_s, status, {"target": float(outputs[0])})
    if head == "transcript":
        now = int(outputs.argmax())
        begins = now != len(classes) and (before is None or int(before.argmax()) != now)
        return LiveAnswer(time_s, status, {"labels": [classes[now]] if begins else []})
    (scores,) = probabilities_of(head, outputs[None])
    row: Mapping[str, Any]
    if head in MULTILABEL_HEADS:
        cuts = np.full(len(classes), 0.5) if model.thresholds is None else np.asarray(model.thresholds)
        row = {
            "labels": [classes[number] for number in np.flatnonzero(scores >= cuts).tolist()],
            "scores": {name: float(score) for name, score in zip(classes, scores, strict=True)},
        }
    else:
        row = {"label": classes[int(scores.argmax())], "score": float(scores.max())}
    return LiveAnswer(time_s, status, row, scores, classes)
