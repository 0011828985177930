"""What happens from when to when in what a model says step by step: one way for files and for live streams."""

import math
from collections import deque

import numpy as np
import numpy.typing as npt

from vidrnn.annotations import BACKGROUND
from vidrnn.inference.events import Event, EventFinder, EventOptions
from vidrnn.models.model_file import TrainedModel
from vidrnn.settings.model import MULTILABEL_HEADS

GAP_S = 10.0
"""What happens ends where a video shows nothing for longer than this, and than `_GAP_STEPS` usual steps."""
_GAP_STEPS = 5
_DISTANCES = 10_000  # between steps, of which the median tells how long one lasts


def is_gap(seconds: float, usual_s: float) -> bool:
    """Whether nobody saw what happens between two steps.

    Args:
        seconds: their distance.
        usual_s: the usual one; 0: not known.
    """
    return usual_s > 0 and seconds > max(GAP_S, _GAP_STEPS * usual_s)


class StepEvents:
    """The events in the probabilities that a model gives for steps in order of time.

    Nothing happens where the model is not sure (``unknown_below``), and nothing lasts through a gap.

    Args:
        model: that answers.
        options: which events count.
        usual_s: the usual distance of steps, where all are known; None: the median of those that have come.
    """

    def __init__(self, model: TrainedModel, options: EventOptions, *, usual_s: float | None = None) -> None:
        thresholds = None
        if model.settings.model.head in MULTILABEL_HEADS:
            thresholds = [*(model.thresholds or (0.5,) * len(model.label_map)), math.inf]
        # Behind the classes stands that nothing is sure.
        self._finder = EventFinder([*model.label_map.names, BACKGROUND], thresholds=thresholds, options=options)
        self._unknown_below, self._known_usual_s = model.unknown_below, usual_s
        self._distances: deque[float] = deque(maxlen=_DISTANCES)
        self._latest_s: float | None = None

    def push(self, time_s: float, scores: npt.NDArray[np.float64]) -> list[Event]:
        """The events that are certain with a step, later than the one before, of probabilities (C,)."""
        events: list[Event] = []
        if self._latest_s is not None:
            distance_s = time_s - self._latest_s
            if distance_s > GAP_S and is_gap(distance_s, usual_s := self._usual_s()):
                events += self._finder.finish(self._latest_s + usual_s)
            self._distances.append(distance_s)
        self._latest_s = time_s
        is_unsure = self._unknown_below is not None and float(scores.max()) < self._unknown_below
        return events + self._finder.push(time_s, np.append(scores, math.inf if is_unsure else -math.inf))

    def finish(self, end_s: float | None) -> list[Event]:
        """The ends of what still happens. Steps that come afterwards begin anew.

        Args:
            end_s: of the video; None: not known, so the last step lasts as long as a usual one.
        """
        latest_s, self._latest_s = self._latest_s, None
        if latest_s is None:
            return []
        usual_s = self._usual_s()
        if end_s is None or is_gap(end_s - latest_s, usual_s):
            end_s = latest_s + usual_s
        return self._finder.finish(max(end_s, latest_s))

    def _usual_s(self) -> float:
        if self._known_usual_s is not None:
            return self._known_usual_s
        return float(np.median(self._distances)) if self._distances else 0.0
