"""What happens from when to when in a long video: the answers about its steps made into segments."""

import math
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidrnn.errors import ConfigError, StoreError, VideoError
from vidrnn.evaluation.segmentation import ReadSteps
from vidrnn.inference.clip_windows import window_scores
from vidrnn.inference.events import Event, EventOptions
from vidrnn.inference.live_models import check_window, usual_window
from vidrnn.inference.long_outputs import step_outputs
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.prediction_rows import Clock, PredictionRow, clock_of, probabilities_of
from vidrnn.inference.seen import Seen, Ways
from vidrnn.inference.step_events import StepEvents, is_gap
from vidrnn.inference.stored_videos import StoredVideos
from vidrnn.models.ensemble import Ensemble
from vidrnn.models.model_file import TrainedModel
from vidrnn.models.states import obstacle_to_steps
from vidrnn.sequences.alignment import reference_of
from vidrnn.sequences.long_sequence import View, long_sequence, times_of
from vidrnn.settings.model import REGRESSION_HEADS, STEP_HEADS, Head
from vidrnn.settings.streams import PICTURE_STREAMS, Stream
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.video_features import VideoFeatures
from vidrnn.video.sampling import Sampling

_HOPS = 4  # windows that look at a step, when nothing else is said

Scores = Iterable[npt.NDArray[np.float64]]


@dataclass(frozen=True)
class SegmentOptions:
    """How a long video is looked at, and which segments count.

    Attributes:
        window_s: seconds that are looked at together, as if they were a clip; None: see `check_options`.
        hop_s: seconds from the beginning of one window to the beginning of the next; None: a quarter of a window.
        events: which segments count.
    """

    window_s: float | None = None
    hop_s: float | None = None
    events: EventOptions = field(default_factory=EventOptions)


def check_options(model: TrainedModel, options: SegmentOptions) -> SegmentOptions:
    """The options with window and hop as they are used; both stay None where the model goes on from step to step.

    Models with one answer per video take windows as long as the median training video, when nothing else is said.

    Raises:
        ConfigError: the model cannot say when something happens, or an option has no meaning.
    """
    settings = model.settings
    head, window_s, hop_s = settings.model.head, options.window_s, options.hop_s
    if head == "transcript":
        raise ConfigError(
            "the model's head is 'transcript', which says in what order things happen and not when; train one with "
            "head step_labels, step_multilabel or label"
        )
    if head in REGRESSION_HEADS and options.events != EventOptions():
        raise ConfigError(
            f"the model's head is {head!r}, which gives a number for every step and no class that starts and ends; "
            "leave hysteresis, shortest length and shortest gap out"
        )
    if model.read_steps is not None and options.events.hysteresis:
        raise ConfigError(
            f"a hysteresis of {options.events.hysteresis}: the model reads segments from all steps together "
            "(inference.decoding: viterbi), and no class takes the place of another step by step; leave it out"
        )
    if window_s is None and head not in STEP_HEADS:
        window_s = usual_window(model)
    if window_s is None:
        if hop_s is not None:
            raise ConfigError(f"a hop of {hop_s} s is the distance of windows, and there are none; give a window too")
        _refuse_obstacles(model)
        return options
    hop_s = window_s / _HOPS if hop_s is None else hop_s
    check_window(model, window_s)
    if not 0 < hop_s <= window_s:
        raise ConfigError(
            f"a hop of {hop_s} s with a window of {window_s} s: give a number of seconds above 0 and at most the "
            "window, so that every step is seen"
        )
    return SegmentOptions(window_s, hop_s, options.events)


def _refuse_obstacles(model: TrainedModel) -> None:
    settings = model.settings
    advice = "or give a window (--window), as long as the videos of the training"
    if settings.training.steps is not None:
        raise ConfigError(
            f"the model chooses {settings.training.steps} steps of a whole video (training.steps), too few of "
            f"a long one; train with training.steps: null, {advice}"
        )
    for spec in model.specs:
        if spec.stream in PICTURE_STREAMS and (spread := Sampling(**spec.sampling).spread):
            raise ConfigError(f"the model {spread.what}, too few of a long one; train with {spread.instead}, {advice}")
    if settings.model.bidirectional:
        return
    views = 2 if settings.features.mirrored and settings.inference.views == "both" else 1
    members = len(model.classifier.members) if isinstance(model.classifier, Ensemble) else 1
    if obstacle := obstacle_to_steps(settings.model, members=members * views):
        raise ConfigError(f"the model cannot go on from step to step: {obstacle}, {advice}")


def head_of_rows(head: Head) -> Head:
    """The head whose rows segments look like: of classes or of numbers."""
    return "step_regression" if head in REGRESSION_HEADS else "step_labels"


def segment_videos(
    model: TrainedModel,
    videos: Iterable[Path],
    ways: Ways,
    *,
    streams: Sequence[Stream],
    options: SegmentOptions,
    stored: StoredVideos | None,
) -> Generator[Prediction, None, None]:
    """The segments of many videos, those with stored features first, the others as they finish.

    Args:
        model: that answers.
        videos: the videos.
        ways: how their features are made.
        streams: what the model is shown.
        options: from `check_options`.
        stored: where features may lie already.
    """
    waiting, answer = [], partial(_answer, model, ways.specs, streams=streams, options=options)
    for video in videos:
        if stored is None or (seen := stored.find(video)) is None:
            waiting.append(video)
        else:
            yield answer(str(video), ways.with_text(video, seen))
    if waiting:
        with closing(ways.see(waiting)) as found:
            for path, seen in found:
                yield answer(path, seen)
                del seen  # with it goes the file of its features


