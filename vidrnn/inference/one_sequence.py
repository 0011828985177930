"""One video, or some of them, as a set of sequences, as a model is shown stored ones."""

from collections.abc import Mapping, Sequence

from vidrnn.annotations import Annotation, LabelMap
from vidrnn.models.model_file import TrainedModel
from vidrnn.sequences.found_stream import FoundStream
from vidrnn.sequences.loading import join_streams
from vidrnn.sequences.long_sequence import View
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.streams import Stream
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.video_features import VideoFeatures

_LABELS = LabelMap(("any",))  # the targets are never asked for


def sequence_of(
    model: TrainedModel,
    specs: Sequence[FeatureSpec],
    features: Mapping[View, VideoFeatures],
    *,
    streams: Sequence[Stream],
) -> SequenceSet:
    """A set of one video; arguments as of `sequences_of`."""
    return sequences_of(model, specs, [features], streams=streams)


def sequences_of(
    model: TrainedModel,
    specs: Sequence[FeatureSpec],
    videos: Sequence[Mapping[View, VideoFeatures]],
    *,
    streams: Sequence[Stream],
) -> SequenceSet:
    """A set of some videos, joined and masked as stored videos are.

    Args:
        model: what it is for.
        specs: of all views that may be there.
        videos: the views that are there of each video, at least one.
        streams: what the model is shown.

    Raises:
        StoreError: nothing of the videos is there.
    """
    views: dict[bool, dict[str, FoundStream]] = {False: {}, True: {}}
    for spec in specs:
        made = [features.get((spec.stream, spec.is_mirrored)) for features in videos]
        views[spec.is_mirrored][spec.stream] = FoundStream.in_memory(spec, made)
    return join_streams(
        [Annotation("the video", "any", None, "any")] * len(videos),
        {name: views[False][name] for name in streams},
        _LABELS,
        device=next(model.classifier.parameters()).device,
        mirrored=views[True],
        unseen=[spec for spec in model.specs if spec.stream not in streams],
        causal=not model.settings.model.bidirectional,
    )
