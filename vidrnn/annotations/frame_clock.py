"""When the rows of annotations are that have one for each frame, without a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from vidrnn.annotations.segments import Times
from vidrnn.errors import AnnotationError, ConfigError
from vidrnn.names import quoted

FrameBounds = Callable[[str], Times]
"""Path of a video below the data root to (frames + 1,) seconds: when each frame is shown, and the end of the last."""

_SHARE = 0.02  # programs disagree about the last frames of a file; more than this is another file, or another rate
_FRAMES = 2


@dataclass(frozen=True)
class FrameClock:
    """Frames to seconds.

    Attributes:
        rate: frames per second, row k is at k / rate; None where ``bounds_of`` says it.
        bounds_of: looks into the videos; None where nobody may.
        notes: gets a sentence for each video that has another number of frames than its rows say.
    """

    rate: float | None
    bounds_of: FrameBounds | None = None
    notes: list[str] = field(default_factory=list)

    def bounds(self, path: str, frames: Sequence[int]) -> Times:
        """(n + 1,) seconds at which n frames of a video begin, and the end of the last.

        Args:
            path: of the video below the data root.
            frames: their numbers from 0 on, increasing. A frame holds until the next that is named; the last one
                as long as the one before.

        Raises:
            ConfigError: nobody says when frames are.
            AnnotationError: the video has far fewer or more frames. VideoError: it cannot be read.
        """
        step = frames[-1] - frames[-2] if len(frames) > 1 else 1
        numbers = np.array([*frames, frames[-1] + step], dtype=np.int64) if len(frames) else np.zeros(1, dtype=np.int64)
        if self.rate is not None:
            return numbers / self.rate
        if self.bounds_of is None:
            raise ConfigError(
                f"data.frame_rate is needed: the annotations of {quoted(path)} have a row for each frame and no "
                "times; set the rows per second, or let `vidrnn convert --to csv` take the times from the videos"
            )
        bounds = self.bounds_of(path)
        self._compare(path, int(numbers[-1]), len(bounds) - 1, step)
        usual = float(np.median(np.diff(bounds)))
        beyond = np.maximum(numbers - (len(bounds) - 1), 0)
        return bounds[np.minimum(numbers, len(bounds) - 1)] + beyond * usual

    def lasts(self, rows: int) -> float | None:
        """How many seconds a number of rows last; None where the videos say when frames are, or there is no row."""
        return rows / self.rate if self.rate is not None and rows else None

    def _compare(self, path: str, rows: int, frames: int, step: int) -> None:
        off = abs(rows - frames)
        if off > max(_FRAMES, _SHARE * frames) + step - 1:
            raise AnnotationError(
                f"{quoted(path)} has {frames} frames, and its annotations go to frame {rows}; they are about other "
                "footage, or of another rate: then set data.frame_rate"
            )
        if off >= step:
            self.notes.append(f"{path}: has {frames} frames, and its annotations go to frame {rows}")
