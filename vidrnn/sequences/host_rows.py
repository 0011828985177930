"""Rows of features that stay where they are until a batch needs them on another device."""

from dataclasses import dataclass

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
