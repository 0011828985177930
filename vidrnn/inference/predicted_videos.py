"""Predictions for new videos, one after the other as their features are there."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from vidrnn.errors import StoreError
from vidrnn.inference.one_sequence import sequence_of
from vidrnn.inference.outputs import prediction_of
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.prediction_rows import clock_of
from vidrnn.inference.seen import Seen, Ways
from vidrnn.models.model_file import TrainedModel
from vidrnn.names import quoted
from vidrnn.sequences.alignment import reference_of
from vidrnn.settings.streams import Stream
from vidrnn.stages import LOG
from vidrnn.training.predict import predict, predict_options


def predict_videos(
    model: TrainedModel, videos: Iterable[Path], ways: Ways, *, streams: Sequence[Stream]
) -> Generator[Prediction, None, None]:
    """A prediction for each video; one that fails in any stream says why, and the others go on.

    Args:
        model: that answers.
        videos: files, or folders of frames.
        ways: how they are seen.
        streams: that the model takes, in canonical order.
    """
    with closing(ways.see(videos)) as found:
        for path, seen in found:
            prediction = _predict(model, path, seen, ways, streams)
            LOG.info("%s: %s", quoted(path), prediction.error or "answered")
            yield prediction


def _predict(model: TrainedModel, path: str, seen: Seen, ways: Ways, streams: Sequence[Stream]) -> Prediction:
    head, there = model.settings.model.head, seen.times()
    if (refusal := seen.refusal(streams)) is not None:
        return Prediction(path, "failed", error=refusal, head=head)
    try:
        sequences = sequence_of(model, ways.specs, seen.features, streams=streams)
        (outputs,) = predict(model.classifier, sequences, predict_options(model.settings))
    except StoreError as error:  # no chosen step shows anything of it
        return Prediction(path, "failed", error=str(error), head=head)
    reference = reference_of({name: video.timestamps_s for name, video in there.items()})
    plain = next(spec for spec in ways.specs if (spec.stream, spec.is_mirrored) == (reference, False))
    clock = clock_of(there[reference], plain)
    lacking = tuple(name for name in streams if name not in there)
    return replace(prediction_of(path, outputs, model, clock=clock), lacking=lacking)
