"""What there is in the folder of a run: figures, predictions, log and configuration, whichever of them are there."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from vidrnn.errors import ComparisonError, ConfigError, MissingPathError
from vidrnn.evaluation.metrics import HEADLINES, Headline
from vidrnn.evaluation.prediction_table import PredictionTable, read_table
from vidrnn.json_text import parse_json
from vidrnn.models.model_header import public_config
from vidrnn.names import excerpt, quoted
from vidrnn.reporting.folders import figures_without_folders, shown_paths, table_without_folders, without_folders
from vidrnn.settings.base import load
from vidrnn.settings.model import Head
from vidrnn.settings.run import RunSettings

Verb = Literal["crossval", "evaluate", "train", "predictions"]
FIGURES = ("crossval.json", "metrics.json")
"""The files with the figures of a run; the first that is there counts."""


@dataclass(frozen=True)
class Run:
    """What a folder holds.

    Attributes:
        folder: where it lies.
        verb: what wrote it; ``predictions`` where only predictions.csv is left.
        head: what was answered.
        figures: the content of crossval.json or metrics.json; empty where there is none.
        settings: the configuration; None where it is not there or of another version.
        log: a row per epoch and member; empty where nothing was trained here.
        table: the predictions; None where there are none.
        problems: what is there and cannot be used, in words.
        shown_paths: the absolute paths of predictions.csv to the paths of ``table``, see `folders.shown_paths`.
    """

    folder: Path
    verb: Verb
    head: Head
    figures: Mapping[str, Any]
    settings: RunSettings | None
    log: tuple[Mapping[str, float], ...]
    table: PredictionTable | None
    problems: tuple[str, ...]
    shown_paths: Mapping[str, str] = field(default_factory=dict)

    @property
    def headline(self) -> Headline:
        """The one number of the head."""
        return HEADLINES[self.head]

    @property
    def value(self) -> float:
        """The headline that the run claims; nan where it claims none."""
        name = self.headline.name
        return number_in(self.figures.get({"crossval": f"{name}_mean", "train": f"val_{name}"}.get(self.verb, name)))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of it over groups; nan where there is none."""
        bounds = self.figures.get(f"{self.headline.name}_interval")
        return (
            (number_in(bounds[0]), number_in(bounds[1]))
            if isinstance(bounds, list) and len(bounds) == 2
            else (math.nan,) * 2
        )

    @property
    def baselines(self) -> dict[str, float]:
        """Name to headline on the same videos."""
        found: Mapping[str, object] = next(
            (self.figures[key] for key in _BASELINES if isinstance(self.figures.get(key), dict)), {}
        )
        return {str(name): number_in(value) for name, value in found.items() if not math.isnan(number_in(value))}

    @property
    def is_recurrent(self) -> bool:
        """Whether the model has temporal layers; True where nothing tells."""
        return self.settings is None or bool(self.settings.model.layer_names)


_BASELINES = ("baselines", "val_baselines", "train_baselines")
_SHAPES: Mapping[str, type] = {
    **dict.fromkeys(("head", "protocol"), str),
    **dict.fromkeys(("versions", *_BASELINES), dict),
    **dict.fromkeys(("folds", "per_class"), list),
}


def read_run(folder: Path, *, predictions: bool = True) -> Run:
    """Read what is there; a part that is damaged is named among the problems and left out.

    Args:
        folder: of the run.
        predictions: read those too; without them a large run takes no longer than a small one.

    Raises:
        MissingPathError: there is no such folder, or nothing in it that can be reported; with the verbs that make it.
    """
    if not folder.is_dir():
        raise MissingPathError(f"{quoted(folder)} is no folder; give one that `vidrnn crossval` or `evaluate` wrote")
    problems: list[str] = []
    figures, verb = _figures(folder, problems)
    table = _table(folder, problems) if predictions else None
    settings = settings_of(folder, problems)
    head = (table.head if table else None) or figures.get("head") or (settings.model.head if settings else None)
    if head is not None and head not in HEADLINES:
        problems.append(f"the head is {excerpt(head)}, and known are {', '.join(HEADLINES)}")
    if head not in HEADLINES or not (figures or table):
        raise MissingPathError(_nothing_in(folder, problems))
    shown = shown_paths(path for videos in table.by_seed.values() for path in videos) if table else {}
    return Run(
        folder,
        verb,
        head,
        figures_without_folders(figures),
        settings,
        _log(folder, problems),
        table and table_without_folders(table, shown),
        tuple(without_folders(problem, folder, folder.parent) for problem in problems),
        shown,
    )


