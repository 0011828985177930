"""Which frames are kept while a video is still coming: the choice of `vidrnn.video.sampling`, a frame late."""

import math
from collections import deque
from dataclasses import replace
from statistics import median

from vidrnn.errors import ConfigError
from vidrnn.video.sampling import Sampling, instants_before

_GAPS = 10_000  # between frames, of which the median tells how long the last one is shown


class LiveSampling:
    """Takes the times of frames one by one and says of each, when the next one comes, whether it is kept.

    A frame is kept when an instant of the sampling lies between its time and the next frame's, so the next one must
    have come.

    Args:
        sampling: of the features.
        window_s: length of what is looked at together, over which ``uniform`` spreads its frames; None: endless.

    Raises:
        ConfigError: the sampling needs the end of the video.
    """

    def __init__(self, sampling: Sampling, *, window_s: float | None) -> None:
        self._sampling = _without_end(sampling) if window_s is None else _over(sampling, window_s)
        self._times = 0
        self._first_s = self._latest_s = 0.0
        self._gaps_s: deque[float] = deque(maxlen=_GAPS)

    def push(self, time_s: float) -> bool:
        """Take the time of a frame, later than the one before, and say whether the frame before it is kept."""
        kept = self._times > 0 and self._is_kept(time_s)
        if self._times:
            self._gaps_s.append(time_s - self._latest_s)
        else:
            self._first_s = time_s
        self._latest_s = time_s
        self._times += 1
        return kept

    def finish(self) -> bool:
        """Whether the last frame is kept, which is shown for as long as a usual frame."""
        if not self._times:
            return False
        end_s = self._latest_s + (median(self._gaps_s) if self._gaps_s else 0.0)
        return self._is_kept(end_s, at_least=1.0)  # a single frame is shown at the first instant

    def _is_kept(self, next_s: float, *, at_least: float = 0.0) -> bool:
        if self._sampling.kind == "every":
            return (self._times - 1) % (self._sampling.stride or 1) == 0
        rate = self._sampling.rate or 1.0
        before, after = instants_before([self._latest_s - self._first_s, next_s - self._first_s], rate=rate)
        return bool(max(after, at_least) > before)


def _without_end(sampling: Sampling) -> Sampling:
    """The sampling, where it can do without the end of the video."""
    if spread := sampling.spread:
        raise ConfigError(f"the model {spread.what}, and a stream has no end; train with {spread.instead}")
    return sampling


def _over(sampling: Sampling, window_s: float) -> Sampling:
    """As many frames per second as the sampling takes of a video that is one window long."""
    if sampling.most is None or sampling.kind == "every":
        return _without_end(sampling)
    rate = min(sampling.rate or math.inf, sampling.most / window_s)
    return replace(sampling, kind="fps", rate=rate, max_frames=None)
