"""Which videos a model has seen, so that none of them is taken for a test later."""

import hashlib

from vidrnn.sequences.sequence_set import SequenceSet


def identities_of(sequences: SequenceSet) -> frozenset[str]:
    """12 hexadecimal digits for each video, of its path, size, number of frames and duration.

    The facts beside the path tell apart two data sets in which every file is called ``walk/1.mp4``.
    """
    return frozenset(
        hashlib.sha256(f"{annotation.path}|{facts.tolist()}".encode(errors="surrogateescape")).hexdigest()[:12]
        for annotation, facts in zip(sequences.annotations, sequences.metadata, strict=True)
    )
