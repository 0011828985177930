"""What observations of the annotation tool BORIS say of each video, and what of them is left out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from vidrnn.annotations.records import Segment, Split


@dataclass
class Video:
    """What the observations of one video say."""

    observations: list[str] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    split: Split | None = None
    group: str = ""


@dataclass
class LeftOut:
    """What is in a file of BORIS and has no place in an annotation."""

    points: int = 0
    live: int = 0
    subjects: set[str] = field(default_factory=set)
    modified: int = 0

    def notes(self, file: Path) -> Iterable[str]:
        """A sentence for each kind of thing that was left out."""
        if self.live:
            yield f"{file}: {self.live} observations are of no media file and were left out"
        if self.points:
            yield f"{file}: {self.points} point events were left out, for they have no length"
        if self.subjects:
            names = ", ".join(sorted(self.subjects)[:5])
            yield f"{file}: {len(self.subjects)} subjects ({names}) were put together; the label is the behaviour"
        if self.modified:
            yield f"{file}: the modifiers of {self.modified} behaviours were left out; the label is the behaviour"