def _nothing_in(folder: Path, problems: list[str]) -> str:
    if problems:
        why = "; ".join(problems)
    elif list(folder.glob("checkpoint*.safetensors")):
        why = "a training was stopped there, so go on with `vidrnn train --resume` first"
    else:
        why = "neither crossval.json nor metrics.json nor predictions.csv is there"
    return f"nothing in {quoted(folder)} can be reported: {why}; `vidrnn crossval` and `vidrnn evaluate` write runs"


def _figures(folder: Path, problems: list[str]) -> tuple[dict[str, Any], Verb]:
    for name in FIGURES:
        path = folder / name
        if not path.is_file():
            continue
        try:
            found = parse_json(path.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise TypeError(f"it holds {type(found).__name__} where an object is wanted")
        except (ValueError, TypeError, OSError) as error:
            problems.append(f"{name} is damaged ({error})")
            continue
        found = _well_shaped(found, name, problems)
        if name == "crossval.json":
            return found, "crossval"
        return found, "evaluate" if "split" in found else "train"
    return {}, "predictions"


def _well_shaped(values: Mapping[str, Any], name: str, problems: list[str]) -> dict[str, Any]:
    """Figures without the parts that are of another kind than a verb writes; each is named among the problems."""
    odd = {key: oddity(values[key], kind) for key, kind in _SHAPES.items() if values.get(key) is not None}
    problems += [f"{name} is damaged ({key} {why})" for key, why in odd.items() if why]
    return {key: value for key, value in values.items() if not odd.get(key)}


def _table(folder: Path, problems: list[str]) -> PredictionTable | None:
    try:
        return read_table(folder)
    except MissingPathError:
        return None
    except (ComparisonError, OSError) as error:
        problems.append(without_folders(str(error), folder))
        return None


def settings_of(folder: Path, problems: list[str]) -> RunSettings | None:
    """The configuration of the run. A result inside the folder of a training has the configuration of the training."""
    path = folder / "config.yaml"
    if not path.is_file() and (folder.parent / "model.safetensors").is_file():
        path = folder.parent / "config.yaml"
    if not path.is_file():
        return None
    try:
        return load(RunSettings, path)
    except (ConfigError, OSError) as error:
        problems.append(f"config.yaml is of another version ({error})")
        return None


def _log(folder: Path, problems: list[str]) -> tuple[Mapping[str, float], ...]:
    path = folder / "log.csv"
    if not path.is_file():
        return ()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return tuple({name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file))
    except (ValueError, TypeError, AttributeError, csv.Error, OSError) as error:
        problems.append(f"log.csv is damaged ({error})")
        return ()


def shown_config(settings: RunSettings) -> str:
    """The configuration as YAML, of folders only the last part of their names: reports are shown around."""
    return yaml.safe_dump(public_config(settings), sort_keys=False, allow_unicode=True)


def oddity(value: object, kind: type) -> str:
    """How a part of a JSON file is of another kind than is wanted; the parts of a list are objects. Else empty."""
    odd = [] if isinstance(value, kind) else [value]
    if isinstance(value, list) and not odd:
        odd = [part for part in value if not isinstance(part, dict)]
    wanted = {str: "a text", dict: "an object", list: "a list of objects", bool: "true or false"}[kind]
    return f"holds {excerpt(odd[0])} where {wanted} is wanted" if odd else ""


def number_in(value: object) -> float:
    """A figure of a JSON file; nan where it is something else."""
    try:
        return float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:  # a whole number of hundreds of digits
        return math.nan
