"""Which passes are made of one reading of a file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vidrnn.extraction.embedder import Computed, Embedder, Pass, ReadStream
from vidrnn.extraction.jobs import Job
from vidrnn.frames.fitting import Drawing
from vidrnn.video.sampling import Sampling


@dataclass(frozen=True)
class Readings:
    """What decoders are asked for, so that all passes can be made of it.

    Attributes:
        drawings: of pictures, by the number of the reading; passes that look at the same frames share one.
        streams: of other things.
        of_pass: the reading that each pass is made of.
    """

    drawings: dict[int, Drawing]
    streams: dict[int, ReadStream]
    of_pass: tuple[int, ...]

    @classmethod
    def of(cls, passes: Sequence[Pass]) -> "Readings":
        """The fewest readings that serve all passes."""
        drawings: dict[int, Drawing] = {}
        streams: dict[int, ReadStream] = {}
        of_pass: list[int] = []
        for number, one_pass in enumerate(passes):
            if isinstance(one_pass, Computed):
                streams[number] = one_pass.read
                of_pass.append(number)
                continue
            drawing = _drawing_of(one_pass)
            of_pass.append(next((known for known, other in drawings.items() if other == drawing), number))
            drawings.setdefault(of_pass[-1], drawing)
        return cls(drawings, streams, tuple(of_pass))

    def wanted(self, job: Job) -> tuple[int, ...]:
        """The readings that a video still needs."""
        return tuple(dict.fromkeys(self.of_pass[number] for number in job.wanted))

    def passes_of(self, job: Job, reading: int) -> tuple[int, ...]:
        """The passes that a video still needs and that are made of this reading."""
        return tuple(number for number in job.wanted if self.of_pass[number] == reading)


def _drawing_of(embedder: Embedder) -> Drawing:
    preprocessing = embedder.preprocessing
    if embedder.flips:
        preprocessing = replace(preprocessing, mirrored=False)
    return Drawing(Sampling(**embedder.spec.sampling), preprocessing)
