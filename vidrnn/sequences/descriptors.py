"""One vector per video from its cached features, in which the direction of time counts: no model is needed.

A sequence is cut into equal parts in time. What it shows is the mean of their means; how it goes on is how far the
mean of each part lies from that. Played backwards, a video shows the same and goes on the other way round.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
PARTS = 4
"""Equal parts of a sequence, in time."""
SHOWN_WEIGHT = 0.25
"""How much what a sequence shows weighs beside how it goes on: with as much, scenes are found and not actions
(docs/label_less.md has the figures)."""
_LEAST_DEVIATION = 1e-3  # of the greatest one; values that never change tell nothing
DIMENSIONS = 256
"""Most values of a vector."""
FITTED = 2048
"""Sequences that a space is fitted to at most."""


@dataclass(frozen=True)
class Raw:
    """What is known of one sequence of one stream, before it is compared with others.

    Attributes:
        shown: (D,) mean over the parts.
        course: (PARTS * D,) mean of each part minus ``shown``, one after the other.
    """

    shown: Floats
    course: Floats

    @classmethod
    def of(cls, features: npt.NDArray[np.floating]) -> "Raw":
        """From (T, D) features, at least one step; a sequence shorter than the parts gives some steps twice."""
        total = len(features)
        starts = np.arange(PARTS) * total // PARTS
        ends = np.maximum((np.arange(PARTS) + 1) * total // PARTS, starts + 1)
        means = np.stack(
            [features[start:end].mean(axis=0, dtype=np.float64) for start, end in zip(starts, ends, strict=True)]
        )
        shown = means.mean(axis=0)
        return cls(shown.astype(np.float32), (means - shown).astype(np.float32).ravel())


RawStreams = Mapping[str, Raw]
"""Stream to what is known of it; a stream that a video does not have is not in it."""


@dataclass(frozen=True)
class Scale:
    """What is usual among many sequences, by which each of them is measured.

    Attributes:
        means: stream to (D,) what sequences show on average, which tells nothing of any of them.
        deviations: stream to (D,) deviation of each value over the parts of all sequences.
        lengths: stream to the usual lengths of ``shown`` minus that mean, and of ``course``, in these deviations.
        shown_weight: weight of what is shown beside how it goes on.
    """

    means: Mapping[str, Floats]
    deviations: Mapping[str, Floats]
    lengths: Mapping[str, tuple[float, float]]
    shown_weight: float = SHOWN_WEIGHT

    @classmethod
    def of(cls, found: Sequence[RawStreams], *, shown_weight: float = SHOWN_WEIGHT) -> "Scale":
        """From at least one sequence, of one stream or several; usual lengths are medians."""
        means: dict[str, Floats] = {}
        deviations: dict[str, Floats] = {}
        lengths: dict[str, tuple[float, float]] = {}
        for stream in sorted({name for raw in found for name in raw}):
            there = [raw[stream] for raw in found if stream in raw]
            shown = np.stack([raw.shown for raw in there]).astype(np.float64)
            courses = np.stack([raw.course for raw in there]).astype(np.float64)
            mean = shown.mean(axis=0)
            variance = np.square(shown - mean).mean(axis=0)
            variance += np.square(courses.reshape(len(there), PARTS, -1)).mean(axis=(0, 1))
            deviation = np.sqrt(variance)
            deviation = np.maximum(deviation, _LEAST_DEVIATION * deviation.max())
            deviation[deviation == 0.0] = 1.0
            means[stream], deviations[stream] = mean.astype(np.float32), deviation.astype(np.float32)
            lengths[stream] = (
                float(np.median(np.linalg.norm((shown - mean) / deviation, axis=1))),
                float(np.median(np.linalg.norm(courses / np.tile(deviation, PARTS), axis=1))),
            )
        return cls(means, deviations, lengths, shown_weight)

    def descriptor(self, raw: RawStreams) -> Floats:
        """(F,) of length 1: what is shown and how it goes on, of each stream; all streams weigh the same.

        What is shorter than usual, such as the course of a still video, is noise, and is left short. A stream that is
        not there is zero.
        """
        parts: list[Floats] = []
        for stream, mean in self.means.items():
            if stream not in raw:
                parts.append(np.zeros((1 + PARTS) * len(mean), np.float32))
                continue
            deviation, (usual_shown, usual_course) = self.deviations[stream], self.lengths[stream]
            shown: Floats = (raw[stream].shown - mean) / deviation
            course = (raw[stream].course / np.tile(deviation, PARTS)).astype(np.float32)
            parts += [np.float32(self.shown_weight) * _scaled(shown, usual_shown), _scaled(course, usual_course)]
        joined = np.concatenate(parts)
        length = float(np.linalg.norm(joined))
        return (joined / length if length else joined).astype(np.float32)

    def descriptors(self, found: Sequence[RawStreams]) -> Floats:
        """(n, F) of n sequences."""
        return np.stack([self.descriptor(raw) for raw in found])


@dataclass(frozen=True)
class Space:
    """Descriptors in few dimensions: the axes along which the descriptors of many sequences differ most.

    Attributes:
        scale: makes the descriptors.
        axes: (F, d) orthonormal columns, d at most `DIMENSIONS`.
    """

    scale: Scale
    axes: Floats

    @classmethod
    def of(cls, found: Sequence[RawStreams]) -> "Space":
        """Fitted to `FITTED` of the sequences, spread evenly over them; the same for the same sequences."""
        from sklearn.utils.extmath import randomized_svd

        chosen = [found[place] for place in np.linspace(0, len(found) - 1, min(FITTED, len(found))).astype(int)]
        scale = Scale.of(chosen)
        sample = scale.descriptors(chosen)
        _, _, axes = randomized_svd(sample, n_components=min(DIMENSIONS, *sample.shape), random_state=0)
        return cls(scale, np.ascontiguousarray(axes.T, dtype=np.float32))

    def vectors(self, found: Sequence[RawStreams]) -> Floats:
        """(n, d) of length 1, but for those that have nothing along any axis."""
        parts = [self.scale.descriptors(found[start : start + 256]) @ self.axes for start in range(0, len(found), 256)]
        vectors = np.concatenate(parts) if parts else np.zeros((0, self.axes.shape[1]), np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Floats = (vectors / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
        return unit


def _scaled(vector: Floats, usual: float) -> Floats:
    length = max(float(np.linalg.norm(vector)), usual)
    return vector / length if length else vector
