"""Which clips a report shows: what was said of a video, or of a stretch of it, beside what is true."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from vidrnn.evaluation.prediction_table import PredictionTable, VideoAnswers, names_in

Answer = tuple[str, VideoAnswers]
"""The path of a video, and what was answered for it."""


class Span(NamedTuple):
    """Steps ``start`` to ``end`` (exclusive) of the ``total`` steps of a video."""

    start: int
    end: int
    total: int


class Seconds(NamedTuple):
    """From ``start_s`` to ``end_s`` (exclusive), since the start of the file."""

    start_s: float
    end_s: float


Stretch = Span | Seconds | None
"""A part of a video; None for all of it."""


@dataclass(frozen=True)
class Clip:
    """A video, or a stretch of it.

    Attributes:
        path: of the video, as in predictions.csv.
        truth: what is true, in words.
        predicted: what was answered.
        is_right: whether the two are the same.
        score: the mean probability of the answer over steps and seeds; None where the head gives none.
        weight: by which the clips of a cell are ordered: answers, or steps.
        span: the stretch; None for the whole video.
        note: what else is worth knowing.
    """

    path: str
    truth: str
    predicted: str
    is_right: bool
    score: float | None
    weight: float
    span: Stretch = None
    note: str = ""

    @property
    def shown(self) -> tuple[str, Stretch]:
        """What its filmstrip shows."""
        return self.path, self.span


@dataclass(frozen=True)
class Decision:
    """A clip in a cell: the answer ``column`` to what is ``row``."""

    row: str
    column: str
    clip: Clip


FOUND, MISSED, EXTRA = "found", "missed", "said without"


def decisions_of(table: PredictionTable, thresholds: Sequence[float] | None) -> list[Decision]:
    """Every answer as a decision for a cell; none for heads without classes, or without one class for another.

    For heads with an answer at each step these are the stretches in which neither answer nor truth changes, in the
    first seed. For the other heads the seeds are joined where they agree.
    """
    first = table.by_seed[table.seeds[0]].items()
    if table.head == "label":
        return list(_labels(table))
    if table.head == "multilabel":
        return list(_sets(table, thresholds))
    if table.head == "step_labels":
        return [decision for answer in first for decision in _step_labels(answer)]
    if table.head == "step_multilabel":
        return [decision for answer in first for decision in _step_sets(answer, table.labels)]
    return []


def _answers(table: PredictionTable) -> Iterator[Answer]:
    for seed in table.seeds:
        yield from table.by_seed[seed].items()


def _labels(table: PredictionTable) -> Iterator[Decision]:
    seeds = len(table.seeds)
    found: dict[tuple[str, str, str], list[tuple[float, np.ndarray]]] = {}
    for path, video in _answers(table):
        row = video.rows[0]
        key = path, row["label"], row["predicted"]
        found.setdefault(key, []).append((float(row["score"]), video.probabilities[0]))
    for (path, truth, predicted), answers in found.items():
        of_seeds = f"{len(answers)} of {seeds} seeds" if seeds > 1 else ""
        others = _others(np.mean([probabilities for _, probabilities in answers], axis=0), table.labels, predicted)
        note = ", ".join(filter(None, (of_seeds, others)))
        score = float(np.mean([value for value, _ in answers]))
        yield Decision(
            truth, predicted, Clip(path, truth, predicted, truth == predicted, score, len(answers), note=note)
        )


def _others(probabilities: np.ndarray, labels: Sequence[str], predicted: str) -> str:
    """The next likeliest class, where it is likely at all."""
    for number in np.argsort(-probabilities, kind="stable")[:2].tolist():
        if labels[number] != predicted and probabilities[number] >= 0.05:
            return f"next {labels[number]} {probabilities[number]:.2f}"
    return ""


def _sets(table: PredictionTable, thresholds: Sequence[float] | None) -> Iterator[Decision]:
    """A decision for each class that is true or said."""
    cuts = dict(zip(table.labels, thresholds or [0.5] * len(table.labels), strict=True))
    seeds = len(table.seeds)
    found: dict[tuple[str, str, str], list[float]] = {}
    for path, video in _answers(table):
        true, predicted = (set(names_in(video.rows[0][column])) for column in ("labels", "predicted"))
        scores = dict(zip(table.labels, video.probabilities[0].tolist(), strict=True))
        for name in sorted(true | predicted):
            kind = FOUND if name in true & predicted else MISSED if name in true else EXTRA
            found.setdefault((path, name, kind), []).append(scores[name])
    for (path, name, kind), values in found.items():
        score = float(np.mean(values))
        note = f"said from {cuts[name]:.2f} on" + (f", {len(values)} of {seeds} seeds" if seeds > 1 else "")
        yield Decision(name, kind, _of_class(path, name, kind, score, len(values), None, note))


def _of_class(path: str, name: str, kind: str, score: float, weight: float, span: Span | None, note: str) -> Clip:
    truth = f"no {name}" if kind == EXTRA else name
    predicted = f"no {name}" if kind == MISSED else name
    sure = 1.0 - score if kind == MISSED else score
    return Clip(path, truth, predicted, kind == FOUND, sure, weight, span, note)


def _step_labels(answer: Answer) -> Iterator[Decision]:
    path, video = answer
    pairs = [(row["label"], row["predicted"]) for row in video.rows]
    scores = np.array([float(row["score"]) for row in video.rows])
    for start, end in runs(pairs):
        truth, predicted = pairs[start]
        if truth:
            span, score = Span(start, end, len(pairs)), float(scores[start:end].mean())
            yield Decision(truth, predicted, Clip(path, truth, predicted, truth == predicted, score, end - start, span))


def _step_sets(answer: Answer, labels: Sequence[str]) -> Iterator[Decision]:
    path, video = answer
    cells = [tuple(frozenset(names_in(row[name])) for name in ("labels", "predicted", "unseen")) for row in video.rows]
    scores = np.stack(video.probabilities)
    for number, label in enumerate(labels):
        kinds = [_kind(label, *sets) for sets in cells]
        for start, end in runs(kinds):
            if kinds[start]:
                span, score = Span(start, end, len(cells)), float(scores[start:end, number].mean())
                clip = _of_class(path, label, kinds[start], score, end - start, span, "")
                yield Decision(label, kinds[start], clip)


def _kind(label: str, true: frozenset[str], predicted: frozenset[str], unseen: frozenset[str]) -> str:
    if label in unseen or label not in true | predicted:
        return ""
    return FOUND if label in true & predicted else MISSED if label in true else EXTRA


def runs(values: Sequence[object]) -> list[tuple[int, int]]:
    """Start and end (exclusive) of the stretches in which neighbours are equal."""
    edges = [0, *(place for place in range(1, len(values)) if values[place] != values[place - 1]), len(values)]
    return list(pairwise(edges)) if len(values) else []


def transcripts_of(table: PredictionTable) -> list[Clip]:
    """The transcripts of the first seed, the most edits first."""
    videos = table.by_seed[table.seeds[0]].items()
    found = []
    for path, video in videos:
        row = video.rows[0]
        edits, truth, predicted = int(row["edits"]), names_in(row["labels"]), names_in(row["predicted"])
        note = f"{edits} edit{'' if edits == 1 else 's'} of {len(truth)} labels"
        found.append(Clip(path, _sequence(truth), _sequence(predicted), edits == 0, None, edits, note=note))
    return sorted(found, key=lambda clip: -clip.weight)


def _sequence(names: Sequence[str]) -> str:
    return " › ".join(names) or "nothing"


def numbers_of(table: PredictionTable) -> list[Clip]:
    """One for each video, the largest error first; over the steps of a video the errors are averaged."""
    found: dict[str, list[Clip]] = {}
    for path, video in _answers(table):
        known = [(float(row["target"]), float(row["predicted"])) for row in video.rows if row["target"]]
        if known:
            truth, predicted = np.mean(known, axis=0)
            error = float(np.mean([abs(true - guess) for true, guess in known]))
            found.setdefault(path, []).append(Clip(path, f"{truth:.4g}", f"{predicted:.4g}", error == 0, None, error))
    joined = [
        replace(
            clips[0],
            predicted=f"{np.mean([float(clip.predicted) for clip in clips]):.4g}",
            weight=weight,
            note=f"off by {weight:.3g}",
        )
        for clips in found.values()
        for weight in [float(np.mean([clip.weight for clip in clips]))]
    ]
    return sorted(joined, key=lambda clip: -clip.weight)


def surest_mistakes(clips: Iterable[Clip], count: int) -> list[Clip]:
    """Wrong answers, those first that were given most surely, for longest or by most seeds; one for each video."""
    wrong = [clip for clip in clips if not clip.is_right]
    return _one_per_video(sorted(wrong, key=lambda clip: -(clip.score or 0.0) * clip.weight), count)


def least_certain(clips: Iterable[Clip], count: int) -> list[Clip]:
    """Answers with the lowest scores, right or wrong; one for each video."""
    scored = [clip for clip in clips if clip.score is not None]
    return _one_per_video(sorted(scored, key=lambda clip: clip.score or 0.0), count)


def _one_per_video(clips: Sequence[Clip], count: int) -> list[Clip]:
    found: dict[str, Clip] = {}
    for clip in clips:
        found.setdefault(clip.path, clip)
        if len(found) == count:
            break
    return list(found.values())
