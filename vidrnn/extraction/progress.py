"""How far an extraction has come."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from vidrnn.extraction.batches import Throughput
from vidrnn.extraction.jobs import ABSENT, Failure


@dataclass
class Progress:
    """What became of the videos so far in one pass.

    Attributes:
        extracted, reused: how many videos.
        failures: one per video without features.
        absent: one per video that does not have this stream.
        not_retried: how many of these failed in an earlier run and were left alone.
        notes: (path, note) of videos whose features deserve a second look.
        changed: path to why features that an earlier version made are not what this one makes.
    """

    extracted: int = 0
    reused: int = 0
    failures: list[Failure] = field(default_factory=list)
    absent: list[Failure] = field(default_factory=list)
    not_retried: int = 0
    notes: list[tuple[str, str]] = field(default_factory=list)
    changed: dict[str, str] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Videos whose fate is known."""
        return self.extracted + self.reused + len(self.failures) + len(self.absent)

    def miss(self, failure: Failure) -> None:
        """Count a video without features."""
        (self.absent if failure.stage == ABSENT else self.failures).append(failure)

    def summary(self) -> str:
        """One line for the terminal and for scripts."""
        absent = f", absent {len(self.absent)}" if self.absent else ""
        return f"extracted {self.extracted}, reused {self.reused}, failed {len(self.failures)}{absent}"

    def sort(self) -> None:
        """Bring what is listed into the order of the paths."""
        self.failures.sort(key=lambda failure: failure.path)
        self.absent.sort(key=lambda failure: failure.path)
        self.notes.sort()

    @classmethod
    def together(cls, several: Iterable["Progress"]) -> "Progress":
        """The sum over passes, in which a video counts once for each."""
        whole = cls()
        for progress in several:
            whole.extracted += progress.extracted
            whole.reused += progress.reused
            whole.not_retried += progress.not_retried
            whole.failures += progress.failures
            whole.absent += progress.absent
            whole.notes += progress.notes
            whole.changed |= progress.changed
        return whole


@dataclass
class Speed:
    """Rates since the start, and the stage that limits them.

    Attributes:
        throughput: of the networks.
        videos: that were opened; what was there already does not count.
        started_s: on the monotonic clock.
    """

    throughput: Throughput = field(default_factory=Throughput)
    videos: int = 0
    started_s: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        """For the terminal."""
        seconds = max(time.monotonic() - self.started_s, 1e-9)
        frames = self.throughput.frames / seconds
        if not frames:  # no pass needs a network
            return f"{self.videos / seconds:.1f} videos/s"
        return f"{self.videos / seconds:.1f} videos/s, {frames:.0f} frames/s, {self.throughput.bottleneck} limits"
