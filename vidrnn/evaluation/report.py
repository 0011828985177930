"""Results for people and programs: JSON, CSV, a table for the terminal, and the confusion matrix as a picture."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vidrnn.atomic import write_atomically
from vidrnn.evaluation.calibration import (
    Calibration,
    Classes,
    Floats,
    Reliability,
    calibrate,
    judge,
    reliability,
    risk_coverage,
)
from vidrnn.evaluation.classification import ClassificationMetrics
from vidrnn.evaluation.metrics import HEADLINES, HeadMetrics
from vidrnn.names import writable
from vidrnn.settings.evaluation import Average
from vidrnn.settings.model import Head
from vidrnn.stages import stage

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LARGEST_EDGE = 24.0  # inches, at 120 pixels each
_MOST_NAMED = 60  # classes
_LONGEST_TICK = 40  # letters
_PER_CLASS = ("average_precision", "recall", "precision", "f1", "threshold")


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON atomically; nan and inf become null, and names are `writable`. Raises OSError."""
    text = json.dumps(_finite(values), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, (text + "\n").encode())


def _finite(value: Any) -> Any:  # noqa: ANN401  anything that JSON can hold
    if isinstance(value, Mapping):
        return {writable(str(name)): _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if isinstance(value, str):
        return writable(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_log(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write log.csv: one row per epoch."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]) if history else ["epoch"])
        writer.writeheader()
        writer.writerows(history)


def format_interval(title: str, interval: tuple[float, float]) -> str:
    """The 95 % interval of a figure in words."""
    low, high = interval
    if math.isnan(low):
        return f"no interval of the {title}: one group says nothing about others"
    return f"95 % interval of the {title} {low:.3f} to {high:.3f}, over groups"


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned with spaces: numbers to the right, text to the left."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    numeric = [all(_is_number(row[i]) for row in rows) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = zip(row, widths, numeric, strict=True)
        return "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in cells).rstrip()

    return "\n".join([line(header), line(["-" * width for width in widths]), *(line(row) for row in rows)])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def format_per_class(metrics: HeadMetrics) -> str:
    """The per-class table; empty for heads without classes of their own (transcripts, numbers)."""
    rows: list[Any] = metrics.as_dict().get("per_class", [])
    if not rows:
        return ""
    columns = [name for name in _PER_CLASS if name in rows[0]]
    body = [[row["label"], str(row["n"]), *(_figure(row[name]) for name in columns)] for row in rows]
    return format_table(["class", "n", *columns], body)


def format_figures(metrics: HeadMetrics) -> str:
    """All single figures of the metrics on one line, the intervals left out."""
    figures = {name: value for name, value in metrics.as_dict().items() if isinstance(value, float)}
    return ", ".join(f"{name} {_figure(value)}" for name, value in figures.items())


def format_calibration(values: Mapping[str, Any]) -> str:
    """What `vidrnn.evaluation.calibration.Calibration.as_dict` says, on one line."""
    threshold = values["unknown_below"]
    text = (
        f"temperature {_figure(values['temperature'])}: ECE {_figure(values['ece_uncalibrated'])} before, "
        f"{_figure(values['ece'])} after; NLL {_figure(values['nll_uncalibrated'])} before, "
        f"{_figure(values['nll'])} after; area under risk-coverage {_figure(values['risk_coverage_area'])}"
    )
    if threshold is None:
        return f"{text}; every video is answered"
    where = "no score is high enough, all are unknown" if threshold > 1 else f"unknown below {_figure(threshold)}"
    return f"{text}; {where}: coverage {_figure(values['coverage'])}, risk {_figure(values['risk'])}"


def format_averaging(head: Head, *, clip: float, video: float, answers_per_video: int, scale: Average) -> str:
    """Clip and video accuracy by their names; empty where nothing is averaged, and both are the same."""
    if answers_per_video == 1:
        return ""
    title, how = HEADLINES[head].title, "averaged" if "regression" in head else f"averaged in {scale}"
    return (
        f"clip {title} {_figure(clip)} (each of {answers_per_video} answers per video by itself), "
        f"video {title} {_figure(video)} ({how})"
    )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


@stage("draw the confusion matrix")
def draw_confusion(path: Path, metrics: ClassificationMetrics, *, title: str) -> None:
    """Draw the confusion matrix as PNG: rows are the truth, colour is the share of the row, numbers are counts.

    The picture has at most about 3000 x 3000 pixels; of many classes only some are named.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels = [_drawable(row.label) for row in metrics.per_class]
    counts = metrics.confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    edge = min(max(4.0, 0.45 * len(labels) + 2.0), _LARGEST_EDGE)
    named = range(0, len(labels), -(-len(labels) // _MOST_NAMED))
    figure = Figure(figsize=(edge + 1.0, edge), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(shares, vmin=0.0, vmax=1.0, cmap="Blues")
    axes.set_xticks(named, [labels[place] for place in named], rotation=60, ha="right")
    axes.set_yticks(named, [labels[place] for place in named])
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title.replace("$", r"\$"), fontsize=10)
    if len(labels) <= _MOST_NAMED:  # beyond, numbers would not be legible
        for row, column in zip(*counts.nonzero(), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _drawable(label: str) -> str:
    """A class name as a tick: plain text on one line, as long as the picture has room for."""
    text = " ".join(writable(label).split())
    short = text if len(text) <= _LONGEST_TICK else f"{text[: _LONGEST_TICK - 1]}…"
    return short.replace("$", r"\$")


def draw_reliability(path: Path, logits: Floats, targets: Classes, *, measured: Calibration, title: str) -> None:
    """Draw reliability before and after the temperature, with the videos in each bin, and the risk-coverage curve.

    Args:
        path: the PNG.
        logits: (n, classes) before the temperature.
        targets: (n,) class positions.
        measured: the calibration of the same videos.
        title: the title of the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.0, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    before, after, curve = figure.subplots(1, 3)
    scored = judge(calibrate(logits, measured.temperature), targets)
    _draw_bins(before, reliability(*judge(logits, targets)), title="before: temperature 1")
    _draw_bins(after, reliability(*scored), title=f"after: temperature {measured.temperature:.3f}")
    costs = risk_coverage(*scored)
    curve.step(costs.coverage, costs.risk, where="pre", color="tab:blue")
    if measured.unknown_below is not None and measured.coverage > 0:
        curve.plot(measured.coverage, measured.risk, "o", color="tab:red", label="at the unknown threshold")
        curve.legend(loc="upper left")
    curve.set(xlim=(0, 1.02), ylim=(0, None), xlabel="coverage: share that is answered")
    curve.set(ylabel="risk: share of these that is wrong")
    curve.set_title(f"risk-coverage, area {measured.risk_coverage_area:.3f}", fontsize=10)
    figure.suptitle(title.replace("$", r"\$"), fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _draw_bins(axes: "Axes", bins: Reliability, *, title: str) -> None:
    width = 1 / len(bins.counts)
    middles = (np.arange(len(bins.counts)) + 0.5) * width
    heights = np.nan_to_num(bins.accuracy)
    axes.bar(middles, heights, width=0.9 * width, color="tab:blue", label="share that is right")
    axes.plot([0, 1], [0, 1], color="black", linestyle=":", linewidth=1)
    axes.plot(bins.confidence, bins.accuracy, ".", color="tab:orange", label="at the mean score")
    for middle, height, count in zip(middles, heights, bins.counts, strict=True):
        if count:
            axes.text(middle, height + 0.01, str(count), ha="center", va="bottom", fontsize=7)
    axes.set(xlim=(0, 1), ylim=(0, 1.1), xlabel="score of the answer", ylabel="share that is right")
    axes.set_title(f"{title}, ECE {bins.error:.3f}", fontsize=10)
    axes.legend(loc="upper left", fontsize=8)
