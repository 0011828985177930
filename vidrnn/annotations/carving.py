"""Carving: some groups of the videos become another split, every class is on both sides, time grows with the videos."""

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Sequence

from vidrnn.annotations.records import Annotation

_Counts = dict[str, dict[str, int]]  # group to class to videos


def carve(
    annotations: Sequence[Annotation], fraction: float, rng: random.Random
) -> tuple[list[Annotation], list[Annotation]]:
    """Move about ``fraction`` of the videos, in whole groups, to a second list that holds every class.

    Groups are tried in random order. The next to move is the group that brings the class counts of the second list
    closest to ``fraction`` of all. Every class keeps a group on the first side.

    Where some video has more or fewer labels than one, groups are taken in random order, while the share allows it.
    Here too every class stays on the first side.

    Returns:
        (kept, carved). ``carved`` is empty when ``fraction`` is 0, or when videos have one label each and it cannot
        hold every class.
    """
    if fraction <= 0.0:
        return list(annotations), []
    groups = sorted({annotation.group for annotation in annotations})
    rng.shuffle(groups)
    counts: _Counts = {group: {} for group in groups}
    for annotation in annotations:
        in_group = counts[annotation.group]
        for name in set(annotation.names):
            in_group[name] = in_group.get(name, 0) + 1
    if all(annotation.label for annotation in annotations):
        carved = _Balanced(groups, counts, fraction).choose()
    else:
        carved = _up_to_the_share(annotations, groups, counts, fraction)
    kept = [annotation for annotation in annotations if annotation.group not in carved]
    return kept, [annotation for annotation in annotations if annotation.group in carved]


class _Balanced:
    """The greedy choice of groups for videos of one label each.

    How much nearer a group brings the counts is a sum over its classes of convex functions of what was chosen before.
    So it only ever gets less: what was computed earlier is a bound, and only the best few are computed again (Minoux
    1978).
    """

    def __init__(self, groups: Sequence[str], counts: _Counts, fraction: float) -> None:
        self._groups, self._counts = groups, counts
        self._total: Counter[str] = Counter()
        for in_group in counts.values():
            self._total.update(in_group)
        self._target = {name: number * fraction for name, number in self._total.items()}
        self._chosen: Counter[str] = Counter()
        self._carved: set[int] = set()
        self._having: defaultdict[str, list[int]] = defaultdict(list)  # in reverse order
        for position in reversed(range(len(groups))):
            for name in counts[groups[position]]:
                self._having[name].append(position)
        self._heap = [(self._change(position), position) for position in range(len(groups))]
        heapq.heapify(self._heap)

    def choose(self) -> set[str]:
        """The groups; none where they cannot hold every class."""
        lacking = set(self._total)
        while (best := self._best()) is not None:
            if not lacking and self._change(best) >= 0:
                break
            if lacking and not lacking & self._counts[self._groups[best]].keys():
                best = self._first_with(lacking)
                if best is None:
                    break
            self._carved.add(best)
            self._chosen.update(self._counts[self._groups[best]])
            lacking -= self._counts[self._groups[best]].keys()
        return set() if lacking else {self._groups[position] for position in self._carved}

    def _change(self, position: int) -> float:
        """How the distance to the wanted counts changes with a group."""
        change = 0.0
        for name, number in self._counts[self._groups[position]].items():
            before = self._chosen[name] - self._target[name]
            change += abs(before + number) - abs(before)
        return change

    def _is_allowed(self, position: int) -> bool:
        """Whether a group is still there, and every class keeps another group; once False, always False."""
        in_group = self._counts[self._groups[position]].items()
        return position not in self._carved and all(
            self._total[name] - self._chosen[name] - number > 0 for name, number in in_group
        )

    def _best(self) -> int | None:
        """The allowed group with the smallest change, of equal ones the first; it stays in the heap."""
        while self._heap:
            before, position = self._heap[0]
            if not self._is_allowed(position):
                heapq.heappop(self._heap)
                continue
            now = self._change(position)
            if now <= before:
                return position
            heapq.heapreplace(self._heap, (now, position))
        return None

    def _first_with(self, lacking: set[str]) -> int | None:
        """The first allowed group that has one of these classes."""
        found: list[int] = []
        for name in lacking:
            waiting = self._having[name]
            while waiting and not self._is_allowed(waiting[-1]):
                waiting.pop()
            found += waiting[-1:]
        return min(found, default=None)


def _up_to_the_share(
    annotations: Sequence[Annotation], groups: Sequence[str], counts: _Counts, fraction: float
) -> set[str]:
    """Groups in their order, where the share allows them and no class is lost."""
    sizes = Counter(annotation.group for annotation in annotations)
    total, chosen, number = Counter[str](), Counter[str](), 0
    for in_group in counts.values():
        total.update(in_group)
    carved: set[str] = set()
    for group in groups:
        inside = number + sizes[group]
        keeps_all = all(total[name] - chosen[name] - videos > 0 for name, videos in counts[group].items())
        if inside <= fraction * len(annotations) + 0.5 and inside < len(annotations) and keeps_all:
            carved.add(group)
            chosen.update(counts[group])
            number = inside
    return carved
