"""The check of an explanation: does it hurt more to remove what is called important than as much elsewhere?"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vidrnn.evaluation.resampling import ratio_interval
from vidrnn.explanation.importance import fallen
from vidrnn.explanation.question import Numbers, Question

SHARES = (0.1, 0.2, 0.3, 0.5)
"""How much of the video is removed."""
HEADLINE_SHARE = 0.2
"""The share of the two numbers that are printed."""
_MOST_PLACES = 32


@dataclass(frozen=True)
class Removal:
    """How far an answer falls when a share of a video is cut out.

    Attributes:
        shares: of the moments, `SHARES`.
        important: the fall without the most important moments, at each share; log-odds, or of a regression the number.
        elsewhere: the mean fall without as many moments in the same pattern at other places, at each share.
    """

    shares: tuple[float, ...]
    important: tuple[float, ...]
    elsewhere: tuple[float, ...]

    @property
    def headline(self) -> tuple[float, float]:
        """The falls without the most important fifth, and without a fifth elsewhere."""
        place = self.shares.index(HEADLINE_SHARE)
        return self.important[place], self.elsewhere[place]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def remove_important(question: Question, importance: Numbers) -> Removal | None:
    """Cut the most important moments out of a video, and as many elsewhere.

    The moments are cut out, and not filled as occlusion fills them: so the check does not repeat the measurement. As
    much elsewhere is the same pattern of moments, moved along the video; what leaves it at the end comes in at the
    start. Scattered moments would hurt less than a stretch, however little that counts. All distances count alike; of a
    long video, 32 evenly spaced ones.

    Args:
        question: the video and the answer.
        importance: (M,) how much each moment counts.

    Returns:
        None where there are too few moments: at least one must be removed, and one stay.
    """
    moments = question.num_moments
    if moments < 2:
        return None
    order = np.argsort(-importance, kind="stable")
    distances = np.unique(np.linspace(1, moments - 1, min(moments - 1, _MOST_PLACES)).round().astype(int))
    patterns = []
    for share in SHARES:
        removed = np.zeros(moments, bool)
        removed[order[: min(max(1, round(share * moments)), moments - 1)]] = True
        patterns += [removed, *(np.roll(removed, distance) for distance in distances)]
    falls = fallen(question, question.scores(np.array(patterns), fill="cut")).reshape(len(SHARES), -1)
    return Removal(SHARES, tuple(falls[:, 0].tolist()), tuple(falls[:, 1:].mean(1).tolist()))


@dataclass(frozen=True)
class RemovalSummary:
    """The check over many videos.

    Attributes:
        n: videos.
        important: mean fall without the most important fifth.
        elsewhere: mean fall without a fifth elsewhere.
        difference: between the two.
        interval: 95 % interval of the difference over groups; nan from one group.
        share_worse: of the videos, those in which the first is larger.
    """

    n: int
    important: float
    elsewhere: float
    difference: float
    interval: tuple[float, float]
    share_worse: float

    @property
    def is_confirmed(self) -> bool:
        """Whether what is called important counts more than chance, as far as other groups can be judged from these."""
        return self.interval[0] > 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "share_removed": HEADLINE_SHARE, "is_confirmed": self.is_confirmed}


def summarise(removals: Sequence[Removal], groups: Sequence[str]) -> RemovalSummary | None:
    """The check over all videos of a split, each of which counts the same.

    Args:
        removals: of n videos.
        groups: (n,) videos of one group stand or fall together.

    Returns:
        None where there is no video.
    """
    if not removals:
        return None
    important, elsewhere = np.array([removal.headline for removal in removals]).T
    differences = important - elsewhere
    return RemovalSummary(
        len(removals),
        float(important.mean()),
        float(elsewhere.mean()),
        float(differences.mean()),
        ratio_interval(differences, np.ones(len(removals)), groups=groups),
        float((differences > 0).mean()),
    )


def describe_removal(summary: RemovalSummary | None) -> str:
    """The two numbers of the check, and what they say."""
    if summary is None:
        return "no part of a video could be removed, so nothing checks these explanations"
    low, high = summary.interval
    told = (
        f"without its most important fifth an answer falls by {summary.important:.2f}, "
        f"without a fifth elsewhere by {summary.elsewhere:.2f} (mean over {summary.n} video{'s' * (summary.n > 1)})"
    )
    if math.isnan(low):
        return f"{told}; all of one group, so nothing says whether it holds for others"
    verdict = "" if summary.is_confirmed else ": so do not rely on these explanations"
    return f"{told}; the difference {summary.difference:.2f} has a 95 % interval of {low:.2f} to {high:.2f}{verdict}"
