"""Copies of a video that are not the same file: encoded again, cut shorter, mirrored, brighter, with fewer frames."""

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vidrnn.preflight.motion import Floats, Motion, Seconds, similarity
from vidrnn.preflight.thumbnails import mirror
from vidrnn.stages import stage

if TYPE_CHECKING:
    import faiss

LEAST = 0.85
"""Similarity of a copy.

Among real clips the closest takes of two actors reach 0.83, copies have 0.88 to 1.00 (docs/splitting.md).
"""
LEAST_STILL = 0.98
"""Cosine of the thumbnails of two copies in which nothing moves."""
_QUESTIONS = 4  # steps of each video that are looked for in all others
_PROMISING = 0.5  # cosine of two steps, in few dimensions, from which two videos are compared
_ROUGH = 0.75  # similarity in few dimensions, where noise is less, from which it is computed in all
_CANDIDATES = 5  # for each question
_DIMENSIONS = 96
_FITTED_VIDEOS, _FITTED_STEPS = 300, 100
_ROWS = 65536  # steps that are put into the index at once
_VIDEOS_AT_ONCE = 256  # of one side, looked for together
_EXACT_STEPS = 200_000  # up to so many, each step is compared with all
_MOST_LISTS, _TRAINED_PER_LIST, _PROBED = (
    4096,
    40,
    16,
)  # of the index of more: lists, steps that they are fitted to, looked at

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class NearCopy:
    """Two videos that show the same recording.

    Attributes:
        first, second: positions, in order.
        similarity: see `vidrnn.preflight.motion.similarity`.
        is_mirrored: one shows the other in a mirror.
    """

    first: int
    second: int
    similarity: float
    is_mirrored: bool


@stage("look for near-duplicates")
def find_near_copies(
    read: Callable[[int], Motion], sides: Sequence[int], *, on_video: Callable[[], object] = lambda: None
) -> list[NearCopy]:
    """Look for each video among all that are on another side.

    A few steps of each video, those with most motion, are looked for among the steps of all others, in few
    dimensions; what is found is compared in full. With few videos all steps are compared, with many only the steps in
    the nearest lists of an index (FAISS, inverted lists, 8 bits for each of 96 values). What is compared then lies
    in a file, so memory holds about 100 bytes for each step.

    Args:
        read: position to motion; called more than once for some.
        sides: (n,) the split or fold of each video.
        on_video: called twice for each video: when it is in the index, and when it was looked for.

    Returns:
        Pairs by falling similarity.
    """
    found: dict[tuple[int, int], NearCopy] = {}
    with tempfile.TemporaryFile() as file:
        for question, answer, shift_s, is_mirrored in _Index(read, sides, file, on_video).candidates():
            pair = min(question, answer), max(question, answer)
            one, other = read(question), read(answer)
            value = similarity(one.mirrored() if is_mirrored else one, other, shift_s=shift_s)
            least = LEAST_STILL if one.is_still else LEAST
            if value >= least and (pair not in found or value > found[pair].similarity):
                found[pair] = NearCopy(*pair, value, is_mirrored)
    return sorted(found.values(), key=lambda copy: -copy.similarity)


