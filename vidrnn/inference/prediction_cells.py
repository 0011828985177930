"""The cells of a row of predictions, as text."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from vidrnn.names import writable

NUMBERS = frozenset({"start", "end", "score", "target"})
"""Columns of numbers; all others hold text."""


def csv_row(cells: Iterable[str]) -> str:
    """A line of CSV; names are `vidrnn.names.writable`."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow(map(writable, cells))
    return text.getvalue()


def as_text(name: str, value: Any) -> str:  # noqa: ANN401  texts, numbers and lists of either
    """The value of a column."""
    if value is None:
        return ""
    if name == "top_k":
        return "|".join(f"{label}:{score:.6f}" for label, score in value)
    if name == "labels":
        return "|".join(value)
    return value if isinstance(value, str) else f"{value:.6f}" if name == "score" else f"{value:.9g}"
