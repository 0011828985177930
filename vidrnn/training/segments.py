"""What the segments of the training videos tell about segments in general."""

import numpy as np

from vidrnn.models.segment_decoder import SegmentDecoder
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.model import Head


def learn_segments(train: SequenceSet, head: Head, *, num_classes: int) -> SegmentDecoder | None:
    """Durations and order of the segments of the training videos, in cached steps; None for other heads.

    Args:
        train: the training set.
        head: what is answered; ``step_labels`` has one segment at a time.
        num_classes: classes that the head tells apart.
    """
    if head != "step_labels":
        return None
    videos = [labels.astype(np.int64) for labels in train.targets.per_video(train.totals)]
    return SegmentDecoder.from_labels(videos, num_classes=num_classes)