class _Index:
    """The motion of n videos in few dimensions, in a file, and an index of their steps. Sides lie one after the other.

    The axes are even or odd under the mirror, so that the mirrored video has the same values but for their signs.
    """

    def __init__(
        self, read: Callable[[int], Motion], sides: Sequence[int], file: IO[bytes], on_video: Callable[[], object]
    ) -> None:
        self._order = np.argsort(np.asarray(sides), kind="stable")  # position in the file to video
        self._sides = np.asarray(sides)[self._order]
        self._file, self._on_video = file, on_video
        axes, self._signs = _principal_axes(read, len(sides))
        self._times: list[Seconds] = []
        self._still: list[bool] = []
        for video in self._order.tolist():
            motion = read(video)
            (motion.steps @ axes).astype(np.float32).tofile(file)
            self._times.append(motion.times_s)
            self._still.append(motion.is_still)
            on_video()
        file.flush()
        self._ends = np.cumsum([len(times) for times in self._times])
        total = int(self._ends[-1])
        self._steps: Floats = np.memmap(file, np.float32, "r", shape=(total, axes.shape[1]))
        self._searched = self._filled(total, axes.shape[1])

    def _filled(self, total: int, dimensions: int) -> "faiss.Index":
        import faiss

        index: faiss.Index
        if total <= _EXACT_STEPS:
            index = faiss.IndexFlatIP(dimensions)
        else:
            lists = min(_MOST_LISTS, int(math.sqrt(total)))
            quantizer = faiss.IndexFlatIP(dimensions)
            index = faiss.IndexIVFScalarQuantizer(
                quantizer, dimensions, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
            )
            sample = np.random.default_rng(0).choice(total, min(total, _TRAINED_PER_LIST * lists), replace=False)
            index.train(_unit(self._steps[np.sort(sample)]))
        for start in range(0, total, _ROWS):
            index.add(_unit(self._steps[start : start + _ROWS]))
        return index

    def candidates(self) -> Iterator[tuple[int, int, float, bool]]:
        """(video, other video, shift of the other in seconds, whether mirrored) of all that look promising."""
        firsts = [0, *np.flatnonzero(np.diff(self._sides)) + 1, len(self._sides)]
        for first, end in pairwise(map(int, firsts)):
            for start in range(first, end, _VIDEOS_AT_ONCE):
                places = range(start, min(start + _VIDEOS_AT_ONCE, end))
                yield from self._of_side(places, self._rows(first)[0], self._rows(end - 1)[1])
                for _ in places:
                    self._on_video()

    def _of_side(self, places: range, first_row: int, end_row: int) -> Iterator[tuple[int, int, float, bool]]:
        """Candidates for some videos of a side, whose steps have these numbers."""
        motions = [self._motion(place) for place in places]
        chosen = [_liveliest(motion) for motion in motions]
        asking = np.repeat(np.arange(len(places)), [len(steps) for steps in chosen])
        asked_s = np.concatenate([motion.times_s[steps] for motion, steps in zip(motions, chosen, strict=True)])
        plain = _unit(np.concatenate([motion.steps[steps] for motion, steps in zip(motions, chosen, strict=True)]))
        for is_mirrored in (False, True):
            cosines, rows = self._nearest(plain * self._signs if is_mirrored else plain, first_row, end_row)
            for row, column in np.argwhere((cosines >= _PROMISING) & (rows >= 0)).tolist():
                question, found = int(asking[row]), int(rows[row, column])
                answer = int(np.searchsorted(self._ends, found, side="right"))
                shift_s = float(self._times[answer][found - self._rows(answer)[0]] - asked_s[row])
                view = motions[question]
                if is_mirrored:
                    view = Motion(view.steps * self._signs, view.times_s, view.is_still)
                if similarity(view, self._motion(answer), shift_s=shift_s) >= _ROUGH:
                    yield int(self._order[places[question]]), int(self._order[answer]), shift_s, is_mirrored

    def _nearest(self, steps: Floats, first_row: int, end_row: int) -> tuple[Floats, Positions]:
        """Cosine and number of the steps nearest to each given one, without those from ``first_row`` to ``end_row``."""
        import faiss

        others = faiss.IDSelectorNot(side := faiss.IDSelectorRange(first_row, end_row))
        is_exact = isinstance(self._searched, faiss.IndexFlatIP)
        options: dict[str, Any] = {"sel": others} if is_exact else {"sel": others, "nprobe": _PROBED}
        how = (faiss.SearchParameters if is_exact else faiss.SearchParametersIVF)(**options)
        cosines, rows = self._searched.search(steps, _CANDIDATES, params=how)
        del side
        return cosines, rows

    def _rows(self, place: int) -> tuple[int, int]:
        end = int(self._ends[place])
        return end - len(self._times[place]), end

    def _motion(self, place: int) -> Motion:
        first, end = self._rows(place)
        return Motion(self._steps[first:end], self._times[place], self._still[place])


def _principal_axes(read: Callable[[int], Motion], n: int) -> tuple[Floats, Floats]:
    """(1024, d) axes along which the steps of some videos and of their mirror images differ most.

    And (d,) 1 for those that are the same in the mirror, -1 for those that become their opposite.
    """
    fitted = (read(position).steps for position in range(0, n, -(-n // _FITTED_VIDEOS)))
    sample = np.concatenate([steps[:: max(3, len(steps) // _FITTED_STEPS)] for steps in fitted])
    found: list[tuple[float, Floats, float]] = []
    for sign in (1.0, -1.0):
        half = (sample + sign * mirror(sample)) / 2
        values, axes = np.linalg.eigh(half.T @ half)
        found += [(float(values[column]), axes[:, column], sign) for column in range(-_DIMENSIONS, 0)]
    found.sort(key=lambda axis: -axis[0])
    chosen = found[:_DIMENSIONS]
    stacked: Floats = np.ascontiguousarray(np.stack([axis for _, axis, _ in chosen], axis=1), dtype=np.float32)
    return stacked, np.array([sign for *_, sign in chosen], dtype=np.float32)


def _unit(steps: Floats) -> Floats:
    lengths = np.linalg.norm(steps, axis=1, keepdims=True)
    unit: Floats = np.ascontiguousarray(steps / np.maximum(lengths, 1e-12), dtype=np.float32)
    return unit


def _liveliest(motion: Motion) -> Positions:
    """Positions of the step with most motion in each quarter of the video."""
    quarters = np.array_split(np.arange(len(motion.steps)), min(_QUESTIONS, len(motion.steps)))
    energy = np.square(motion.steps).sum(axis=1)
    return np.array([quarter[energy[quarter].argmax()] for quarter in quarters])
