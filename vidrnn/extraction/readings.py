"""Which passes are made of one reading of a file."""

from collections.abc import Sequence
from dataclasses import dataclass

from vidrnn.extraction.embedder import ChangeSince, Computed, Pass, ReadStream
from vidrnn.extraction.jobs import Job
from vidrnn.frames.fitting import Drawing
from vidrnn.store.video_features import VideoFeatures
from vidrnn.video.sampling import Sampling


@dataclass(frozen=True)
class Readings:
    """What decoders are asked for, so that all passes can be made of it.

    Attributes:
        drawings: of pictures, by the number of the reading; passes that look at the same frames share one.
        streams: of other things.
        changes: by the readings of ``streams``, what tells features of an earlier version that differ.
        of_pass: the reading that each pass is made of.
    """

    drawings: dict[int, Drawing]
    streams: dict[int, ReadStream]
    changes: dict[int, ChangeSince]
    of_pass: tuple[int, ...]

    @classmethod
    def of(cls, passes: Sequence[Pass]) -> "Readings":
        """The fewest readings that serve all passes."""
        drawings: dict[int, Drawing] = {}
        streams: dict[int, ReadStream] = {}
        changes: dict[int, ChangeSince] = {}
        of_pass: list[int] = []
        for number, one_pass in enumerate(passes):
            if isinstance(one_pass, Computed):
                streams[number], changes[number] = one_pass.read, one_pass.change_since
                of_pass.append(number)
                continue
            drawing = Drawing(Sampling(**one_pass.spec.sampling), one_pass.preprocessing.drawn)
            of_pass.append(next((known for known, other in drawings.items() if other == drawing), number))
            drawings.setdefault(of_pass[-1], drawing)
        return cls(drawings, streams, changes, tuple(of_pass))

    def wanted(self, job: Job) -> tuple[int, ...]:
        """The readings that a video still needs."""
        return tuple(dict.fromkeys(self.of_pass[number] for number in job.wanted))

    def made(self, job: Job) -> dict[int, dict[int, VideoFeatures]]:
        """What an earlier version made of a video: by the reading, then by the pass."""
        found: dict[int, dict[int, VideoFeatures]] = {}
        for number, features in job.made.items():
            found.setdefault(self.of_pass[number], {})[number] = features
        return found

    def passes_of(self, job: Job, reading: int) -> tuple[int, ...]:
        """The passes that a video still needs and that are made of this reading."""
        return tuple(number for number in job.wanted if self.of_pass[number] == reading)
