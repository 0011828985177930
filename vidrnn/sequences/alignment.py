"""Streams of different rates side by side: which step of each is shown at each step of the video's grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.sequences.steps import StepChoice

Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """The steps of n videos that are chosen from, and what each stream shows at them.

    Attributes:
        offsets: (n,) int64 first grid step of each video.
        steps: stream to (grid steps of all videos,) int32 number of its own step, -1 where it shows nothing.
    """

    offsets: torch.Tensor
    steps: Mapping[str, torch.Tensor]

    def subset(self, positions: torch.Tensor) -> "Grid":
        """Some of the videos; the numbers are shared, not copied."""
        return Grid(self.offsets[positions], self.steps)

    def stream_steps(self, stream: str, positions: torch.Tensor, choice: StepChoice) -> torch.Tensor:
        """(B, S) int64 steps of a stream at the chosen ones of some videos (B,), -1 for none and beyond the lengths."""
        rows = self.offsets[positions].unsqueeze(1) + choice.indices
        beyond = torch.arange(rows.shape[1]) >= choice.lengths.unsqueeze(1)
        return self.steps[stream][rows].long().masked_fill(beyond, -1)


def reference_of(times: Mapping[str, Times]) -> str:
    """The stream whose steps are a video's grid: the first with more than one step, else the first with any.

    A picture beside timed words, or one beside sound, is there at every word; the other way round most would be lost.

    Args:
        times: stream to (T,) seconds, in canonical order; empty where the video lacks the stream, but not in all.
    """
    several = [stream for stream, seconds in times.items() if len(seconds) > 1]
    return several[0] if several else next(stream for stream, seconds in times.items() if len(seconds))


def nearest_steps(times: Times, grid: Times) -> npt.NDArray[np.int64]:
    """(G,) step nearest in time to each instant, the earlier of two, -1 where the stream shows nothing.

    A single step, such as a caption, is there at all times. Several steps reach one step (the median distance of two)
    beyond the first and the last; further out the stream shows nothing.

    Args:
        times: (T,) seconds, increasing.
        grid: (G,) seconds, increasing.
    """
    if np.array_equal(times, grid):
        return np.arange(len(times))
    if len(times) < 2:
        return np.full(len(grid), len(times) - 1)
    later = np.searchsorted(times, grid).clip(1, len(times) - 1)
    nearest = np.where(grid - times[later - 1] <= times[later] - grid, later - 1, later)
    if not len(grid) or (times[0] <= grid[0] and grid[-1] <= times[-1]):
        return nearest
    reach = np.median(np.diff(times))
    return np.where((grid < times[0] - reach) | (grid > times[-1] + reach), -1, nearest)


def latest_steps(times: Times, grid: Times) -> npt.NDArray[np.int64]:
    """(G,) last step at or before each instant, -1 before the first: what a causal model may be shown.

    A step lasts until the next one, but at most for the longest distance of two steps so far: a stream that has ended
    shows nothing. The first step lasts until the second, since no distance is known yet.

    Args:
        times: (T,) seconds, increasing.
        grid: (G,) seconds, increasing.
    """
    latest = np.searchsorted(times, grid, side="right") - 1
    if len(times) < 2:
        return latest
    reach = np.append(np.inf, np.maximum.accumulate(np.diff(times)))
    return np.where(grid - times[latest.clip(min=0)] > reach[latest.clip(min=0)], -1, latest)


def align(times: Mapping[str, Sequence[Times]], *, causal: bool = False) -> tuple[Grid, list[Times]]:
    """Put the streams of n videos side by side.

    Args:
        times: stream to n arrays (T,) of seconds, in canonical order; empty where a video lacks the stream, but not in
            all of them.
        causal: show of each stream the latest step instead of the nearest, which may come later.

    Returns:
        The grid, and (T,) seconds of the grid steps of each video.
    """
    videos = [dict(zip(times, seconds, strict=True)) for seconds in zip(*times.values(), strict=True)]
    grids = [video[reference_of(video)] for video in videos]
    totals = np.array([len(grid) for grid in grids], dtype=np.int64)
    chosen = latest_steps if causal else nearest_steps
    steps = {
        stream: np.concatenate([chosen(video[stream], grid) for video, grid in zip(videos, grids, strict=True)])
        for stream in times
    }
    offsets = torch.from_numpy(totals.cumsum() - totals)
    return Grid(offsets, {stream: torch.from_numpy(rows.astype(np.int32)) for stream, rows in steps.items()}), grids
