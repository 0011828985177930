"""Segments that no step lies in, before anything is trained: by stored features, else by the times of the frames."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vidrnn.annotations import Annotation
from vidrnn.annotations.lengths import describe_lengths
from vidrnn.annotations.splits import sort_annotations
from vidrnn.errors import MissingPathError, StoreError
from vidrnn.preflight.findings import Finding
from vidrnn.preflight.pictures import Pictures
from vidrnn.preflight.thumbnails import MOST_FRAMES, RATE
from vidrnn.sequences.alignment import reference_of
from vidrnn.sequences.unmet_segments import UnmetSegments, find_unmet
from vidrnn.settings.model import FRAMEWISE_HEADS
from vidrnn.settings.run import RunSettings
from vidrnn.settings.streams import in_order
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.spec import sampling_values
from vidrnn.store.video_features import VideoMetadata
from vidrnn.video.sampling import Sampling


class _Steps(NamedTuple):
    times_s: npt.NDArray[np.float64]
    facts: VideoMetadata


def find_unmet_segments(
    annotations: Sequence[Annotation], settings: RunSettings, pictures: Pictures | None
) -> Iterator[Finding]:
    """What `train` and `evaluate` would refuse or note of each split, where the steps of its videos are known.

    Also videos that are of another length than their annotations say.

    Args:
        annotations: all videos.
        settings: the configuration.
        pictures: the thumbnails; None when nothing was decoded. Then only videos with stored features are looked at.
    """
    known = ({} if pictures is None else _expected(pictures, settings)) | _stored(annotations, settings)
    videos = [annotation for annotation in annotations if annotation.path in known]
    if lengths := describe_lengths(videos, [known[video.path].facts.duration_s for video in videos]):
        yield Finding("warning", lengths)
    if settings.model.head not in FRAMEWISE_HEADS:
        return
    for split, members in sort_annotations(annotations, settings.data).items():
        if refusal := _unmet(members, known).refusal:
            yield Finding("refused", f"{split}: {refusal}")
    if note := _unmet(annotations, known).note:
        yield Finding("warning", note)


def _unmet(annotations: Sequence[Annotation], known: Mapping[str, _Steps]) -> UnmetSegments:
    videos = [annotation for annotation in annotations if annotation.path in known]
    steps = [known[annotation.path] for annotation in videos]
    facts = [(video.width, video.height, video.num_frames, video.duration_s) for _, video in steps]
    return find_unmet(videos, lambda number: steps[number].times_s, np.array(facts, dtype=np.float64).reshape(-1, 4))


def _expected(pictures: Pictures, settings: RunSettings) -> dict[str, _Steps]:
    """By the times of the thumbnails and the sampling of the configuration."""
    sampling, found = Sampling(**sampling_values(settings.features)), {}
    for annotation, facts in zip(pictures.annotations, pictures.metadata, strict=True):
        times = pictures.folder.read(annotation.path).timestamps_s
        if len(times) < MOST_FRAMES:
            times = times[sampling.select(times)]
        else:
            times = np.arange(0.0, max(facts.duration_s, 1.0), 1.0 / min(settings.features.rate, RATE))
        found[annotation.path] = _Steps(times, facts)
    return found


def _stored(annotations: Sequence[Annotation], settings: RunSettings) -> dict[str, _Steps]:
    """By the stored features; a video that has none, or a damaged file, is left out."""
    store, features = FeatureStore(settings.extraction.store), settings.features
    try:
        folders = [store.find(features, stream=stream) for stream in in_order(features.streams)]
    except (MissingPathError, StoreError):
        return {}
    found = {}
    for annotation in annotations:
        with suppress(StoreError):
            streams = {folder.spec.stream: folder.mapped(annotation.path) for folder in folders}
            videos = {name: video for name, video in streams.items() if video is not None and len(video.timestamps_s)}
            if videos:
                reference = reference_of({name: video.timestamps_s for name, video in videos.items()})
                facts = next(iter(videos.values())).metadata
                found[annotation.path] = _Steps(np.array(videos[reference].timestamps_s), facts)
    return found
