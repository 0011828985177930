"""What a run tells besides its headline: classes, confusions, mistakes, calibration; each from the floor below."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vidrnn.evaluation.calibration import reliability, risk_coverage
from vidrnn.evaluation.metrics import headline
from vidrnn.evaluation.prediction_table import PredictionTable, names_in
from vidrnn.evaluation.remeasured import classes_of, measure_table
from vidrnn.names import quoted
from vidrnn.reporting import charts
from vidrnn.reporting.clips import (
    EXTRA,
    FOUND,
    MISSED,
    Clip,
    decisions_of,
    least_certain,
    numbers_of,
    surest_mistakes,
    transcripts_of,
)
from vidrnn.reporting.matrix import Matrix, make_matrix
from vidrnn.reporting.rasters import Curve, Raster, curves_of, rasters_of
from vidrnn.reporting.run_folder import Run
from vidrnn.stages import stage

MOST_CARDS = 12
MOST_BARS = 60
_BAR = ("average_precision", "recall")
_STEPS = ("step_labels", "step_multilabel")
_TOLERANCE = 0.005  # six digits of a probability may change a rank, and a decision at a threshold


@dataclass(frozen=True)
class Findings:
    """What predictions.csv tells.

    Attributes:
        labels: class names.
        classes: a row for each class: ``name``, ``n``, ``value`` (what its bar shows), ``shown`` and the other figures.
        bar: what the bars show.
        num_hidden: classes without a row.
        matrix: what is confused with what.
        mistakes, uncertain: clips, the worst first.
        rasters, curves: of heads with an answer at each step.
        charts: calibration, or errors.
        ece: expected calibration error; None where scores are no probabilities of one answer.
        remeasured: the headline of what predictions.csv holds; None where it cannot be measured.
        num_measured: videos, or steps, that this headline is of, for one seed; None where it cannot be measured.
        problem: why there is less than there should be.
    """

    labels: tuple[str, ...] = ()
    classes: list[dict[str, object]] = field(default_factory=list)
    bar: str = ""
    num_hidden: int = 0
    matrix: Matrix | None = None
    mistakes: list[Clip] = field(default_factory=list)
    uncertain: list[Clip] = field(default_factory=list)
    rasters: list[Raster] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    charts: list[str] = field(default_factory=list)
    ece: float | None = None
    remeasured: float | None = None
    num_measured: int | None = None
    problem: str = ""


@stage("look through the predictions")
def find(run: Run) -> Findings:
    """Read the predictions of a run; nothing is found where there are none, or where a cell cannot be read."""
    if run.table is None:
        return Findings()
    try:
        return _find(run, run.table)
    except ValueError as error:
        return Findings(problem=f"predictions.csv cannot be used ({error})")


def _find(run: Run, table: PredictionTable) -> Findings:
    _refuse_odd_cells(table)
    labels, thresholds = classes_of(table), _thresholds(run, table)
    pooled = measure_table(table, table.seeds, thresholds=thresholds)
    of_seeds = [pooled]
    if len(table.seeds) > 1:
        of_seeds = [measure_table(table, (seed,), thresholds=thresholds) for seed in table.seeds]
    decisions = decisions_of(table, thresholds)
    clips = [decision.clip for decision in decisions]
    unit = "steps" if table.head in _STEPS else "answers"
    matrix = make_matrix(
        decisions, labels, columns=(FOUND, MISSED, EXTRA) if "multilabel" in table.head else None, unit=unit
    )
    others = transcripts_of(table) if table.head == "transcript" else numbers_of(table) if not clips else []
    drawn, ece = _charts(table)
    classes, bar, num_hidden = _classes(pooled.as_dict().get("per_class", ()), seeds=len(table.seeds))
    return Findings(
        labels=labels,
        classes=classes,
        bar=bar,
        num_hidden=num_hidden,
        matrix=matrix,
        mistakes=surest_mistakes(clips, MOST_CARDS) or [clip for clip in others if not clip.is_right][:MOST_CARDS],
        uncertain=least_certain(clips, MOST_CARDS),
        rasters=rasters_of(table, labels) if table.head in _STEPS else [],
        curves=curves_of(table) if table.head == "step_regression" else [],
        charts=drawn,
        ece=ece,
        remeasured=float(np.mean([headline(table.head, metrics) for metrics in of_seeds])),
        num_measured=of_seeds[0].as_dict().get("n"),
    )


def _refuse_odd_cells(table: PredictionTable) -> None:
    """What a hand may have written that nothing measures. Raises ValueError."""
    for videos in table.by_seed.values():
        for path, video in videos.items():
            if "multilabel" in table.head:
                predicted = {name for row in video.rows for name in names_in(row["predicted"])}
                for name in sorted(predicted - set(table.labels)):
                    raise ValueError(f"class {quoted(name)} of {quoted(path)} has no column of probabilities")
            numbers = np.stack(video.probabilities)
            numbers = numbers[~((numbers >= 0.0) & (numbers <= 1.0))]
            scores = [float(row["score"]) for row in video.rows if "score" in row]
            for number in [*numbers.tolist(), *(score for score in scores if not 0.0 <= score <= 1.0)]:
                raise ValueError(f"{number} of {quoted(path)} is no probability; it must lie from 0 to 1")


def _thresholds(run: Run, table: PredictionTable) -> list[float] | None:
    """Those of the model, which its figures name; None: 0.5 for all."""
    rows = run.figures.get("per_class") or ()
    found = {str(row.get("label")): row.get("threshold") for row in rows}
    values = [found.get(name) for name in table.labels]
    known = [float(value) for value in values if isinstance(value, float | int) and 0 <= value <= 1]
    return known if values and len(known) == len(values) else None


def _classes(rows: Sequence[dict[str, Any]], *, seeds: int) -> tuple[list[dict[str, object]], str, int]:
    """Rows for the bars, the worst first where they are many; what the bars show; classes that are left out."""
    if not rows:
        return [], "", 0
    bar = next(name for name in _BAR if name in rows[0])
    known = [row for row in rows if row["n"] and row[bar] is not None]
    if len(known) > MOST_BARS:
        known = sorted(known, key=lambda row: row[bar])[:MOST_BARS]
    found: list[dict[str, object]] = [
        {
            "name": row["label"],
            "n": row["n"] // seeds,
            "value": row[bar],
            "shown": f"{100 * row[bar]:.0f} %",
            "others": [f"{row[name]:.2f}" for name in ("precision", "f1") if name in row],
        }
        for row in known
    ]
    return found, bar.replace("_", " "), len(rows) - len(found)


def _charts(table: PredictionTable) -> tuple[list[str], float | None]:
    answers = [(path, video) for seed in table.seeds for path, video in table.by_seed[seed].items()]
    rows = [row for _, video in answers for row in video.rows]
    if table.head in {"label", "step_labels"}:
        known = [row for row in rows if row["label"]]
        if not known:
            return [], None
        scores = np.array([float(row["score"]) for row in known])
        right = np.array([row["predicted"] == row["label"] for row in known])
        bins, what = reliability(scores, right), "steps" if table.head == "step_labels" else "answers"
        curve = risk_coverage(scores, right)
        return [charts.reliability_chart(bins, what=what), charts.risk_chart(curve, what=what)], bins.error
    if "multilabel" in table.head:
        return _charts_of_sets(table)
    if "regression" in table.head:
        known = [row for row in rows if row["target"]]
        if not known:
            return [], None
        truth, predicted = (np.array([float(row[name]) for row in known]) for name in ("target", "predicted"))
        return [charts.scatter_chart(truth, predicted), charts.error_chart(predicted - truth)], None
    return [], None


def _charts_of_sets(table: PredictionTable) -> tuple[list[str], float | None]:
    """Each class of each row is a decision, and its probability should be the share of those that are true."""
    videos = [video for seed in table.seeds for video in table.by_seed[seed].values()]
    rows = [row for video in videos for row in video.rows]
    scores = np.concatenate([np.stack(video.probabilities) for video in videos])
    numbers = {name: number for number, name in enumerate(table.labels)}
    true, known = np.zeros(scores.shape, dtype=bool), np.ones(scores.shape, dtype=bool)
    for place, row in enumerate(rows):
        true[place, [numbers[name] for name in names_in(row["labels"])]] = True
        known[place, [numbers[name] for name in names_in(row.get("unseen", ""))]] = False
    if not known.any():
        return [], None
    bins = reliability(scores[known], true[known])
    return [charts.reliability_chart(bins, what="decisions")], bins.error


def disagreement(run: Run, found: Findings) -> str:
    """A warning where predictions.csv and the figures beside it are not of one run; empty where they are."""
    differences = _differences(run, found) if run.verb in {"crossval", "evaluate"} else []
    if not differences:
        return ""
    return (
        f"predictions.csv gives {' and '.join(differences)}: they are of different runs, or one of the two was changed "
        "or cut off. Run the command again that made them."
    )


def _differences(run: Run, found: Findings) -> list[str]:
    claimed, measured = run.value, found.remeasured
    if run.table is None or measured is None:
        return []
    differences = []
    if abs(claimed - measured) > _TOLERANCE * max(1.0, abs(claimed)):  # never of nan
        differences.append(f"{measured:.3f} where the figures beside it say {claimed:.3f}")
    n = run.figures.get("n")
    if isinstance(n, int) and found.num_measured is not None and n != found.num_measured:
        differences.append(f"answers for {found.num_measured} where the figures beside it are of {n}")
    seeds = run.figures.get("seeds")
    num_seeds = len(run.table.seeds)
    if isinstance(seeds, list) and run.table.has_groups and len(seeds) != num_seeds:
        differences.append(f"answers of {num_seeds} of the {len(seeds)} seeds that the figures beside it are of")
    return differences
