"""Curves as SVG that takes its colours from the page, so that one picture serves light and dark."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vidrnn.evaluation.calibration import Reliability, RiskCoverage
from vidrnn.evaluation.metrics import Headline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Numbers = npt.NDArray[np.floating[Any]]
# Colours that no chart has otherwise: each is replaced by a variable of the page.
_INK, _MUTED, _LINE, _RIGHT, _WRONG = "#010203", "#010204", "#010205", "#010206", "#010207"
_VARIABLES = {_INK: "--ink", _MUTED: "--muted", _LINE: "--line", _RIGHT: "--right", _WRONG: "--wrong"}
_SIZE = (3.7, 2.5)  # inches of 72 CSS pixels: beside each other on a desktop, below each other on a phone
_MOST_POINTS = 600
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _MUTED,
    "axes.titlecolor": _INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _MUTED,
    "ytick.labelcolor": _MUTED,
    "text.color": _INK,
    "legend.frameon": False,
    "legend.labelcolor": _MUTED,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.8,
    "axes.prop_cycle": "cycler('color', ['#010206'])",
}


@contextmanager
def _chart(name: str, found: list[str], *, description: str) -> Iterator["Axes"]:
    """Axes to draw on; the SVG is appended to ``found``."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context(_STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=_SIZE, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        yield axes
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    found.append(_inlined(file.getvalue(), name, description))


def _inlined(svg: str, name: str, description: str) -> str:
    """What stands in a page: no header, identifiers of its own, the page's font and colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\b(id="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"font: ((?:bold )?[\d.]+px)[^;\"]*", r"font: \1 var(--font)", svg)  # by older releases
    svg = re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return re.sub(r"<svg ", f'<svg role="img" aria-label="{description}" ', svg, count=1)


def learning_curves(log: Sequence[Mapping[str, float]], headline: Headline, chosen: Sequence[int]) -> list[str]:
    """The loss, and the headline where validation videos tell it, against the epoch.

    Args:
        log: a row per member and epoch.
        headline: of the head.
        chosen: the epoch that was kept of each member.
    """
    found: list[str] = []
    members = sorted({row.get("member", 1.0) for row in log})
    series = [[row for row in log if row.get("member", 1.0) == member] for member in members]
    names = [("train_loss", "training", _MUTED), ("val_loss", "validation", _RIGHT)]
    with _chart("loss", found, description="Loss against the epoch") as axes:
        _lines(axes, series, names, chosen)
        axes.set_title("Loss")
    value = f"val_{headline.name}"
    if any(value in row for row in log):
        title = f"{headline.title} on validation videos"
        with _chart("value", found, description=f"{title} against the epoch") as axes:
            _lines(axes, series, [(value, "validation", _RIGHT)], chosen)
            axes.set_title(title)
    return found


def _lines(
    axes: "Axes",
    series: Sequence[Sequence[Mapping[str, float]]],
    names: Sequence[tuple[str, str, str]],
    chosen: Sequence[int],
) -> None:
    from matplotlib.ticker import MaxNLocator

    for number, rows in enumerate(series):
        for name, label, colour in names:
            known = [row for row in rows if name in row]
            if known:
                epochs, values = [row["epoch"] for row in known], [row[name] for row in known]
                axes.plot(
                    epochs, values, color=colour, label=None if number else label, marker="." if len(known) == 1 else ""
                )
    for number, epoch in enumerate(chosen):
        axes.axvline(epoch, color=_INK, linewidth=0.9, linestyle=":", label=None if number else "kept")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="best")


def reliability_chart(bins: Reliability, *, what: str) -> str:
    """Share that is right against the score, with a dot of the size of each bin."""
    found: list[str] = []
    filled = bins.counts > 0
    description = f"Reliability: expected calibration error {bins.error:.3f}"
    with _chart("reliability", found, description=description) as axes:
        axes.plot([0, 1], [0, 1], color=_MUTED, linewidth=1, linestyle=":", label="as it should be")
        axes.plot(bins.confidence[filled], bins.accuracy[filled], color=_RIGHT, linewidth=1.2)
        sizes = 12 + 160 * bins.counts[filled] / bins.counts.max()
        axes.scatter(bins.confidence[filled], bins.accuracy[filled], s=sizes, color=_RIGHT, label=what, linewidths=0)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.06), xlabel="score", ylabel="share that is right")
        axes.set_title("Reliability")
    return found[0]


def risk_chart(curve: RiskCoverage, *, what: str) -> str:
    """Share of wrong answers against the share that is answered, the surest first."""
    found: list[str] = []
    kept = _thinned(len(curve.coverage))
    with _chart("risk", found, description=f"Risk against coverage, area {curve.area:.3f}") as axes:
        coverage, risk = curve.coverage[kept], curve.risk[kept]
        axes.fill_between(coverage, risk, color=_WRONG, alpha=0.14, step="pre", linewidth=0)
        axes.step(coverage, risk, where="pre", color=_WRONG)
        axes.set(xlim=(0, 1.02), ylim=(0, max(0.05, float(risk.max()) * 1.1)))
        axes.set(xlabel=f"share of the {what} that is answered", ylabel="share of these that is wrong")
        axes.set_title("Risk and coverage")
    return found[0]


def scatter_chart(truth: Numbers, predicted: Numbers) -> str:
    """Predicted numbers against true ones."""
    found: list[str] = []
    kept = _thinned(len(truth))
    with _chart("scatter", found, description="Predicted numbers against true ones") as axes:
        ends = [float(min(truth.min(), predicted.min())), float(max(truth.max(), predicted.max()))]
        axes.plot(ends, ends, color=_MUTED, linewidth=1, linestyle=":")
        axes.scatter(truth[kept], predicted[kept], s=14, color=_RIGHT, alpha=0.7, linewidths=0)
        axes.set(xlabel="true", ylabel="predicted")
        axes.set_title("Predicted against true")
    return found[0]


def error_chart(errors: Numbers) -> str:
    """How often errors of each size are made."""
    found: list[str] = []
    with _chart("errors", found, description="How often errors of each size are made") as axes:
        axes.hist(errors, bins=min(30, max(5, len(errors) // 4)), color=_RIGHT, rwidth=0.9)
        axes.axvline(0, color=_INK, linewidth=0.9)
        axes.set(xlabel="predicted minus true", ylabel="how often")
        axes.set_title("Errors")
    return found[0]


def score_chart(scores: Numbers) -> str:
    """How many answers have each score."""
    found: list[str] = []
    with _chart("scores", found, description="How many answers have each score") as axes:
        axes.hist(scores, bins=np.linspace(0, 1, 21).tolist(), color=_RIGHT, rwidth=0.9)
        axes.set(xlabel="score", ylabel="answers", xlim=(0, 1))
        axes.set_title("Scores")
    return found[0]


def _thinned(count: int) -> npt.NDArray[np.int64]:
    """At most `_MOST_POINTS` positions, evenly spread, the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).round().astype(np.int64))
