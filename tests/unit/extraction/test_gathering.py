"""`vidrnn.extraction.gathering`: rows that come in parts are one array in the end."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vidrnn.extraction.gathering import Gathered, InMemory, OnDisk


@pytest.mark.parametrize("begin", [lambda _folder: InMemory(), OnDisk])
@pytest.mark.parametrize("sizes", [[1], [16], [3, 1, 16, 16, 5, 40, 2], [7] * 100])
def test_parts_are_joined_in_order(tmp_path: Path, begin: Callable[[Path], Gathered], sizes: list[int]) -> None:
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(size, 6)).astype(np.float16) for size in sizes]
    gathered = begin(tmp_path)
    for part in parts:
        gathered.append(part)
    whole = gathered.whole()
    assert (whole.shape, whole.dtype) == ((sum(sizes), 6), np.float16)
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_features_are_in_memory_once() -> None:
    """A recording of hours has gigabytes: an eighth more than the features is room to grow."""
    part = np.ones((64, 256), dtype=np.float16)
    tracemalloc.start()
    gathered = InMemory()
    for _ in range(200):
        gathered.append(part)
    whole = gathered.whole()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert whole.nbytes == 200 * part.nbytes
    assert peak < 1.2 * whole.nbytes
