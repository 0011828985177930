"""Which frames of a batch are looked at as they are, and which mirrored left to right."""

from dataclasses import dataclass
from enum import IntEnum

import torch


class Turn(IntEnum):
    """How a view shows what was drawn."""

    PLAIN = 0
    """As it is."""
    MIRRORED = 1
    """Turned over left to right."""
    MIRRORED_FLOW = 2
    """A picture of flow, turned over left to right: what went to the right goes to the left. The first channel is
    that motion, 1 to 255 with rest at 128 (`FlowRendering.draw`), so that its negative is 256 less the level."""


@dataclass(frozen=True)
class Views:
    """What is computed of N frames: one feature vector for each of R views.

    Attributes:
        source: (R,) int64, which frame each view shows.
        turns: (R,) uint8, the `Turn` in which it is shown.
    """

    source: torch.Tensor
    turns: torch.Tensor

    @classmethod
    def plain(cls, count: int) -> "Views":
        """Each of so many frames once, as it is."""
        return cls(torch.arange(count), torch.zeros(count, dtype=torch.uint8))

    def __len__(self) -> int:
        """R."""
        return len(self.source)

    @property
    def are_the_frames(self) -> bool:
        """Whether the views are the first R frames, one after the other."""
        return not self.turns.any() and torch.equal(self.source, torch.arange(len(self)))

    def of(self, frames: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) to (R, 3, H, W), on any device."""
        if self.source.device.type == "cpu":
            return frames[: len(self)] if self.are_the_frames else self._on_the_cpu(frames)
        return self._on_a_gpu(frames)

    def _on_the_cpu(self, frames: torch.Tensor) -> torch.Tensor:
        # By NumPy: PyTorch would wake a thread on every core, each of which then spins where a decoder could work.
        shown, turns = frames.numpy()[self.source.numpy()], self.turns.numpy()
        mirrored, flow = turns != Turn.PLAIN, turns == Turn.MIRRORED_FLOW
        shown[mirrored] = shown[mirrored][..., ::-1]
        shown[flow, 0] = -shown[flow, 0]  # of a byte: 256 less its value
        return torch.from_numpy(shown)

    def _on_a_gpu(self, frames: torch.Tensor) -> torch.Tensor:
        # Without a look at any value, so that a graph can hold it.
        shown, turns = frames.index_select(0, self.source), self.turns[:, None, None]
        shown = torch.where((turns != Turn.PLAIN)[:, None], shown.flip(3), shown)
        shown[:, 0] = torch.where(turns == Turn.MIRRORED_FLOW, -shown[:, 0], shown[:, 0])
        return shown

    def to(self, device: torch.device) -> "Views":
        """The same where frames lie on another device."""
        return Views(self.source.to(device), self.turns.to(device))

    def part(self, frames: torch.Tensor, start: int, end: int) -> "tuple[torch.Tensor, Views]":
        """Views ``start`` to ``end``, and no more frames than they show."""
        if start == 0 and end >= len(self):
            return frames, self
        shown, source = torch.unique(self.source[start:end], return_inverse=True)
        return frames[shown], Views(source, self.turns[start:end])

    def filled(self, count: int) -> "Views":
        """As many views as that: those that are missing show the first frame."""
        missing = count - len(self)
        if missing <= 0:
            return self
        source = torch.cat([self.source, torch.zeros(missing, dtype=torch.int64)])
        return Views(source, torch.cat([self.turns, torch.zeros(missing, dtype=torch.uint8)]))
