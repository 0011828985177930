"""How alike two videos move, pixel by pixel: what a copy keeps and another take of the same action does not."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidrnn.preflight.thumbnails import mirror

Floats = npt.NDArray[np.float32]
Seconds = npt.NDArray[np.float64]

_REACH_S = 0.08  # a step is compared with those this much earlier and later, two frames at 25 per second
_STILL = 0.15  # grey levels: where the mean change per pixel is less, only compression moves
_OVERLAP = 0.5  # of the shorter video
_SLACKS = (0, 1, -1, 2, -2, 3, -3)  # steps around the expected shift that are tried
_HOPELESS = 0.3  # less than this at the expected shift does not become a copy one step further


@dataclass(frozen=True)
class Motion:
    """What moves in a video; of a still one what is seen.

    Attributes:
        steps: (T, 1024) difference of the thumbnails around each step, less its mean over time; (1, 1024) the middle
            thumbnail when still.
        times_s: (T,) seconds, increasing.
        is_still: whether nothing moves.
    """

    steps: Floats
    times_s: Seconds
    is_still: bool

    @property
    def period_s(self) -> float:
        """Usual distance of the steps."""
        return float(np.median(np.diff(self.times_s))) if len(self.times_s) > 1 else math.inf

    def mirrored(self) -> "Motion":
        """The motion of the video mirrored left to right."""
        return Motion(mirror(self.steps), self.times_s, self.is_still)


def motion_of(thumbnails: npt.NDArray[np.floating[Any]], times_s: Seconds) -> Motion:
    """The motion of one video.

    Args:
        thumbnails: (T, 1024), see `vidrnn.preflight.thumbnails`.
        times_s: (T,) seconds, increasing.
    """
    values, middle = thumbnails.astype(np.float32), len(times_s) // 2
    if len(times_s) > 2:
        reach = max(round(_REACH_S / float(np.median(np.diff(times_s)))), 1)
        at = np.arange(len(times_s))
        steps = values[np.minimum(at + reach, len(at) - 1)] - values[np.maximum(at - reach, 0)]
        if float(np.abs(steps).mean()) >= _STILL:
            # What lasts, such as a walk across the whole picture, makes different walks alike.
            return Motion(steps - steps.mean(axis=0), times_s, is_still=False)
    return Motion(values[middle : middle + 1], times_s[middle : middle + 1], is_still=True)


def similarity(first: Motion, second: Motion, *, shift_s: float) -> float:
    """Cosine of two videos that lie over each other, -1 to 1; the best of a few shifts.

    Args:
        first: one video.
        second: the other; where one moves and one is still they have nothing in common.
        shift_s: a moment of ``second`` minus the same moment of ``first``, about.

    Returns:
        The sum of the products of all values of the steps that are shown at the same time, divided by the root of the
        sums of their squares. Where less than half of the shorter video lies over the other, it is -1.
    """
    if first.is_still != second.is_still:
        return -1.0
    if first.is_still:
        return _cosine(first.steps, second.steps)
    if first.period_s < second.period_s:  # every step of the coarser one has one of the finer one near it
        first, second, shift_s = second, first, -shift_s
    length_s = second.times_s[-1] - second.times_s[0]
    least = max(math.ceil(_OVERLAP * min(len(first.times_s), length_s / first.period_s + 1)), 2)
    best = -1.0
    for slack in _SLACKS:
        wanted = first.times_s + shift_s + slack * second.period_s
        after = np.searchsorted(second.times_s, wanted).clip(1, len(second.times_s) - 1)
        before_is_nearer = wanted - second.times_s[after - 1] < second.times_s[after] - wanted
        nearest = np.where(before_is_nearer, after - 1, after)
        there = np.abs(second.times_s[nearest] - wanted) <= 0.5 * first.period_s
        if there.sum() >= least:
            best = max(best, _cosine(first.steps[there], second.steps[nearest[there]]))
        if best < _HOPELESS:
            break
    return best


def _cosine(first: Floats, second: Floats) -> float:
    scale = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    return float(np.vdot(first, second)) / scale if scale > 0 else -1.0
