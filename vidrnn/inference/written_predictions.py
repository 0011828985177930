"""Reads what ``classify`` wrote: predictions of videos, without the model that made them."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from vidrnn.errors import ConfigError, MissingPathError
from vidrnn.evaluation.prediction_table import of_semicolons
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.prediction_parquet import SUFFIX, read_as_csv
from vidrnn.inference.prediction_rows import COLUMNS, PredictionRow
from vidrnn.json_text import parse_json
from vidrnn.names import original, quoted
from vidrnn.settings.model import Head

_NUMBERS = frozenset({"start", "end", "score", "target"})


def read_predictions(path: Path) -> list[Prediction]:
    """Read a .csv, .jsonl or .parquet of predictions; the columns tell the head.

    Returns:
        One for each video, in the order of the file, with rows and without probabilities. The classes of each are
        all that the file names, so that a class has one colour in all its videos.

    Raises:
        MissingPathError: there is no such file.
        ConfigError: it is not a file of predictions; with the line.
    """
    if not path.is_file():
        raise MissingPathError(f"--predictions {quoted(path)} does not exist; give a file that `vidrnn classify` wrote")
    try:
        text = read_as_csv(path).decode() if path.suffix == SUFFIX else path.read_text(encoding="utf-8-sig")
        found = _of_objects(text) if path.suffix == ".jsonl" else _of_rows(text)
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise ConfigError(
            f"--predictions {quoted(path)} is no file of predictions ({type(error).__name__}: {error}); give a .csv, "
            ".jsonl or .parquet that `vidrnn classify` wrote"
        ) from error
    rows = [row for prediction in found for row in prediction.rows]
    names = {name for row in rows for name, _ in row.get("top_k", ())}
    names |= {name for prediction in found for name in prediction.labels}
    return [replace(prediction, classes=tuple(sorted(names))) for prediction in found]


def prediction_of(video: Path, predictions: Sequence[Prediction], *, listed_in: Path) -> Prediction:
    """The prediction of one video, by its path as it was given or from the folder of the file, else by its name.

    Raises:
        ConfigError: there is none, or several with that name, or it failed.
    """
    wanted = video.absolute()
    by_path = [
        prediction
        for prediction in predictions
        if wanted in {Path(prediction.path).absolute(), (listed_in.parent / prediction.path).absolute()}
    ]
    found = by_path or [named for named in predictions if Path(named.path).name == video.name]
    if len(found) != 1:
        number = f"{len(found)} videos" if found else "no video"
        raise ConfigError(
            f"{quoted(listed_in)} holds {number} called {quoted(video.name)}; give the video by the path that "
            "stands there"
        )
    if found[0].error is not None:
        raise ConfigError(f"{quoted(listed_in)} says that {quoted(found[0].path)} failed: {found[0].error}")
    return found[0]


def _of_objects(text: str) -> list[Prediction]:
    found = []
    for line in filter(None, text.split("\n")):
        written = parse_json(line)
        if "segments" in written:
            rows = [_row(segment) for segment in written["segments"] or ()]
            head = _head_of_segments(rows)
        else:
            head = _head_of(written)
            rows = [_row({name: written[name] for name in COLUMNS[head]})] if written["status"] == "ok" else []
        found.append(_prediction(written, head, rows))
    return found


def _of_rows(text: str) -> list[Prediction]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    _head_of(dict.fromkeys(reader.fieldnames or ()))
    by_path: dict[str, list[Mapping[str, str]]] = {}
    for row in reader:
        by_path.setdefault(row["path"], []).append(row)
    found = []
    for several in by_path.values():
        head = _head_of(several[0])
        rows = [
            _row({name: written[name] for name in COLUMNS[head]})
            for written in several
            if written["status"] == "ok" and ("start" not in COLUMNS[head] or written["start"])
        ]
        if "start" in COLUMNS[head]:
            head = _head_of_segments(rows)
        found.append(_prediction(several[0], head, rows))
    return found


def _head_of(columns: Mapping[str, Any]) -> Head:
    """The head with the most columns among those that are all there."""
    fitting = [head for head, names in COLUMNS.items() if set(names) <= set(columns)]
    if not fitting and (problem := of_semicolons(list(columns))):
        raise ValueError(problem)
    if not fitting:
        raise ValueError(f"its columns are {', '.join(columns) or 'none'}")
    return max(fitting, key=lambda head: len(COLUMNS[head]))


def _head_of_segments(rows: Sequence[PredictionRow]) -> Head:
    """By the rows of one video, in order of their starts: only one head says several things at a time."""
    if any("target" in row for row in rows):
        return "step_regression"
    overlap = any(before["end"] > after["start"] for before, after in pairwise(rows))
    return "step_multilabel" if overlap else "step_labels"


def _row(values: Mapping[str, Any]) -> PredictionRow:
    return {name: _value(name, value) for name, value in values.items()}


def _value(name: str, value: Any) -> Any:  # noqa: ANN401  what a cell or JSON holds
    if name == "top_k":
        pairs = (pair.rsplit(":", 1) for pair in value.split("|")) if isinstance(value, str) else value
        return [(original(label), _number("score", score)) for label, score in pairs]
    if name == "labels":
        return [original(label) for label in (value.split("|") if isinstance(value, str) else value) if label]
    return _number(name, value) if name in _NUMBERS else original(value)


def _number(name: str, value: Any) -> float:  # noqa: ANN401  what a cell or JSON holds
    number = float(value)
    if name == "score" and not 0.0 <= number <= 1.0:
        raise ValueError(f"score {number} is no probability; it must lie from 0 to 1")
    if not math.isfinite(number):
        raise ValueError(f"{name} {number} is no finite number")
    return number


def _prediction(written: Mapping[str, Any], head: Head, rows: Sequence[PredictionRow]) -> Prediction:
    failed = written["status"] == "failed"
    return Prediction(
        original(written["path"]),
        written["status"],
        () if failed else tuple(rows),
        error=str(written.get("error") or "no cause is given") if failed else None,
        head=head,
    )
