"""The features of one video, and what is known of the video without its pixels."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

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
    """

    features: npt.NDArray[np.float16]
    timestamps_s: npt.NDArray[np.float64]
    metadata: VideoMetadata
    source: Source
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Shapes and types are a contract of the file format."""
        shape, dtype = self.features.shape, self.features.dtype
        assert len(shape) == 2 and dtype == np.float16, (shape, dtype)
        assert self.timestamps_s.shape == shape[:1], (self.timestamps_s.shape, shape)
        assert self.timestamps_s.dtype == np.float64, self.timestamps_s.dtype
