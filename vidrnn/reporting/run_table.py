"""All runs below some folders as the rows of a table: what each is, and its number."""

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from vidrnn.bars import Bar, nowhere
from vidrnn.errors import ComparisonError, ConfigError, MissingPathError
from vidrnn.evaluation.metrics import HEADLINES
from vidrnn.evaluation.prediction_table import read_classes
from vidrnn.evaluation.video_figures import FIGURES as COMPARED
from vidrnn.json_text import parse_json
from vidrnn.names import last_part, quoted
from vidrnn.reporting.comparison_page import read_comparison
from vidrnn.reporting.folders import without_folders
from vidrnn.reporting.run_folder import FIGURES, number_in, oddity, read_run, settings_of
from vidrnn.settings.base import load
from vidrnn.settings.run import RunSettings

Kind = Literal["train", "evaluate", "crossval", "tune", "compare"]
Order = Literal["name", "date", "number"]
_TUNING = "tune.json"
_NOT_RUNS = {"fits", "tensorboard"}
_LARGEST = 10_000_000  # bytes of a JSON file that may be a comparison


@dataclass(frozen=True)
class RunRow:
    """One run.

    Attributes:
        name: its folder, or the file of a comparison.
        kind: the verb that made it.
        date: when its figures were written, local time to the minute.
        head, streams, cell: of the model; empty where no configuration tells.
        data: name of the annotations or of the folder of the videos.
        videos: that the number is about; None where nothing tells.
        classes: how many; None where nothing tells.
        figure: what the number is, such as ``top-1``; of a validation split with ``val``.
        number: the headline; of a comparison the difference; nan where there is none.
        low, high: its 95 % interval; nan where there is none.
        baseline, baseline_number: the best answer without learning or without a part of what the model sees.
        version: of vidrnn.
        config: digest of the configuration.
        problems: what is there and cannot be used.
    """

    name: str
    kind: Kind
    date: str
    head: str
    streams: str
    cell: str
    data: str
    videos: int | None
    classes: int | None
    figure: str
    number: float
    low: float
    high: float
    baseline: str
    baseline_number: float
    version: str
    config: str
    problems: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON and CSV: nan becomes None."""
        values = asdict(self) | {"problems": list(self.problems)}
        return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values.items()}


def find_runs(folders: Iterable[Path], *, bar: Bar = nowhere) -> tuple[list[RunRow], list[str]]:
    """Every run below the folders, by name, and what is there and cannot be read, a line each.

    Links to folders are not followed. A folder that is given twice, or inside another, counts once.

    Args:
        folders: where runs are looked for.
        bar: shows how many of the places that may be runs were looked at.

    Raises:
        MissingPathError: a folder is not there.
    """
    places: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise MissingPathError(f"{quoted(folder)} is no folder; give one that holds runs, such as runs")
        for path in _places(folder):
            places.setdefault(path.resolve(), path)
    rows: list[RunRow] = []
    damaged: list[str] = []
    with bar(total=len(places), desc="reading", unit="run") as shown:
        for _, path in sorted(places.items()):
            try:
                if (row := _row(path, str(path))) is not None:
                    rows.append(row)
            except (MissingPathError, ComparisonError, ConfigError, OSError) as error:
                damaged.append(without_folders(str(error), path, path.parent))
            shown.update()
    return sorted(rows, key=lambda row: row.name), damaged


def in_order(rows: Iterable[RunRow], order: Order) -> list[RunRow]:
    """By name; the newest first; or by figure, the best number first, those without one last."""
    if order == "name":
        return sorted(rows, key=lambda row: row.name)
    if order == "date":
        return sorted(rows, key=lambda row: row.date, reverse=True)
    falling = {headline.title for headline in HEADLINES.values() if not headline.higher_is_better}
    return sorted(
        rows,
        key=lambda row: (
            row.figure,
            math.isnan(row.number),
            row.number if row.figure.removeprefix("val ") in falling else -row.number,
        ),
    )


def _places(top: Path) -> Iterator[Path]:
    """Folders of runs, and files that may be comparisons."""
    for place, folders, files in os.walk(top):
        folder = Path(place)
        if "spec.json" in files:  # features of a store
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if name not in _NOT_RUNS and not name.startswith("."))
        figures = {*FIGURES, _TUNING} & set(files)
        if figures or any(name.startswith("checkpoint") and name.endswith(".safetensors") for name in files):
            yield folder
        for name in sorted(set(files) - figures):
            if name.endswith(".json") and not name.endswith(".origin.json"):
                yield folder / name


def _row(path: Path, name: str) -> RunRow | None:
    """None for a JSON file that is no comparison. Raises MissingPathError, ConfigError, OSError."""
    if path.is_file():
        return _compared(path, name)
    return _tuned(path, name) if (path / _TUNING).is_file() else _run(path, name)


def _run(folder: Path, name: str) -> RunRow:
    run = read_run(folder, predictions=False)
    assert run.verb != "predictions", "they were not read"
    file = next(folder / figures for figures in FIGURES if (folder / figures).is_file())
    higher = run.headline.higher_is_better
    baselines = run.baselines
    best = (max if higher else min)(baselines, key=lambda key: baselines[key]) if baselines else ""
    low, high = run.interval
    return RunRow(
        name,
        run.verb,
        _date(file),
        run.head,
        **_of_settings(run.settings),
        videos=_videos(run.figures),
        classes=_classes(folder),
        figure=f"val {run.headline.title}" if run.verb == "train" else run.headline.title,
        number=run.value,
        low=low,
        high=high,
        baseline=best,
        baseline_number=baselines.get(best, math.nan),
        **_of_provenance(run.figures),
        problems=run.problems,
    )


def _tuned(folder: Path, name: str) -> RunRow:
    file, problems = folder / _TUNING, list[str]()
    figures = _object(file)
    settings = settings_of(folder, problems)
    if settings is None and (folder / "best.yaml").is_file():
        try:
            settings = load(RunSettings, folder / "best.yaml")
        except (ConfigError, OSError) as error:
            problems.append(f"best.yaml is of another version ({error})")
    if settings is None:
        raise ConfigError(f"{quoted(folder)} holds no configuration: best.yaml is not there or of another version")
    headline = HEADLINES[settings.model.head]
    return RunRow(
        name,
        "tune",
        _date(file),
        settings.model.head,
        **_of_settings(settings),
        videos=_videos(figures),
        classes=None,
        figure=f"val {headline.title}",
        number=number_in(figures.get(f"best_val_{headline.name}")),
        low=math.nan,
        high=math.nan,
        baseline="untuned",
        baseline_number=number_in(figures.get(f"untuned_val_{headline.name}")),
        **_of_provenance(figures),
        problems=tuple(problems),
    )


def _compared(file: Path, name: str) -> RunRow | None:
    try:
        values = read_comparison(file) if file.stat().st_size < _LARGEST else None
    except ConfigError:
        return None
    if values is None:
        return None
    bounds = values.get("interval")
    low, high = map(number_in, bounds) if isinstance(bounds, list) and len(bounds) == 2 else (math.nan, math.nan)
    folders = [Path(last_part(str(values[side]))).name for side in ("folder_a", "folder_b")]
    title = COMPARED[values["head"]].title if values["head"] in COMPARED else str(values.get("figure", ""))
    return RunRow(
        name,
        "compare",
        _date(file),
        str(values["head"]),
        "",
        "",
        f"{folders[1]} against {folders[0]}",
        _videos(values),
        None,
        f"{title}, B - A",
        number_in(values.get("difference")),
        low,
        high,
        "A",
        number_in(values.get("a")),
        "",
        "",
    )


def _object(file: Path) -> dict[str, Any]:
    try:
        found = parse_json(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{quoted(file)} is damaged ({error})") from error
    if problem := oddity(found, dict):
        raise ConfigError(f"{quoted(file)} is damaged (it {problem})")
    return dict(found)


def _of_settings(settings: RunSettings | None) -> dict[str, str]:
    if settings is None:
        return {"streams": "", "cell": "", "data": ""}
    model, data = settings.model, settings.data
    names = model.layer_names
    cell = "+".join(dict.fromkeys(names)) + (f" x{len(names)}" if len(names) > 1 else "") if names else "none"
    return {
        "streams": "+".join(settings.features.streams),
        "cell": cell,
        "data": last_part(data.annotations or data.root.name),
    }


def _of_provenance(figures: Mapping[str, Any]) -> dict[str, str]:
    versions = figures.get("versions")
    known = versions.get("vidrnn", "") if isinstance(versions, Mapping) else ""
    return {"version": str(known), "config": str(figures.get("config_digest") or "")}


def _videos(figures: Mapping[str, Any]) -> int | None:
    """The videos of a number.

    A training counts the videos of its validation split; without one, the videos it learned from.
    """
    n = figures.get("n")
    if isinstance(n, Mapping):
        n = n.get("val") or n.get("train")
    return n if isinstance(n, int) else None


def _classes(folder: Path) -> int | None:
    try:
        return len(read_classes(folder)[1]) or None
    except (MissingPathError, ComparisonError, OSError, ValueError):
        return None


def _date(file: Path) -> str:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
