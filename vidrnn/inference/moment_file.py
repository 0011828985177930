"""The table that ``vidrnn search`` writes: a row for each moment that was found."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from vidrnn.atomic import write_atomically
from vidrnn.errors import ConfigError
from vidrnn.names import quoted, writable
from vidrnn.retrieval.index import Moment
from vidrnn.settings.outputs import refuse_foreign

COLUMNS = ("rank", "similarity", "path", "start", "end", "store")


def refuse_other_table(path: Path) -> None:
    """Refuse a file that is there and is no such table, before any work is done. Raises ConfigError, OSError."""
    if path.suffix.lower() != ".csv":
        raise ConfigError(f"--output {quoted(path)}: give a file that ends in .csv")
    if path.exists():
        is_ours = path.is_file() and path.read_bytes().startswith(",".join(COLUMNS).encode())
        refuse_foreign(path, is_ours=is_ours, what="holds no moments")


def write_moments(path: Path, found: Iterable[tuple[Path, Moment]]) -> None:
    """Write the whole table or nothing; times in seconds. Raises OSError."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for rank, (store, moment) in enumerate(found, start=1):
        times = (f"{moment.start_s:.3f}", f"{moment.end_s:.3f}")
        writer.writerow([rank, f"{moment.similarity:.4f}", writable(moment.path), *times, writable(str(store))])
    write_atomically(path, text.getvalue().encode())
