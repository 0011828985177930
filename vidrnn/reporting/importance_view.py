"""Importance over time as the page shows it: bars under a filmstrip, and in words what they say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vidrnn.explanation.explanation import Explanation
from vidrnn.explanation.removal import Removal

WIDTH, HEIGHT = 1000, 40
"""Units of the drawing, whose height is shared by what speaks for an answer and what speaks against it."""
_MOST_BARS = 200


class Bar(NamedTuple):
    """A moment: its place and size in the drawing, whether it speaks for the answer, and when it is."""

    x: float
    y: float
    width: float
    height: float
    is_for: bool
    when: str


@dataclass(frozen=True)
class Row:
    """The bars of one stream, whose name is empty for all together."""

    stream: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class AlikeView:
    """A training video: its path and what is known of it, how alike it is, and the number of its filmstrip or -1."""

    path: str
    known: str
    similarity: str
    strip: int = -1
    width: int = 0


@dataclass(frozen=True)
class ImportanceView:
    """What the page shows of an explanation.

    Attributes:
        rows: bars of all streams together, then of each by itself.
        base: where the bars of all rows stand, from the top.
        about: the answer in question, in words.
        most: when the most important moment is.
        check: the two numbers of the removal, in words.
        is_doubtful: whether removing as much elsewhere hurts as much.
        alike: training videos that are most alike.
    """

    rows: tuple[Row, ...]
    base: float
    about: str
    most: str
    check: str
    is_doubtful: bool
    alike: tuple[AlikeView, ...] = ()


def view_of(explanation: Explanation, alike: Sequence[AlikeView] = ()) -> ImportanceView:
    """An explanation in bars and words, with the training videos that are most alike."""
    streams = {"": explanation.importance, **explanation.by_stream}
    everything = np.concatenate(list(streams.values()))
    top, bottom = max(float(everything.max()), 0.0), min(float(everything.min()), 0.0)
    scale = HEIGHT / (top - bottom) if top > bottom else 0.0
    start_s, end_s = explanation.most_important_s
    rows = tuple(Row(name, _bars(explanation.bounds_s, values, top, scale)) for name, values in streams.items())
    return ImportanceView(
        rows,
        top * scale,
        "Which moments count for the number" if explanation.label is None else f"What speaks for {explanation.label}",
        f"{start_s:.1f} to {end_s:.1f} s" if top > 0 else "no moment",
        described(explanation.removal),
        explanation.removal is not None and explanation.removal.headline[0] <= explanation.removal.headline[1],
        tuple(alike),
    )


def described(removal: Removal | None) -> str:
    """The two numbers of a removal."""
    if removal is None:
        return ""
    important, elsewhere = removal.headline
    return (
        f"without its most important fifth the answer falls by {important:.2f}, "
        f"without a fifth elsewhere by {elsewhere:.2f}"
    )


def _bars(bounds_s: np.ndarray, values: np.ndarray, top: float, scale: float) -> tuple[Bar, ...]:
    """Where there are many moments, neighbours share a bar, which shows the one that counts most."""
    first, last = float(bounds_s[0]), float(bounds_s[-1])
    wide = WIDTH / (last - first) if last > first else 0.0
    groups = np.array_split(np.arange(len(values)), min(len(values), _MOST_BARS))
    found = []
    for group in groups:
        value = float(values[group][np.abs(values[group]).argmax()])
        start_s, end_s = float(bounds_s[group[0]]), float(bounds_s[group[-1] + 1])
        x, width = ((start_s - first) * wide, (end_s - start_s) * wide) if wide else (0.0, float(WIDTH))
        height = abs(value) * scale
        y = top * scale - (height if value > 0 else 0.0)
        found.append(
            Bar(
                round(x, 1), round(y, 1), round(width, 1), round(height, 1), value > 0, f"{start_s:.1f} s: {value:+.2f}"
            )
        )
    return tuple(found)
