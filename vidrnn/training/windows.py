"""Long videos in windows: truncated back-propagation through time (Williams & Peng 1990).

Memory follows the window and not the video. A one-direction model goes on from the state after the window before, from
which no gradient comes. A model that reads in both directions has no such state, because half of it would come from the
end of the video. It reads half a window more on either side, and these steps cost nothing.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from vidrnn.errors import TrainingError
from vidrnn.models.states import obstacle_to_steps
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.steps import StepChoice
from vidrnn.sequences.targets import IGNORED
from vidrnn.settings.model import ModelSettings
from vidrnn.settings.training import TrainingSettings


@dataclass(frozen=True)
class Window:
    """A stretch of the videos of a batch that have not ended before it.

    Attributes:
        rows: (b,) int64 videos of the batch.
        choice: the steps that are read.
        counted: first and, exclusive, last of them that cost something.
        share: how many steps count, in units of the steps that count in the first window.
        progress: share of the batch that was done before.
    """

    rows: torch.Tensor
    choice: StepChoice
    counted: tuple[int, int]
    share: float
    progress: float

    def only_counted(self, targets: torch.Tensor) -> torch.Tensor:
        """Targets (b, S, ...) of the steps that are read, unknown where they do not count."""
        counts = torch.zeros(targets.shape[1], dtype=torch.bool, device=targets.device)
        counts[slice(*self.counted)] = True
        beside = (~counts).view(1, -1, *(1,) * (targets.ndim - 2))
        return targets.masked_fill(beside, float("nan") if targets.is_floating_point() else IGNORED)


def windows_of(choice: StepChoice, *, size: int, context: int) -> Iterator[Window]:
    """Cut a batch into windows as alike as possible, each of at most so many steps that count.

    Args:
        choice: the steps of all videos, which end at different times.
        size: the most steps of a window.
        context: steps that are read before and after it, where there are any.
    """
    longest = int(choice.lengths.max())
    number = math.ceil(longest / size)
    size = math.ceil(longest / number)
    first_steps = int(choice.lengths.clamp(max=size).sum())
    for i, start in enumerate(range(0, longest, size)):
        rows = (choice.lengths > start).nonzero().flatten()
        begin = max(start - context, 0)
        lengths = choice.lengths[rows].clamp(max=start + size + context) - begin
        read = StepChoice(choice.indices[rows, begin : begin + int(lengths.max())], lengths)
        steps = int((choice.lengths[rows] - start).clamp(max=size).sum())
        yield Window(rows, read, (start - begin, start - begin + size), steps / first_steps, i / number)


def window_steps(train: SequenceSet, model: ModelSettings, settings: TrainingSettings) -> int | None:
    """Steps of ``training.window_s``, by the median steps per second of the training videos; None without windows.

    Raises:
        TrainingError: the layers cannot go on from a state, or nobody knows how long the videos last.
    """
    if settings.window_s is None:
        return None
    if not model.bidirectional and (obstacle := obstacle_to_steps(model)):
        raise TrainingError(f"training.window_s {settings.window_s}: {obstacle}; or leave the window out")
    seconds = np.asarray(train.metadata)[:, 3]
    known = seconds > 0
    if not known.any():
        raise TrainingError(
            f"training.window_s {settings.window_s} is in seconds, and no training video says how long it lasts; "
            "leave the window out"
        )
    rate = float(np.median(train.totals.numpy()[known] / seconds[known]))
    return max(round(settings.window_s * rate), 1)
