"""Truth over prediction along the time of each video, as bands; bounded for any number and length of videos."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidrnn.annotations import BACKGROUND
from vidrnn.evaluation.prediction_table import PredictionTable, VideoAnswers, names_in
from vidrnn.evaluation.video_figures import FIGURES
from vidrnn.reporting.clips import runs
from vidrnn.settings.model import Head

MOST_VIDEOS = 40
MOST_BANDS = 8
"""Classes of a video that have bands of their own, where several go on at a time."""
_MOST_STEPS = 1500  # of a video that are drawn; a longer one is thinned evenly
_MOST_STRETCHES = 20_000  # of all videos together; then no further video is shown
NUM_COLOURS = 10


@dataclass(frozen=True)
class Piece:
    """Steps ``start`` to ``end`` (exclusive) that have one colour; ``name`` is read out."""

    start: int
    end: int
    colour: str
    name: str


@dataclass(frozen=True)
class Band:
    """Truth and prediction of a video, or of one of its classes.

    Attributes:
        name: of the class; empty where the colours tell it.
        truth, predicted: stretches in order of time; gaps where nothing is known or nothing goes on.
    """

    name: str
    truth: tuple[Piece, ...]
    predicted: tuple[Piece, ...]


@dataclass(frozen=True)
class Raster:
    """One video.

    Attributes:
        path: as in predictions.csv.
        total: steps.
        wrong: share of the known steps, or of the known decisions, that is wrong.
        bands: from top to bottom.
        num_hidden: classes without a band.
    """

    path: str
    total: int
    wrong: float
    bands: tuple[Band, ...]
    num_hidden: int = 0


@dataclass(frozen=True)
class Curve:
    """A number at every step of one video: points ``x,y`` from 0 to 1000 each, and what the ends of the axis are."""

    path: str
    truth: tuple[str, ...]
    predicted: str
    low: float
    high: float
    error: float


def colours_of(labels: Sequence[str]) -> dict[str, str]:
    """The CSS class of the colour of each class; the background has none of the ten."""
    others = [name for name in labels if name != BACKGROUND]
    colours = {name: f"c{number % NUM_COLOURS}" for number, name in enumerate(others)}
    return colours | {BACKGROUND: "cb"}


def rasters_of(table: PredictionTable, labels: Sequence[str]) -> list[Raster]:
    """The videos of the first seed, the most wrong steps first, at most `MOST_VIDEOS`."""
    colours, videos = colours_of(labels), table.by_seed[table.seeds[0]]
    make = _of_classes if table.head == "step_labels" else _of_sets
    errors = {path: _error(table.head, video) for path, video in videos.items()}
    ordered = sorted(videos, key=lambda path: -errors[path])[:MOST_VIDEOS]
    found: list[Raster] = []
    room = _MOST_STRETCHES
    for path in ordered:
        found.append(make(path, videos[path], colours, errors[path]))
        room -= sum(len(band.truth) + len(band.predicted) for band in found[-1].bands)
        if room < 0:
            break
    return found


def _error(head: Head, video: VideoAnswers) -> float:
    part, whole = FIGURES[head].of(video)
    return 1.0 - part / whole if whole else 0.0


def _kept(total: int) -> npt.NDArray[np.int64]:
    return np.unique(np.linspace(0, total - 1, min(total, _MOST_STEPS)).round().astype(np.int64))


def _pieces(names: Sequence[str], kept: npt.NDArray[np.int64], colours: dict[str, str]) -> tuple[Piece, ...]:
    """Runs of one name; an empty name is a gap."""
    ends = [*kept[1:].tolist(), int(kept[-1]) + 1]
    return tuple(
        Piece(int(kept[start]), ends[end - 1], colours[names[start]], names[start])
        for start, end in runs(names)
        if names[start]
    )


def _of_classes(path: str, video: VideoAnswers, colours: dict[str, str], wrong: float) -> Raster:
    kept = _kept(len(video.rows))
    sides = [[video.rows[step][column] for step in kept] for column in ("label", "predicted")]
    truth, predicted = (_pieces(names, kept, colours) for names in sides)
    return Raster(path, len(video.rows), wrong, (Band("", truth, predicted),))


def _of_sets(path: str, video: VideoAnswers, colours: dict[str, str], wrong: float) -> Raster:
    kept = _kept(len(video.rows))
    sides = [[set(names_in(video.rows[step][column])) for step in kept] for column in ("labels", "predicted")]
    lengths = {name: sum(name in names for side in sides for names in side) for name in colours}
    going = sorted((name for name in lengths if lengths[name]), key=lambda name: -lengths[name])
    shown = [name for name in colours if name in going[:MOST_BANDS]]
    bands = [
        Band(name, *(_pieces([name if name in names else "" for names in side], kept, colours) for side in sides))
        for name in shown
    ]
    return Raster(path, len(video.rows), wrong, tuple(bands), len(going) - len(shown))


def curves_of(table: PredictionTable) -> list[Curve]:
    """For ``step_regression``: the videos of the first seed, the largest mean error first, at most `MOST_VIDEOS`."""
    found = [_curve(path, video) for path, video in table.by_seed[table.seeds[0]].items()]
    return sorted(found, key=lambda curve: -curve.error)[:MOST_VIDEOS]


def _curve(path: str, video: VideoAnswers) -> Curve:
    kept = _kept(len(video.rows))
    rows = [video.rows[step] for step in kept]
    predicted = np.array([float(row["predicted"]) for row in rows])
    truth = np.array([float(row["target"]) if row["target"] else np.nan for row in rows])
    known = ~np.isnan(truth)
    values = np.concatenate([predicted, truth[known]])
    low, high = float(values.min()), float(values.max())
    error, _whole = FIGURES["step_regression"].of(video)

    def points(numbers: npt.NDArray[np.float64], steps: npt.NDArray[np.int64]) -> str:
        x = 1000.0 * steps / max(len(video.rows) - 1, 1)
        y = 1000.0 - 1000.0 * (numbers - low) / (high - low or 1.0)
        return " ".join(f"{a:.0f},{b:.0f}" for a, b in zip(x, y, strict=True))

    pieces = [(start, end) for start, end in runs(known.tolist()) if known[start]]
    lines = tuple(points(truth[start:end], kept[start:end]) for start, end in pieces)
    return Curve(path, lines, points(predicted, kept), low, high, error)
