"""Which frames are kept: pure arithmetic on the times of all frames, in seconds."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
Seconds = npt.NDArray[np.float64]


class Spread(NamedTuple):
    """How frames are spread over the whole of a video, so that a longer one has them further apart.

    Attributes:
        what: is done, after the words ``the model``.
        instead: setting to train with for videos of any length.
    """

    what: str
    instead: str


# Matroska and WebM round every timestamp to a millisecond, so a frame may claim to start that much late.
_ROUNDING_S = 1e-3


@dataclass(frozen=True)
class Sampling:
    """What to keep of a video.

    Attributes:
        kind: ``fps`` (``rate`` per second), ``uniform`` (``count`` instants) or ``every`` (each ``stride``-th frame).
        max_frames: cap for ``fps`` and ``every``; a longer selection is thinned evenly, never cut off.
        frame_rate: pictures per second in a folder of numbered pictures, which do not tell their times themselves.
        frame_template: which pictures of such a folder are its frames, see `vidrnn.frame_folders.list_frames`.
        window_s: ``count`` and ``max_frames`` are meant for so many seconds, and a longer video gives as many of each
            such window; None: for the whole video.
    """

    kind: Literal["fps", "uniform", "every"]
    rate: float | None = None
    count: int | None = None
    stride: int | None = None
    max_frames: int | None = None
    frame_rate: float | None = None
    frame_template: str | None = None
    window_s: float | None = None

    def __post_init__(self) -> None:
        """The one number that belongs to the kind must be given and positive."""
        needed = {"fps": self.rate, "uniform": self.count, "every": self.stride}[self.kind]
        assert needed is not None and needed > 0, f"sampling {self.kind!r} lacks its number: {self}"

    def select(self, timestamps_s: Seconds) -> Indices:
        """Choose frames from the times at which all frames of a video start.

        Args:
            timestamps_s: (N,) seconds, strictly increasing.

        Returns:
            (T,) indices into the frames, strictly increasing: a frame is never taken twice, so a video that is
            shorter or slower than asked gives fewer frames.
        """
        total = len(timestamps_s)
        if total == 0:
            return np.zeros(0, dtype=np.int64)
        if self._is_windowed(timestamps_s):
            return self._at_rate_of_windows(timestamps_s)
        if self.kind == "uniform":
            return _uniform(timestamps_s, count=self.count or 1)
        indices = self._unbounded(timestamps_s)
        if self.max_frames is not None and len(indices) > self.max_frames:
            indices = indices[segment_centres(len(indices), self.max_frames)]
        return indices

    def thinning(self, timestamps_s: Seconds) -> tuple[str, ...]:
        """A note where ``max_frames`` leaves out frames of a video with these times; empty where it does not."""
        if self.max_frames is None or self.kind == "uniform" or not len(timestamps_s):
            return ()
        if self._is_windowed(timestamps_s):
            return ()
        asked = len(self._unbounded(timestamps_s))
        if asked <= self.max_frames:
            return ()
        apart_s = (_end_s(timestamps_s) - timestamps_s[0]) / self.max_frames
        kept = f"{self.max_frames} kept, one every {apart_s:.2g} s (features.max_frames; null keeps all)"
        return (f"{asked} frames were asked for and {kept}",)

    @property
    def most(self) -> int | None:
        """How many frames of a video are kept at most; None: as many as it is long."""
        return self.count if self.kind == "uniform" else self.max_frames

    @property
    def spread(self) -> Spread | None:
        """How frames are spread over a video, which nobody can do before it ends; None where they are not."""
        if self.kind == "uniform":
            what = f"takes {self.count} frames spread over the whole video (features.sampling: uniform)"
            return Spread(what, "features.sampling: fps")
        if self.max_frames is not None:
            what = f"thins long videos to {self.max_frames} frames (features.max_frames)"
            return Spread(what, "features.max_frames: null")
        return None

    def begins_with_the_video(self, *, kept: int, num_frames: int, duration_s: float) -> bool:
        """Whether the first frame that was kept is the first of its video; where frames are spread, nobody knows.

        Args:
            kept: how many frames were.
            num_frames: that the video has.
            duration_s: of the video, from its first frame.
        """
        if self.most is None or num_frames <= self.most or (self.kind != "uniform" and kept < self.most):
            return True
        return self.window_s is not None and duration_s > self.window_s + _ROUNDING_S

    def _is_windowed(self, timestamps_s: Seconds) -> bool:
        if self.window_s is None or self.most is None:
            return False
        return _end_s(timestamps_s) - float(timestamps_s[0]) > self.window_s + _ROUNDING_S

    def _at_rate_of_windows(self, timestamps_s: Seconds) -> Indices:
        """At the rate at which a video of one window is kept, so that each window has as many frames."""
        assert self.window_s is not None and self.most is not None
        rate = self.most / self.window_s
        if self.kind == "every":
            kept = self._unbounded(timestamps_s)
            return kept[_at_rate(timestamps_s[kept], rate=rate)]
        return _at_rate(timestamps_s, rate=min(rate, self.rate or rate))

    def _unbounded(self, timestamps_s: Seconds) -> Indices:
        if self.kind == "fps":
            return _at_rate(timestamps_s, rate=self.rate or 1.0)
        return np.arange(0, len(timestamps_s), self.stride, dtype=np.int64)


def segment_centres(total: int, count: int) -> Indices:
    """Cut ``total`` positions into ``count`` equal segments and return the (count,) position at each middle."""
    return np.floor((np.arange(count) + 0.5) * total / count).astype(np.int64)


def _at_rate(timestamps_s: Seconds, *, rate: float) -> Indices:
    """The frame that is shown at each of first, first + 1/rate, first + 2/rate ..., each once."""
    # Counted per frame, not listed per instant: a damaged file may claim a gap of years.
    before = instants_before(timestamps_s - timestamps_s[0], rate=rate)
    in_all = np.maximum(instants_before(_end_s(timestamps_s) - timestamps_s[0], rate=rate), 1)
    return np.flatnonzero(np.diff(before, append=in_all) > 0).astype(np.int64)


def instants_before(since_start_s: npt.ArrayLike, *, rate: float) -> Seconds:
    """How many of the instants 0, 1/rate, 2/rate ... come before these seconds since the first frame."""
    return np.asarray(np.maximum(np.ceil((np.asarray(since_start_s) - _ROUNDING_S) * rate), 0))


def _uniform(timestamps_s: Seconds, *, count: int) -> Indices:
    """The frame that is shown in the middle of each of ``count`` equal parts of the video, each once."""
    if len(timestamps_s) <= count:
        return np.arange(len(timestamps_s), dtype=np.int64)
    part_s = (_end_s(timestamps_s) - timestamps_s[0]) / count
    return _shown_at(timestamps_s, timestamps_s[0] + (np.arange(count) + 0.5) * part_s)


def _end_s(timestamps_s: Seconds) -> float:
    """The last frame is shown for as long as a usual frame; its own end is nowhere written down."""
    gaps_s = np.diff(timestamps_s)
    return float(timestamps_s[-1]) + (float(np.median(gaps_s)) if len(gaps_s) else 0.0)


def _shown_at(timestamps_s: Seconds, instants: Seconds) -> Indices:
    latest_started = np.searchsorted(timestamps_s, instants + _ROUNDING_S, side="right") - 1
    return np.unique(np.clip(latest_started, 0, None)).astype(np.int64)
