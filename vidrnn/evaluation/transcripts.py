"""Metrics of transcripts: which actions occur in a video, in which order, without saying when."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidrnn.evaluation.resampling import none_if_nan, ratio_interval

Transcript = Sequence[int]


@dataclass(frozen=True)
class TranscriptMetrics:
    """What is measured on n videos; rates and shares are fractions.

    Attributes:
        true_labels: length of all true transcripts together.
        label_error_rate: edits over ``true_labels``; above 1 where much is inserted; nan when every true one is empty.
        interval: 95 % interval of the label error rate over groups; nan where the rate is.
        insertions: labels that were said and are not in the truth.
        deletions: labels of the truth that were not said.
        substitutions: labels that were said in the place of another.
        exact_match: share of videos whose transcript is entirely right.
    """

    n: int
    true_labels: int
    label_error_rate: float
    interval: tuple[float, float]
    insertions: int
    deletions: int
    substitutions: int
    exact_match: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; None where a figure is not defined."""
        return {
            "n": self.n,
            "true_labels": self.true_labels,
            "label_error_rate": none_if_nan(self.label_error_rate),
            "label_error_rate_interval": [none_if_nan(bound) for bound in self.interval],
            "insertions": self.insertions,
            "deletions": self.deletions,
            "substitutions": self.substitutions,
            "exact_match": self.exact_match,
        }


def measure_transcripts(
    predicted: Sequence[Transcript],
    truth: Sequence[Transcript],
    *,
    labels: Sequence[str],
    groups: Sequence[str],
) -> TranscriptMetrics:
    """Measure predicted transcripts.

    The label error rate is the summed edit distance over the summed true length (Graves et al. 2006). Edits are
    counted along the alignment with the fewest, and of several such along the one with most substitutions.

    Args:
        predicted: n sequences of class positions.
        truth: n sequences of class positions; any may be empty.
        labels: class names.
        groups: (n,) videos of one group stand or fall together.

    Raises:
        ValueError: the numbers of videos differ, n is 0, or a position lies outside ``labels``.
    """
    _check(predicted, truth, labels=labels, groups=groups)
    guessed, true = (np.asarray([len(row) for row in side], dtype=np.int64) for side in (predicted, truth))
    edits = [_fewest_edits(one, other) for one, other in zip(predicted, truth, strict=True)]
    distances, substitutions = (np.asarray(column, dtype=np.int64) for column in zip(*edits, strict=True))
    # Insertions and deletions make up the other edits, and they differ by as much as the lengths do.
    insertions = (distances - substitutions + guessed - true) // 2
    total = int(true.sum())
    return TranscriptMetrics(
        n=len(truth),
        true_labels=total,
        label_error_rate=int(distances.sum()) / total if total else math.nan,
        interval=ratio_interval(distances, true, groups=groups, lowest=0.0),
        insertions=int(insertions.sum()),
        deletions=int((insertions - guessed + true).sum()),
        substitutions=int(substitutions.sum()),
        exact_match=float((distances == 0).mean()),
    )


def edit_distance(a: Transcript, b: Transcript) -> int:
    """Fewest insertions, deletions and substitutions of one label that make ``b`` of ``a`` (Levenshtein 1966)."""
    return _fewest_edits(a, b)[0]


def collapse(best_path: npt.ArrayLike, *, blank: int) -> list[int]:
    """The transcript of a path: repeats are said once, then blanks are left out (Graves et al. 2006, the map B).

    Args:
        best_path: (T,) integers, the likeliest class of every step.
        blank: the class that says nothing; between two equal labels it keeps both.

    Raises:
        ValueError: the path is not one row of integers.
    """
    path = np.asarray(best_path)
    if path.ndim != 1 or (path.size and not np.issubdtype(path.dtype, np.integer)):
        raise ValueError(
            f"best_path has shape {path.shape} and type {path.dtype}, expected (T,) integers; "
            "give the argmax of one video's step logits over the classes"
        )
    starts = np.ones(len(path), dtype=bool)
    starts[1:] = path[1:] != path[:-1]
    return [int(label) for label in path[starts] if label != blank]


def _fewest_edits(a: Transcript, b: Transcript) -> tuple[int, int]:
    """The edit distance, and the most substitutions that an alignment with that many edits can hold."""
    # Pairs (edits, -substitutions) compare as wanted: fewer edits first, then more substitutions.
    row = [(column, 0) for column in range(len(b) + 1)]
    for number, mine in enumerate(a, start=1):
        above, row = row, [(number, 0)]
        for column, other in enumerate(b):
            edits, negative = above[column]
            diagonal = (edits, negative) if mine == other else (edits + 1, negative - 1)
            deleted, inserted = above[column + 1], row[column]
            row.append(min(diagonal, (deleted[0] + 1, deleted[1]), (inserted[0] + 1, inserted[1])))
    return row[-1][0], -row[-1][1]


def _check(
    predicted: Sequence[Transcript], truth: Sequence[Transcript], *, labels: Sequence[str], groups: Sequence[str]
) -> None:
    if not len(predicted) == len(truth) == len(groups) or not truth:
        raise ValueError(
            f"{len(predicted)} predicted transcripts, {len(truth)} true ones and {len(groups)} groups: "
            "give one of each per video, and at least one video"
        )
    for side, transcripts in (("predicted", predicted), ("true", truth)):
        for row, transcript in enumerate(transcripts):
            wrong = [label for label in transcript if not 0 <= label < len(labels)]
            if wrong:
                raise ValueError(
                    f"{side} transcript {row} holds {wrong[0]}, allowed are 0 to {len(labels) - 1}; "
                    "leave padding out, and collapse paths with their blank"
                )
