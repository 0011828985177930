"""What a model says about one video, for programs and for notebooks."""

from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from vidrnn.annotations import BACKGROUND
from vidrnn.inference.prediction_rows import COLUMNS, PredictionRow
from vidrnn.names import writable
from vidrnn.settings.model import Head

_ROWS_SHOWN = 20  # of a table in a notebook


@dataclass(frozen=True, repr=False)
class Prediction:
    """What a model says about one video.

    Attributes:
        path: as it was given, or found in a folder.
        status: ``ok`` or ``failed``.
        rows: one, or one per segment from heads that answer at every step; their keys are
            `vidrnn.inference.prediction_rows.COLUMNS`.
        error: the cause when failed.
        lacking: streams of the model that the video does not have; the others decided.
        head: what the model answers.
        classes: their names, in the order of ``probabilities``.
        probabilities: (C,) of heads ``label`` and ``multilabel``, (T, C) of ``step_labels`` and
            ``step_multilabel``, None of the others and when failed.
        bounds_s: (T + 1,) seconds, where the T steps of the video begin and where the last one ends; None when failed.
    """

    path: str
    status: str
    rows: tuple[PredictionRow, ...] = ()
    error: str | None = None
    lacking: tuple[str, ...] = ()
    head: Head = "label"
    classes: tuple[str, ...] = field(default=(), compare=False)
    probabilities: npt.NDArray[np.float64] | None = field(default=None, compare=False)
    bounds_s: npt.NDArray[np.float64] | None = field(default=None, compare=False)

    @property
    def label(self) -> str | None:
        """The class, or ``unknown``, from a model of head ``label``; None from others and when failed."""
        return self.rows[0]["label"] if self.head == "label" and self.rows else None

    @property
    def score(self) -> float | None:
        """The probability of the likeliest class, from a model of head ``label``; None as for `label`."""
        return self.rows[0]["score"] if self.head == "label" and self.rows else None

    @property
    def labels(self) -> tuple[str, ...]:
        """All predicted classes: one, several from ``multilabel``, a transcript, or one for each segment."""
        found: list[str] = []
        for row in self.rows:
            found += row["labels"] if "labels" in row else [row["label"]] if "label" in row else []
        return tuple(found)

    @property
    def target(self) -> float | None:
        """The number, from a model of head ``regression``; None from others and when failed."""
        return self.rows[0]["target"] if self.head == "regression" and self.rows else None

    @property
    def scores(self) -> dict[str, float]:
        """Class to probability, the likeliest first, from heads ``label`` and ``multilabel``; empty from others."""
        if self.probabilities is None or self.probabilities.ndim != 1:
            return {}
        order = np.argsort(-self.probabilities, kind="stable").tolist()
        return {self.classes[position]: float(self.probabilities[position]) for position in order}

    @property
    def segments(self) -> tuple[PredictionRow, ...]:
        """From heads that answer at every step: ``start`` and ``end`` in seconds, and the class or number between."""
        return self.rows if "start" in COLUMNS[self.head] else ()

    @property
    def steps(self) -> tuple[PredictionRow, ...]:
        """As `segments`, but one for every step, also where nothing happens.

        From ``step_multilabel`` they have ``labels``, the classes that go on, in place of ``label`` and ``score``.
        """
        if self.probabilities is None or self.bounds_s is None or not self.head.startswith("step_"):
            return self.segments
        going: list[list[str]] = [[] for _ in self.bounds_s[1:]]
        for row in self.rows:
            first, last = np.searchsorted(self.bounds_s, [row["start"], row["end"]]).tolist()
            for names in going[first:last]:
                names.append(row["label"])
        spans = zip(self.bounds_s[:-1], self.bounds_s[1:], going, self.probabilities, strict=True)
        if self.head == "step_multilabel":
            return tuple(
                {"start": float(start), "end": float(end), "labels": sorted(names)} for start, end, names, _ in spans
            )
        return tuple(
            {
                "start": float(start),
                "end": float(end),
                "label": (label := names[0] if names else BACKGROUND),
                "score": float(scores[self.classes.index(label)]),
            }
            for start, end, names, scores in spans
        )

    def to_dict(self) -> dict[str, Any]:
        """What `vidrnn classify` writes as a line of a .jsonl, always with ``lacking``; `json.dumps` takes it."""
        row: dict[str, Any] = {"path": self.path, "status": self.status}
        if "start" in COLUMNS[self.head]:
            row["segments"] = [_rounded(segment) for segment in self.rows] if self.error is None else None
        else:
            row |= self.rows[0] if self.rows else dict.fromkeys(COLUMNS[self.head])
        return row | {"lacking": list(self.lacking), "error": self.error}

    def __repr__(self) -> str:
        return writable(f"<{self.path}: {self._summary()}>")

    def _summary(self) -> str:
        if self.error is not None:
            return f"failed, {self.error}"
        text = "; ".join(_words(row) for row in self.rows[:_ROWS_SHOWN]) or "nothing"
        more = len(self.rows) - _ROWS_SHOWN
        without = f" (without {', '.join(self.lacking)})" if self.lacking else ""
        return text + (f"; and {more} more" if more > 0 else "") + without

    def _repr_html_(self) -> str:
        """A small table, which notebooks show."""
        return writable(self._table())

    def _table(self) -> str:
        title = f"<b>{escape(self.path)}</b>"
        if self.error is not None:
            return f"{title}<br>failed: {escape(self.error)}"
        header: tuple[str, ...]
        rows: list[tuple[str, ...]]
        if self.scores:
            header, rows = ("class", "score"), [(name, f"{score:.3f}") for name, score in self.scores.items()]
        else:
            header = COLUMNS[self.head]
            rows = [tuple(_text(row[name]) for name in header) for row in self.rows]
        lines = [title, f"says {escape(', '.join(self.labels) or 'nothing')}"] if self.scores else [title]
        lines += [f"without {escape(', '.join(self.lacking))}"] if self.lacking else []
        lines += [f"the first {_ROWS_SHOWN} of {len(rows)}"] if len(rows) > _ROWS_SHOWN else []
        cells = [_row(header, "th"), *(_row(row, "td") for row in rows[:_ROWS_SHOWN])]
        return f"{'<br>'.join(lines)}<table>{''.join(cells)}</table>"


def _rounded(row: PredictionRow) -> PredictionRow:
    """With times to 9 digits, as in a CSV: 6.8, not 6.800000000000001."""
    return {**row, **{name: float(f"{row[name]:.9g}") for name in ("start", "end")}}


def _words(row: PredictionRow) -> str:
    values = {name: _text(value) for name, value in row.items() if name != "top_k"}
    when = f"{values.pop('start')} to {values.pop('end')} s: " if "start" in values else ""
    return when + " ".join(value for value in values.values() if value)


def _text(value: Any) -> str:  # noqa: ANN401  a text, a number or a list of texts
    if isinstance(value, list):
        return ", ".join(value)
    return value if isinstance(value, str) else f"{value:.3f}"


def _row(cells: tuple[str, ...], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"
