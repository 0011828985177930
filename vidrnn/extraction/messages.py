"""What a decoder process and its owner say to each other."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidrnn.store.source import Source
from vidrnn.store.video_features import VideoFeatures, VideoMetadata


@dataclass(frozen=True)
class Request:
    """A file, and the numbers of the readings that are wanted of it."""

    source: Path
    wanted: tuple[int, ...]


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
class Finished:
    """The last message about a file."""


Item = Pixels | Drawn | Read | Refused
Message = Frames | Drawn | Read | Refused | Finished | None  # None: still alive, nothing to show yet
