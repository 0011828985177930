"""Results for people and programs: JSON, CSV, a table for the terminal, and the confusion matrix as a picture."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vidrnn.atomic import write_atomically
from vidrnn.evaluation.measures import HeadMetrics
from vidrnn.evaluation.metrics import Metrics

_PER_CLASS = ("average_precision", "recall", "precision", "f1", "threshold")


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON atomically; nan and inf, which JSON does not have, become null. Raises OSError."""
    text = json.dumps(_finite(values), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, (text + "\n").encode())


def _finite(value: Any) -> Any:  # noqa: ANN401  anything that JSON can hold
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_log(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write log.csv: one row per epoch."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]) if history else ["epoch"])
        writer.writeheader()
        writer.writerows(history)


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


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def draw_confusion(path: Path, metrics: Metrics, *, title: str) -> None:
    """Draw the confusion matrix as PNG: rows are the truth, colour is the share of the row, numbers are counts."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels = [row.label.replace("$", r"\$") for row in metrics.per_class]  # a dollar sign is no formula
    counts = metrics.confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    edge = max(4.0, 0.45 * len(labels) + 2.0)
    figure = Figure(figsize=(edge + 1.0, edge), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(shares, vmin=0.0, vmax=1.0, cmap="Blues")
    axes.set_xticks(range(len(labels)), labels, rotation=60, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title.replace("$", r"\$"), fontsize=10)
    if len(labels) <= 60:  # beyond, numbers would not be legible
        for row, column in zip(*counts.nonzero(), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
