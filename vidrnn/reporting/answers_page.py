"""The page of what ``vidrnn classify`` wrote: no truth, so it shows what was said, how surely, and what failed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vidrnn.annotations import BACKGROUND
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.written_predictions import read_predictions
from vidrnn.reporting.charts import score_chart
from vidrnn.reporting.clips import Clip, Decision, Seconds, least_certain
from vidrnn.reporting.filmstrips import make_filmstrips
from vidrnn.reporting.findings import MOST_CARDS
from vidrnn.reporting.folders import Places, shown_paths, without_folders
from vidrnn.reporting.matrix import make_matrix
from vidrnn.reporting.options import ReportOptions, WrittenReport
from vidrnn.reporting.rasters import MOST_VIDEOS, Band, Piece, Raster, colours_of
from vidrnn.reporting.rendering import ROOM_FOR_IMAGES, render, write_page
from vidrnn.reporting.views import LONGEST_NAME, Strips, cells_of, shortened, wanted_strips

_SAID = "videos"
_MOST_FAILED = 50
_PIECES_PER_S = 10
_MOST_PIECES = 500  # of a video


def report_answers(file: Path, output: Path, options: ReportOptions) -> WrittenReport:
    """Write the page of a file of predictions.

    Raises:
        MissingPathError, ConfigError: see `read_predictions`. OSError: the page cannot be written.
    """
    written = read_predictions(file)
    shown = shown_paths(prediction.path for prediction in written)
    predictions = [_without_folders(prediction, shown) for prediction in written]
    good = [prediction for prediction in predictions if prediction.error is None]
    failed = [prediction for prediction in predictions if prediction.error is not None]
    decisions = [decision for prediction in good for decision in _decisions(prediction)]
    labels = sorted({decision.row for decision in decisions})
    matrix = make_matrix(decisions, labels, columns=(_SAID,), unit="answers")
    uncertain = least_certain((decision.clip for decision in decisions), MOST_CARDS)
    wanted = wanted_strips((uncertain,), matrix, options.clips)
    options.on_total(len(wanted))
    places = [options.videos] if options.videos else [Path(), file.parent]
    videos = Places(shown, have_moved=options.videos is not None)
    found = make_filmstrips(
        videos.on_disk(wanted), places, features=None, workers=options.workers, on_clip=options.on_clip
    )
    strips = Strips(videos.on_page(found), room=ROOM_FOR_IMAGES)
    problems = []
    if wanted and not strips.images:
        problems.append(
            "No clip can be shown: the videos are not where they were. `vidrnn report --videos FOLDER` says where they "
            "are now."
        )
    scores = np.array([decision.clip.score for decision in decisions if decision.clip.score is not None])
    context: dict[str, Any] = {
        "name": shortened(file.name, LONGEST_NAME),
        "num_videos": len(predictions),
        "num_good": len(good),
        "failed": [(prediction.path, shortened(prediction.error or "", 300)) for prediction in failed[:_MOST_FAILED]],
        "num_failed": len(failed),
        "matrix": matrix,
        "cells": cells_of(matrix, strips),
        "uncertain": [strips.view(clip) for clip in uncertain],
        "strip_height": strips.height,
        "charts": [score_chart(scores)] if len(scores) else [],
        "rasters": _rasters(good, labels),
        "legend": [
            (shortened(name, LONGEST_NAME), colour) for name, colour in colours_of(labels).items() if name in labels
        ][:40],
        "problems": problems,
    }
    size, num_strips = write_page(output, render("answers.html.j2", context), strips.images)
    return WrittenReport(output, size, num_strips, tuple(problems))


def _without_folders(prediction: Prediction, shown: Mapping[str, str]) -> Prediction:
    name = shown.get(prediction.path, prediction.path)
    error = prediction.error and without_folders(prediction.error.replace(prediction.path, name))
    return replace(prediction, path=name, error=error)


def _decisions(prediction: Prediction) -> list[Decision]:
    """A clip for each label that is said of a video, or for each segment."""
    found = []
    for row in prediction.rows:
        span = Seconds(row["start"], row["end"]) if "start" in row else None
        if "label" in row:
            others = [f"{name} {score:.2f}" for name, score in row.get("top_k", ())[1:3] if score >= 0.05]
            note = f"next {', '.join(others)}" if others else ""
            clip = Clip(prediction.path, "", row["label"], True, row["score"], 1.0, span, note)
            found.append(Decision(row["label"], _SAID, clip))
        elif "labels" in row:
            scores = dict(row.get("top_k", ()))
            for name in dict.fromkeys(row["labels"] or ["nothing"]):
                text = " › ".join(row["labels"]) or "nothing"
                found.append(Decision(name, _SAID, Clip(prediction.path, "", text, True, scores.get(name), 1.0)))
        elif span is None:
            found.append(
                Decision("a number", _SAID, Clip(prediction.path, "", f"{row['target']:.4g}", True, None, 1.0))
            )
    return found


def _rasters(predictions: Sequence[Prediction], labels: Sequence[str]) -> list[Raster]:
    """What happens when, of the first videos of which segments are told."""
    colours = colours_of(labels)
    found: list[Raster] = []
    for prediction in predictions:
        rows = [row for row in prediction.rows if "start" in row and "label" in row][:_MOST_PIECES]
        if rows and len(found) < MOST_VIDEOS:
            places = [[round(_PIECES_PER_S * row[end]) for end in ("start", "end")] for row in rows]
            pieces = [
                Piece(start, max(end, start + 1), colours.get(row["label"], colours[BACKGROUND]), row["label"])
                for (start, end), row in zip(places, rows, strict=True)
            ]
            total = max(piece.end for piece in pieces)
            names = dict.fromkeys(piece.name for piece in pieces)
            bands = [Band(name, (), tuple(piece for piece in pieces if piece.name == name)) for name in names]
            if prediction.head != "step_multilabel":
                bands = [Band("", (), tuple(pieces))]
            found.append(Raster(prediction.path, total, 0.0, tuple(bands[:8]), max(len(bands) - 8, 0)))
    return found
