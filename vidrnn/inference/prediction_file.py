"""The file that ``classify`` writes: a row per video, and beside it which model made them, so that no two are mixed."""

import csv
import errno
import hashlib
import io
import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path

from vidrnn.atomic import write_atomically
from vidrnn.errors import ConfigError
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.prediction_cells import as_text, csv_row
from vidrnn.inference.prediction_parquet import (
    ROWS,
    SUFFIX,
    holds_predictions,
    read_as_csv,
    require_pyarrow,
    rows_beside,
    write_parquet,
)
from vidrnn.inference.prediction_rows import COLUMNS
from vidrnn.json_text import parse_json
from vidrnn.names import original, quoted, writable_values
from vidrnn.settings.model import Head
from vidrnn.settings.outputs import refuse_foreign

_FIRST_COLUMNS = b"path,status,"
Origin = Mapping[str, str | float | None]


def origin_of(model: Path, *, unknown_below: float | None, frame_rate: float | None) -> Origin:
    """What decides a prediction: the content of the model file, its threshold, and the rate of frame folders."""
    with model.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"model": digest[:12], "unknown_below": unknown_below, "frame_rate": frame_rate}


def _origin_file(path: Path) -> Path:
    return path.with_name(f"{path.name.removesuffix(ROWS)}.origin.json")


def _refuse_other_origin(path: Path, origin: Origin) -> None:
    """Files of earlier versions have no origin beside them and are taken as they are."""
    beside = _origin_file(path)
    if not beside.exists():
        return
    try:
        known = parse_json(beside.read_text(encoding="utf-8"))
        others = [
            f"{name} {known.get(name)!r}, now {value!r}" for name, value in origin.items() if known.get(name) != value
        ]
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{quoted(beside)} is damaged ({error}); delete it, or leave --resume out") from error
    if others:
        raise ConfigError(
            f"--resume: {quoted(path)} holds predictions of another origin ({'; '.join(others)}), which would be mixed "
            "with these; name another --output, or leave --resume out to begin anew"
        )


def _refuse_foreign(path: Path) -> None:
    """Refuse to replace, or to continue, what is no file of predictions; a header that was cut off is one."""
    is_ours = holds_predictions(path) if path.suffix == SUFFIX else _begins_like_ours(path)
    refuse_foreign(path, is_ours=is_ours, what="holds no predictions")


def _begins_like_ours(path: Path) -> bool:
    with path.open("rb") as file:
        first = file.readline()
    whole, text = first.endswith(b"\n"), first.rstrip(b"\r\n")
    if path.suffix == ".jsonl":
        return _is_prediction(text) if whole else _begins_as(text, b'{"path": ')
    return text.startswith(_FIRST_COLUMNS) if whole else _begins_as(text, _FIRST_COLUMNS)


def _begins_as(text: bytes, wanted: bytes) -> bool:
    return text[: len(wanted)] == wanted[: len(text)]


def _is_prediction(line: bytes) -> bool:
    try:
        row = parse_json(line)
    except ValueError:
        return False
    return isinstance(row, dict) and row.keys() >= {"path", "status"}


def _refuse_other_columns(path: Path, header: list[str]) -> None:
    there = next(csv.reader(io.StringIO(_whole_rows(path).decode(), newline="")), header)
    if there != header:
        raise ConfigError(
            f"--resume: {quoted(path)} has the columns {', '.join(there)}, and rows would have {', '.join(header)}; "
            "name another --output, or leave --resume out to begin anew"
        )


def _whole_rows(path: Path) -> bytes:
    """The rows of whole videos: what a kill, a power loss or a full disk cut off is left out.

    With a row that was cut off goes the rest of its video, which may have several. In a file that was not closed the
    last video may lack rows, and no row tells, so it goes too.
    """
    if path.suffix == SUFFIX:
        rows = rows_beside(path)
        return _whole_rows(rows) if rows.exists() else read_as_csv(path)
    content = path.read_bytes()
    if path.suffix == ".jsonl":
        return content[: content.rfind(b"\n") + 1]
    ends, position, quotes = [0], 0, 0
    for line in content.splitlines(keepends=True):
        position, quotes = position + len(line), quotes + line.count(b'"')
        if line.endswith(b"\n") and quotes % 2 == 0:  # else a line break within a cell
            ends.append(position)
    cut_off = content[ends[-1] :]
    if not cut_off and len(ends) > 2 and b"start" in content[: ends[1]].strip().split(b",") and not _is_closed(path):
        cut_off = _first_cell(content[ends[-2] : ends[-1]])
    while cut_off and len(ends) > 2:
        cell = _first_cell(content[ends[-2] : ends[-1]])
        if cell[: len(cut_off)] != cut_off[: len(cell)]:
            break
        ends.pop()
    return content[: ends[-1]]


def _is_closed(path: Path) -> bool:
    """Whether the run that wrote the file came to its end, and nobody has changed its length since."""
    try:
        return bool(parse_json(_origin_file(path).read_text(encoding="utf-8"))["bytes"] == path.stat().st_size)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _without(content: bytes, paths: Collection[str], *, json_lines: bool) -> bytes:
    """Whole rows without the rows of some videos."""
    text = content.decode()
    if json_lines:
        lines = [line for line in text.split("\n") if line and original(parse_json(line)["path"]) not in paths]
        return "".join(f"{line}\n" for line in lines).encode()
    rows = list(csv.reader(io.StringIO(text, newline="")))
    kept = [row for row in rows if not row or original(row[0]) not in paths]
    if len(kept) == len(rows):
        return content
    written = io.StringIO(newline="")
    csv.writer(written).writerows(kept)
    return written.getvalue().encode()


