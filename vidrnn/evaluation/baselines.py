"""Baselines that look at no pixel: what a number is worth shows beside them.

They give outputs of the same form as a model, so that one function measures all.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vidrnn.evaluation.metrics import Output, Truth
from vidrnn.evaluation.segmentation import UNLABELLED
from vidrnn.settings.model import REGRESSION_HEADS, Head

_NEIGHBOURS = 7
_LEAST = 1e-6  # a share of 0 or 1 has no finite logit

Array = npt.NDArray[np.float64]


def constant_name(head: Head) -> str:
    """What the baseline that always gives the same answer is called."""
    return "median" if head in REGRESSION_HEADS else "majority"


def constant(head: Head, truth: Truth, totals: Sequence[int], *, num_classes: int) -> list[Output]:
    """The one answer that would have been best in training.

    The most frequent class (the first of equals), the share of videos or known steps with each label, the most frequent
    transcript, the median.

    Args:
        head: what is answered.
        truth: n_train arrays, see `vidrnn.sequences.targets.Targets.per_video`.
        totals: (n_test,) cached steps of each test video.
        num_classes: classes that the head tells apart.

    Returns:
        n_test outputs as of a model.
    """
    if head == "label":
        counts = np.bincount(np.asarray(truth, dtype=np.int64), minlength=num_classes)
        return [np.eye(num_classes)[counts.argmax()]] * len(totals)
    if head == "multilabel":
        return [_logit(np.stack(truth).mean(axis=0))] * len(totals)
    if head == "step_multilabel":
        steps = np.concatenate(truth).astype(np.float64)
        shares = np.nansum(steps, axis=0) / np.maximum((~np.isnan(steps)).sum(axis=0), 1)
        return [np.tile(_logit(shares), (total, 1)) for total in totals]
    if head == "step_labels":
        steps = np.concatenate(truth)
        counts = np.bincount(steps[steps != UNLABELLED], minlength=num_classes)
        return [np.tile(np.eye(num_classes)[counts.argmax()], (total, 1)) for total in totals]
    if head == "transcript":
        ((transcript, _),) = Counter(tuple(row[row >= 0].tolist()) for row in truth).most_common(1)
        path = [num_classes, *(step for label in transcript for step in (label, num_classes))]
        return [np.eye(num_classes + 1)[path]] * len(totals)
    values = np.asarray(truth, dtype=np.float64) if head == "regression" else np.concatenate(truth)
    median = float(np.nanmedian(values))
    return [np.full((1,) if head == "regression" else (total, 1), median) for total in totals]


def metadata_only(head: Head, train: Array, truth: Truth, test: Array, *, num_classes: int) -> list[Output] | None:
    """Nearest neighbours on width, height, frames, seconds and frame rate: an answer that follows from these is a leak.

    Args:
        head: what is answered.
        train: (n, 4) width, height, frames, seconds.
        truth: n arrays.
        test: (m, 4).
        num_classes: classes that the head tells apart.

    Returns:
        m outputs as of a model; None for heads that do not give one answer per video.
    """
    if head not in {"label", "multilabel", "regression"}:
        return None
    wanted = np.stack([np.eye(num_classes)[row] if head == "label" else np.atleast_1d(row) for row in truth])
    model: Any = make_pipeline(StandardScaler(), KNeighborsRegressor(min(_NEIGHBOURS, len(train))))
    model.fit(_facts(train), wanted.astype(np.float64))
    answers = model.predict(_facts(test)).reshape(len(test), -1)
    return list(_logit(answers) if head == "multilabel" else answers)


def _facts(metadata: Array) -> Array:
    return np.column_stack([metadata, metadata[:, 2] / np.maximum(metadata[:, 3], 1e-9)])


def _logit(share: Array) -> Array:
    bounded = np.clip(share, _LEAST, 1.0 - _LEAST)
    logits: Array = np.log(bounded) - np.log1p(-bounded)
    return logits
