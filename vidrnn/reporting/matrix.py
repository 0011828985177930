"""What is confused with what: counts in cells, and behind each cell its clips, bounded for any number of classes."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from vidrnn.reporting.clips import EXTRA, MISSED, Clip, Decision

MOST_CLASSES = 32
"""Classes with a row of their own; those with the most mistakes, and the others together in one."""
MOST_CLIPS = 24
"""Clips that are listed behind a cell."""
_MOST_LISTED = 3000  # clips behind all cells together
MOST_PAIRS = 12
"""Confusions that are listed beside the matrix."""


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        row, column: positions.
        count: answers, or steps.
        share: of the row.
        clips: the heaviest, at most `MOST_CLIPS`.
        num_clips: how many there are.
    """

    row: int
    column: int
    count: float
    share: float
    clips: tuple[Clip, ...]
    num_clips: int


@dataclass(frozen=True)
class Matrix:
    """Rows are the truth.

    Attributes:
        rows, columns: names; the last may stand for several classes.
        is_square: whether columns are classes too; else they say what became of a class.
        cells: those with a count, by position.
        unit: what is counted: ``answers`` or ``steps``.
        num_others: classes that have no row of their own.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    is_square: bool
    cells: dict[tuple[int, int], Cell]
    unit: str
    num_others: int

    def is_right(self, row: int, column: int) -> bool:
        """Whether the answers of a cell are right; of classes that were put together nobody knows."""
        return row == column if self.is_square else self.columns[column] not in {MISSED, EXTRA}

    @property
    def pairs(self) -> list[Cell]:
        """The most frequent mistakes between classes of their own, the worst first."""
        named = range(len(self.rows) - (1 if self.num_others else 0))
        wrong = [
            cell
            for (row, column), cell in self.cells.items()
            if not self.is_right(row, column) and row in named and (column in named or not self.is_square)
        ]
        return sorted(wrong, key=lambda cell: (-cell.count, -cell.share))[:MOST_PAIRS]


def make_matrix(
    decisions: Sequence[Decision], labels: Sequence[str], *, columns: Sequence[str] | None, unit: str
) -> Matrix | None:
    """Sort decisions into cells; None where there are none.

    Args:
        decisions: of all clips.
        labels: class names, in their order.
        columns: names of the columns; None: the classes too.
        unit: what the weights count.
    """
    if not decisions:
        return None
    chosen = _chosen(decisions, labels)
    num_others = len(labels) - len(chosen)
    rows = (*chosen, f"{num_others} other classes") if num_others else tuple(chosen)
    is_square = columns is None
    columns = rows if columns is None else columns
    row_of = {name: number for number, name in enumerate(chosen)}
    column_of = row_of if is_square else {name: number for number, name in enumerate(columns)}
    clips: defaultdict[tuple[int, int], list[Clip]] = defaultdict(list)
    for decision in decisions:
        place = row_of.get(decision.row, len(chosen)), column_of.get(decision.column, len(chosen))
        clips[place].append(decision.clip)
    counts = {place: sum(clip.weight for clip in found) for place, found in clips.items()}
    sums: defaultdict[int, float] = defaultdict(float)
    for (row, column), count in counts.items():
        if is_square or columns[column] != EXTRA:
            sums[row] += count
    ordered = sorted(clips, key=lambda place: (place[0] == place[1] and is_square, -counts[place]))
    listed, cells = 0, {}
    for place in ordered:
        heaviest = sorted(clips[place], key=lambda clip: (-clip.weight, -(clip.score or 0.0)))
        most = max(min(MOST_CLIPS, _MOST_LISTED - listed), 0)
        listed += min(len(heaviest), most)
        share = counts[place] / max(sums[place[0]], 1)
        cells[place] = Cell(*place, counts[place], min(share, 1.0), tuple(heaviest[:most]), len(heaviest))
    return Matrix(rows, tuple(columns), is_square, cells, unit, num_others)


def _chosen(decisions: Sequence[Decision], labels: Sequence[str]) -> list[str]:
    """The classes that get a row: all, or those with the most mistakes."""
    if len(labels) <= MOST_CLASSES:
        return list(labels)
    mistakes = Counter[str]()
    for decision in decisions:
        if not decision.clip.is_right:
            mistakes.update({decision.row: decision.clip.weight, decision.column: decision.clip.weight})
    known = set(labels)
    worst = {name for name, _ in mistakes.most_common() if name in known}
    kept = set(sorted(worst, key=lambda name: (-mistakes[name], name))[: MOST_CLASSES - 1])
    kept |= set([name for name in labels if name not in kept][: MOST_CLASSES - 1 - len(kept)])
    return [name for name in labels if name in kept]
