"""How far a piece of work has come, shown on the screen where there is one."""

from contextlib import AbstractContextManager
from typing import Protocol

from tqdm import tqdm


class Shown(Protocol):
    """A bar on the screen."""

    def update(self, n: float | None = 1) -> object:
        """Say that so much more is done."""


class Bar(Protocol):
    """Makes bars, as `tqdm` does."""

    def __call__(
        self, *, total: float, desc: str, unit: str, unit_scale: bool = False
    ) -> AbstractContextManager[Shown]:
        """A bar that is shown until the block ends: how much there is to do, what it is and in which unit."""


def on_screen(*, total: float, desc: str, unit: str, unit_scale: bool = False) -> AbstractContextManager[Shown]:
    """A bar where there is a terminal, and nothing elsewhere."""
    return tqdm(total=total, desc=desc, unit=unit, unit_scale=unit_scale, disable=None)


def nowhere(*, total: float, desc: str, unit: str, unit_scale: bool = False) -> AbstractContextManager[Shown]:
    """No bar."""
    return tqdm(total=total, desc=desc, unit=unit, unit_scale=unit_scale, disable=True)
