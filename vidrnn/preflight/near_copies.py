"""Copies of a video that are not the same file: encoded again, cut shorter, mirrored, brighter, with fewer frames."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidrnn.preflight.motion import Floats, Motion, similarity

LEAST = 0.85
"""Similarity of a copy. Of the real clips the closest takes of two actors reach 0.83, copies have 0.88 to 1.00
(docs/splitting.md)."""
LEAST_STILL = 0.98
"""Cosine of the thumbnails of two copies in which nothing moves."""
_QUESTIONS = 4  # steps of each video that are looked for in all others
_PROMISING = 0.5  # cosine of two steps, in few dimensions, from which two videos are compared
_ROUGH = 0.75  # similarity in few dimensions, where noise is less, from which it is computed in all
_CANDIDATES = 5  # for each question
_DIMENSIONS = 96
_FITTED_VIDEOS = 300
_ROWS, _COLUMNS = 2048, 65536  # of one block of the comparison of all with all

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


def find_near_copies(read: Callable[[int], Motion], sides: Sequence[int]) -> list[NearCopy]:
    """Compare all videos with all that are on another side.

    A few steps of each video, those with most motion, are looked for among the steps of all others, in few
    dimensions; what is found is compared in full. The work grows with the square of the number of videos.

    Args:
        read: position to motion; called more than once for some.
        sides: (n,) the split or fold of each video.

    Returns:
        Pairs by falling similarity.
    """
    found: dict[tuple[int, int], NearCopy] = {}
    for question, answer, shift_s, is_mirrored in _Index(read, sides).candidates():
        pair = min(question, answer), max(question, answer)
        one, other = read(question), read(answer)
        own = similarity(one.mirrored() if is_mirrored else one, other, shift_s=shift_s)
        least = LEAST_STILL if one.is_still else LEAST
        if own >= least and (pair not in found or own > found[pair].similarity):
            found[pair] = NearCopy(*pair, own, is_mirrored)
    return sorted(found.values(), key=lambda copy: -copy.similarity)


class _Index:
    """The motion of n videos in few dimensions, as they are and in the mirror, and their steps side by side.

    Of F steps in all: unit vectors (F, d), whose they are (F,) and when (F,).
    """

    def __init__(self, read: Callable[[int], Motion], sides: Sequence[int]) -> None:
        self._sides = np.asarray(sides)
        axes = _principal_axes(read, len(sides))
        self._motions: tuple[list[Motion], list[Motion]] = ([], [])
        for position in range(len(sides)):
            motion = read(position)
            for view, own in zip(self._motions, (motion, motion.mirrored()), strict=True):
                view.append(Motion(own.steps @ axes, own.times_s, own.is_still))
        plain = self._motions[0]
        self._steps = _unit(np.concatenate([motion.steps for motion in plain]))
        self._times_s = np.concatenate([motion.times_s for motion in plain])
        self._owner = np.repeat(np.arange(len(plain)), [len(motion.times_s) for motion in plain])

    def candidates(self) -> Iterator[tuple[int, int, float, bool]]:
        """(video, other video, shift of the other in seconds, whether mirrored) of all that look promising."""
        chosen = [_liveliest(motion) for motion in self._motions[0]]
        asking = np.repeat(np.arange(len(chosen)), [len(own) for own in chosen])
        for is_mirrored, view in zip((False, True), self._motions, strict=True):
            steps = _unit(np.concatenate([motion.steps[own] for motion, own in zip(view, chosen, strict=True)]))
            asked_s = np.concatenate([motion.times_s[own] for motion, own in zip(view, chosen, strict=True)])
            for start in range(0, len(asking), _ROWS):
                rows = slice(start, start + _ROWS)
                cosines, columns = self._nearest(steps[rows], self._sides[asking[rows]])
                for row, place in np.argwhere(cosines >= _PROMISING).tolist():
                    question, column = int(asking[start + row]), int(columns[row, place])
                    answer = int(self._owner[column])
                    shift_s = float(self._times_s[column] - asked_s[start + row])
                    if similarity(view[question], self._motions[0][answer], shift_s=shift_s) >= _ROUGH:
                        yield question, answer, shift_s, is_mirrored

    def _nearest(self, steps: Floats, sides: npt.NDArray[np.int64]) -> tuple[Floats, Positions]:
        """Cosine and place of the steps on other sides that are nearest to each given one, (rows, up to 5) both."""
        cosines, places = np.zeros((len(steps), 0), np.float32), np.zeros((len(steps), 0), np.int64)
        for start in range(0, len(self._steps), _COLUMNS):
            columns = slice(start, start + _COLUMNS)
            block = steps @ self._steps[columns].T
            block[sides[:, None] == self._sides[self._owner[columns]]] = -1.0
            own = _highest(block)
            cosines = np.concatenate([cosines, np.take_along_axis(block, own, 1)], axis=1)
            places = np.concatenate([places, own + start], axis=1)
            best = _highest(cosines)
            cosines, places = np.take_along_axis(cosines, best, 1), np.take_along_axis(places, best, 1)
        return cosines, places


def _highest(values: Floats) -> Positions:
    """(rows, up to 5) columns of the largest values of each row, in no order."""
    count = min(_CANDIDATES, values.shape[1])
    return np.argpartition(-values, count - 1, axis=1)[:, :count]


def _principal_axes(read: Callable[[int], Motion], n: int) -> Floats:
    """(1024, d) axes along which the steps of some videos differ most."""
    sample = np.concatenate([read(position).steps[::3] for position in range(0, n, -(-n // _FITTED_VIDEOS))])
    _, axes = np.linalg.eigh(sample.T @ sample)
    largest: Floats = axes[:, -_DIMENSIONS:]
    return largest


def _unit(steps: Floats) -> Floats:
    lengths = np.linalg.norm(steps, axis=1, keepdims=True)
    unit: Floats = steps / np.maximum(lengths, 1e-12)
    return unit


def _liveliest(motion: Motion) -> Positions:
    """Positions of the step with most motion in each quarter of the video."""
    quarters = np.array_split(np.arange(len(motion.steps)), min(_QUESTIONS, len(motion.steps)))
    energy = np.square(motion.steps).sum(axis=1)
    return np.array([quarter[energy[quarter].argmax()] for quarter in quarters])
