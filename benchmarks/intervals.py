"""Do intervals cover, are true gains found, and is the promised risk kept? Simulated, where the truth is known.

    python -m benchmarks.intervals [--repeats 2000]

- ``coverage``: share of 95 % intervals of the accuracy that hold the true one, for 5 to 20 groups of about six videos.
  The accuracies of the groups differ (beta, intra-class correlation 0 to 0.3). Compared are the percentile bootstrap
  over groups, a t interval over group means, and `vidrnn.evaluation.resampling.share_interval`, which vidrnn writes.
- ``power`` and ``false_alarms``: share of comparisons that `vidrnn compare` tells apart when B is better by about 16
  points, and when it is not. The same for the rule before, a bootstrap of groups and seeds with which McNemar's test
  had to agree.
- ``kept``: share of validation sets whose threshold keeps the promised risk on new videos; and of the rule before, the
  lowest threshold that keeps it on the validation videos themselves.

The last line is JSON.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmarks.common import make_parser, print_json, print_table
from vidrnn.evaluation.calibration import ANSWER_NOTHING, risk_coverage, threshold_for_risk
from vidrnn.evaluation.comparison import compare, mcnemar
from vidrnn.evaluation.resampling import draw_groups, ratio_interval, share_interval
from vidrnn.evaluation.video_figures import VideoFigures

Array = npt.NDArray[Any]
SIZE = 6  # videos of a group
RESAMPLES = 400


def accuracies(rng: np.random.Generator, *, groups: int, accuracy: float, alike: float) -> Array:
    """Own accuracy of each group; ``alike`` is the intra-class correlation."""
    if not alike:
        return np.full(groups, accuracy)
    spread = 1 / alike - 1
    return rng.beta(accuracy * spread, (1 - accuracy) * spread, groups)


def bootstrap(right: Array, member: Array, *, groups: int, seed: int) -> tuple[float, float]:
    part, whole = np.bincount(member, right, minlength=groups), np.bincount(member, minlength=groups)
    drawn = np.stack(list(draw_groups(groups, resamples=RESAMPLES, seed=seed)))
    means = part[drawn].sum(axis=1) / whole[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def coverage(repeats: int) -> dict[str, float]:
    """Lowest and mean coverage over all worlds with as many groups."""
    figures: dict[str, float] = {}
    for groups in (5, 8, 12, 20):
        found: dict[str, list[float]] = {"bootstrap": [], "t": [], "vidrnn": []}
        for accuracy in (0.5, 0.8, 0.9, 0.97):
            for alike in (0.0, 0.1, 0.3):
                for unequal in (False, True):
                    rng = np.random.default_rng([groups, round(100 * accuracy), round(10 * alike), unequal])
                    hits = dict.fromkeys(found, 0)
                    for repeat in range(repeats):
                        of_group = accuracies(rng, groups=groups, accuracy=accuracy, alike=alike)
                        sizes = rng.integers(1, 2 * SIZE, groups) if unequal else np.full(groups, SIZE)
                        member = np.repeat(np.arange(groups), sizes)
                        right = (rng.random(len(member)) < of_group[member]).astype(np.float64)
                        names, ones = [str(number) for number in member], np.ones(len(member))
                        intervals = {
                            "bootstrap": bootstrap(right, member, groups=groups, seed=repeat),
                            "t": ratio_interval(right, ones, groups=names),
                            "vidrnn": share_interval(right, ones, groups=names),
                        }
                        for name, (low, high) in intervals.items():
                            hits[name] += low <= accuracy <= high
                    for name, number in hits.items():
                        found[name].append(number / repeats)
        for name, shares in found.items():
            figures[f"coverage_{name}_{groups}_groups_lowest"] = min(shares)
            figures[f"coverage_{name}_{groups}_groups_mean"] = float(np.mean(shares))
    return figures


def two_results(rng: np.random.Generator, *, groups: int, seeds: int, gain: float) -> tuple[VideoFigures, VideoFigures]:
    """A and B over the same videos, some groups and videos harder than others, each fit with luck of its own."""
    hard = rng.normal(0.0, 0.5, (1, groups, 1)) + rng.normal(0.0, 0.8, (1, groups, SIZE))
    names = tuple(str(number) for number in range(groups) for _ in range(SIZE))
    n = groups * SIZE
    a, b = (
        VideoFigures(
            head="label",
            seeds=tuple(range(seeds)),
            videos=tuple(str(number) for number in range(n)),
            groups=names,
            truth=(("x",),) * n,
            parts=(level + hard + rng.normal(0.0, 0.5, (seeds, groups, SIZE)) > 0).reshape(seeds, n).astype(float),
            wholes=np.ones(n),
        )
        for level in (0.3, 0.3 + gain)
    )
    return a, b


def told_apart_before(a: VideoFigures, b: VideoFigures, *, groups: int, seed: int) -> bool:
    """Pigeonhole bootstrap of groups and seeds (Owen 2007), and McNemar's p-values as one (Rueger 1978)."""
    rng, seeds = np.random.default_rng(seed), len(a.seeds)
    sums = (b.parts - a.parts).reshape(seeds, groups, SIZE).sum(axis=2)
    drawn, rows = rng.integers(0, groups, (RESAMPLES, groups)), rng.integers(0, seeds, (RESAMPLES, seeds))
    means = sums[rows[:, :, None], drawn[:, None, :]].mean(axis=(1, 2))
    low, high = np.quantile(means, [0.025, 0.975])
    p_values = sorted(
        mcnemar(int((one > other).sum()), int((other > one).sum())) for one, other in zip(a.parts, b.parts, strict=True)
    )
    half = (seeds + 1) // 2
    return bool((low > 0 or high < 0) and p_values[half - 1] * seeds / half < 0.05)


