"""What an annotated video tells, before anything is drawn: what is said at each time, and what holds when."""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
NOTHING = "–"
"""What is shown where no class holds."""
_BARS = 5


@dataclass(frozen=True)
class Span:
    """A stretch of time and what holds in it.

    Attributes:
        start_s, end_s: seconds since the start of the file; the end is not included.
        label: class name.
        score: how sure, a probability; None where nobody says.
    """

    start_s: float
    end_s: float
    label: str
    score: float | None = None


@dataclass(frozen=True, eq=False)
class Curve:
    """A number that changes.

    Attributes:
        starts_s, ends_s: (N,) when each value holds, in order of time.
        values: (N,).
    """

    starts_s: Numbers
    ends_s: Numbers
    values: Numbers

    def at(self, time_s: float) -> float | None:
        """The number at a time; None where there is none."""
        place = int(np.searchsorted(self.starts_s, time_s, side="right")) - 1
        return float(self.values[place]) if place >= 0 and time_s < self.ends_s[place] else None


@dataclass(frozen=True, eq=False)
class Row:
    """One line of the timeline: who says it, and spans or a curve."""

    name: str
    spans: tuple[Span, ...] = ()
    curve: Curve | None = None

    def words_at(self, time_s: float) -> "Words":
        """What holds at a time."""
        if self.curve is not None:
            number = self.curve.at(time_s)
            return Words(NOTHING if number is None else f"{number:.4g}")
        found = [span for span in self.spans if span.start_s <= time_s < span.end_s]
        if not found:
            return Words(NOTHING)
        names = sorted({span.label for span in found})  # two rows that say the same read the same
        return Words(", ".join(names), found[0].score if len(found) == 1 else None)


@dataclass(frozen=True)
class Words:
    """What stands on the picture at one time.

    Attributes:
        title: what is said.
        score: how sure, a probability; None where nobody says.
        bars: classes with their probabilities, the likeliest first.
        truth: what really happens; None where it is not known.
        is_right: whether the title is the truth; None where that is no question of yes or no.
    """

    title: str
    score: float | None = None
    bars: tuple[tuple[str, float], ...] = ()
    truth: str | None = None
    is_right: bool | None = None


@dataclass(frozen=True, eq=False)
class Steps:
    """Probabilities that change.

    Attributes:
        bounds_s: (T + 1,) when each step begins, and where the last one ends.
        probabilities: (T, C).
        classes: (C,) names.
        is_exclusive: the likeliest class is what is said; else several may hold, and the row of the timeline says it.
    """

    bounds_s: Numbers
    probabilities: Numbers
    classes: tuple[str, ...]
    is_exclusive: bool = True

    def likeliest(self, time_s: float) -> tuple[tuple[str, float], ...]:
        """The likeliest classes of the step at a time; before the first step and after the last one theirs."""
        place = int(np.searchsorted(self.bounds_s, time_s, side="right")) - 1
        row = self.probabilities[min(max(place, 0), len(self.probabilities) - 1)]
        best = np.argsort(-row, kind="stable")[:_BARS]
        return tuple((self.classes[position], float(row[position])) for position in best.tolist())


@dataclass(frozen=True, eq=False)
class Story:
    """All that an annotated video tells.

    Attributes:
        classes: all names that occur, in the order of their colours.
        duration_s: until where the timeline goes.
        predicted: what is said when.
        throughout: what is said of the whole video; None where ``predicted`` or ``steps`` tell.
        steps: probabilities of each step; None where nobody knows them.
        truth: what really happens; None where it is not known.
    """

    classes: tuple[str, ...]
    duration_s: float
    predicted: Row
    throughout: Words | None = None
    steps: Steps | None = None
    truth: Row | None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of the timeline, from top to bottom; a row of which nothing is known is left out."""
        rows = (self.predicted, *((self.truth,) if self.truth is not None else ()))
        return tuple(row for row in rows if row.spans or row.curve is not None)

    def words_at(self, time_s: float) -> Words:
        """What stands on the picture at a time."""
        words = self.throughout or self.predicted.words_at(time_s)
        if self.throughout is None and self.steps is not None:
            bars = self.steps.likeliest(time_s)
            words = Words(*bars[0], bars) if self.steps.is_exclusive else replace(words, bars=bars)
        if self.truth is None:
            return words
        truth = self.truth.words_at(time_s).title
        is_right = None if self.truth.curve is not None or truth == NOTHING else truth == words.title
        return replace(words, truth=truth, is_right=is_right)


def ends_of(rows: tuple[Row, ...]) -> float:
    """The last end of any span that has one, in seconds; 0 where there is none."""
    return max((span.end_s for row in rows for span in row.spans if math.isfinite(span.end_s)), default=0.0)
