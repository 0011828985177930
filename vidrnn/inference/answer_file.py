"""The file that ``classify`` writes: a row per video, and beside it what answered, so that no two models are mixed."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from vidrnn.atomic import write_atomically
from vidrnn.errors import ConfigError
from vidrnn.inference.answers import COLUMNS, Answer
from vidrnn.settings.model import Head

Origin = Mapping[str, str | float | None]


@dataclass(frozen=True)
class Prediction:
    """The answer for one video.

    Attributes:
        path: as found on disk.
        status: ``ok`` or ``failed``.
        answers: one, or one per segment from heads that answer at every step; see `vidrnn.inference.answers.COLUMNS`.
        error: the cause when failed.
        lacking: streams of the model that the video does not have; it was answered from the others.
    """

    path: str
    status: str
    answers: tuple[Answer, ...] = ()
    error: str | None = None
    lacking: tuple[str, ...] = ()


def origin_of(model: Path, *, unknown_below: float | None, frame_rate: float | None) -> Origin:
    """What decides an answer: the content of the model file, the threshold that is used, the rate of frame folders."""
    with model.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"model": digest[:12], "unknown_below": unknown_below, "frame_rate": frame_rate}


def _origin_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.origin.json")


def _refuse_other_origin(path: Path, origin: Origin) -> None:
    """Files of earlier versions have no origin beside them and are taken as they are."""
    beside = _origin_file(path)
    if not beside.exists():
        return
    try:
        known = json.loads(beside.read_text(encoding="utf-8"))
        others = [
            f"{name} {known.get(name)!r}, now {value!r}" for name, value in origin.items() if known.get(name) != value
        ]
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{str(beside)!r} is damaged ({error}); delete it, or leave --resume out") from error
    if others:
        raise ConfigError(
            f"--resume: {str(path)!r} holds answers of another origin ({'; '.join(others)}), which would be mixed with "
            "these; name another --output, or leave --resume out to begin anew"
        )


def _refuse_other_columns(path: Path, header: list[str]) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        there = next(csv.reader(file), header)
    if there != header:
        raise ConfigError(
            f"--resume: {str(path)!r} has the columns {', '.join(there)}, and rows would have {', '.join(header)}; "
            "name another --output, or leave --resume out to begin anew"
        )


class PredictionWriter:
    """Writes rows as they come, so that a stop loses nothing. Context manager.

    A .csv has the columns path, status, those of the head, lacking (only for several streams), error; a video has one
    row, or one per segment. A .jsonl has one object per video, with a list ``segments`` from heads that answer at every
    step.

    Args:
        path: the file.
        head: what is answered.
        several_streams: whether a video can lack one.
        append: keep the rows that are there.
        origin: what answers; kept in ``PATH.origin.json``. None keeps nothing.

    Raises:
        ConfigError: the file's suffix is neither .csv nor .jsonl, or the rows to keep are of another origin or have
            other columns.
    """

    def __init__(
        self,
        path: Path,
        *,
        head: Head = "label",
        several_streams: bool = False,
        append: bool = False,
        origin: Origin | None = None,
    ) -> None:
        if path.suffix not in {".csv", ".jsonl"}:
            raise ConfigError(f"--output {str(path)!r}: give a file that ends in .csv or .jsonl")
        self._path = path
        self._origin = origin
        if append and path.exists() and origin is not None:
            _refuse_other_origin(path, origin)
        self._columns, self._in_segments, self._lacking = COLUMNS[head], "start" in COLUMNS[head], several_streams
        self._header = ["path", "status", *self._columns, *(["lacking"] if several_streams else []), "error"]
        self._append = append and path.exists()
        if self._append and path.suffix == ".csv":
            _refuse_other_columns(path, self._header)
        self._file: IO[str] | None = None

    def __enter__(self) -> Callable[[Prediction], None]:
        """Open the file and return the function that writes a row."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._origin is not None:
            write_atomically(_origin_file(self._path), (json.dumps(dict(self._origin), indent=1) + "\n").encode())
        self._file = self._path.open("a" if self._append else "w", newline="", encoding="utf-8")
        if self._path.suffix == ".csv" and not self._append:
            csv.writer(self._file).writerow(self._header)
        return self._write

    def __exit__(self, *_error: object) -> None:
        """Close the file."""
        assert self._file is not None
        self._file.close()

    def _write(self, prediction: Prediction) -> None:
        assert self._file is not None
        self._file.write(self._as_json(prediction) if self._path.suffix == ".jsonl" else self._as_csv(prediction))
        self._file.flush()

    def _as_json(self, prediction: Prediction) -> str:
        row: dict[str, Any] = {"path": prediction.path, "status": prediction.status}
        if self._in_segments:
            row["segments"] = list(prediction.answers) if prediction.error is None else None
        else:
            row |= prediction.answers[0] if prediction.answers else dict.fromkeys(self._columns)
        row |= {"lacking": list(prediction.lacking)} if self._lacking else {}
        return json.dumps(row | {"error": prediction.error}, ensure_ascii=False) + "\n"

    def _as_csv(self, prediction: Prediction) -> str:
        text = io.StringIO()
        writer = csv.writer(text)
        for answer in prediction.answers or ({},):
            values = [_as_text(name, answer.get(name)) for name in self._columns]
            values += ["|".join(prediction.lacking)] if self._lacking else []
            writer.writerow([prediction.path, prediction.status, *values, prediction.error or ""])
        return text.getvalue()


def _as_text(name: str, value: Any) -> str:  # noqa: ANN401  texts, numbers and lists of either
    if value is None:
        return ""
    if name == "top_k":
        return "|".join(f"{label}:{score:.6f}" for label, score in value)
    if name == "labels":
        return "|".join(value)
    return value if isinstance(value, str) else f"{value:.6f}" if name == "score" else f"{value:.9g}"


def finished_paths(path: Path) -> set[str]:
    """Videos that an earlier, interrupted run has already answered; empty when there is no file."""
    if not path.exists():
        return set()
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            rows = [json.loads(line) for line in file if line.endswith("}\n")]
        else:
            rows = list(csv.DictReader(file))
    return {row["path"] for row in rows if row.get("status") == "ok"}