def comparisons(repeats: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    for groups in (5, 10, 20):
        for name, gain in (("false_alarms", 0.0), ("power", 0.5)):
            rng = np.random.default_rng([groups, round(10 * gain)])
            now, before, differences = [], [], []
            for repeat in range(repeats):
                a, b = two_results(rng, groups=groups, seeds=3, gain=gain)
                result = compare(a, b)
                now.append(result.is_told_apart)
                differences.append(result.difference)
                before.append(told_apart_before(a, b, groups=groups, seed=repeat))
            figures[f"{name}_{groups}_groups"] = float(np.mean(now))
            figures[f"{name}_before_{groups}_groups"] = float(np.mean(before))
            figures[f"{name}_difference_{groups}_groups"] = float(np.mean(differences))
    return figures


def promises(repeats: int) -> dict[str, float]:
    """The score c is uniform and right with probability 1 - (1 - c)^2, so the risk above t is (1 - t)^2 / 3."""
    figures: dict[str, float] = {}
    for n in (50, 200, 1000):
        for max_risk in (0.02, 0.05, 0.1):
            rng = np.random.default_rng([n, round(100 * max_risk)])
            kept, before, answered = [], [], []
            for _ in range(repeats):
                score = rng.random(n)
                correct = rng.random(n) < 1 - (1 - score) ** 2
                threshold, _ = threshold_for_risk(score, correct, max_risk=max_risk)
                curve = risk_coverage(score, correct)
                fitting = curve.thresholds[curve.risk <= max_risk]
                lowest = float(fitting.min()) if len(fitting) else ANSWER_NOTHING
                kept.append(threshold > 1 or (1 - threshold) ** 2 / 3 <= max_risk)
                before.append(lowest > 1 or (1 - lowest) ** 2 / 3 <= max_risk)
                answered.append(max(1 - threshold, 0.0))
            name = f"{n}_videos_{max_risk:g}"
            figures[f"kept_{name}"] = float(np.mean(kept))
            figures[f"kept_before_{name}"] = float(np.mean(before))
            figures[f"answered_{name}"] = float(np.mean(answered))
            figures[f"possible_{name}"] = min(float(np.sqrt(3 * max_risk)), 1.0)
    return figures


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=2000, help="simulated results of each kind")
    repeats = parser.parse_args().repeats
    figures = coverage(repeats) | comparisons(repeats) | promises(repeats)
    error = float(stats.norm.ppf(0.975) * np.sqrt(0.95 * 0.05 / repeats))
    print_table(figures, ".3f")
    print(f"\nNoise of a share near 0.95: {error:.3f}")
    print_json(figures, 4)


if __name__ == "__main__":
    main()
