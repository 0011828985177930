"""Rows of features that lie in several places, such as the mapped shards of a pack, used as if they were one tensor."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch


@dataclass(frozen=True)
class FeatureRows:
    """The part of a (rows, D) tensor's interface that gathering batches needs.

    Attributes:
        parts: (rows, D) float16 each, in the order in which rows are counted; typically memory maps.
        device: where gathered rows are put.
    """

    parts: tuple[npt.NDArray[np.float16], ...]
    device: torch.device

    @cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        return np.cumsum([len(part) for part in self.parts])

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, D)."""
        return int(self._ends[-1]), self.parts[0].shape[1]

    def index_select(self, _dim: int, rows: torch.Tensor) -> torch.Tensor:
        """(n, D) float16 copy of n rows, given as int64 (n,)."""
        wanted = rows.cpu().numpy()
        out = np.empty((len(wanted), self.shape[1]), dtype=np.float16)
        part_of = np.searchsorted(self._ends, wanted, side="right")
        # Rows of one sequence lie in one part: copying run by run needs no second copy to put them into order.
        starts = np.flatnonzero(np.diff(part_of, prepend=-1))
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(wanted)], strict=True):
            number = int(part_of[start])
            first = int(self._ends[number]) - len(self.parts[number])
            # "clip" writes straight to ``out``; no row can be outside its part here.
            np.take(self.parts[number], wanted[start:end] - first, axis=0, out=out[start:end], mode="clip")
        return torch.from_numpy(out).to(self.device)

    def narrow(self, _dim: int, start: int, length: int) -> torch.Tensor:
        """(length, D) float16 copy of neighbouring rows."""
        return self.index_select(0, torch.arange(start, start + length))
