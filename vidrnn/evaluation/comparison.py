"""Is B better than A? A paired comparison of two results over the same videos."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidrnn.errors import ComparisonError
from vidrnn.evaluation.resampling import LEVEL, none_if_nan, ratio_interval, t_test
from vidrnn.evaluation.video_figures import FIGURES, VideoFigures
from vidrnn.names import quoted
from vidrnn.settings.model import Head
from vidrnn.stages import stage

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SeedPair:
    """One model of A beside one of B.

    Attributes:
        seeds: the seed of A and the seed of B.
        a: figure of A over all videos.
        b: figure of B.
        only_a: videos that A alone has right; this and the two below are known for ``label``, else None.
        only_b: videos that B alone has right.
        p_value: the p-value of McNemar's exact test, which takes videos as independent and knows this seed alone.
    """

    seeds: tuple[int, int]
    a: float
    b: float
    only_a: int | None = None
    only_b: int | None = None
    p_value: float | None = None


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes:
        head: what was answered.
        n: videos.
        num_groups: groups that they belong to.
        pairs: one for each seed.
        interval: 95 % t interval over groups of the difference, averaged over seeds; nan when all videos are of one
            group, or all groups differ by the same.
        p_value: the p-value of the t test that belongs to it, see `t_test`; None from one group.
        is_equal: A and B have the same figure for every video and seed.
    """

    head: Head
    n: int
    num_groups: int
    pairs: tuple[SeedPair, ...]
    interval: tuple[float, float]
    p_value: float | None
    is_equal: bool

    @property
    def a(self) -> float:
        """Figure of A, mean over seeds."""
        return float(np.mean([pair.a for pair in self.pairs]))

    @property
    def b(self) -> float:
        """Figure of B, mean over seeds."""
        return float(np.mean([pair.b for pair in self.pairs]))

    @property
    def difference(self) -> float:
        """B - A, in the unit of the figure."""
        return self.b - self.a

    @property
    def is_told_apart(self) -> bool:
        """Whether the t test over groups says so; its interval then leaves 0 out."""
        return self.p_value is not None and self.p_value < LEVEL

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; None where a figure is not defined."""
        return {
            "head": self.head,
            "figure": FIGURES[self.head].title,
            "n": self.n,
            "groups": self.num_groups,
            "a": self.a,
            "b": self.b,
            "difference": self.difference,
            "interval": [none_if_nan(bound) for bound in self.interval],
            "p_value": self.p_value,
            "told_apart": self.is_told_apart,
            "pairs": [vars(pair) | {"seeds": list(pair.seeds)} for pair in self.pairs],
            "sentence": self.sentence(),
        }

    def sentence(self) -> str:
        """The finding in plain words."""
        over = f"{_count(self.num_groups, 'group')} and {_count(len(self.pairs), 'seed')}"
        if self.is_equal:
            return f"B does exactly as well as A on each of the {self.n} videos, over {over}: the difference is 0."
        scale, spec = (100.0, "z.1f") if self.head == "label" else (1.0, "z.3g")
        size = format(scale * abs(self.difference), spec)
        if self.head == "label":
            which = "fewer" if self.difference < 0.0 else "more"
            finding = f"B is right on {size} points {which} of the {self.n} videos than A"
        else:
            which = "lower" if self.difference < 0.0 else "higher"
            finding = f"B's {FIGURES[self.head].title} is {size} {which} than A's on the {self.n} videos"
        low, high = (format(scale * bound, spec) for bound in self.interval)
        interval = f"95 % interval {low} to {high} over"
        within = f"{'no interval from' if math.isnan(self.interval[0]) else interval} {over}"
        test = "" if self.p_value is None else f"; t test over groups p = {self.p_value:.2g}"
        return f"{finding} ({within}){test}: {self._verdict()}."

    def _verdict(self) -> str:
        if not self.is_told_apart:
            return "the two cannot be told apart"
        return "B is better" if (self.difference > 0.0) == FIGURES[self.head].higher_is_better else "A is better"


@stage("compare")
def compare(a: VideoFigures, b: VideoFigures) -> Comparison:
    """Compare two results about the same videos; seeds are paired in rising order.

    What varies is the groups: the difference of each, averaged over the seeds, is one draw. The luck of the seeds is in
    these differences already; a bootstrap that draws them anew too finds less (`benchmarks/intervals.py`).

    Args:
        a: what B is measured against.
        b: the other.

    Raises:
        ComparisonError: videos, truths, groups or heads differ, or the numbers of classes or seeds.
    """
    _check(a, b)
    whole = float(a.wholes.sum())
    pairs = []
    for seeds, parts_a, parts_b in zip(zip(a.seeds, b.seeds, strict=True), a.parts, b.parts, strict=True):
        test = _mcnemar_of(parts_a, parts_b) if a.head == "label" else (None, None, None)
        pairs.append(SeedPair(seeds, float(parts_a.sum()) / whole, float(parts_b.sum()) / whole, *test))
    differences = (b.parts - a.parts).mean(axis=0)
    p_value = t_test(differences, a.wholes, groups=a.groups)
    interval = ratio_interval(differences, a.wholes, groups=a.groups)
    is_equal = bool((a.parts == b.parts).all())
    return Comparison(
        head=a.head,
        n=len(a.videos),
        num_groups=len(set(a.groups)),
        pairs=tuple(pairs),
        interval=interval if is_equal or interval[0] < interval[1] else (math.nan, math.nan),
        p_value=p_value,
        is_equal=is_equal,
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided p-value of McNemar's exact test: do the videos that one side alone has right fall like a fair coin?

    min(1, 2 P(X <= min(only_a, only_b))) with X binomial of ``only_a + only_b`` tosses (McNemar 1947, Psychometrika 12;
    in its exact form). Videos count as independent here, groups or not.
    """
    tosses, fewer = only_a + only_b, min(only_a, only_b)
    ways = term = 1
    for number in range(fewer):
        term = term * (tosses - number) // (number + 1)
        ways += term
    return min(1.0, float(2 * ways / 2**tosses))


