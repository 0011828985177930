"""Can the scores be believed? Temperature, calibration error, and what is gained by answering less often.

All functions take n videos with one answer each. They raise ValueError when n is 0, shapes differ or a value is nan or
infinite.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from vidrnn.evaluation.metrics import softmax
from vidrnn.evaluation.resampling import none_if_nan
from vidrnn.settings.evaluation import ANSWER_NOTHING

Floats = npt.NDArray[np.floating[Any]]
Doubles = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int64]
Truth = npt.NDArray[np.bool_]

TEMPERATURES = (0.2, 5.0)
"""Bounds of a fitted temperature. A few videos that are all answered right would ask for 0, and some that are answered
at random for infinity; both would be wrong on other videos."""
BINS = 15
RISK_DOUBT = 0.05
"""Probability with which the risk of a threshold may be above what was promised."""


def calibrate(logits: Floats, temperature: float) -> Doubles:
    """Logits (..., classes) over the temperature, in float64, where no two that differ become equal.

    Whatever is averaged is averaged before: one division at the end keeps the order of the classes.
    """
    return logits.astype(np.float64) / temperature


def fit_temperature(logits: Floats, targets: Classes) -> float:
    """The temperature with the lowest negative log-likelihood of the true classes (Guo et al. 2017).

    The loss is convex in 1 / temperature, so bisection of its slope finds the minimum.

    Args:
        logits: (n, classes) of validation videos.
        targets: (n,) class positions.

    Returns:
        A number within `TEMPERATURES`, the nearer bound when the minimum lies outside; 1 when all temperatures are as
        good, as for equal logits.
    """
    _check(logits, targets)
    # Relative to the true class: the slope of a video that is right then has its sign whatever is rounded.
    ahead = logits.astype(np.float64) - np.take_along_axis(logits.astype(np.float64), targets[:, None], axis=1)

    def slope(temperature: float) -> float:
        """Derivative of the loss by 1 / temperature."""
        return float((softmax(ahead / temperature) * ahead).sum(axis=1).mean())

    low, high = TEMPERATURES
    if not ahead.any():
        return 1.0
    if slope(low) <= 0:
        return low
    if slope(high) >= 0:
        return high
    for _ in range(60):  # the interval is then smaller than the precision of a float
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return float(np.sqrt(low * high))


def negative_log_likelihood(logits: Floats, targets: Classes) -> float:
    """Mean of -log of the probability of the true class; logits (n, classes), targets (n,)."""
    _check(logits, targets)
    values = logits.astype(np.float64)
    true = np.take_along_axis(values, targets[:, None], axis=1)[:, 0]
    return float((np.logaddexp.reduce(values, axis=1) - true).mean())


@dataclass(frozen=True)
class Reliability:
    """Videos sorted by the probability of their answer into bins of equal width.

    Attributes:
        counts: (bins,) videos.
        confidence: (bins,) mean probability of the answer; nan in an empty bin.
        accuracy: (bins,) share that is right; nan in an empty bin.
    """

    counts: Classes
    confidence: Doubles
    accuracy: Doubles

    @property
    def error(self) -> float:
        """Expected calibration error: the distance of confidence and accuracy, averaged over the videos."""
        filled = self.counts > 0
        distance = np.abs(self.confidence - self.accuracy)[filled]
        return float(np.average(distance, weights=self.counts[filled]))


def reliability(confidence: Floats, correct: Truth, *, bins: int = BINS) -> Reliability:
    """Sort answers into bins by their confidence (Guo et al. 2017).

    Args:
        confidence: (n,) probability of each answer.
        correct: (n,) whether it is right.
        bins: of equal width; each takes its upper edge, and the first one 0 as well.
    """
    _check_answers(confidence, correct)
    inner = np.arange(1, bins) / bins
    member = np.searchsorted(inner, confidence.astype(np.float64), side="left")
    counts = np.bincount(member, minlength=bins)
    share = np.where(counts > 0, counts, np.nan)
    return Reliability(
        counts.astype(np.int64),
        np.bincount(member, weights=confidence, minlength=bins) / share,
        np.bincount(member, weights=correct, minlength=bins) / share,
    )


def expected_calibration_error(confidence: Floats, correct: Truth, *, bins: int = BINS) -> float:
    """See `reliability`; between 0 and 1."""
    return reliability(confidence, correct, bins=bins).error


@dataclass(frozen=True)
class RiskCoverage:
    """What answering only from some confidence on costs and gains, for each confidence that occurs.

    Attributes:
        thresholds: (k,) the confidences, falling; videos of equal confidence are answered together or not at all.
        coverage: (k,) share of videos that are answered, rising to 1.
        risk: (k,) share of these that is wrong.
    """

    thresholds: Doubles
    coverage: Doubles
    risk: Doubles

    @property
    def area(self) -> float:
        """Under the curve: the mean over the videos of the risk that comes with answering down to each of them."""
        return float((np.diff(self.coverage, prepend=0.0) * self.risk).sum())


def risk_coverage(confidence: Floats, correct: Truth) -> RiskCoverage:
    """Trade answers for errors (El-Yaniv & Wiener 2010; Geifman & El-Yaniv 2017).

    Args:
        confidence: (n,) of each answer.
        correct: (n,) whether it is right.
    """
    _check_answers(confidence, correct)
    values, member = np.unique(confidence, return_inverse=True)
    answered = np.cumsum(np.bincount(member)[::-1])
    wrong = np.cumsum(np.bincount(member, weights=~correct)[::-1])
    return RiskCoverage(values[::-1].astype(np.float64), answered / len(correct), wrong / answered)


def threshold_for_risk(
    confidence: Floats, correct: Truth, *, max_risk: float, doubt: float = RISK_DOUBT
) -> tuple[float, float]:
    """A low confidence from which on answering keeps the wished risk, on new videos too.

    Selection with guaranteed risk (Geifman & El-Yaniv 2017, algorithm 1): a binary search among the confidences for the
    lowest whose bound keeps ``max_risk``. Each of its k = ceil(log2(n + 1)) steps is given doubt / k, so that all
    bounds hold together. That keeps the promise: among fits on n independent videos, no more than a share of ``doubt``
    miss the risk.

    Args:
        confidence: (n,) of each answer, of validation videos.
        correct: (n,) whether it is right.
        max_risk: largest share of the answered videos that may be wrong.
        doubt: largest probability that more are.

    Returns:
        One of the confidences, and the bound on the risk that comes with it. `ANSWER_NOTHING` and 0 when the videos are
        too few for a promise, or too many of them are wrong.
    """
    curve = risk_coverage(confidence, correct)
    n = len(correct)
    steps = math.ceil(math.log2(n + 1))
    low, high = -1, n - 1
    ordered, best = np.sort(confidence.astype(np.float64)), (ANSWER_NOTHING, 0.0)
    for _ in range(steps):
        middle = (low + high + 1) // 2
        place = int(np.flatnonzero(curve.thresholds == ordered[middle])[0])
        answered = round(float(curve.coverage[place]) * n)
        wrong = round(float(curve.risk[place]) * answered)
        bound = binomial_upper(wrong, answered, doubt=doubt / steps)
        if bound <= max_risk:
            high = middle
            best = min(best, (float(ordered[middle]), bound))
        else:
            low = middle
    return best


def binomial_upper(hits: int, tries: int, *, doubt: float) -> float:
    """The largest rate that ``hits`` of ``tries`` do not rule out but for ``doubt`` (Clopper & Pearson 1934)."""
    return 1.0 if hits >= tries else float(betaincinv(hits + 1, tries - hits, 1.0 - doubt))


@dataclass(frozen=True)
class Calibration:
    """How far the scores of n videos can be believed.

    Attributes:
        temperature: the number that divides the logits.
        ece: expected calibration error, `BINS` bins.
        ece_uncalibrated: the same at temperature 1.
        nll: negative log-likelihood.
        nll_uncalibrated: the same at temperature 1.
        risk_coverage_area: see `RiskCoverage`.
        unknown_below: answers with a lower probability are ``unknown``; None answers all.
        coverage: share of videos that are answered.
        risk: share of these that is wrong; nan when all videos are ``unknown``.
    """

    n: int
    temperature: float
    ece: float
    ece_uncalibrated: float
    nll: float
    nll_uncalibrated: float
    risk_coverage_area: float
    unknown_below: float | None
    coverage: float
    risk: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return vars(self) | {"risk": none_if_nan(self.risk)}


def measure_calibration(
    logits: Floats, targets: Classes, *, temperature: float, unknown_below: float | None
) -> Calibration:
    """Measure scores before and after the temperature, and the answers at a threshold.

    Args:
        logits: (n, classes) before the temperature.
        targets: (n,) class positions.
        temperature: the temperature of the model.
        unknown_below: the threshold of the model; None answers all.
    """
    calibrated = calibrate(logits, temperature)
    confidence, correct = judge(calibrated, targets)
    answered = confidence >= (0.0 if unknown_below is None else unknown_below)
    return Calibration(
        n=len(targets),
        temperature=temperature,
        ece=expected_calibration_error(confidence, correct),
        ece_uncalibrated=expected_calibration_error(*judge(logits, targets)),
        nll=negative_log_likelihood(calibrated, targets),
        nll_uncalibrated=negative_log_likelihood(logits, targets),
        risk_coverage_area=risk_coverage(confidence, correct).area,
        unknown_below=unknown_below,
        coverage=float(answered.mean()),
        risk=float((~correct[answered]).mean()) if answered.any() else float("nan"),
    )


def judge(logits: Floats, targets: Classes) -> tuple[Doubles, Truth]:
    """(n,) probability of the likeliest class, and whether that is the true one; logits (n, classes), targets (n,)."""
    _check(logits, targets)
    return softmax(logits).max(axis=1), logits.argmax(axis=1) == targets


def _check(logits: Floats, targets: Classes) -> None:
    if logits.ndim != 2 or targets.shape != (len(logits),) or not len(targets):
        raise ValueError(
            f"logits have shape {logits.shape}, targets {targets.shape}; give (n, classes) and (n,), at least one video"
        )
    if not np.isfinite(logits).all():
        row = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
        raise ValueError(f"logits of row {row} hold nan or inf; leave that video out and say so")


def _check_answers(confidence: Floats, correct: Truth) -> None:
    if confidence.ndim != 1 or confidence.shape != correct.shape or not len(correct):
        raise ValueError(
            f"confidence has shape {confidence.shape}, correct {correct.shape}; give (n,) of each, at least one video"
        )
    if correct.dtype != np.bool_:
        raise ValueError(f"correct has type {correct.dtype}, allowed is bool; turn 0 and 1 into it with astype(bool)")
    wrong = confidence[~((confidence >= 0) & (confidence <= 1))]
    if len(wrong):
        raise ValueError(f"confidence {wrong[0]} is not between 0 and 1; put logits through a softmax first")
