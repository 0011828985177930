"""The moments of a video that can be found: the whole of it and, of a long one, windows."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from vidrnn.store.video_features import VideoFeatures

_LONG = 1.5  # windows, from which on a video has some
Seconds = npt.NDArray[np.float64]
Streams = Mapping[str, VideoFeatures]
"""Stream to the features of one video in its plain view."""


def end_of(times_s: Seconds) -> float:
    """Where the last step ends: one usual distance after it."""
    step = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    return float(times_s[-1]) + step


def moments_of(times_s: Seconds, *, window_s: float) -> list[tuple[float, float]]:
    """Start and end in seconds: the whole video, and windows where it is longer than one and a half of them.

    Windows are at most half a window apart. The last window ends with the video.

    Args:
        times_s: (T,) of the steps, at least one.
        window_s: length of a window.
    """
    first, end = float(times_s[0]), end_of(times_s)
    if end - first < _LONG * window_s:
        return [(first, end)]
    count = int(np.ceil((end - first - window_s) / (window_s / 2))) + 1
    starts = np.linspace(first, end - window_s, count)
    return [(first, end), *((float(start), float(start) + window_s) for start in starts)]


def cut(streams: Streams, start_s: float, end_s: float) -> dict[str, VideoFeatures]:
    """The steps from start to end of each stream; streams that have none there are left out."""
    found = {}
    for stream, video in streams.items():
        first, last = np.searchsorted(video.timestamps_s, [start_s, end_s])
        if last > first:
            found[stream] = replace(
                video, features=video.features[first:last], timestamps_s=video.timestamps_s[first:last]
            )
    return found
