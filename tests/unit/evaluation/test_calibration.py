"""`vidrnn.evaluation.calibration`, each figure against another way to get it."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binom

from vidrnn.evaluation.calibration import (
    TEMPERATURES,
    binomial_upper,
    calibrate,
    expected_calibration_error,
    fit_temperature,
    judge,
    measure_calibration,
    negative_log_likelihood,
    reliability,
    risk_coverage,
    threshold_for_risk,
)
from vidrnn.settings.evaluation import ANSWER_NOTHING

Array = npt.NDArray[Any]


def videos(seed: int, *, n: int = 60, classes: int = 4, scale: float = 1.0) -> tuple[Array, Array]:
    """Logits (n, classes) times ``scale``, and targets that follow the softmax of the logits without it."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(n, classes))
    odds = np.exp(logits)
    targets = np.asarray([rng.choice(classes, p=row / row.sum()) for row in odds])
    return logits * scale, targets


def nll_by_hand(logits: Array, targets: Array) -> float:
    shares = [math.exp(row[true]) / sum(map(math.exp, row)) for row, true in zip(logits, targets, strict=True)]
    return -sum(map(math.log, shares)) / len(shares)


def answered(seed: int, n: int, *, levels: int = 6) -> tuple[Array, Array]:
    """Confidences with many ties, and right answers that become likelier with them."""
    rng = np.random.default_rng(seed)
    confidence = rng.integers(0, levels, n) / (levels - 1)
    return confidence, rng.random(n) < confidence