def _first_cell(row: bytes) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow([next(csv.reader(io.StringIO(row.decode(), newline="")))[0], ""])
    return text.getvalue().rstrip("\r\n").encode()


class PredictionWriter:
    """Writes rows as they come, so that a stop loses nothing. Context manager.

    A file of predictions that is there is begun anew, unless ``append`` says otherwise; any other file is refused.

    The rows of a video are written at once, without a buffer. What a kill, a power loss or a full disk cut off is
    removed before a file is continued. Names are `vidrnn.names.writable`.

    A .csv has the columns path, status, the columns of the head, lacking (only for several streams), error. A video has
    one row, or one per segment. A .jsonl has one object per video, with a list ``segments`` from heads that answer at
    every step. A .parquet has the columns of a .csv; it is written when the block ends without an error, from rows that
    are kept beside it until then (`vidrnn.inference.prediction_parquet`).

    Args:
        path: the file.
        head: what is answered.
        several_streams: whether a video can lack one.
        append: keep the rows that are there.
        again: paths of videos that are predicted anew; their rows, from failures, are not kept.
        origin: what makes the predictions; kept in ``PATH.origin.json``, with the length of the file once it is
            closed. None keeps nothing.

    Raises:
        ConfigError: the file's suffix is another; a .parquet, and pyarrow is not installed; the file is there and holds
            no predictions; the rows to keep are of another origin or have other columns.
    """

    def __init__(
        self,
        path: Path,
        *,
        head: Head = "label",
        several_streams: bool = False,
        append: bool = False,
        again: Iterable[str] = (),
        origin: Origin | None = None,
    ) -> None:
        if path.suffix not in {".csv", ".jsonl", SUFFIX}:
            raise ConfigError(f"--output {quoted(path)}: give a file that ends in .csv, .jsonl or .parquet")
        if path.suffix == SUFFIX:
            require_pyarrow()
        self._given = path  # and the file that is written row by row
        self._path = rows_beside(path) if path.suffix == SUFFIX else path
        there = [place for place in {path, self._path} if place.exists()]
        for place in there:
            _refuse_foreign(place)
        self._origin, self._again = origin, frozenset(again)
        self._append = append and bool(there)
        if self._append and origin is not None:
            _refuse_other_origin(path, origin)
        self._columns, self._lacking = COLUMNS[head], several_streams
        self._header = ["path", "status", *self._columns, *(["lacking"] if several_streams else []), "error"]
        if self._append and path.suffix != ".jsonl":
            _refuse_other_columns(path, self._header)
        self._file: FileIO | None = None

    def __enter__(self) -> Callable[[Prediction], None]:
        """Open the file and return the function that writes a row."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        there = _whole_rows(self._given) if self._append else b""
        self._keep_origin({})
        if self._append and not self._path.exists():
            write_atomically(self._path, there)
        if (kept := _without(there, self._again, json_lines=self._path.suffix == ".jsonl")) != there:
            write_atomically(self._path, kept)
            there = kept
        self._file = self._path.open("ab" if self._append else "wb", buffering=0)
        self._file.truncate(len(there))
        if self._path.suffix != ".jsonl" and not there:
            self._put(csv_row(self._header))
        return self._write

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        """Close the file, and note that all in it is whole; the rows of a .parquet become one."""
        assert self._file is not None
        length = self._file.seek(0, os.SEEK_END)
        self._file.close()
        with suppress(OSError):  # without the note, the last video is made again
            self._keep_origin({"bytes": length})
        if self._given != self._path and kind is None:
            write_parquet(self._path, self._given)
            self._path.unlink()

    def _keep_origin(self, more: Mapping[str, int]) -> None:
        if self._origin is not None:
            values = {**self._origin, **more}
            write_atomically(_origin_file(self._path), (json.dumps(values, indent=1) + "\n").encode())

    def _write(self, prediction: Prediction) -> None:
        self._put(self._as_json(prediction) if self._path.suffix == ".jsonl" else self._as_csv(prediction))

    def _put(self, rows: str) -> None:
        """Append whole rows, or nothing. Raises OSError."""
        assert self._file is not None
        content = rows.encode()
        before = self._file.seek(0, os.SEEK_END)
        if self._file.write(content) != len(content):
            self._file.truncate(before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))

    def _as_json(self, prediction: Prediction) -> str:
        row = prediction.to_dict()
        if not self._lacking:
            del row["lacking"]
        return json.dumps(writable_values(row), ensure_ascii=False) + "\n"

    def _as_csv(self, prediction: Prediction) -> str:
        rows = []
        for row in prediction.rows or ({},):
            values = [as_text(name, row.get(name)) for name in self._columns]
            values += ["|".join(prediction.lacking)] if self._lacking else []
            rows.append(csv_row([prediction.path, prediction.status, *values, prediction.error or ""]))
        return "".join(rows)


def finished_paths(path: Path) -> set[str]:
    """Videos that an earlier, interrupted run has finished; empty when there is no file."""
    if not path.exists() and not (path.suffix == SUFFIX and rows_beside(path).exists()):
        return set()
    text = _whole_rows(path).decode()
    if path.suffix == ".jsonl":
        rows = [parse_json(line) for line in text.split("\n") if line]
    else:
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    return {original(row["path"]) for row in rows if row.get("status") == "ok" and row.get("path")}
