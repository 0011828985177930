"""The page of a comparison: its finding, its seeds, and the clips that only one side has right."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vidrnn.errors import ComparisonError, ConfigError, MissingPathError
from vidrnn.evaluation.prediction_table import PredictionTable, names_in, read_table, truth_column
from vidrnn.evaluation.video_figures import FIGURES, figures_of
from vidrnn.json_text import parse_json
from vidrnn.names import excerpt, last_part, quoted
from vidrnn.reporting.clips import Clip
from vidrnn.reporting.filmstrips import make_filmstrips
from vidrnn.reporting.findings import MOST_CARDS
from vidrnn.reporting.folders import (
    Places,
    figures_without_folders,
    shown_paths,
    table_without_folders,
    without_folders,
)
from vidrnn.reporting.options import ReportOptions, WrittenReport
from vidrnn.reporting.rendering import ROOM_FOR_IMAGES, render, write_page
from vidrnn.reporting.run_folder import oddity, settings_of
from vidrnn.reporting.views import LONGEST_NAME, Strips, shortened, wanted_strips


def read_comparison(file: Path) -> dict[str, Any]:
    """The JSON that ``vidrnn compare --output`` writes. Raises ConfigError where it is something else."""
    try:
        found = parse_json(file.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not {"folder_a", "folder_b", "sentence", "pairs", "head"} <= set(found):
            raise ValueError("it lacks what a comparison has")
        _refuse_odd(found)
    except ValueError as error:
        raise ConfigError(
            f"{quoted(file)} is no comparison ({error}); give a file that `vidrnn compare --output` wrote"
        ) from error
    return found


def _refuse_odd(values: Mapping[str, Any]) -> None:
    """Refuse parts of another kind than `vidrnn compare` writes. Raises ValueError."""
    for key, kind in {"head": str, "sentence": str, "told_apart": bool, "pairs": list}.items():
        if problem := oddity(values.get(key), kind):
            raise ValueError(f"{key} {problem}")
    counts = ("only_a", "only_b") if values["head"] == "label" else ()
    for pair in values["pairs"]:
        if not isinstance(pair.get("seeds"), list):
            raise ValueError(f"seeds of a pair holds {excerpt(pair.get('seeds'))} where a list is wanted")
        for key in ("a", "b", *counts):
            if key not in pair or not isinstance(pair[key], int | float | None):
                raise ValueError(f"{key} of a pair holds {excerpt(pair.get(key))} where a number is wanted")


def report_comparison(file: Path, output: Path, options: ReportOptions) -> WrittenReport:
    """Write the page of a comparison.

    Raises:
        ConfigError: see `read_comparison`. OSError: the page cannot be written.
    """
    values = read_comparison(file)
    problems: list[str] = []
    tables = [_table(values[side], file, problems) for side in ("folder_a", "folder_b")]
    shown = shown_paths(path for table in tables if table for videos in table.by_seed.values() for path in videos)
    tables = [table and table_without_folders(table, shown) for table in tables]
    only_a, only_b = _differences(*tables, problems=problems)
    wanted = wanted_strips((only_b, only_a), None, options.clips)
    options.on_total(len(wanted))
    folders = [folder for side in ("folder_a", "folder_b") if (folder := _folder(values[side], file))]
    known = [found for folder in folders if (found := settings_of(folder, [])) is not None]
    places = [options.videos] if options.videos else [*(settings.data.root for settings in known), Path()]
    videos = Places(shown, have_moved=options.videos is not None)
    pictures = make_filmstrips(
        videos.on_disk(wanted), places, features=None, workers=options.workers, on_clip=options.on_clip
    )
    strips = Strips(videos.on_page(pictures), room=ROOM_FOR_IMAGES)
    context = {
        "name": shortened(file.name, LONGEST_NAME),
        "values": figures_without_folders(values),
        "names": [shortened(_name(values[side]), LONGEST_NAME) for side in ("folder_a", "folder_b")],
        "only_a": [strips.view(clip) for clip in only_a],
        "only_b": [strips.view(clip) for clip in only_b],
        "strip_height": strips.height,
        "problems": problems,
        "title": FIGURES[values["head"]].title if values["head"] in FIGURES else values.get("figure", ""),
    }
    size, num_strips = write_page(output, render("comparison.html.j2", context), strips.images)
    return WrittenReport(output, size, num_strips, tuple(problems))


def _folder(named: object, file: Path) -> Path | None:
    """A folder as it was given to ``compare``: from here, or from the folder of the comparison."""
    return next((place for place in (Path(str(named)), file.parent / str(named)) if place.is_dir()), None)


def _name(named: object) -> str:
    return Path(last_part(str(named))).name


def _table(named: object, file: Path, problems: list[str]) -> PredictionTable | None:
    folder = _folder(named, file)
    if folder is None:
        problems.append(f"The folder {quoted(_name(named))} is not where it was, so its clips are not shown.")
        return None
    try:
        return read_table(folder)
    except (ComparisonError, MissingPathError, OSError) as error:
        problems.append(
            f"The predictions of {quoted(folder.name)} cannot be read ({without_folders(str(error), folder)})."
        )
        return None


def _differences(
    a: PredictionTable | None, b: PredictionTable | None, *, problems: list[str]
) -> tuple[list[Clip], list[Clip]]:
    """Clips on which A does better, and on which B does, the largest difference first."""
    if a is None or b is None:
        return [], []
    try:
        figures = [figures_of(table) for table in (a, b)]
    except ValueError as error:
        problems.append(f"The predictions cannot be read ({error}).")
        return [], []
    if figures[0].videos != figures[1].videos or a.head != b.head or len(a.seeds) != len(b.seeds):
        problems.append("The predictions have changed since: the two folders are no longer about the same videos.")
        return [], []
    wholes = np.maximum(figures[0].wholes, 1)
    gain = (figures[1].parts.mean(axis=0) - figures[0].parts.mean(axis=0)) / wholes
    gain = gain if FIGURES[a.head].higher_is_better else -gain
    order = np.argsort(-np.abs(gain), kind="stable")
    videos = figures[0].videos
    better_a = [_clip(videos[place], a, b) for place in order if gain[place] < 0]
    better_b = [_clip(videos[place], a, b) for place in order if gain[place] > 0]
    return better_a[:MOST_CARDS], better_b[:MOST_CARDS]


def _clip(path: str, a: PredictionTable, b: PredictionTable) -> Clip:
    """What the first pair of seeds says that does not say the same."""
    answers = [
        [_said(table.by_seed[seed][path].rows, "predicted") for table, seed in zip((a, b), pair, strict=True)]
        for pair in zip(a.seeds, b.seeds, strict=True)
    ]
    place = next((number for number, (of_a, of_b) in enumerate(answers) if of_a != of_b), 0)
    truth = _said(a.by_seed[a.seeds[0]][path].rows, truth_column(a.head))
    note = f"seed {a.seeds[place]} of A, seed {b.seeds[place]} of B" if len(answers) > 1 else ""
    return Clip(path, truth, f"A {answers[place][0]}, B {answers[place][1]}", False, None, 1.0, note=note)


def _said(rows: "list[Mapping[str, str]]", column: str) -> str:
    """One answer in words; of many steps, how many there are."""
    if len(rows) > 1:
        return f"{len(rows)} steps"
    return " › ".join(names_in(rows[0][column])) or "nothing"
