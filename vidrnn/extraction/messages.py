"""What a decoder process and its owner say to each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidrnn.store.source import Source
from vidrnn.store.video_features import VideoFeatures, VideoMetadata


@dataclass(frozen=True)
class Request:
    """A file, and what is wanted of it.

    Attributes:
        source: where it lies.
        wanted: numbers of the readings.
        made: by the number of the reading, the features of an earlier version by the number of the pass: a request to
            compare these.
    """

    source: Path
    wanted: tuple[int, ...] = ()
    made: Mapping[int, Mapping[int, VideoFeatures]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pixels:
    """Some frames of a drawing, in order: their times in seconds, and n arrays of the shape `Preprocessing.shape`."""

    reading: int
    timestamps_s: list[float]
    frames: list[npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Frames:
    """Says where `Pixels` lie in the shared memory; ``shape`` has n first."""

    reading: int
    timestamps_s: list[float]
    shape: tuple[int, ...]
    place: int


@dataclass(frozen=True)
class Drawn:
    """The last message about a drawing that gave frames."""

    reading: int
    num_frames: int
    metadata: VideoMetadata
    source: Source
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Read:
    """The only message about a stream whose features were computed here."""

    reading: int
    features: VideoFeatures


@dataclass(frozen=True)
class Refused:
    """The last message about a reading that cannot be had."""

    reading: int
    stage: str
    cause: str


@dataclass(frozen=True)
class Compared:
    """The only message about features of an earlier version: what makes them differ today, None where nothing does."""

    number: int
    change: str | None


@dataclass(frozen=True)
class Finished:
    """The last message about a file."""


Item = Pixels | Drawn | Read | Refused | Compared
Message = Frames | Drawn | Read | Refused | Compared | Finished | None  # None: still alive, nothing to show yet
