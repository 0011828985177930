"""What a decoder process is given, and what it says of a video that gave no features."""

from dataclasses import dataclass
from pathlib import Path

ABSENT = "absent"
"""Stage of a `Failure` that is none: the video does not have this stream."""


@dataclass(frozen=True)
class Job:
    """One video to embed.

    Attributes:
        path: its name in the annotations.
        source: where it lies.
        wanted: the numbers of the passes that it still needs.
    """

    path: str
    source: Path
    wanted: tuple[int, ...] = (0,)


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
