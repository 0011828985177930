"""Clips as the page shows them: bounded texts, and the number of the filmstrip that belongs to each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from vidrnn.explanation.explanation import Explanation
from vidrnn.explanation.nearest import Neighbour
from vidrnn.names import is_absolute, last_part, writable
from vidrnn.reporting.clips import Clip, Span
from vidrnn.reporting.filmstrips import FRAMES, HEIGHT, Filmstrip, Shown
from vidrnn.reporting.importance_view import AlikeView, ImportanceView, view_of
from vidrnn.reporting.matrix import Matrix

LONGEST_NAME, LONGEST_PATH, LONGEST_TEXT = 60, 120, 160


@dataclass(frozen=True)
class ClipView:
    """A clip in the words of the page.

    Attributes:
        path: shortened in the middle.
        truth, predicted: shortened.
        is_right: whether the two are the same.
        score: two digits, or empty.
        note: what else is worth knowing.
        strip: number of its filmstrip; -1 where there is none.
        width: of that, in pixels.
        room: per cent of a card that it fills: all, or less where there are fewer pictures.
        when: the time that it shows.
        problem: why there is no filmstrip; empty where nobody asked for one.
        why: which moments count for the answer; None where nobody asked.
    """

    path: str
    truth: str
    predicted: str
    is_right: bool
    score: str
    note: str
    strip: int
    width: int
    room: int
    when: str
    problem: str
    why: ImportanceView | None = None

    def as_list(self) -> list[object]:
        """As the script of the page takes it."""
        return [
            *(self.path, self.truth, self.predicted, int(self.is_right), self.score, self.note),
            *(self.strip, self.width, self.room, self.when, self.problem),
        ]


class Strips:
    """The filmstrips that fit into the page, in the order in which they were wanted.

    Args:
        found: what came of each clip.
        room: bytes that all images together may take.
    """

    height = HEIGHT

    def __init__(self, found: Mapping[Shown, Filmstrip], *, room: int) -> None:
        self._found = dict(found)
        self._numbers: dict[Shown, int] = {}
        self.images: list[str] = []
        for shown, strip in found.items():
            if strip.image and len(strip.image) <= room:
                room -= len(strip.image) + 3  # with its quotes and comma
                self._numbers[shown] = len(self.images)
                self.images.append(strip.image)

    def explained(self, clip: Clip, explanation: Explanation | None, shown: Mapping[str, str]) -> ClipView:
        """A clip with its filmstrip, and which moments of it count.

        Args:
            clip: of the page.
            explanation: of the answer; None where there is none.
            shown: the paths of videos to those that the page shows, see `folders.shown_paths`.
        """
        if explanation is None:
            return self.view(clip)
        return replace(self.view(clip), why=view_of(explanation, self._alike(explanation.nearest, shown)))

    def _alike(self, neighbours: Sequence[Neighbour], shown: Mapping[str, str]) -> list[AlikeView]:
        """Training videos with their filmstrips, where there are some, under the paths that a page shows."""
        found = []
        for neighbour in neighbours:
            path = last_part(neighbour.path) if is_absolute(neighbour.path) else neighbour.path
            key = (shown.get(neighbour.path, path), None)
            strip = self._found.get(key, Filmstrip())
            name, known = shortened(key[0], LONGEST_PATH), shortened(neighbour.known, LONGEST_NAME)
            number = self._numbers.get(key, -1)
            found.append(AlikeView(name, known, f"{neighbour.similarity:.2f}", number, strip.width))
        return found

    def view(self, clip: Clip) -> ClipView:
        """A clip with its filmstrip."""
        strip = self._found.get(clip.shown, Filmstrip())
        number = self._numbers.get(clip.shown, -1)
        when = f"{strip.start_s:.1f} to {strip.end_s:.1f} s" if strip.image else ""
        if not strip.image and isinstance(clip.span, Span):
            when = f"steps {clip.span.start} to {clip.span.end - 1}"
        return ClipView(
            path=shortened(clip.path, LONGEST_PATH),
            truth=shortened(clip.truth, LONGEST_TEXT),
            predicted=shortened(clip.predicted, LONGEST_TEXT),
            is_right=clip.is_right,
            score="" if clip.score is None else f"{clip.score:.2f}",
            note=shortened(clip.note, LONGEST_TEXT),
            strip=number,
            width=strip.width,
            room=round(100 * strip.num_pictures / FRAMES),
            when=when,
            problem=shortened(strip.problem, LONGEST_TEXT) if number < 0 else "",
        )


def shortened(text: str, most: int) -> str:
    """A text that is no longer than ``most`` signs, cut in the middle, and that can be written."""
    text = " ".join(writable(text).split())
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def wanted_strips(lists: Iterable[Sequence[Clip]], matrix: Matrix | None, count: int) -> list[Shown]:
    """What to decode, the most useful first.

    Args:
        lists: clips that stand on the page itself.
        matrix: of whose cells first each gets one clip, the largest mistakes first, then each a second one, and so on.
        count: most of all.
    """
    shown = [clip.shown for clips in lists for clip in clips]
    if matrix is not None:
        ordered = sorted(matrix.cells.items(), key=lambda item: (matrix.is_right(*item[0]), -item[1].count))
        for turn in zip_longest(*(cell.clips for _, cell in ordered)):
            shown += [clip.shown for clip in turn if clip is not None]
    return list(dict.fromkeys(shown))[:count]


def cells_of(matrix: Matrix | None, strips: Strips) -> dict[str, object]:
    """The clips behind each cell, by ``row-column``."""
    if matrix is None:
        return {}
    return {
        f"{row}-{column}": {"n": cell.num_clips, "clips": [strips.view(clip).as_list() for clip in cell.clips]}
        for (row, column), cell in matrix.cells.items()
    }
