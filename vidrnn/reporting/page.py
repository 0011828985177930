"""The page of a run: what it finds, the filmstrips that fit, and the file it becomes."""

import math
from pathlib import Path
from typing import Any

from vidrnn.annotations import BACKGROUND
from vidrnn.evaluation.metrics import HEADLINES
from vidrnn.names import quoted
from vidrnn.reporting import words
from vidrnn.reporting.advice import advice_for, missing_predictions
from vidrnn.reporting.charts import learning_curves
from vidrnn.reporting.explained_clips import ExplainedClips, explain_clips
from vidrnn.reporting.filmstrips import make_filmstrips
from vidrnn.reporting.findings import Findings, disagreement, find
from vidrnn.reporting.folders import Places
from vidrnn.reporting.options import ReportOptions, WrittenReport
from vidrnn.reporting.rasters import colours_of
from vidrnn.reporting.rendering import ROOM_FOR_IMAGES, render, write_page
from vidrnn.reporting.run_folder import Run, read_run, shown_config
from vidrnn.reporting.views import LONGEST_NAME, Strips, cells_of, shortened, wanted_strips

_LONGEST_CONFIG = 40_000  # signs
_MOST_NAMED = 40  # classes in a legend


def report_run(folder: Path, output: Path, options: ReportOptions) -> WrittenReport:
    """Write the page of a folder that ``crossval``, ``evaluate`` or ``train`` wrote.

    Raises:
        MissingPathError: nothing in the folder can be reported. OSError: the page cannot be written.
    """
    run = read_run(folder)
    found = find(run)
    explained = explain_clips(run, [*found.mistakes, *found.uncertain], model=options.model)
    wanted = wanted_strips((found.mistakes, found.uncertain, explained.alike), found.matrix, options.clips)
    options.on_total(len(wanted))
    places = Places(run.shown_paths, have_moved=options.videos is not None)
    pictures = make_filmstrips(
        places.on_disk(wanted),
        _places(run, options.videos),
        features=None if run.settings is None else run.settings.features,
        workers=options.workers,
        on_clip=options.on_clip,
    )
    strips = Strips(places.on_page(pictures), room=ROOM_FOR_IMAGES)
    problems = [*run.problems, *filter(None, [found.problem, disagreement(run, found)])]
    if wanted and not strips.images:
        problems.append(
            _no_pictures(run, strips.view(found.mistakes[0] if found.mistakes else found.uncertain[0]).problem)
        )
    page = render("run.html.j2", _context(run, found, strips, explained, problems))
    size, num_strips = write_page(output, page, strips.images)
    return WrittenReport(output, size, num_strips, tuple(problems))


def _places(run: Run, videos: Path | None) -> list[Path]:
    if videos is not None:
        return [videos]
    return [*([run.settings.data.root] if run.settings else []), Path()]


def _no_pictures(run: Run, problem: str) -> str:
    where = f" below {quoted(run.settings.data.root.name)}" if run.settings else ""
    return f"No clip can be shown{where}: {problem} `vidrnn report --videos FOLDER` says where the videos are now."