# Temperature


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_the_temperature_has_the_least_likelihood_loss_that_a_minimiser_finds(seed: int, scale: float) -> None:
    logits, targets = videos(seed, scale=scale)
    found = minimize_scalar(
        lambda log_t: nll_by_hand(logits / math.exp(log_t), targets),
        bounds=tuple(map(math.log, TEMPERATURES)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert fit_temperature(logits, targets) == pytest.approx(math.exp(found.x), rel=1e-4)


def test_many_videos_give_the_scale_back_that_their_logits_were_multiplied_by() -> None:
    logits, targets = videos(0, n=20_000, scale=2.5)
    assert fit_temperature(logits.astype(np.float32), targets) == pytest.approx(2.5, rel=0.05)


@pytest.mark.parametrize("n", [1, 5])
def test_where_nothing_holds_it_back_the_temperature_stops_at_its_bounds(n: int) -> None:
    """All right asks for certainty, all wrong for none; also where the logits are so far apart that exp is 0."""
    for scale in (1.0, 1e3):
        logits = np.eye(3)[[0] * n] * scale
        assert fit_temperature(logits, np.zeros(n, np.int64)) == TEMPERATURES[0]
        assert fit_temperature(logits, np.ones(n, np.int64)) == TEMPERATURES[1]


def test_logits_that_say_nothing_keep_temperature_1() -> None:
    assert fit_temperature(np.full((4, 3), 7.0), np.asarray([0, 1, 2, 0])) == 1.0
    assert fit_temperature(np.zeros((2, 1)), np.zeros(2, np.int64)) == 1.0


@configure(deadline=None)
@given(
    st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=2, max_size=8),
    st.floats(*TEMPERATURES),
)
def test_a_temperature_never_changes_the_order_of_the_classes(values: list[float], temperature: float) -> None:
    """Nor does it make two equal that differ: the first of equals would then be another one."""
    logits = np.asarray(values, dtype=np.float32)
    before, after = logits.astype(np.float64), calibrate(logits, temperature)
    np.testing.assert_array_equal(np.less.outer(before, before), np.less.outer(after, after))


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_the_likelihood_loss(scale: float) -> None:
    logits, targets = videos(1, scale=scale)
    assert negative_log_likelihood(logits, targets) == pytest.approx(nll_by_hand(logits, targets))
    assert negative_log_likelihood(np.asarray([[0.0, 1e4]]), np.asarray([0])) == pytest.approx(1e4)


# Expected calibration error


@pytest.mark.parametrize("n", [1, 7, 200])
@pytest.mark.parametrize("bins", [1, 6, 15])
def test_the_calibration_error_bin_by_bin(n: int, bins: int) -> None:
    """Upper edges belong to their bin: the confidences here are fifths and 0, which stands in the first."""
    confidence, correct = answered(n, n)
    total = 0.0
    for number in range(bins):
        inside = [
            i
            for i, score in enumerate(confidence)
            if number / bins < score <= (number + 1) / bins or (number == 0 and score == 0)
        ]
        if inside:
            gap = sum(confidence[i] for i in inside) / len(inside) - sum(correct[i] for i in inside) / len(inside)
            total += len(inside) / n * abs(gap)
    assert expected_calibration_error(confidence, correct, bins=bins) == pytest.approx(total)
    assert reliability(confidence, correct, bins=bins).counts.sum() == n


def test_the_edges_of_fifteen_bins() -> None:
    edges = np.arange(1, 16) / 15
    assert reliability(edges, np.ones(15, bool)).counts.tolist() == [1] * 15
    above = np.nextafter(edges[:-1], 1)
    assert reliability(above, np.ones(14, bool)).counts.tolist() == [0] + [1] * 14


def test_certain_and_right_has_no_calibration_error_certain_and_wrong_all_of_it() -> None:
    sure = np.ones(3)
    assert expected_calibration_error(sure, np.ones(3, bool)) == 0.0
    assert expected_calibration_error(sure, np.zeros(3, bool)) == 1.0


# Risk and coverage


@pytest.mark.parametrize(("seed", "n"), [(0, 1), (1, 1), (2, 3), (3, 40), (4, 300)])
def test_risk_and_coverage_threshold_by_threshold(seed: int, n: int) -> None:
    """Videos of one confidence stand or fall together; the area is the mean over videos of the risk at their own."""
    confidence, correct = answered(seed, n)
    curve = risk_coverage(confidence, correct)
    assert curve.thresholds.tolist() == sorted(set(confidence.tolist()), reverse=True)
    risks = {}
    for threshold, coverage, risk in zip(curve.thresholds, curve.coverage, curve.risk, strict=True):
        kept = [right for score, right in zip(confidence, correct, strict=True) if score >= threshold]
        assert coverage == pytest.approx(len(kept) / n)
        assert risk == pytest.approx(kept.count(False) / len(kept))
        risks[threshold] = risk
    assert curve.area == pytest.approx(sum(risks[score] for score in confidence) / n)


def test_the_order_of_the_videos_does_not_matter_to_the_area() -> None:
    confidence, correct = answered(5, 50, levels=4)
    order = np.random.default_rng(0).permutation(50)
    area = risk_coverage(confidence, correct).area
    assert risk_coverage(confidence[order], correct[order]).area == pytest.approx(area)


@pytest.mark.parametrize(("hits", "tries"), [(0, 1), (0, 30), (3, 30), (29, 30), (30, 30)])
@pytest.mark.parametrize("doubt", [0.05, 0.01])
def test_the_bound_is_the_rate_at_which_so_few_hits_are_that_improbable(hits: int, tries: int, doubt: float) -> None:
    """P(at most that many hits) at the bound is the doubt (Clopper & Pearson 1934), with SciPy's binomial."""
    bound = binomial_upper(hits, tries, doubt=doubt)
    if hits == tries:
        assert bound == 1.0
    else:
        assert binom.cdf(hits, tries, bound) == pytest.approx(doubt)


@pytest.mark.parametrize("n", [50, 200, 1000])
@pytest.mark.parametrize("max_risk", [0.05, 0.1, 0.2])
def test_the_promised_risk_holds_on_other_videos(n: int, max_risk: float) -> None:
    """A score c is right with probability c; the true risk above a threshold t is (1 - t) / 2. Missed in 5 % at most.

    The lowest threshold that keeps the risk on the same videos misses it in more than half of the cases.
    """
    rng, missed = np.random.default_rng(0), []
    for _ in range(300):
        confidence = rng.random(n)
        correct = rng.random(n) < confidence
        threshold, bound = threshold_for_risk(confidence, correct, max_risk=max_risk)
        assert bound <= max_risk
        missed.append(threshold <= 1.0 and (1.0 - threshold) / 2 > max_risk)
    assert np.mean(missed) <= 0.05


def test_more_videos_let_more_be_answered() -> None:
    """The promise is not kept by answering nothing."""
    rng, found = np.random.default_rng(0), []
    for n in (2000, 50_000):
        confidence = rng.random(n)
        found.append(threshold_for_risk(confidence, rng.random(n) < confidence, max_risk=0.2)[0])
    assert found[1] < found[0] <= 1.0
    assert found[1] == pytest.approx(0.6, abs=0.05)


def test_without_a_promise_nothing_is_answered() -> None:
    """Four videos cannot promise 10 %, however right they are, and no number of them promises 0."""
    right = np.asarray([True] * 4)
    assert threshold_for_risk(np.asarray([0.9, 0.8, 0.7, 0.6]), right, max_risk=0.1) == (ANSWER_NOTHING, 0.0)
    many = np.ones(1000, dtype=np.bool_)
    assert threshold_for_risk(np.linspace(0.5, 1, 1000), many, max_risk=0.0) == (ANSWER_NOTHING, 0.0)


# All together


def test_the_figures_of_scores_and_of_answers_at_a_threshold() -> None:
    logits, targets = videos(3, scale=3.0)
    found = measure_calibration(logits, targets, temperature=3.0, unknown_below=0.7)
    confidence, correct = judge(logits / 3.0, targets)
    kept = correct[confidence >= 0.7]
    assert found.as_dict() == {
        "n": 60,
        "temperature": 3.0,
        "ece": expected_calibration_error(confidence, correct),
        "ece_uncalibrated": expected_calibration_error(*judge(logits, targets)),
        "nll": negative_log_likelihood(logits / 3.0, targets),
        "nll_uncalibrated": negative_log_likelihood(logits, targets),
        "risk_coverage_area": risk_coverage(confidence, correct).area,
        "unknown_below": 0.7,
        "coverage": kept.size / 60,
        "risk": pytest.approx(1 - kept.mean()),
    }
    assert found.ece < found.ece_uncalibrated
    assert found.nll < found.nll_uncalibrated


def test_without_threshold_all_is_answered_and_at_the_highest_nothing() -> None:
    logits, targets = videos(4)
    everything = measure_calibration(logits, targets, temperature=1.0, unknown_below=None)
    assert (everything.coverage, everything.risk) == (1.0, pytest.approx((logits.argmax(1) != targets).mean()))
    nothing = measure_calibration(logits, targets, temperature=1.0, unknown_below=ANSWER_NOTHING).as_dict()
    assert (nothing["coverage"], nothing["risk"]) == (0.0, None)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_logits_that_are_no_numbers_are_refused(bad: float) -> None:
    logits, targets = videos(0, n=3)
    logits[1, 2] = bad
    for function in (fit_temperature, negative_log_likelihood, judge):
        with pytest.raises(ValueError, match="logits of row 1 hold nan or inf; leave that video out and say so"):
            function(logits, targets)


@pytest.mark.parametrize(
    ("confidence", "correct", "message"),
    [
        ([0.5, math.nan], [True, True], "confidence nan is not between 0 and 1; put logits through a softmax first"),
        ([0.5, 1.5], [True, True], "confidence 1.5 is not between 0 and 1; put logits through a softmax first"),
        ([0.5], [1], "correct has type int64, allowed is bool; turn 0 and 1 into it with astype(bool)"),
        ([], [], "confidence has shape (0,), correct (0,); give (n,) of each, at least one video"),
        ([0.5], [True, False], "confidence has shape (1,), correct (2,); give (n,) of each, at least one video"),
    ],
)
def test_answers_that_cannot_be_judged_are_refused(confidence: list[float], correct: list[Any], message: str) -> None:
    for function in (reliability, risk_coverage):
        with pytest.raises(ValueError) as caught:  # noqa: PT011  the whole message is compared
            function(np.asarray(confidence, float), np.asarray(correct, dtype=None if correct else bool))
        assert str(caught.value) == message


def test_logits_and_targets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"logits have shape \(2, 3\), targets \(1,\); give \(n, classes\) and \(n,\)"):
        fit_temperature(np.zeros((2, 3)), np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="at least one video"):
        judge(np.zeros((0, 3)), np.zeros(0, np.int64))