def _mcnemar_of(a: Floats, b: Floats) -> tuple[int, int, float]:
    only_a, only_b = int((a > b).sum()), int((b > a).sum())
    return only_a, only_b, mcnemar(only_a, only_b)


def _check(a: VideoFigures, b: VideoFigures) -> None:
    if a.head != b.head:
        raise ComparisonError(f"the heads differ: A answers {a.head!r}, B {b.head!r}; compare results of one head")
    for name, one, other in (("A", a, b), ("B", b, a)):
        if extra := sorted(set(one.videos) - set(other.videos)):
            raise ComparisonError(
                f"the videos differ: {name} alone has {quoted(extra[0])} and {len(extra) - 1} more; "
                "make both results from the same annotations and split, with the features of all videos"
            )
    for what, facts_a, facts_b in (("truths", a.truth, b.truth), ("groups", a.groups, b.groups)):
        for video, fact_a, fact_b in zip(a.videos, facts_a, facts_b, strict=True):
            if fact_a != fact_b:
                raise ComparisonError(
                    f"the {what} differ: {quoted(video)} has {_difference(fact_a, fact_b)}; make both results "
                    "from the same "
                    "annotations and, for heads that answer at every step, the same sampling"
                )
    if (a.wholes != b.wholes).any():
        raise ComparisonError(
            f"the classes differ: A decides about {a.wholes[0]:g} for each video, B about {b.wholes[0]:g}; "
            "make both results with the same classes"
        )
    if len(a.seeds) != len(b.seeds):
        raise ComparisonError(
            f"the numbers of seeds differ: A has {', '.join(map(str, a.seeds))}, B {', '.join(map(str, b.seeds))}; "
            "they are compared in pairs, so give both as many (evaluation.seeds)"
        )
    if not a.wholes.any():
        raise ComparisonError("no video has a true answer to compare with; annotate some")


def _difference(a: str | Sequence[str], b: str | Sequence[str]) -> str:
    if isinstance(a, str):
        return f"{a!r} in A and {b!r} in B"
    if len(a) != len(b):
        return f"{len(a)} steps in A and {len(b)} in B"
    step = next(number for number, pair in enumerate(zip(a, b, strict=True)) if pair[0] != pair[1])
    at = f" at step {step}" if len(a) > 1 else ""
    return f"{a[step]!r} in A and {b[step]!r} in B{at}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