def _answer(
    model: TrainedModel,
    specs: Sequence[FeatureSpec],
    path: str,
    seen: Seen,
    *,
    streams: Sequence[Stream],
    options: SegmentOptions,
) -> Prediction:
    head = head_of_rows(model.settings.model.head)
    if (refusal := seen.refusal(streams)) is not None:
        return Prediction(path, "failed", error=refusal, head=head)
    try:
        rows = find_segments(model, specs, seen.features, streams=streams, options=options)
    except StoreError as error:
        return Prediction(path, "failed", error=str(error), head=head)
    lacking = tuple(name for name in streams if name not in seen.times())
    return Prediction(path, "ok", tuple(rows), lacking=lacking, head=head, classes=model.label_map.names)


def find_segments(
    model: TrainedModel,
    specs: Sequence[FeatureSpec],
    features: Mapping[View, VideoFeatures],
    *,
    streams: Sequence[Stream],
    options: SegmentOptions,
) -> list[PredictionRow]:
    """The segments of one video, whose features may lie on disk, in order of their start.

    Args:
        model: that answers.
        specs: of all views that may be there.
        features: the views that are there, at least one.
        streams: what the model is shown.
        options: from `check_options`.

    Returns:
        Rows with ``start``, ``end``, ``label`` and ``score``, or ``start``, ``end`` and ``target``, as `classify` gives
        them.

    Raises:
        StoreError: the features do not fit together.
    """
    seconds = times_of(features, streams=streams)
    reference = reference_of(seconds)
    plain = next(spec for spec in specs if (spec.stream, spec.is_mirrored) == (reference, False))
    clock = clock_of(features[_view(reference)], plain)
    if options.window_s is not None and options.hop_s is not None:
        scores: Scores = window_scores(
            model, specs, features, streams=streams, window_s=options.window_s, hop_s=options.hop_s
        )
    else:
        scores = _step_scores(model, features, streams=streams)
    if (read := model.read_steps) is not None:
        scores = [_only_said(np.concatenate(list(scores)), read)]
    steps = (row for part in scores for row in part)
    if model.settings.model.head in REGRESSION_HEADS:
        return list(_numbers(steps, clock))
    found = list(_segments(steps, clock, model, options.events))
    return sorted(found, key=lambda row: (row["start"], row["end"], row["label"]))


def _only_said(probabilities: npt.NDArray[np.float64], read: ReadSteps) -> npt.NDArray[np.float64]:
    """The scores (T, C) of what was read from all steps together; nothing else happens."""
    with np.errstate(divide="ignore"):
        chosen = read(np.maximum(np.log(probabilities), np.finfo(np.float32).min))
    is_chosen = np.arange(probabilities.shape[1]) == chosen[:, None]
    return np.where(is_chosen, probabilities, -math.inf)


def _view(reference: str) -> View:
    return reference, False


def _step_scores(
    model: TrainedModel, features: Mapping[View, VideoFeatures], *, streams: Sequence[Stream]
) -> Iterator[npt.NDArray[np.float64]]:
    settings = model.settings.model
    sequences = long_sequence(
        model.specs,
        features,
        streams=streams,
        device=next(model.classifier.parameters()).device,
        causal=not settings.bidirectional,
    )
    for outputs in step_outputs(model, sequences):
        is_number = settings.head in REGRESSION_HEADS
        yield outputs.astype(np.float64) if is_number else probabilities_of(settings.head, outputs)


def _segments(
    steps: Iterable[npt.NDArray[np.float64]], clock: Clock, model: TrainedModel, options: EventOptions
) -> Iterator[PredictionRow]:
    events = StepEvents(model, options, usual_s=_usual_s(clock))
    for time_s, scores in zip(clock.timestamps_s.tolist(), steps, strict=True):
        yield from _rows(events.push(time_s, scores))
    yield from _rows(events.finish(float(clock.bounds()[-1])))


def _rows(events: Iterable[Event]) -> Iterator[PredictionRow]:
    for event in events:
        if event.kind == "end":
            yield {"start": event.start_s, "end": event.time_s, "label": event.label, "score": event.score}


def _numbers(steps: Iterable[npt.NDArray[np.float64]], clock: Clock) -> Iterator[PredictionRow]:
    bounds, usual_s = clock.bounds(), _usual_s(clock)
    for start_s, next_s, (number,) in zip(bounds[:-1].tolist(), bounds[1:].tolist(), steps, strict=True):
        end_s = start_s + usual_s if is_gap(next_s - start_s, usual_s) else next_s
        yield {"start": start_s, "end": end_s, "target": float(number)}


def _usual_s(clock: Clock) -> float:
    """How long a step lasts."""
    return float(np.median(np.diff(clock.timestamps_s))) if len(clock.timestamps_s) > 1 else 0.0


def rows_of_one(found: Generator[Prediction, None, None]) -> Generator[PredictionRow, None, None]:
    """The rows of the predictions; raises VideoError where one failed."""
    with closing(found):
        for prediction in found:
            if prediction.error is not None:
                raise VideoError(f"{prediction.path}: {prediction.error}")
            yield from prediction.rows
