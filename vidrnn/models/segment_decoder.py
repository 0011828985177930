"""Decoding of step labels: the likeliest segments, given how long each class lasts and which class follows which.

A segmental Viterbi search (Ostendorf et al. 1996) in which a class has a shortest duration. Beyond that, each further
step has the same probability. So the work grows with steps times classes squared, and not with the durations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]
ReadSteps = Callable[[Floats], Labels]
"""From outputs (T, C) of a video to the class (T,) of each step."""

_NEVER = -np.inf
_LEAST = -1e4  # no step counts less: far smaller ones would take the digits of all others in a sum over time
_SHORTEST_SHARE = 0.05  # of the segments of a class may have been shorter than what becomes its shortest duration


@dataclass(frozen=True)
class SegmentDecoder:
    """What the true segments of the training videos tell, as counts; C classes.

    Attributes:
        starts: (C,) how many videos begin with each class.
        transitions: (C, C) how often a segment of a row's class was followed by one of a column's.
        segments: (C,) whole segments of each class.
        shortest: (C,) steps, at least 1: the 5th percentile of their durations.
        beyond: (C,) steps that they lasted beyond that, summed up.
    """

    starts: tuple[int, ...]
    transitions: tuple[tuple[int, ...], ...]
    segments: tuple[int, ...]
    shortest: tuple[int, ...]
    beyond: tuple[int, ...]

    @classmethod
    def from_labels(cls, videos: Sequence[Labels], *, num_classes: int) -> "SegmentDecoder":
        """Count in the labels of training videos, (T,) each; negative where nobody looked.

        What touches such a stretch is of unknown duration, and says nothing of what follows it.
        """
        starts, transitions = np.zeros(num_classes, np.int64), np.zeros((num_classes, num_classes), np.int64)
        durations: list[list[int]] = [[] for _ in range(num_classes)]
        for labels in videos:
            runs = [(label, len(list(steps))) for label, steps in groupby(labels.tolist())]
            names = [-2, *(label for label, _ in runs), -2]
            if names[1] >= 0:
                starts[names[1]] += 1
            for (label, duration), before, after in zip(runs, names, names[2:], strict=False):
                if label >= 0 and after >= 0:
                    transitions[label, after] += 1
                if label >= 0 and -1 not in (before, after):
                    durations[label].append(duration)
        shortest = [int(np.quantile(known, _SHORTEST_SHARE)) if known else 1 for known in durations]
        beyond = [
            sum(max(duration - least, 0) for duration in known)
            for known, least in zip(durations, shortest, strict=True)
        ]
        return cls(
            tuple(starts.tolist()),
            tuple(map(tuple, transitions.tolist())),
            tuple(map(len, durations)),
            tuple(shortest),
            tuple(beyond),
        )

    @classmethod
    def from_header(cls, value: object, *, num_classes: int) -> "SegmentDecoder":
        """What `dataclasses.asdict` made of one, out of JSON. Raises ValueError."""
        counts = {name: np.asarray(part) for name, part in value.items()} if isinstance(value, dict) else {}
        shapes = dict.fromkeys(cls.__dataclass_fields__, (num_classes,)) | {"transitions": (num_classes, num_classes)}
        if counts.keys() != shapes.keys():
            raise ValueError(f"its segments are not {', '.join(shapes)}")
        for name, part in counts.items():
            least = int(name == "shortest")
            if part.shape != shapes[name] or part.dtype.kind != "i" or part.min() < least:
                raise ValueError(f"{name} of its segments are no counts of {shapes[name]}, each {least} or more")
        rows = tuple(tuple(row) for row in counts["transitions"].tolist())
        return cls(transitions=rows, **{name: tuple(counts[name].tolist()) for name in shapes if name != "transitions"})

    def decode(self, logits: Floats, *, weight: float) -> Labels:
        """The likeliest segments of a video.

        Maximises the sum of ``weight`` * log p over its steps, of log P(first class), of log P(next class) at every
        border, and of log P(duration) of every segment. A duration below the shortest of its class is impossible; d
        steps have the probability (1 - q) q^(d - shortest), with q = (beyond + 1) / (beyond + segments + 2). The end of
        the video cuts the last segment: that lasts at least as long as is seen. Classes that follow are counted with
        1 / C added to each.

        Args:
            logits: (T, C), T at least 1.
            weight: what a step's log-probability counts beside durations and borders.

        Returns:
            (T,) classes.
        """
        first, following, staying, leaving = self._logarithms()
        of_steps = weight * np.maximum(_log_softmax(logits), _LEAST)
        sums = np.concatenate([np.zeros((1, logits.shape[1])), np.cumsum(of_steps, axis=0)])
        length, num_classes = logits.shape
        shortest = np.minimum(self.shortest, length + 1)
        begun = np.full((length + 1, num_classes), _NEVER)  # best score up to a border at which a segment begins
        before = np.zeros((length + 1, num_classes), np.int64)  # the class before that border
        lasting = np.full(num_classes, _NEVER)  # best score up to now of a segment that may end now
        start = np.zeros((length + 1, num_classes), np.int64)  # where that segment began
        begun[0] = first
        every = np.arange(num_classes)
        for now in range(1, length + 1):
            longer = lasting + staying + sums[now] - sums[now - 1]
            origin = now - shortest
            there = origin >= 0
            source = np.where(there, origin, 0)
            fresh = np.where(there, begun[source, every] + sums[now] - sums[source, every], _NEVER)
            start[now] = np.where(fresh > longer, source, start[now - 1])
            lasting = np.maximum(fresh, longer)
            to = (lasting + leaving)[:, None] + following
            before[now] = to.argmax(axis=0)
            begun[now] = to[before[now], every]
        return self._trace(begun, before, start, lasting, sums)

    def _trace(self, begun: Floats, before: Labels, start: Labels, lasting: Floats, sums: Floats) -> Labels:
        """Choose the last segment, which the end may have cut, and go back from it."""
        length = len(begun) - 1
        best = int(lasting.argmax())
        score, since = lasting[best], int(start[length, best])
        for label, least in enumerate(self.shortest):
            for origin in range(max(length - least + 1, 0), length):
                cut = begun[origin, label] + sums[length, label] - sums[origin, label]
                if cut > score:
                    score, best, since = cut, label, origin
        labels, end = np.zeros(length, np.int64), length
        while end:
            labels[since:end] = best
            end, best = since, int(before[since, best])
            since = int(start[end, best])
        return labels

    def _logarithms(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Logarithms of P(first class) (C,), P(next class) (C, C), q (C,) and 1 - q (C,)."""
        classes = len(self.starts)
        first = np.asarray(self.starts) + 1 / classes
        following = (np.asarray(self.transitions) + 1 / classes) * (1 - np.eye(classes))
        staying = (np.asarray(self.beyond) + 1) / (np.asarray(self.beyond) + np.asarray(self.segments) + 2)
        with np.errstate(divide="ignore"):  # no class follows itself
            following = np.log(following / np.maximum(following.sum(axis=1, keepdims=True), np.finfo(float).tiny))
        return np.log(first / first.sum()), following, np.log(staying), np.log1p(-staying)


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_p: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return log_p
