"""How a report is made, and what becomes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DEFAULT_CLIPS = 150
"""Filmstrips of a report."""


@dataclass(frozen=True)
class ReportOptions:
    """How a report is made.

    Attributes:
        videos: folder that the paths of the videos are relative to; None: as the configuration says.
        clips: most filmstrips.
        model: that made the predictions of a run; None: in the folder of the training, in which the run lies.
        workers: videos that are decoded at a time.
        on_total: called with the number of filmstrips before the first.
        on_clip: called for each.
    """

    videos: Path | None = None
    clips: int = DEFAULT_CLIPS
    model: Path | None = None
    workers: int = 2
    on_total: Callable[[int], object] = lambda _count: None
    on_clip: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class WrittenReport:
    """What became of it.

    Attributes:
        path: the page.
        size: of it, in bytes.
        num_strips: filmstrips on it.
        notes: what a reader should know.
    """

    path: Path
    size: int
    num_strips: int
    notes: tuple[str, ...]
