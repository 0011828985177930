"""Classification metrics per video."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidrnn.evaluation.resampling import none_if_nan, share_interval

Floats = npt.NDArray[np.floating[Any]]
Classes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassMetrics:
    """One row of the per-class table; fractions."""

    label: str
    n: int
    recall: float
    precision: float
    f1: float


@dataclass(frozen=True)
class ClassificationMetrics:
    """What is measured on n videos; fractions.

    Attributes:
        top5: share of videos whose class is among the five most likely ones.
        mean_class_accuracy: recall averaged over the classes that occur.
        macro_f1: F1 averaged over the classes that occur.
        interval: 95 % interval of top1 over groups.
        confusion: (classes, classes) counts, rows are the truth.
    """

    n: int
    top1: float
    top5: float
    mean_class_accuracy: float
    macro_f1: float
    interval: tuple[float, float]
    per_class: tuple[ClassMetrics, ...]
    confusion: npt.NDArray[np.int64]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "n": self.n,
            "top1": self.top1,
            "top5": self.top5,
            "mean_class_accuracy": self.mean_class_accuracy,
            "macro_f1": self.macro_f1,
            "top1_interval": [none_if_nan(bound) for bound in self.interval],
            "per_class": [vars(row) for row in self.per_class],
            "confusion": self.confusion.tolist(),
        }


def measure_classification(
    scores: Floats,
    targets: Classes,
    *,
    labels: Sequence[str],
    groups: Sequence[str],
) -> ClassificationMetrics:
    """Measure predictions.

    Args:
        scores: (n, classes), larger is likelier; logits or probabilities.
        targets: (n,) class positions.
        labels: class names in the order of ``scores``.
        groups: (n,) videos of one group stand or fall together.
    """
    # It brings pandas and half of SciPy, and `vidrnn classify` has nothing to measure.
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    predicted = scores.argmax(axis=1)
    correct = predicted == targets
    best_five = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    positions = np.arange(len(labels))
    precision, recall, f1, support = precision_recall_fscore_support(
        targets, predicted, labels=positions, zero_division=0.0
    )
    occurs = support > 0
    return ClassificationMetrics(
        n=len(targets),
        top1=float(correct.mean()),
        top5=float((best_five == targets[:, None]).any(axis=1).mean()),
        mean_class_accuracy=float(recall[occurs].mean()),
        macro_f1=float(f1[occurs].mean()),
        interval=share_interval(correct.astype(np.float64), np.ones(len(correct)), groups=groups),
        per_class=tuple(
            ClassMetrics(label, int(support[i]), float(recall[i]), float(precision[i]), float(f1[i]))
            for i, label in enumerate(labels)
        ),
        confusion=confusion_matrix(targets, predicted, labels=positions).astype(np.int64),
    )
