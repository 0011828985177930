"""What a model says about one video, as rows of a table: one per video, or one per segment from step heads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidrnn.annotations import BACKGROUND, UNKNOWN
from vidrnn.evaluation.calibration import calibrate
from vidrnn.evaluation.metrics import sigmoid, softmax
from vidrnn.evaluation.segmentation import ReadSteps, StepLabels, likeliest, to_segments
from vidrnn.evaluation.transcripts import collapse
from vidrnn.settings.model import MULTILABEL_HEADS, Head
from vidrnn.settings.streams import PICTURE_STREAMS
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.video_features import VideoFeatures
from vidrnn.video.sampling import Sampling

TOP_K = 5
PredictionRow = Mapping[str, Any]
Outputs = npt.NDArray[np.floating[Any]]

COLUMNS: dict[Head, tuple[str, ...]] = {
    "label": ("label", "score", "top_k"),
    "multilabel": ("labels", "top_k"),
    "step_labels": ("start", "end", "label", "score"),
    "step_multilabel": ("start", "end", "label", "score"),
    "transcript": ("labels",),
    "regression": ("target",),
    "step_regression": ("start", "end", "target"),
}
"""The keys of a row. Scores are probabilities, times seconds since the start of the file, both ends of a segment as
in the annotation CSV."""


@dataclass(frozen=True)
class Clock:
    """When the cached steps of a video are.

    Attributes:
        timestamps_s: (T,) seconds, increasing.
        duration_s: from the first frame of the video to the end of its last.
        first_s: when its first frame is shown; None: between 0 and the first step.
    """

    timestamps_s: npt.NDArray[np.float64]
    duration_s: float
    first_s: float | None = None

    def bounds(self) -> npt.NDArray[np.float64]:
        """(T + 1,) seconds: a step lasts until the next begins, and none longer than the video.

        Where the first frame is not known, the end is the earliest that the video may have.
        """
        first, last = self.timestamps_s[0], self.timestamps_s[-1]
        usual = float(np.median(np.diff(self.timestamps_s))) if len(self.timestamps_s) > 1 else 0.0
        latest = (first if self.first_s is None else self.first_s) + self.duration_s
        if latest <= last:  # the duration is not known, or wrong
            end = last + usual
        elif self.first_s is not None:
            end = latest
        else:
            end = self.duration_s if self.duration_s > last else min(last + usual, latest)
        return np.append(self.timestamps_s, end)


def clock_of(video: VideoFeatures, spec: FeatureSpec) -> Clock:
    """When the steps of a stream of one video are.

    Args:
        video: the stream, of which one view is enough.
        spec: of the stream.
    """
    times_s, facts, first_s = video.timestamps_s, video.metadata, None
    if spec.stream in PICTURE_STREAMS and Sampling(**spec.sampling).begins_with_the_video(
        kept=len(times_s), num_frames=facts.num_frames, duration_s=facts.duration_s
    ):
        first_s = float(times_s[0])
    return Clock(times_s, facts.duration_s, first_s)


def rows_of(
    head: Head,
    outputs: Outputs,
    *,
    labels: Sequence[str],
    clock: Clock,
    thresholds: Sequence[float] | None = None,
    temperature: float = 1.0,
    unknown_below: float | None = None,
    read: ReadSteps = likeliest,
) -> list[PredictionRow]:
    """Put the outputs of a model for one video into words.

    Args:
        head: what it answers.
        outputs: as from `vidrnn.training.predict.predict`.
        labels: class names in the order of the outputs.
        clock: of the video.
        thresholds: (classes,) of ``multilabel`` and ``step_multilabel``; None takes 0.5 for all.
        temperature: that the logits of ``label`` are divided by.
        unknown_below: a lower score of ``label`` makes the label `UNKNOWN`, score and top-k stay; None never does.
        read: says the class of each step from the outputs of ``step_labels``.

    Returns:
        One row; from step heads one per segment or step in order of time. The background is no segment.
    """
    cuts = np.full(len(labels), 0.5) if thresholds is None else np.asarray(thresholds)
    scores = probabilities_of(head, outputs, temperature=temperature)
    rows: dict[Head, Callable[[], list[PredictionRow]]] = {
        "label": lambda: [_label(scores, labels, unknown_below)],
        "multilabel": lambda: [_labels(scores, labels, cuts)],
        "step_labels": lambda: _segments(read(outputs), scores, labels, clock.bounds()),
        "step_multilabel": lambda: _overlapping(scores, labels, cuts, clock.bounds()),
        "transcript": lambda: [
            {"labels": [labels[number] for number in collapse(outputs.argmax(axis=1), blank=len(labels))]}
        ],
        "regression": lambda: [{"target": float(outputs[0])}],
        "step_regression": lambda: _numbers(outputs[:, 0], clock.bounds()),
    }
    return rows[head]()


def probabilities_of(head: Head, outputs: Outputs, *, temperature: float = 1.0) -> npt.NDArray[np.float64]:
    """The scores behind the rows for one video; empty, (0,), for heads whose rows have no score.

    Args:
        head: what is answered.
        outputs: as from `vidrnn.training.predict.predict`.
        temperature: see `rows_of`.

    Returns:
        (classes,) for ``label`` and ``multilabel``, (T, classes) for ``step_labels`` and ``step_multilabel``.
    """
    if head == "label":
        return softmax(calibrate(outputs, temperature))
    if head in MULTILABEL_HEADS:
        return sigmoid(outputs)
    return softmax(outputs) if head == "step_labels" else np.zeros(0)


def _label(scores: npt.NDArray[np.float64], labels: Sequence[str], unknown_below: float | None) -> PredictionRow:
    best = _top_k(scores, labels)
    label, score = best[0]
    unknown = unknown_below is not None and score < unknown_below
    return {"label": UNKNOWN if unknown else label, "score": score, "top_k": best}


def _labels(scores: npt.NDArray[np.float64], labels: Sequence[str], cuts: npt.NDArray[np.float64]) -> PredictionRow:
    carried = [labels[position] for position in np.flatnonzero(scores >= cuts).tolist()]
    return {"labels": carried, "top_k": _top_k(scores, labels)}


def _top_k(scores: npt.NDArray[np.float64], labels: Sequence[str]) -> list[tuple[str, float]]:
    best = np.argsort(-scores, kind="stable")[:TOP_K]
    return [(labels[position], float(scores[position])) for position in best.tolist()]


def _segments(
    step_labels: StepLabels,
    scores: npt.NDArray[np.float64],
    labels: Sequence[str],
    bounds: npt.NDArray[np.float64],
) -> list[PredictionRow]:
    found = to_segments(step_labels)
    return [
        {
            "start": float(bounds[start]),
            "end": float(bounds[end]),
            "label": labels[label],
            "score": float(scores[start:end, label].mean()),
        }
        for start, end, label in found
        if labels[label] != BACKGROUND
    ]


def _overlapping(
    scores: npt.NDArray[np.float64],
    labels: Sequence[str],
    cuts: npt.NDArray[np.float64],
    bounds: npt.NDArray[np.float64],
) -> list[PredictionRow]:
    """The segments of each class, in order of their starts."""
    found = [
        (start, end, number)
        for number, going in enumerate((scores >= cuts).T.astype(np.int64))
        for start, end, is_on in to_segments(going)
        if is_on
    ]
    return [
        {
            "start": float(bounds[start]),
            "end": float(bounds[end]),
            "label": labels[number],
            "score": float(scores[start:end, number].mean()),
        }
        for start, end, number in sorted(found)
    ]


def _numbers(values: Outputs, bounds: npt.NDArray[np.float64]) -> list[PredictionRow]:
    spans = zip(bounds[:-1], bounds[1:], values, strict=True)
    return [{"start": float(start), "end": float(end), "target": float(value)} for start, end, value in spans]
