"""How uncertain an ensemble is of a video, from the probabilities that its members give."""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from vidrnn.errors import ConfigError
from vidrnn.settings.model import MULTILABEL_HEADS, Head

Floats = npt.NDArray[np.float64]
Measure = Literal["entropy", "mutual_information", "margin"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
DEFAULT: Measure = "entropy"
MEASURED_HEADS: tuple[Head, ...] = ("label", "multilabel", "step_labels", "step_multilabel")


def measure_of(text: str) -> Measure:
    """The measure of a name; ``auto`` is the one that docs/label_less.md measures as the best. Raises ConfigError."""
    if text == "auto":
        return DEFAULT
    for measure in MEASURES:
        if text == measure:
            return measure
    raise ConfigError(f"measure {text!r} is unknown; allowed: auto, {', '.join(MEASURES)}")


def uncertainty(probabilities: Floats, measure: Measure) -> float:
    """How uncertain the members are of one video, from 0 (sure) to 1 (as uncertain as can be).

    Args:
        probabilities: (members, classes) that add up to 1, or (members, steps, classes) of a head with an answer at
            every step: then the mean over the steps.
        measure: ``entropy`` of the mean over the members; ``mutual_information``, the part of it that comes from their
            disagreement (BALD, Houlsby et al. 2011); ``margin``, how close the second class is to the first in the
            mean. ``mutual_information`` is 0 for one member. The first two are divided by the entropy of equal
            probabilities.
    """
    mean = probabilities.mean(axis=0)
    if measure == "margin":
        least, most = np.sort(mean, axis=-1)[..., -2:].reshape(-1, 2).T
        return float(np.mean(1.0 - (most - least)))
    value = _entropy(mean)
    if measure == "mutual_information":
        value = np.maximum(value - _entropy(probabilities).mean(axis=0), 0.0)
    return float(np.mean(value) / np.log(probabilities.shape[-1]))


def _entropy(probabilities: Floats) -> Floats:
    """In nats, over the last axis."""
    logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
    entropy: Floats = -(probabilities * logs).sum(axis=-1)
    return entropy


def as_probabilities(logits: Floats, head: Head) -> Floats:
    """Logits (..., classes) of one member to what `uncertainty` takes.

    For heads with several labels each class is a decision with two answers, (decisions, 2), as if it were a step.
    """
    if head in MULTILABEL_HEADS:
        yes = 1.0 / (1.0 + np.exp(-logits.astype(np.float64).ravel()))
        return np.stack([1.0 - yes, yes], axis=-1)
    raised = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    shares: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return shares
