"""The metrics of every head behind one function, and which of them stands at the top."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from vidrnn.annotations import BACKGROUND
from vidrnn.evaluation.classification import measure_classification
from vidrnn.evaluation.multilabel import MultiLabelMetrics, measure_multilabel
from vidrnn.evaluation.regression import RegressionMetrics, measure_regression
from vidrnn.evaluation.segmentation import ReadSteps, likeliest, measure_segmentation
from vidrnn.evaluation.step_multilabel import StepMultiLabelMetrics, measure_step_multilabel
from vidrnn.evaluation.transcripts import collapse, measure_transcripts
from vidrnn.settings.model import MULTILABEL_HEADS, Head

Output = npt.NDArray[np.floating[Any]]
Outputs = Sequence[Output]
Truth = Sequence[npt.NDArray[Any]]


class HeadMetrics(Protocol):
    """What the metrics of all heads have in common."""

    @property
    def n(self) -> int:
        """Videos."""

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the headline over groups; nan from one group."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""


@dataclass(frozen=True)
class Headline:
    """The one number of a head.

    Attributes:
        name: attribute of the metrics, and key in JSON files.
        title: for people.
        higher_is_better: False for errors.
    """

    name: str
    title: str
    higher_is_better: bool


HEADLINES: dict[Head, Headline] = {
    "label": Headline("top1", "top-1", higher_is_better=True),
    "multilabel": Headline("mean_average_precision", "mAP", higher_is_better=True),
    "step_labels": Headline("frame_accuracy", "frame accuracy", higher_is_better=True),
    "step_multilabel": Headline("mean_average_precision", "mAP", higher_is_better=True),
    "transcript": Headline("label_error_rate", "label error rate", higher_is_better=False),
    "regression": Headline("mae", "MAE", higher_is_better=False),
    "step_regression": Headline("mae", "MAE", higher_is_better=False),
}


def headline(head: Head, metrics: HeadMetrics) -> float:
    """The one number of a head; nan where it is not defined."""
    return float(getattr(metrics, HEADLINES[head].name))


def measure_outputs(
    head: Head,
    outputs: Outputs,
    truth: Truth,
    *,
    labels: Sequence[str],
    groups: Sequence[str],
    bootstrap: int,
    thresholds: Sequence[float] | None = None,
    readers: Sequence[ReadSteps] | None = None,
) -> HeadMetrics:
    """Measure the outputs of a model for n videos.

    Args:
        head: what they answer.
        outputs: n arrays from `vidrnn.training.predict.predict`, logits or numbers.
        truth: n arrays from `vidrnn.sequences.targets.Targets.per_video`.
        labels: class names in the order of the logits.
        groups: (n,) videos of one group stand or fall together.
        bootstrap: resamples of the interval of ``multilabel`` and ``step_multilabel``; the others need none.
        thresholds: (classes,) of these two; None takes 0.5 for all.
        readers: n functions that say the classes of the steps of a video from its outputs, for ``step_labels``; None
            takes the likeliest.
    """
    rest: dict[str, Any] = {"groups": groups}
    if head == "label":
        return measure_classification(np.stack(outputs), np.asarray(truth, dtype=np.int64), labels=labels, **rest)
    if head in MULTILABEL_HEADS:
        cuts = np.full(len(labels), 0.5) if thresholds is None else np.asarray(thresholds)
        rest |= {"labels": labels, "thresholds": cuts, "bootstrap": bootstrap}
        return _measure_labels(outputs, truth, per_step=head == "step_multilabel", **rest)
    if head == "step_labels":
        background = list(labels).index(BACKGROUND) if BACKGROUND in labels else None
        reading = [likeliest] * len(outputs) if readers is None else readers
        step_labels = [read(logits) for read, logits in zip(reading, outputs, strict=True)]
        return measure_segmentation(step_labels, truth, labels=labels, background=background, **rest)
    if head == "transcript":
        predicted = [collapse(logits.argmax(axis=1), blank=len(labels)) for logits in outputs]
        return measure_transcripts(predicted, [row[row >= 0].tolist() for row in truth], labels=labels, **rest)
    if head == "regression":
        return measure_regression(np.stack(outputs)[:, 0], np.asarray(truth, dtype=np.float64), **rest)
    return _measure_numbers_of_steps(outputs, truth, groups=groups)


def _measure_labels(
    outputs: Outputs,
    truth: Truth,
    *,
    per_step: bool,
    **rest: Any,  # noqa: ANN401  as the two functions take them
) -> MultiLabelMetrics | StepMultiLabelMetrics:
    if per_step:
        return measure_step_multilabel([sigmoid(logits) for logits in outputs], truth, **rest)
    return measure_multilabel(sigmoid(np.stack(outputs)), np.stack(truth) > 0.5, **rest)


def _measure_numbers_of_steps(outputs: Outputs, truth: Truth, *, groups: Sequence[str]) -> RegressionMetrics:
    """Over all steps whose number is known; ``n`` counts videos, as for every head."""
    known = [~np.isnan(numbers) for numbers in truth]
    if not any(keep.any() for keep in known):  # as in a fold whose videos have no segment
        return RegressionMetrics(len(truth), math.nan, (math.nan, math.nan), math.nan, math.nan, math.nan, math.nan)
    metrics = measure_regression(
        np.concatenate([numbers[keep, 0] for numbers, keep in zip(outputs, known, strict=True)]),
        np.concatenate([numbers[keep] for numbers, keep in zip(truth, known, strict=True)]).astype(np.float64),
        groups=[group for group, keep in zip(groups, known, strict=True) for _ in range(keep.sum())],
    )
    return replace(metrics, n=len(truth))


def sigmoid(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """1 / (1 + exp(-x)) in float64, without overflow, and exact for tiny probabilities too: they still have a rank."""
    probabilities: npt.NDArray[np.float64] = np.exp(-np.logaddexp(0.0, -logits.astype(np.float64)))
    return probabilities


def softmax(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Over the last axis, in float64."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    probabilities: npt.NDArray[np.float64] = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities
