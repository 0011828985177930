"""Segments and instants: which steps or frames a segment covers, runs of frames to segments, and back."""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

from vidrnn.annotations.records import Segment

ROUNDING_S = 0.001
"""Files and containers round times to milliseconds, so an instant this little before a start belongs to it."""
PRESENT, ABSENT, UNSEEN = 1, 0, -1
"""What is known of a class at a frame: it happens, it does not, nobody looked. DeepEthogram has these numbers."""

Times = npt.NDArray[np.float64]
Presence = npt.NDArray[np.int8]


def covered(times: Times, start_s: float, end_s: float) -> tuple[int, int]:
    """The first, and one past the last, of increasing instants that lie in a stretch: its start does, its end does not.

    Both count `ROUNDING_S` early. The two are equal where no instant does.
    """
    first, last = np.searchsorted(times, [start_s - ROUNDING_S, end_s - ROUNDING_S])
    return int(first), int(last)


def gaps(stretches: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """From and until, in seconds, of what no stretch covers, from 0 on; the last gap has no end."""
    found, reached = [], 0.0
    for start_s, end_s in sorted(stretches):
        if start_s > reached:
            found.append((reached, start_s))
        reached = max(reached, end_s)
    return [*found, (reached, math.inf)]


def join_equal(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """By start, with segments of one label that overlap made one; what only touches stays two."""
    joined: list[Segment] = []
    last: dict[str, int] = {}
    for segment in sorted(segments, key=lambda segment: (segment.start_s, segment.end_s)):
        at = last.get(segment.label)
        if at is not None and segment.start_s < joined[at].end_s:
            joined[at] = Segment(joined[at].start_s, max(joined[at].end_s, segment.end_s), segment.label)
        else:
            last[segment.label] = len(joined)
            joined.append(segment)
    return tuple(joined)


def segments_of_rows(labels: Iterable[str], bounds: Times) -> tuple[Segment, ...]:
    """A segment for each run of one label; rows with an empty one say that nothing happens.

    Args:
        labels: of n rows.
        bounds: (n + 1,) seconds at which the rows begin, and the end of the last.
    """
    found: list[Segment] = []
    at = 0
    for label, rows in groupby(labels):
        end = at + sum(1 for _ in rows)
        if label:
            found.append(Segment(float(bounds[at]), float(bounds[end]), label))
        at = end
    return tuple(found)


def segments_of_presence(
    presence: Presence, names: Sequence[str], bounds: Times
) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """Segments and unlabelled stretches of a table with a row per frame and a column per class.

    Args:
        presence: (n, classes) `PRESENT`, `ABSENT` or `UNSEEN`.
        names: of the classes.
        bounds: (n + 1,) seconds at which the rows begin, and the end of the last.
    """
    unseen = presence == UNSEEN
    nowhere = unseen.all(axis=1) if presence.shape[1] else np.zeros(len(presence), dtype=bool)
    segments = [run for at, name in enumerate(names) for run in _runs(presence[:, at] == PRESENT, name, bounds)]
    unlabelled = [*_runs(nowhere, "", bounds)]
    unlabelled += [run for at, name in enumerate(names) for run in _runs(unseen[:, at] & ~nowhere, name, bounds)]
    return _by_start(segments), _by_start(unlabelled)


def _runs(marked: npt.NDArray[np.bool_], label: str, bounds: Times) -> list[Segment]:
    """A segment for each run of marked rows."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return [Segment(float(bounds[first]), float(bounds[last]), label) for first, last in edges.reshape(-1, 2)]


def _by_start(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    return tuple(sorted(segments, key=lambda segment: (segment.start_s, segment.end_s, segment.label)))


def presence_at(
    segments: Iterable[Segment], unlabelled: Iterable[Segment], names: Sequence[str], times: Times
) -> Presence:
    """(n, classes) `PRESENT`, `ABSENT` or `UNSEEN` of each class at n instants.

    The inverse of `segments_of_presence`.
    """
    presence = np.full((len(times), len(names)), ABSENT, dtype=np.int8)
    column = {name: at for at, name in enumerate(names)}
    for segment in unlabelled:
        first, last = covered(times, segment.start_s, segment.end_s)
        if not segment.label:
            presence[first:last] = UNSEEN
        elif segment.label in column:
            presence[first:last, column[segment.label]] = UNSEEN
    for segment in segments:
        first, last = covered(times, segment.start_s, segment.end_s)
        presence[first:last, column[segment.label]] = PRESENT
    return presence
