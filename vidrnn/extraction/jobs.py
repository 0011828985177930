"""What a decoder process is given, and what it says of a video that gave no features."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from vidrnn.store.video_features import VideoFeatures

ABSENT = "absent"
"""Stage of a `Failure` that counts as no failure: the video does not have this stream."""


@dataclass(frozen=True)
class Job:
    """One video to embed.

    Attributes:
        path: its name in the annotations.
        source: where it lies.
        wanted: the numbers of the passes that it still needs.
        made: features that an earlier version of the reading made of the same file, without values, by the number of
            their pass. Where this version would make the same, the pass is not needed.
    """

    path: str
    source: Path
    wanted: tuple[int, ...] = (0,)
    made: Mapping[int, VideoFeatures] = field(default_factory=dict)

    def without(self, passes: Collection[int]) -> "Job":
        """The same video with fewer passes to make, and nothing to compare."""
        return replace(self, wanted=tuple(number for number in self.wanted if number not in passes), made={})


@dataclass(frozen=True)
class Failure:
    """One video that gave no features.

    Attributes:
        path: its name in the annotations.
        stage: ``probe``, ``decode``, ``process`` when the decoder process had to be given up, or `ABSENT`.
        cause: why, and what to do.
        seconds: for how long its decoder was busy.
    """

    path: str
    stage: str
    cause: str
    seconds: float = 0.0
