"""predictions.csv: what was answered for each video beside what is true."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vidrnn.atomic import replacing
from vidrnn.evaluation.metrics import Outputs, Truth, sigmoid, softmax
from vidrnn.evaluation.segmentation import UNLABELLED, ReadSteps, likeliest
from vidrnn.evaluation.transcripts import collapse, edit_distance
from vidrnn.names import writable
from vidrnn.settings.model import Head
from vidrnn.stages import stage

Row = Sequence[object]


@stage("write predictions.csv")
def write_predictions(
    path: Path,
    *,
    head: Head,
    paths: Sequence[str],
    groups: Sequence[str],
    labels: Sequence[str],
    answers: Iterable[tuple[int, Outputs]],
    truth: Truth,
    thresholds: Sequence[float] | None = None,
    readers: Sequence[ReadSteps] | None = None,
) -> None:
    """Write one row per seed and video, or per cached step from heads that answer there; scores are probabilities.

    The file is there whole or not at all. Names are `writable`.

    The last columns are ``group`` and ``seed``, which `vidrnn.evaluation.video_figures` needs to compare results.

    Args:
        path: the file.
        head: what was answered.
        paths: n videos.
        groups: (n,) the group of each.
        labels: class names in the order of the outputs.
        answers: seed of the training and n arrays of logits or numbers, for each model.
        truth: n arrays, see `vidrnn.sequences.targets.Targets.per_video`.
        thresholds: (classes,) of ``multilabel`` and ``step_multilabel``; None takes 0.5 for all.
        readers: see `vidrnn.evaluation.metrics.measure_outputs`.
    """
    header, rows = _TABLES[head](labels, thresholds)
    with replacing(path) as raw:
        file = io.TextIOWrapper(raw, encoding="utf-8", newline="")
        writer = csv.writer(file)
        writer.writerow(_writable(["path", *header, "group", "seed"]))
        for seed, outputs in answers:
            for i, (video, group, output, true) in enumerate(zip(paths, groups, outputs, truth, strict=True)):
                found = rows(output, true) if readers is None else rows(output, true, readers[i])
                writer.writerows(_writable([video, *row, group, seed]) for row in found)
        file.detach()  # writes what is left; `replacing` closes it


def _writable(row: Iterable[object]) -> list[object]:
    return [writable(cell) if isinstance(cell, str) else cell for cell in row]


def _label(labels: Sequence[str], _thresholds: object) -> tuple[list[str], Any]:
    def rows(outputs: Any, true: Any) -> Iterator[Row]:  # noqa: ANN401  arrays of any float type
        score = softmax(outputs)
        best = int(score.argmax())
        yield labels[true], labels[best], _fixed(score[best]), int(best == true), *map(_fixed, score)

    return ["label", "predicted", "score", "correct", *(f"p_{label}" for label in labels)], rows


def _multilabel(labels: Sequence[str], thresholds: Sequence[float] | None) -> tuple[list[str], Any]:
    cuts = np.full(len(labels), 0.5) if thresholds is None else np.asarray(thresholds)

    def rows(outputs: Any, true: Any) -> Iterator[Row]:  # noqa: ANN401
        score = sigmoid(outputs)
        yield (
            _join(labels, np.flatnonzero(true > 0.5)),
            _join(labels, np.flatnonzero(score >= cuts)),
            *map(_fixed, score),
        )

    return ["labels", "predicted", *(f"p_{label}" for label in labels)], rows


def _step_labels(labels: Sequence[str], _thresholds: object) -> tuple[list[str], Any]:
    def rows(outputs: Any, true: Any, read: ReadSteps = likeliest) -> Iterator[Row]:  # noqa: ANN401
        for step, (scores, position, label) in enumerate(zip(softmax(outputs), read(outputs), true, strict=True)):
            known = "" if label == UNLABELLED else labels[label]
            yield step, known, labels[position], _fixed(scores[position])

    return ["step", "label", "predicted", "score"], rows


def _step_multilabel(labels: Sequence[str], thresholds: Sequence[float] | None) -> tuple[list[str], Any]:
    cuts = np.full(len(labels), 0.5) if thresholds is None else np.asarray(thresholds)

    def rows(outputs: Any, true: Any) -> Iterator[Row]:  # noqa: ANN401
        for step, (scores, known) in enumerate(zip(sigmoid(outputs), true, strict=True)):
            yield (
                step,
                _join(labels, np.flatnonzero(known > 0.5)),
                _join(labels, np.flatnonzero(np.isnan(known))),
                _join(labels, np.flatnonzero(scores >= cuts)),
                *map(_fixed, scores),
            )

    return ["step", "labels", "unseen", "predicted", *(f"p_{label}" for label in labels)], rows


def _transcript(labels: Sequence[str], _thresholds: object) -> tuple[list[str], Any]:
    def rows(outputs: Any, true: Any) -> Iterator[Row]:  # noqa: ANN401
        predicted, transcript = collapse(outputs.argmax(axis=1), blank=len(labels)), true[true >= 0].tolist()
        yield _join(labels, transcript), _join(labels, predicted), edit_distance(predicted, transcript)

    return ["labels", "predicted", "edits"], rows


def _regression(_labels: object, _thresholds: object) -> tuple[list[str], Any]:
    def rows(outputs: Any, true: Any) -> Iterator[Row]:  # noqa: ANN401
        yield f"{true:.9g}", f"{outputs[0]:.9g}"

    return ["target", "predicted"], rows


def _step_regression(_labels: object, _thresholds: object) -> tuple[list[str], Any]:
    def rows(outputs: Any, true: Any) -> Iterator[Row]:  # noqa: ANN401
        for step, (predicted, number) in enumerate(zip(outputs[:, 0], true, strict=True)):
            yield step, "" if np.isnan(number) else f"{number:.9g}", f"{predicted:.9g}"

    return ["step", "target", "predicted"], rows


_TABLES = {
    "label": _label,
    "multilabel": _multilabel,
    "step_labels": _step_labels,
    "step_multilabel": _step_multilabel,
    "transcript": _transcript,
    "regression": _regression,
    "step_regression": _step_regression,
}


def _join(labels: Sequence[str], positions: Iterable[int]) -> str:
    return "|".join(labels[position] for position in positions)


def _fixed(value: float) -> str:
    return f"{value:.6f}"
