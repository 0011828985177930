"""One video as a set of sequences, as a model is shown stored ones."""

from collections.abc import Mapping, Sequence

from vidrnn.annotations import Annotation, LabelMap
from vidrnn.models.model_file import TrainedModel
from vidrnn.sequences.found_stream import FoundStream
from vidrnn.sequences.loading import join_streams
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.streams import Stream
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.video_features import VideoFeatures

_LABELS = LabelMap(("any",))  # the targets are never asked for
View = tuple[str, bool]
"""A stream, and whether it is seen in a mirror."""


def sequence_of(
    model: TrainedModel,
    specs: Sequence[FeatureSpec],
    features: Mapping[View, VideoFeatures],
    *,
    streams: Sequence[Stream],
) -> SequenceSet:
    """A set of one video, joined and masked as stored videos are.

    Args:
        model: what it is for.
        specs: of all views that may be there.
        features: the views that are there.
        streams: what the model is shown.

    Raises:
        StoreError: nothing of the video is there.
    """
    views: dict[bool, dict[str, FoundStream]] = {False: {}, True: {}}
    for spec in specs:
        made = features.get((spec.stream, spec.is_mirrored))
        views[spec.is_mirrored][spec.stream] = FoundStream.in_memory(spec, [made])
    return join_streams(
        [Annotation("the video", "any", None, "any")],
        {name: views[False][name] for name in streams},
        _LABELS,
        device=next(model.classifier.parameters()).device,
        mirrored=views[True],
        unseen=[spec for spec in model.specs if spec.stream not in streams],
        causal=not model.settings.model.bidirectional,
    )
