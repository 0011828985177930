"""What the networks take of a video that is still coming: the steps of `vidrnn.frames.fitting`, as soon as possible."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from vidrnn.errors import ConfigError, VideoError
from vidrnn.frames.fitting import Drawing, Pen, Squares, fitter, gap_of
from vidrnn.frames.rendering import RowRendering
from vidrnn.video.decode import Frame
from vidrnn.video.live_sampling import LiveSampling
from vidrnn.video.live_source import Arrival
from vidrnn.video.neighbours import Pair, Picture, neighbours


@dataclass(frozen=True)
class LiveStep:
    """What the networks take at one time: of each drawing, by its number, uint8 of the shape `Preprocessing.shape`."""

    timestamp_s: float
    pixels: Mapping[int, npt.NDArray[np.uint8]]


class LiveDrawing:
    """Takes pictures as they come and draws what is complete; what was drawn is forgotten.

    A step is complete when the next picture has come, and, for drawings of motion, the neighbour it is compared with.

    Args:
        drawings: what to draw, by a number; all of one sampling.
        window_s: see `LiveSampling`.

    Raises:
        ConfigError: the sampling needs the end of the video, rows of still images are asked for, or the installed
            OpenCV does not have the method of a flow.
    """

    def __init__(self, drawings: Mapping[int, Drawing], *, window_s: float | None) -> None:
        samplings = {drawing.sampling for drawing in drawings.values()}
        assert len(samplings) == 1, "passes over the pictures of one model"
        self._sampling, self._window_s = samplings.pop(), window_s
        self._ways = {number: drawing.preprocessing for number, drawing in drawings.items()}
        if any(isinstance(way.rendering, RowRendering) for way in self._ways.values()):
            raise ConfigError("the model reads still images row by row, and a stream has moving pictures")
        self._pens = {number: Pen(way) for number, way in self._ways.items()}
        self._fit = fitter(list(self._ways.values()))
        self._reach_s = max(gap_of(way) or 0.0 for way in self._ways.values())
        self._motion = any(gap_of(way) is not None for way in self._ways.values())
        self.reset()

    def reset(self) -> None:
        """Forget all pictures."""
        self._sampled = LiveSampling(self._sampling, window_s=self._window_s)
        self._recent: deque[_Recent] = deque()
        self._waiting: deque[_Recent] = deque()
        self._size: tuple[int, int] | None = None

    def push(self, arrival: Arrival) -> list[LiveStep]:
        """Take a picture.

        Raises:
            VideoError: its time is not later than the time of the picture before, or it has another size.
        """
        time_s = arrival.timestamp_s
        if not np.isfinite(time_s):
            raise VideoError(f"a picture at {time_s} s: its time must be a number of seconds")
        if self._recent and time_s <= self._recent[-1].time_s:
            raise VideoError(
                f"a picture at {time_s:.3f} s came after the one at {self._recent[-1].time_s:.3f} s: times of a stream "
                "go forward; reset the stream to begin anew"
            )
        if self._size is not None and arrival.size != self._size:
            was, now = ("x".join(map(str, size)) for size in (self._size, arrival.size))
            raise VideoError(
                f"the picture at {time_s:.3f} s is {now}, those before were {was}: reset the stream to begin anew"
            )
        self._size = arrival.size
        if self._sampled.push(time_s):
            self._waiting.append(self._recent[-1])
        self._recent.append(_Recent(arrival, self._fit))
        steps = []
        while self._waiting and (not self._motion or time_s >= self._waiting[0].time_s + self._reach_s):
            steps.append(self._draw(self._waiting.popleft()))
        self._forget()
        return steps

    def finish(self) -> list[LiveStep]:
        """The steps that are still to come, from what there is; then only `reset` goes on."""
        if self._sampled.finish():
            self._waiting.append(self._recent[-1])
        steps = [self._draw(kept) for kept in self._waiting]
        self._waiting.clear()
        return steps

    def _draw(self, kept: "_Recent") -> LiveStep:
        pixels = {}
        for number, way in self._ways.items():
            (step,) = self._pens[number].steps(self._pair(kept, gap_of(way)))
            pixels[number] = step.pixels
        return LiveStep(kept.time_s, pixels)

    def _pair(self, kept: "_Recent", gap_s: float | None) -> Pair[Squares]:
        if gap_s is None:
            return Pair(kept.picture, kept.picture, kept.picture, 0.0)
        times_s = np.array([recent.time_s for recent in self._recent])
        place = int(np.searchsorted(times_s, kept.time_s))
        (other,) = neighbours(times_s, np.array([place]), gap_s=gap_s)
        neighbour = self._recent[int(other)]
        pair = (kept, neighbour) if place <= other else (neighbour, kept)
        seconds = abs(neighbour.time_s - kept.time_s)
        return Pair(pair[0].picture, pair[1].picture, kept.picture, seconds)

    def _forget(self) -> None:
        """Keep what waits, the last picture, and for the end of the video the one that far before it, and one more."""
        oldest_s = self._waiting[0].time_s if self._waiting else np.inf
        needed_s = min(oldest_s, self._recent[-1].time_s - self._reach_s)
        while len(self._recent) > 2 and all(recent.time_s < needed_s for recent in islice(self._recent, 2)):
            self._recent.popleft()


class _Recent:
    """A picture that may be wanted, and is fitted when it is."""

    def __init__(self, arrival: Arrival, fit: Callable[[Frame], Squares]) -> None:
        self.time_s = arrival.timestamp_s
        self._arrival: Arrival | None = arrival
        self._fit = fit
        self._picture: Picture[Squares] | None = None

    @property
    def picture(self) -> Picture[Squares]:
        """Fitted once; then the frame itself is let go."""
        if self._picture is None:
            assert self._arrival is not None
            self._picture = Picture(self._fit(self._arrival.frame()), self.time_s, self._arrival.size)
            self._arrival = None
        return self._picture
