"""From a prediction and what is true to what an annotated video tells."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from vidrnn.annotations import BACKGROUND, Annotation
from vidrnn.annotations.segments import gaps
from vidrnn.display.story import NOTHING, Curve, Row, Span, Steps, Story, Words
from vidrnn.inference.prediction import Prediction
from vidrnn.settings.model import FRAMEWISE_HEADS, MULTILABEL_HEADS, Head

PREDICTED, TRUE = "predicted", "true"
"""Names of the two rows of the timeline."""
_SHOWN_LABELS = 12  # of a transcript
_UNKNOWN = ""


def story_of(prediction: Prediction, truth: Annotation | None, *, duration_s: float) -> Story:
    """What is said of a video, and what holds, on one timeline.

    What is said of a whole video holds throughout. A transcript has an order and no times, so it has no row.

    Args:
        prediction: without an error.
        truth: None where nothing is known.
        duration_s: of the video.
    """
    predicted = _predicted(prediction, duration_s)
    true = None if truth is None else true_row(truth, duration_s)
    named = [*prediction.classes, *(span.label for row in (predicted, true) if row for span in row.spans)]
    named += [name for row in prediction.rows for name, _ in row.get("top_k", ())]
    steps = None
    if prediction.probabilities is not None and prediction.probabilities.ndim == 2 and prediction.bounds_s is not None:
        is_exclusive = prediction.head not in MULTILABEL_HEADS
        steps = Steps(prediction.bounds_s, prediction.probabilities, prediction.classes, is_exclusive)
    return Story(tuple(dict.fromkeys(named)), duration_s, predicted, _throughout(prediction), steps, true)


def true_row(truth: Annotation, duration_s: float) -> Row:
    """What is known of a video, as a row of the timeline."""
    segments = truth.segments
    if segments is None:
        if truth.target is not None:
            return Row(TRUE, curve=_curve([(0.0, duration_s, truth.target)]))
        return Row(TRUE, tuple(Span(0.0, math.inf, name) for name in dict.fromkeys(truth.names)))
    numbers = [(segment.start_s, segment.end_s, segment.target) for segment in segments if segment.target is not None]
    if numbers:
        return Row(TRUE, curve=_curve(numbers))
    known = [Span(segment.start_s, segment.end_s, segment.label) for segment in segments]
    # Where nobody looked for anything, nothing is known, not even that nothing happened.
    known += [Span(gap.start_s, gap.end_s, _UNKNOWN) for gap in truth.unlabelled if not gap.label]
    filled = _filled(known, duration_s)
    return Row(TRUE, tuple(span for span in filled if span.label != _UNKNOWN))


def _predicted(prediction: Prediction, duration_s: float) -> Row:
    rows = prediction.rows

    def segments() -> Row:
        spans = [Span(row["start"], row["end"], row["label"], row["score"]) for row in rows]
        return Row(PREDICTED, _filled(spans, duration_s))

    spans: dict[Head, Callable[[], Row]] = {
        "label": lambda: Row(PREDICTED, (Span(0.0, math.inf, rows[0]["label"]),)),
        "multilabel": lambda: Row(PREDICTED, tuple(Span(0.0, math.inf, name) for name in rows[0]["labels"])),
        "step_labels": segments,
        "step_multilabel": segments,
        "transcript": lambda: Row(PREDICTED),
        "regression": lambda: Row(PREDICTED, curve=_curve([(0.0, duration_s, rows[0]["target"])])),
        "step_regression": lambda: Row(
            PREDICTED, curve=_curve([(row["start"], row["end"], row["target"]) for row in rows])
        ),
    }
    return spans[prediction.head]()


def _filled(spans: Sequence[Span], duration_s: float) -> tuple[Span, ...]:
    """The spans, and the background wherever there is none."""
    free = gaps((span.start_s, span.end_s) for span in spans)
    background = [Span(start_s, end_s, BACKGROUND) for start_s, end_s in free if start_s < duration_s]
    return tuple(sorted([*spans, *background], key=lambda span: span.start_s))


def _curve(numbers: Sequence[tuple[float, float, float]]) -> Curve:
    starts, ends, values = np.asarray(numbers, dtype=np.float64).reshape(-1, 3).T
    return Curve(starts, ends, values)


def _throughout(prediction: Prediction) -> Words | None:
    """What is said of the whole video; None of heads that say something at every step."""
    if prediction.segments or prediction.head in FRAMEWISE_HEADS:
        return None
    row = prediction.rows[0]
    bars = tuple((name, score) for name, score in row.get("top_k", ()))
    if prediction.head == "label":
        return Words(row["label"], row["score"], bars)
    if prediction.head == "regression":
        return Words(f"{row['target']:.4g}")
    names = list(row["labels"])
    joint = " → " if prediction.head == "transcript" else ", "
    more = joint + "…" if len(names) > _SHOWN_LABELS else ""
    return Words(joint.join(names[:_SHOWN_LABELS]) + more if names else NOTHING, None, bars)
