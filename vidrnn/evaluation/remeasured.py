"""Metrics of what predictions.csv holds, by the very functions that measured the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidrnn.annotations import BACKGROUND
from vidrnn.evaluation.metrics import HeadMetrics, Outputs, Truth, measure_outputs
from vidrnn.evaluation.prediction_table import PredictionTable, Row, VideoAnswers, names_in, truth_column
from vidrnn.evaluation.segmentation import UNLABELLED
from vidrnn.names import quoted
from vidrnn.settings.model import Head

_LEAST = 1e-7  # below the digits that predictions.csv has; a probability of 0 or 1 has no finite logit

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class TableOutputs:
    """Outputs that `vidrnn.evaluation.predictions.write_predictions` would write as the rows of a table.

    Attributes:
        paths: n videos, in the order of the table; of several seeds each comes again.
        groups: (n,) the group of each.
        labels: class names in the order of the outputs.
        outputs: n arrays, as of a model.
        truth: n arrays, see `vidrnn.sequences.targets.Targets.per_video`.
    """

    paths: tuple[str, ...]
    groups: tuple[str, ...]
    labels: tuple[str, ...]
    outputs: Outputs
    truth: Truth


def classes_of(table: PredictionTable) -> tuple[str, ...]:
    """The class names: of the columns of probabilities, else those that occur, the background in front."""
    if table.labels or "regression" in table.head:
        return table.labels
    rows = [row for videos in table.by_seed.values() for video in videos.values() for row in video.rows]
    cells = {row[column] for row in rows for column in (truth_column(table.head), "predicted")}
    names = {name for cell in cells for name in names_in(cell)} if table.head == "transcript" else cells - {""}
    return tuple(sorted(names, key=lambda name: (name != BACKGROUND, name)))


def outputs_of(table: PredictionTable, seeds: Sequence[int]) -> TableOutputs:
    """The outputs behind the rows of some seeds. Raises ValueError where a cell is no number, or names no class."""
    labels = classes_of(table)
    videos = [(path, video) for seed in seeds for path, video in table.by_seed[seed].items()]
    numbers = {name: number for number, name in enumerate(labels)}
    found = [_OUTPUTS[table.head](video, numbers) for _, video in videos]
    return TableOutputs(
        paths=tuple(path for path, _ in videos),
        groups=tuple(video.group for _, video in videos),
        labels=labels,
        outputs=[outputs for outputs, _ in found],
        truth=[truth for _, truth in found],
    )


def measure_table(
    table: PredictionTable, seeds: Sequence[int], *, thresholds: Sequence[float] | None = None, bootstrap: int = 1
) -> HeadMetrics:
    """The metrics of the answers of some seeds together, which count as so many videos.

    Top-5 of ``label`` counts the probabilities that the file has, in six digits.

    Args:
        table: what was read.
        seeds: some of its seeds.
        thresholds: see `vidrnn.evaluation.metrics.measure_outputs`.
        bootstrap: see there.

    Raises:
        ValueError: a cell is no number, or names no class.
    """
    read = outputs_of(table, seeds)
    return measure_outputs(
        table.head,
        read.outputs,
        read.truth,
        labels=read.labels,
        groups=read.groups,
        bootstrap=bootstrap,
        thresholds=thresholds,
    )


def _number(name: str, numbers: dict[str, int]) -> int:
    try:
        return numbers[name]
    except KeyError:
        raise ValueError(f"class {quoted(name)} has no column of probabilities") from None


def _logits(probabilities: Array) -> Array:
    bounded = np.clip(probabilities.astype(np.float64), _LEAST, 1.0 - _LEAST)
    return np.asarray(np.log(bounded) - np.log1p(-bounded))


def _marked(names: Sequence[str], numbers: dict[str, int]) -> Array:
    """(classes,) 1 for each name."""
    marks = np.zeros(len(numbers))
    marks[[_number(name, numbers) for name in names]] = 1.0
    return marks


def _label(video: VideoAnswers, numbers: dict[str, int]) -> tuple[Array, Array]:
    row = video.rows[0]
    scores = np.log(np.maximum(video.probabilities[0].astype(np.float64), _LEAST))
    best = _number(row["predicted"], numbers)
    scores[best] = np.nextafter(scores.max(), np.inf)  # the likeliest, also where six digits make two equal
    return scores, np.asarray(_number(row["label"], numbers))


def _multilabel(video: VideoAnswers, numbers: dict[str, int]) -> tuple[Array, Array]:
    return _logits(video.probabilities[0]), _marked(names_in(video.rows[0]["labels"]), numbers)


def _step_labels(video: VideoAnswers, numbers: dict[str, int]) -> tuple[Array, Array]:
    predicted = [_number(row["predicted"], numbers) for row in video.rows]
    truth = [_number(row["label"], numbers) if row["label"] else UNLABELLED for row in video.rows]
    return np.eye(len(numbers), dtype=np.float32)[predicted], np.asarray(truth)


def _step_multilabel(video: VideoAnswers, numbers: dict[str, int]) -> tuple[Array, Array]:
    truth = np.stack([_known(row, numbers) for row in video.rows])
    return _logits(np.stack(video.probabilities)), truth


def _known(row: Row, numbers: dict[str, int]) -> Array:
    marks = _marked(names_in(row["labels"]), numbers)
    marks[[_number(name, numbers) for name in names_in(row["unseen"])]] = np.nan
    return marks


def _transcript(video: VideoAnswers, numbers: dict[str, int]) -> tuple[Array, Array]:
    blank, row = len(numbers), video.rows[0]
    predicted = [_number(name, numbers) for name in names_in(row["predicted"])]
    path = [blank, *(step for number in predicted for step in (number, blank))]
    truth = [_number(name, numbers) for name in names_in(row["labels"])]
    return np.eye(blank + 1)[path], np.asarray(truth, dtype=np.int64)


def _regression(video: VideoAnswers, _numbers: dict[str, int]) -> tuple[Array, Array]:
    row = video.rows[0]
    return np.asarray([float(row["predicted"])]), np.asarray(float(row["target"]))


def _step_regression(video: VideoAnswers, _numbers: dict[str, int]) -> tuple[Array, Array]:
    truth = [float(row["target"]) if row["target"] else np.nan for row in video.rows]
    return np.asarray([[float(row["predicted"])] for row in video.rows]), np.asarray(truth)


_OUTPUTS: dict[Head, Any] = {
    "label": _label,
    "multilabel": _multilabel,
    "step_labels": _step_labels,
    "step_multilabel": _step_multilabel,
    "transcript": _transcript,
    "regression": _regression,
    "step_regression": _step_regression,
}
