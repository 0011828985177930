"""Why a model answers as it does for new videos."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from vidrnn.errors import StoreError
from vidrnn.explanation.explanation import Explanation, explain
from vidrnn.explanation.importance import Method
from vidrnn.explanation.nearest import TrainingVideos
from vidrnn.inference.one_sequence import sequence_of
from vidrnn.inference.seen import Seen, Ways
from vidrnn.models.model_file import TrainedModel
from vidrnn.sequences.alignment import reference_of
from vidrnn.settings.streams import Stream


@dataclass(frozen=True)
class ExplainedVideo:
    """What became of a video.

    Attributes:
        path: as it was given.
        explanation: None where it cannot be explained.
        error: why not.
    """

    path: str
    explanation: Explanation | None = None
    error: str | None = None


def explain_videos(
    model: TrainedModel,
    videos: Iterable[Path],
    ways: Ways,
    *,
    streams: Sequence[Stream],
    label: str | None,
    method: Method,
    training: TrainingVideos | None,
) -> Generator[ExplainedVideo, None, None]:
    """Explain the answers for many videos, as they finish; one that cannot be read says why, and the others go on."""
    with closing(ways.see(videos)) as found:
        for path, seen in found:
            yield _explained(model, path, seen, ways, streams=streams, label=label, method=method, training=training)


def _explained(
    model: TrainedModel,
    path: str,
    seen: Seen,
    ways: Ways,
    *,
    streams: Sequence[Stream],
    label: str | None,
    method: Method,
    training: TrainingVideos | None,
) -> ExplainedVideo:
    if (refusal := seen.refusal(streams)) is not None:
        return ExplainedVideo(path, error=refusal)
    times = {name: video.timestamps_s for name, video in seen.times().items()}
    try:
        sequences = sequence_of(model, ways.specs, seen.features, streams=streams)
        explanation = explain(
            model, sequences, 0, times[reference_of(times)], path=path, label=label, method=method, training=training
        )
    except StoreError as error:  # no chosen step shows anything of it
        return ExplainedVideo(path, error=str(error))
    return ExplainedVideo(path, explanation)
