"""The features of one video, and what is known of the video without its pixels."""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from vidrnn.store.reader import READER
from vidrnn.store.source import Source


@dataclass(frozen=True)
class VideoMetadata:
    """Facts about the video that need no pixels; the metadata-only baseline sees just the numbers.

    Attributes:
        codec: how the pictures are coded and in what container, for people; empty where it is not known.
    """

    width: int
    height: int
    num_frames: int
    duration_s: float
    codec: str = field(default="", compare=False)


@dataclass(frozen=True)
class VideoFeatures:
    """Features of one video.

    Attributes:
        features: (T, D) float16.
        timestamps_s: (T,) float64 seconds since the start of the file, strictly increasing.
        reader: version of the reading that made them.

    Arrays in any memory order, with any strides and either byte order are taken. Both are kept one row after the other,
    in the byte order of the machine, because what writes a file takes the memory as it lies.
    """

    features: npt.NDArray[np.float16]
    timestamps_s: npt.NDArray[np.float64]
    metadata: VideoMetadata
    source: Source
    notes: tuple[str, ...] = ()
    reader: int = READER

    def __post_init__(self) -> None:
        """Shapes and types are a contract of the file format, and so is the order of the values in memory."""
        shape = self.features.shape
        assert len(shape) == 2, shape
        assert self.timestamps_s.shape == shape[:1], (self.timestamps_s.shape, shape)
        for name, dtype in (("features", np.float16), ("timestamps_s", np.float64)):
            values = getattr(self, name)
            assert values.dtype.newbyteorder("=") == dtype, (name, values.dtype)
            object.__setattr__(self, name, np.ascontiguousarray(values, dtype=dtype))

    def without_values(self) -> "VideoFeatures":
        """All that is known of the features but what they are: (T, 0)."""
        return replace(self, features=self.features[:, :0])
