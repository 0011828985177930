"""What ``vidrnn explain`` writes beside its page: a table of moments, and the check in figures."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vidrnn.atomic import write_atomically
from vidrnn.evaluation.report import write_json
from vidrnn.explanation.explanation import Explanation
from vidrnn.explanation.removal import RemovalSummary
from vidrnn.names import writable

TABLE, FIGURES = "importance.csv", "explanation.json"
COLUMNS = ("path", "label", "score", "truth", "stream", "start", "end", "importance", "attention")
"""Columns of importance.csv; a row for each moment, and for each stream occluded by itself; times in seconds."""


def write_explanations(
    folder: Path,
    explanations: Sequence[Explanation],
    *,
    summary: RemovalSummary | None,
    failed: Mapping[str, str],
    facts: Mapping[str, Any],
) -> tuple[Path, Path]:
    """Write importance.csv and explanation.json.

    Args:
        folder: made when missing.
        explanations: of all videos.
        summary: the check over them.
        failed: path to why a video cannot be explained.
        facts: what else explanation.json says, such as the model and the split.

    Raises:
        OSError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table, figures = folder / TABLE, folder / FIGURES
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for made in explanations:
        names = [writable(name or "") for name in (made.path, made.label, made.truth)]
        first = (*names[:2], f"{made.score:.6g}", names[2])
        for row in made.rows():
            weight = "" if row["attention"] is None else f"{row['attention']:.6g}"
            times = (f"{row['start']:.3f}", f"{row['end']:.3f}")
            writer.writerow([*first, row["stream"], *times, f"{row['importance']:.6g}", weight])
    write_json(  # first: it tells who wrote the folder, also where the table fails
        figures,
        {
            **facts,
            "n": len(explanations),
            "removal": None if summary is None else summary.as_dict(),
            "failed": dict(failed),
            "videos": [_figures(made) for made in explanations],
        },
    )
    write_atomically(table, text.getvalue().encode())
    return table, figures


def _figures(made: Explanation) -> dict[str, Any]:
    """As `Explanation.to_dict`, but for the moments, which are in the table."""
    values = made.to_dict()
    del values["moments"]
    return {**values, "most_important_s": list(made.most_important_s)}
