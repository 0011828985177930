"""The verb ``vidrnn runs``: which runs there are, with their numbers."""

import csv
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidrnn.errors import ConfigError, ExitCode
from vidrnn.names import writable

if TYPE_CHECKING:
    from vidrnn.reporting.run_table import RunRow


def runs(
    folders: Annotated[list[Path], typer.Argument(help="Folders that hold runs, at any depth.")],
    sort: Annotated[str, typer.Option(help="name, date (the newest first) or number (the best first).")] = "name",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets.")] = False,
) -> int:
    """List the runs below a folder: what each is, its number with the interval, and the best baseline beside it."""
    if as_json and as_csv:
        raise ConfigError("give one of --json and --csv")
    from vidrnn.bars import on_screen
    from vidrnn.reporting.run_table import find_runs, in_order

    if sort not in {"name", "date", "number"}:
        raise ConfigError(f"--sort {sort!r}: allowed are name, date, number")
    found, damaged = find_runs(folders, bar=on_screen)
    rows = in_order(found, sort)  # type: ignore[arg-type]  # one of the three
    if as_json:
        print(json.dumps([row.as_dict() for row in rows], indent=2))
    elif as_csv:
        _print_csv(rows)
    else:
        print(
            _table(rows) if rows else "no runs; `vidrnn train`, `crossval`, `evaluate`, `tune` and `compare` write some"
        )
    for row in rows:
        for problem in row.problems:
            print(f"note: {writable(row.name)}: {problem}", file=sys.stderr)
    for problem in damaged:
        print(f"damaged: {problem}", file=sys.stderr)
    return ExitCode.SOME_FAILED if damaged else ExitCode.OK


def _print_csv(rows: "list[RunRow]") -> None:
    from vidrnn.reporting.run_table import RunRow

    writer = csv.DictWriter(sys.stdout, list(RunRow.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        values = row.as_dict()
        writer.writerow(values | {"name": writable(row.name), "problems": "; ".join(row.problems)})


def _table(rows: "list[RunRow]") -> str:
    from vidrnn.evaluation.report import format_table

    header = ["run", "made by", "date", "head", "streams", "cell", "data", "videos", "classes", "figure", "number"]
    header += ["95 % interval", "baseline", "vidrnn"]
    return format_table(header, [_cells(row) for row in rows])


def _cells(row: "RunRow") -> list[str]:
    interval = "" if math.isnan(row.low) else f"{row.low:.3f} to {row.high:.3f}"
    baseline = "" if math.isnan(row.baseline_number) else f"{row.baseline} {row.baseline_number:.3f}"
    return [
        *(writable(row.name), row.kind, row.date, row.head, row.streams, row.cell, row.data),
        *("" if count is None else str(count) for count in (row.videos, row.classes)),
        *(row.figure, "" if math.isnan(row.number) else f"{row.number:.3f}", interval, baseline, row.version),
    ]
