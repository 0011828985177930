"""Predictions as a Parquet file. A file of that kind can only be written at a stretch.

So rows are kept as CSV beside it while they come, in ``NAME.parquet.rows.csv``. When all are there, they become the
Parquet file, whole or not at all, and the CSV goes. After a kill it stays, and whoever resumes goes on with it.
"""

import csv
import importlib.util
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from vidrnn.atomic import replacing_path
from vidrnn.errors import ConfigError
from vidrnn.inference.prediction_cells import NUMBERS, as_text, csv_row
from vidrnn.names import original, quoted

SUFFIX = ".parquet"
ROWS = ".rows.csv"
_AT_A_TIME = 65_536  # rows of a group
_FIRST_COLUMNS = ["path", "status"]


def require_pyarrow() -> None:
    """Raises ConfigError where it is not installed."""
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigError("--output NAME.parquet needs pyarrow; pip install 'vidrnn[parquet]', or write a .csv")


def rows_beside(path: Path) -> Path:
    """Where the rows are kept while they come."""
    return path.with_name(f"{path.name}{ROWS}")


def holds_predictions(path: Path) -> bool:
    """Whether a file is one of predictions."""
    from pyarrow import ArrowException
    from pyarrow.parquet import read_schema

    try:
        return bool(read_schema(path).names[:2] == _FIRST_COLUMNS)
    except (ArrowException, OSError):
        return False


def write_parquet(rows: Path, target: Path) -> None:
    """Write the rows of a CSV as Parquet; numbers are doubles, all else is text, and empty cells are null.

    Raises:
        OSError: it cannot be written.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    with rows.open(newline="", encoding="utf-8") as file, replacing_path(target) as temporary:
        reader = csv.reader(file)
        names = next(reader)
        types = {name: pa.float64() if name in NUMBERS else pa.string() for name in names}
        schema = pa.schema(list(types.items()))
        with ParquetWriter(temporary, schema) as writer:
            while group := list(islice(reader, _AT_A_TIME)):
                columns = [
                    pa.array([_value(row[place], name) for row in group], types[name])
                    for place, name in enumerate(names)
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def read_as_csv(path: Path) -> bytes:
    """The rows of a Parquet file of predictions as the CSV that they came from.

    Raises:
        ConfigError: the file is damaged, or pyarrow is not installed.
    """
    require_pyarrow()
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    text = io.StringIO(newline="")
    try:
        with ParquetFile(path) as file:
            names = file.schema_arrow.names
            text.write(csv_row(names))
            for batch in file.iter_batches(_AT_A_TIME):
                for row in _cells(batch.to_pydict(), names):
                    text.write(csv_row(row))
    except (ArrowException, OSError, ValueError) as error:
        raise ConfigError(f"{quoted(path)} is no Parquet file of predictions ({error})") from error
    return text.getvalue().encode()


def _value(cell: str, name: str) -> str | float | None:
    if not cell:
        return None
    return float(cell) if name in NUMBERS else cell


def _cells(columns: dict[str, list[Any]], names: Sequence[str]) -> Iterator[list[str]]:
    for values in zip(*(columns[name] for name in names), strict=True):
        cells = (
            as_text("" if isinstance(value, str) else name, value) for name, value in zip(names, values, strict=True)
        )
        yield [original(cell) for cell in cells]  # as `csv_row` takes names
