"""Which frames of a batch are looked at as they are, and which mirrored left to right."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Views:
    """What is computed of N frames: one feature vector for each of R views.

    Attributes:
        source: (R,) int64, which frame each view shows.
        mirrored: (R,) bool, whether it is shown mirrored.
    """

    source: torch.Tensor
    mirrored: torch.Tensor

    @classmethod
    def plain(cls, count: int) -> "Views":
        """Each of so many frames once, as it is."""
        return cls(torch.arange(count), torch.zeros(count, dtype=torch.bool))

    def __len__(self) -> int:
        """R."""
        return len(self.source)

    @property
    def are_the_frames(self) -> bool:
        """Whether the views are the first R frames, one after the other."""
        return not self.mirrored.any() and torch.equal(self.source, torch.arange(len(self)))

    def of(self, frames: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) to (R, 3, H, W), on any device."""
        if self.source.device.type == "cpu":
            return frames[: len(self)] if self.are_the_frames else self._on_the_cpu(frames)
        shown = frames.index_select(0, self.source)
        return torch.where(self.mirrored[:, None, None, None], shown.flip(3), shown)

    def _on_the_cpu(self, frames: torch.Tensor) -> torch.Tensor:
        # By NumPy: PyTorch would wake a thread on every core, each of which then spins where a decoder could work.
        shown, mirrored = frames.numpy()[self.source.numpy()], self.mirrored.numpy()
        shown[mirrored] = shown[mirrored][..., ::-1]
        return torch.from_numpy(shown)

    def to(self, device: torch.device) -> "Views":
        """The same where frames lie on another device."""
        return Views(self.source.to(device), self.mirrored.to(device))

    def part(self, frames: torch.Tensor, start: int, end: int) -> "tuple[torch.Tensor, Views]":
        """Views ``start`` to ``end``, and no more frames than they show."""
        if start == 0 and end >= len(self):
            return frames, self
        shown, source = torch.unique(self.source[start:end], return_inverse=True)
        return frames[shown], Views(source, self.mirrored[start:end])

    def filled(self, count: int) -> "Views":
        """As many views as that: those that are missing show the first frame."""
        missing = count - len(self)
        if missing <= 0:
            return self
        source = torch.cat([self.source, torch.zeros(missing, dtype=torch.int64)])
        return Views(source, torch.cat([self.mirrored, torch.zeros(missing, dtype=torch.bool)]))
