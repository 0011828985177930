"""Kept frames together with a neighbour each, to see what moves between the two."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from vidrnn.video.decode import Frame, decode
from vidrnn.video.probe import Video
from vidrnn.video.sampling import Indices, Seconds

Fitted = TypeVar("Fitted")
Fit = Callable[[Frame], Fitted]


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

    The last frame of a video has no frame after it: its neighbour lies as far before it. A single frame is its own.

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


class Pairing(Generic[Fitted]):
    """Pairs up kept frames and their neighbours while a video is decoded once for several purposes.

    The pairs have the times of the frames that `decode` gives for ``indices``. A packet may hold no picture of its own;
    then the picture that is on the screen counts, once.

    Args:
        video: what `probe` returned.
        indices: (T,) kept frames.
        gap_s: see `neighbours`; None where no neighbour is looked at, so that each frame is its own.

    Attributes:
        wanted: which frames of the video must be shown to `advance`.
    """

    def __init__(self, video: Video, indices: Indices, *, gap_s: float | None) -> None:
        others = indices if gap_s is None else neighbours(video.timestamps_s, indices, gap_s=gap_s)
        self.wanted: Indices = np.unique([indices, others])
        self._times_s = video.timestamps_s
        self._waiting = deque(zip(indices.tolist(), others.tolist(), strict=True))
        self._uses = Counter([*indices.tolist(), *others.tolist()])
        self._held: dict[int, Picture[Fitted] | None] = {}
        self._latest_s = -np.inf

    def advance(self, index: int, picture: Picture[Fitted] | None) -> Iterator[Pair[Fitted]]:
        """Take what is on the screen at the time of a frame, and give the pairs that are complete.

        Args:
            index: of the frame, larger than before.
            picture: what is shown then, None before the first picture.
        """
        if index in self._uses:
            self._held[index] = picture
        while self._waiting and max(self._waiting[0]) <= index:
            kept, other = self._waiting.popleft()
            shown, neighbour = self._held[kept], self._held[other]
            if shown is not None and neighbour is not None and shown.timestamp_s > self._latest_s:
                self._latest_s = shown.timestamp_s
                seconds = abs(float(self._times_s[other] - self._times_s[kept]))
                first, second = (shown, neighbour) if kept <= other else (neighbour, shown)
                yield Pair(first, second, shown, seconds)
            for done in (kept, other):
                self._uses[done] -= 1
                if not self._uses[done]:
                    del self._held[done], self._uses[done]


def on_screen(
    video: Video,
    indices: Indices,
    *,
    fit: Fit[Fitted],
    gpu: int | None = None,
    on_progress: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, Picture[Fitted] | None]]:
    """Decode once and say what is shown at the time of each frame; None before the first picture.

    Args:
        video: what `probe` returned.
        indices: (T,) the frames, strictly increasing.
        fit: what is done with each picture.
        gpu: as in `decode`.
        on_progress: as in `decode`.

    Raises:
        VideoError: as from `decode`.
    """

    def picture_of(frame: Frame) -> Picture[Fitted]:
        height, width = frame.rgb.shape[:2]
        return Picture(fit(frame), frame.timestamp_s, (width, height))

    # By `map`, which holds no frame while the next one is decoded.
    pictures = map(picture_of, decode(video, indices, gpu=gpu, on_progress=on_progress))
    upcoming: Picture[Fitted] | None = next(pictures, None)
    latest: Picture[Fitted] | None = None
    for index in indices:
        while upcoming is not None and upcoming.timestamp_s <= video.timestamps_s[index]:
            latest, upcoming = upcoming, next(pictures, None)
        yield int(index), latest


def _nearest(timestamps_s: Seconds, wanted_s: Seconds) -> Indices:
    after = np.clip(np.searchsorted(timestamps_s, wanted_s), 1, len(timestamps_s) - 1)
    is_before = wanted_s - timestamps_s[after - 1] < timestamps_s[after] - wanted_s
    return np.asarray(after - is_before, np.int64)
