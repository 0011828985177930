"""The table that ``vidrnn suggest`` writes: a row for each video, the one to label first on top."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from vidrnn.atomic import write_atomically
from vidrnn.errors import ConfigError
from vidrnn.experiments.suggest import Suggestion
from vidrnn.names import quoted, writable
from vidrnn.settings.outputs import refuse_foreign

COLUMNS = ("path", "rank", "score", "uncertainty", "label", "distance", "reason")
"""``path`` as in the annotations; ``label`` is the likeliest class by the model, not the truth."""


def refuse_other_table(path: Path) -> None:
    """Refuse a file that is there and is no such table, before any work is done. Raises ConfigError, OSError."""
    if path.suffix.lower() != ".csv":
        raise ConfigError(f"--output {quoted(path)}: give a file that ends in .csv")
    if path.exists():
        is_ours = path.is_file() and path.read_bytes().startswith(",".join(COLUMNS).encode())
        refuse_foreign(path, is_ours=is_ours, what="holds no suggestions")


def write_suggestions(path: Path, rows: Sequence[Suggestion]) -> None:
    """Write the whole table or nothing. Raises OSError."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in rows:
        numbers = ["" if value is None else f"{value:.6g}" for value in (row.score, row.uncertainty, row.distance)]
        writer.writerow([writable(row.path), row.rank, *numbers[:2], row.label or "", numbers[2], row.reason])
    write_atomically(path, text.getvalue().encode())
