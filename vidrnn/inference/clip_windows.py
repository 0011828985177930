"""A long video in windows that overlap: each is to the model a clip of its own; the answers of several are averaged."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.inference.one_sequence import sequences_of
from vidrnn.inference.prediction_rows import Outputs, probabilities_of
from vidrnn.models.model_file import TrainedModel
from vidrnn.sequences.alignment import reference_of
from vidrnn.sequences.host_rows import MappedRows
from vidrnn.sequences.long_sequence import View, times_of
from vidrnn.settings.model import REGRESSION_HEADS, STEP_HEADS
from vidrnn.settings.streams import Stream
from vidrnn.store.source import Source
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.video_features import VideoFeatures
from vidrnn.training.predict import predict, predict_options

Times = npt.NDArray[np.float64]
_AT_ONCE = 32  # windows
_TINY_S = 1e-6  # times are sums and products of floats
_CPU = torch.device("cpu")


def windows_of(times_s: Times, *, window_s: float, hop_s: float) -> Iterator[tuple[int, int]]:
    """The steps of each window, from the first to before the last; every step is in at least one.

    Windows begin at the first step, and ``hop_s`` apart; the last one ends with the video. A video that is shorter than
    a window is one window. Where nothing is shown for longer than a window there is no window.

    Args:
        times_s: (T,) seconds, increasing.
        window_s: their length.
        hop_s: from the beginning of one to the beginning of the next, at most ``window_s``.
    """
    first, total, number, before = float(times_s[0]), len(times_s), 0, (-1, -1)
    while True:
        start = first + number * hop_s - _TINY_S
        begin, end = (int(place) for place in np.searchsorted(times_s, [start, start + window_s]))
        if end == total:
            break
        if begin == end:
            number = max(int((float(times_s[begin]) - first - window_s) // hop_s), number) + 1
            continue
        if (begin, end) != before:
            yield begin, end
            before = begin, end
        number += 1
    yield int(np.searchsorted(times_s, float(times_s[-1]) - window_s + _TINY_S)), total


def window_scores(
    model: TrainedModel,
    specs: Sequence[FeatureSpec],
    features: Mapping[View, VideoFeatures],
    *,
    streams: Sequence[Stream],
    window_s: float,
    hop_s: float,
) -> Iterator[npt.NDArray[np.float64]]:
    """What the windows say of each step, on average: probabilities of classes, or a number.

    Args:
        model: that answers.
        specs: of all views that may be there.
        features: the views that are there.
        streams: what the model is shown.
        window_s: see `windows_of`.
        hop_s: see `windows_of`.

    Yields:
        (n, classes) or (n, 1) of neighbouring steps, from the first to the last.
    """
    seconds = times_of(features, streams=streams)
    times_s = seconds[reference_of(seconds)]
    answers = _answers(model, specs, features, windows_of(times_s, window_s=window_s, hop_s=hop_s), streams, times_s)
    return _averaged(answers)


def _answers(
    model: TrainedModel,
    specs: Sequence[FeatureSpec],
    features: Mapping[View, VideoFeatures],
    windows: Iterable[tuple[int, int]],
    streams: Sequence[Stream],
    times_s: Times,
) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
    """The first step of each window, and the scores (n, C) of its steps."""
    options, per_step = predict_options(model.settings), model.settings.model.head in STEP_HEADS
    waiting = iter(windows)
    while some := list(islice(waiting, _AT_ONCE)):
        clips = [_clip(features, float(times_s[begin]), float(times_s[end - 1])) for begin, end in some]
        outputs = predict(model.classifier, sequences_of(model, specs, clips, streams=streams), options)
        for (begin, end), clip, output in zip(some, clips, outputs, strict=True):
            scores = _scores(model, output.numpy())
            if per_step:
                steps = times_of(clip, streams=streams)
                yield begin, scores[_nearest(steps[reference_of(steps)], times_s[begin:end])]
            else:
                yield begin, np.broadcast_to(scores, (end - begin, len(scores)))


def _scores(model: TrainedModel, outputs: Outputs) -> npt.NDArray[np.float64]:
    head = model.settings.model.head
    if head in REGRESSION_HEADS:
        return np.asarray(outputs, dtype=np.float64)
    return probabilities_of(head, outputs, temperature=model.temperature)


def _clip(features: Mapping[View, VideoFeatures], start_s: float, end_s: float) -> dict[View, VideoFeatures]:
    """The steps of a window; a stream of a single step, such as a caption, belongs to all windows."""
    clip = {}
    for view, video in features.items():
        times_s = video.timestamps_s
        if len(times_s) == 1:
            clip[view] = video
            continue
        begin, end = (int(place) for place in np.searchsorted(times_s, [start_s - _TINY_S, end_s + _TINY_S]))
        if begin < end:
            rows = MappedRows(video.features, _CPU).narrow(0, begin, end - begin).numpy()
            clip[view] = VideoFeatures(rows, times_s[begin:end], video.metadata, Source(0, 0, ""))
    return clip


def _nearest(there: Times, wanted: Times) -> npt.NDArray[np.int64]:
    """(n,) number of the step that is nearest to each of the wanted times."""
    return np.searchsorted((there[:-1] + there[1:]) / 2, wanted)


def _averaged(
    answers: Iterable[tuple[int, npt.NDArray[np.float64]]],
) -> Iterator[npt.NDArray[np.float64]]:
    """The mean of all answers about each step; what no later window can change is given away."""
    done, sums, counts = 0, np.zeros((0, 0)), np.zeros(0)
    for begin, scores in answers:
        if begin > done:
            yield sums[: begin - done] / counts[: begin - done, None]
            done, sums, counts = begin, sums[begin - done :], counts[begin - done :]
        more = begin + len(scores) - done - len(counts)
        if more > 0:
            sums = np.concatenate([sums.reshape(-1, scores.shape[1]), np.zeros((more, scores.shape[1]))])
            counts = np.concatenate([counts, np.zeros(more)])
        sums[: len(scores)] += scores
        counts[: len(scores)] += 1
    if len(counts):
        yield sums / counts[:, None]
