"""Kept frames together with a neighbour each, to see what moves between the two."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from vidrnn.video.decode import Frame, decode
from vidrnn.video.probe import Video
from vidrnn.video.sampling import Indices, Seconds

Fitted = TypeVar("Fitted")
Fit = Callable[[npt.NDArray[np.uint8]], Fitted]


@dataclass(frozen=True)
class Picture(Generic[Fitted]):
    """A frame after it was fitted, and the size (width, height) in pixels that it had before."""

    fitted: Fitted
    timestamp_s: float
    size: tuple[int, int]


@dataclass(frozen=True)
class Pair(Generic[Fitted]):
    """A kept frame and its neighbour, in order of time.

    Attributes:
        first, second: the pictures; the same one where a video has a single frame, or shows one frame at both times.
        kept: the one of them that was asked for: the first, but at the end of the video.
        seconds: between them; 0 for a single frame.
    """

    first: Picture[Fitted]
    second: Picture[Fitted]
    kept: Picture[Fitted]
    seconds: float


def neighbours(timestamps_s: Seconds, indices: Indices, *, gap_s: float) -> Indices:
    """The frame of the file that is nearest to ``gap_s`` after each kept one, at least the next one.

    The last frame of a video has none after it: its neighbour lies as far before it. A single frame is its own.

    Args:
        timestamps_s: (N,) times of all frames, strictly increasing.
        indices: (T,) kept frames, strictly increasing.
        gap_s: wanted distance.

    Returns:
        (T,) indices.
    """
    last = len(timestamps_s) - 1
    if last < 1:
        return indices
    after = np.clip(_nearest(timestamps_s, timestamps_s[indices] + gap_s), indices + 1, last)
    before = min(int(_nearest(timestamps_s, timestamps_s[[last]] - gap_s)[0]), last - 1)
    return np.where(indices == last, before, after)


def decode_pairs(
    video: Video,
    indices: Indices,
    *,
    gap_s: float,
    fit: Fit[Fitted],
    on_progress: Callable[[], None] = lambda: None,
) -> Iterator[Pair[Fitted]]:
    """Decode kept frames and their neighbours, each once, and pair them up.

    The pairs have the times of the frames that `decode` gives for ``indices``: where a packet holds no picture of its
    own, the picture that is on the screen counts, once.

    Args:
        video: what `probe` returned.
        indices: (T,) kept frames.
        gap_s: see `neighbours`.
        fit: what is done with each (H, W, 3) uint8 picture before it is paired.
        on_progress: as in `decode`.

    Raises:
        VideoError: as from `decode`.
    """
    others = neighbours(video.timestamps_s, indices, gap_s=gap_s)
    waiting = deque(zip(indices.tolist(), others.tolist(), strict=True))
    uses = Counter([*indices.tolist(), *others.tolist()])
    held: dict[int, Picture[Fitted] | None] = {}
    latest_s = -np.inf
    for index, picture in _on_screen(video, np.unique([indices, others]), fit, on_progress):
        held[index] = picture
        while waiting and max(waiting[0]) <= index:
            kept, other = waiting.popleft()
            own, its = held[kept], held[other]
            if own is not None and its is not None and own.timestamp_s > latest_s:
                latest_s = own.timestamp_s
                seconds = abs(float(video.timestamps_s[other] - video.timestamps_s[kept]))
                first, second = (own, its) if kept <= other else (its, own)
                yield Pair(first, second, own, seconds)
            for each in (kept, other):
                uses[each] -= 1
                if not uses[each]:
                    del held[each]


def _on_screen(
    video: Video, indices: Indices, fit: Fit[Fitted], on_progress: Callable[[], None]
) -> Iterator[tuple[int, Picture[Fitted] | None]]:
    """What is shown at the time of each frame; None before the first picture."""
    frames = decode(video, indices, on_progress=on_progress)
    upcoming: Frame | None = next(frames, None)
    latest: Picture[Fitted] | None = None
    for index in indices:
        while upcoming is not None and upcoming.timestamp_s <= video.timestamps_s[index]:
            height, width = upcoming.rgb.shape[:2]
            latest = Picture(fit(upcoming.rgb), upcoming.timestamp_s, (width, height))
            upcoming = next(frames, None)
        yield int(index), latest


def _nearest(timestamps_s: Seconds, wanted_s: Seconds) -> Indices:
    after = np.clip(np.searchsorted(timestamps_s, wanted_s), 1, len(timestamps_s) - 1)
    is_before = wanted_s - timestamps_s[after - 1] < timestamps_s[after] - wanted_s
    return np.asarray(after - is_before, np.int64)