def _context(
    run: Run, found: Findings, strips: Strips, explained: ExplainedClips, problems: list[str]
) -> dict[str, Any]:
    low, high = run.interval
    mistakes, uncertain = (
        [strips.explained(clip, explained.explanations.get(clip), run.shown_paths) for clip in clips]
        for clips in (found.mistakes, found.uncertain)
    )
    return {
        "run": run,
        "name": shortened(run.folder.resolve().name, LONGEST_NAME),
        "title": run.headline.title,
        "value": run.value if not math.isnan(run.value) else found.remeasured,
        "is_remeasured": math.isnan(run.value),
        "meaning": words.meaning(run),
        "low": low,
        "high": high,
        "is_share": run.headline.name in words.SHARES,
        "groups": len({video.group for video in run.table.by_seed[run.table.seeds[0]].values()}) if run.table else None,
        "worth": words.worth_of_recurrence(run),
        "nothing_learned": words.nothing_learned(run),
        "baselines": words.compared(run),
        "problems": problems,
        "found": found,
        "matrix": found.matrix,
        "cells": cells_of(found.matrix, strips),
        "mistakes": mistakes,
        "uncertain": uncertain,
        "is_explained": bool(explained.explanations),
        "strip_height": strips.height,
        "legend": _legend(found),
        "step_s": _step_s(run),
        "learning": learning_curves(run.log, run.headline, _kept_epochs(run)) if run.log else [],
        "advice": advice_for(run, matrix=found.matrix, mistakes=found.mistakes, classes=found.classes, ece=found.ece),
        "missing": "" if run.table else missing_predictions(run),
        "absent": [*_absent(run, found), *filter(None, [explained.problem])],
        "protocol": [part for part in str(run.figures.get("protocol", "")).split("; ") if part],
        "config": shown_config(run.settings)[:_LONGEST_CONFIG] if run.settings else "",
        "versions": run.figures.get("versions") or {},
        "folds": _folds(run),
        "figures": _single_figures(run),
    }


def _legend(found: Findings) -> list[tuple[str, str]]:
    shown = {
        piece.name for raster in found.rasters for band in raster.bands for piece in (*band.truth, *band.predicted)
    }
    colours = colours_of(found.labels)
    names = [name for name in found.labels if name in shown]
    return [(shortened(name, LONGEST_NAME), colours[name]) for name in names][:_MOST_NAMED]


def _step_s(run: Run) -> float | None:
    """Seconds between two steps, where all videos have the same."""
    features = run.settings.features if run.settings else None
    if features is None or features.sampling != "fps" or features.max_frames is not None:
        return None
    return 1.0 / features.rate


def _kept_epochs(run: Run) -> list[int]:
    kept = run.figures.get("epoch")
    return [epoch for epoch in (kept if isinstance(kept, list) else [kept]) if isinstance(epoch, int)]


def _folds(run: Run) -> list[dict[str, Any]]:
    """Name, videos and headline of each fold."""
    key = f"{run.headline.name}_mean"
    folds = run.figures.get("folds") or ()
    return [
        {"name": shortened(str(fold.get("name")), LONGEST_NAME), "n": fold.get("n"), "value": fold[key]}
        for fold in folds
        if isinstance(fold, dict) and isinstance(fold.get(key), float)
    ]


def _single_figures(run: Run) -> list[tuple[str, str]]:
    """All other single figures, as they stand in the file."""
    return [
        (name.replace("_", " "), f"{value:.3f}")
        for name, value in run.figures.items()
        if isinstance(value, float) and name not in {HEADLINES[run.head].name, f"{HEADLINES[run.head].name}_mean"}
    ]


def _absent(run: Run, found: Findings) -> list[str]:
    """What the report has not, and why."""
    limits = []
    if not run.log:
        limits.append(
            "Learning curves: a cross-validation keeps no log of its many fits."
            if run.verb == "crossval"
            else "Learning curves: log.csv lies in the folder of the training, `vidrnn report` there shows them."
        )
    if run.table is None:
        return limits
    kind = {
        "transcript": "A transcript has no class that stands for another, and no score: there is no matrix, no bar for "
        "each class and no calibration.",
        "regression": "A number has no classes and no score: there is no matrix and no calibration.",
        "step_regression": "A number has no classes and no score: there is no matrix and no calibration.",
        "multilabel": "A video may have several labels, so none is mistaken for another: the matrix says what became "
        "of each. Risk and coverage need one answer for each video.",
        "step_multilabel": "A step may have several labels, so none is mistaken for another: the matrix says what "
        "became of each. Risk and coverage need one answer for each step.",
    }.get(run.head, "")
    if kind:
        limits.append(kind)
    if run.verb == "crossval" and run.table.seeds[1:] and run.head.startswith("step"):
        limits.append(f"Matrix, timelines and clips show seed {run.table.seeds[0]}; bars and curves show all seeds.")
    if BACKGROUND in found.labels:
        limits.append("The background is a class of the matrix, and no segment.")
    return limits
