"""What a model said of clips, from what is on disk: a run folder, or a file of ``vidrnn classify`` or ``segments``."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vidrnn.annotations.records import Segment
from vidrnn.errors import ConfigError
from vidrnn.evaluation.prediction_table import PredictionTable, VideoAnswers, read_table
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.written_predictions import read_predictions
from vidrnn.names import quoted
from vidrnn.reporting.run_folder import settings_of
from vidrnn.settings.run import RunSettings

SHOWN = 5
"""Classes of an answer that are told, the likeliest first."""


@dataclass(frozen=True)
class Answer:
    """What a model said of one clip.

    Attributes:
        predicted: the class; empty where it said segments, or failed.
        score: its probability; None where there is none.
        top_k: the likeliest classes with their probabilities.
        segments: that it said; None from models that say one class.
        note: what else is worth knowing.
    """

    predicted: str = ""
    score: float | None = None
    top_k: tuple[tuple[str, float], ...] = ()
    segments: tuple[Segment, ...] | None = None
    note: str = ""


@dataclass(frozen=True)
class Answers:
    """Answers for many clips, by their names.

    Attributes:
        by_name: name to answer, in the order of the file.
        truths: name to the label that is known; clips without one are left out.
        groups: name to group, where the file tells groups.
        classes: all that are named.
        settings: the configuration beside them; None where there is none.
        notes: what is worth knowing.
    """

    by_name: dict[str, Answer] = field(default_factory=dict)
    truths: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    settings: RunSettings | None = None
    notes: tuple[str, ...] = ()


def read_answers(run: Path) -> Answers:
    """Read a folder of ``crossval`` or ``evaluate``, or a .csv or .jsonl of ``classify`` or ``segments``.

    Over the seeds of a cross-validation probabilities are averaged.

    Raises:
        MissingPathError: there is no such file, or no predictions.csv in the folder. ComparisonError, ConfigError: it
            is damaged, or of a head whose answers are no labels and no segments.
    """
    if not run.is_dir():
        return _of_predictions(read_predictions(run))
    table = read_table(run)
    if table.head != "label":
        raise ConfigError(
            f"{quoted(run)} holds answers of head {table.head!r}, and clips are labelled one by one here; look at them "
            "with `vidrnn report`, or give what `vidrnn segments` wrote"
        )
    notes: list[str] = []
    settings = settings_of(run, notes)
    return _of_table(table, settings, notes)


def _of_table(table: PredictionTable, settings: RunSettings | None, notes: list[str]) -> Answers:
    first = table.by_seed[table.seeds[0]]
    by_name = {name: _joined([table.by_seed[seed][name] for seed in table.seeds], table.labels) for name in first}
    truths = {name: video.rows[0]["label"] for name, video in first.items()}
    groups = {name: video.group for name, video in first.items()} if table.has_groups else {}
    classes = tuple(dict.fromkeys([*table.labels, *sorted(set(truths.values()))]))
    return Answers(by_name, truths, groups, classes, settings, tuple(notes))


def _joined(of_seeds: list[VideoAnswers], labels: tuple[str, ...]) -> Answer:
    scores = np.stack([video.probabilities[0] for video in of_seeds]).astype(np.float64).mean(axis=0)
    order = np.argsort(-scores, kind="stable")[:SHOWN].tolist()
    best = tuple((labels[number], float(scores[number])) for number in order)
    said = [video.rows[0]["predicted"] for video in of_seeds]
    predicted = said[0] if len(set(said)) == 1 else best[0][0]
    agree = said.count(predicted)
    note = f"{agree} of {len(said)} seeds say {predicted}" if agree < len(said) else ""
    return Answer(predicted, best[0][1], best, note=note)


def _of_predictions(predictions: list[Prediction]) -> Answers:
    by_name = {prediction.path: answer_of(prediction) for prediction in predictions}
    classes = sorted({name for prediction in predictions for name in prediction.classes})
    return Answers(by_name, classes=tuple(classes))


def answer_of(prediction: Prediction) -> Answer:
    """What a prediction says, as the page shows it."""
    if prediction.error is not None:
        return Answer(note=f"failed: {prediction.error}")
    note = f"without {', '.join(prediction.lacking)}" if prediction.lacking else ""
    if prediction.head in {"step_labels", "step_multilabel"}:
        rows = [(row["start"], row["end"], row["label"], row["score"]) for row in prediction.rows]
        return Answer(segments=tuple(Segment(*row[:3], score=row[3]) for row in rows), note=note)
    top_k = tuple(prediction.rows[0].get("top_k", ()))[:SHOWN] if prediction.rows else ()
    words = prediction.label if prediction.label is not None else ", ".join(prediction.labels)
    if prediction.target is not None:
        words = f"{prediction.target:.4g}"
    return Answer(words, prediction.score, top_k, note=note)
