"""Rows of features that stay where they are until a batch needs them: on the CPU, or on disk."""

import mmap
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch


@dataclass(frozen=True)
class HostRows:
    """The part of a (rows, D) tensor's interface that gathering batches needs.

    Attributes:
        rows: (rows, D) float16 on the CPU, typically a memory map that is larger than the device.
        device: where gathered rows are put.
    """

    rows: torch.Tensor
    device: torch.device

    @property
    def shape(self) -> torch.Size:
        """(rows, D)."""
        return self.rows.shape

    def index_select(self, dim: int, index: torch.Tensor) -> torch.Tensor:
        """(n, D) float16 copy of the rows with these numbers, int64 (n,)."""
        return self.rows.index_select(dim, index.cpu()).to(self.device)

    def narrow(self, dim: int, start: int, length: int) -> torch.Tensor:
        """(length, D) float16 copy of neighbouring rows."""
        return self.rows.narrow(dim, start, length).to(self.device)


@dataclass(frozen=True)
class MappedRows:
    """As `HostRows`, for one long video: what was looked at does not stay in memory.

    Attributes:
        rows: (rows, D) float16, mapped from a file, or in memory, where it stays.
        device: where gathered rows are put.
    """

    rows: npt.NDArray[np.float16]
    device: torch.device

    @property
    def shape(self) -> torch.Size:
        """(rows, D)."""
        return torch.Size(self.rows.shape)

    def index_select(self, dim: int, index: torch.Tensor) -> torch.Tensor:
        """(n, D) float16 copy of the rows with these numbers, int64 (n,)."""
        assert dim == 0
        return self._taken(self.rows[index.cpu().numpy()])

    def narrow(self, dim: int, start: int, length: int) -> torch.Tensor:
        """(length, D) float16 copy of neighbouring rows."""
        assert dim == 0
        return self._taken(self.rows[start : start + length].copy())

    def _taken(self, copied: npt.NDArray[np.float16]) -> torch.Tensor:
        source: object = self.rows
        while isinstance(source, np.ndarray):
            source = source.base
        source = source.obj if isinstance(source, memoryview) else source
        if isinstance(source, mmap.mmap):
            source.madvise(mmap.MADV_DONTNEED)  # the pages count as ours until the system needs them; nothing is lost
        return torch.from_numpy(copied).to(self.device)


Rows = torch.Tensor | HostRows | MappedRows
