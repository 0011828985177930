"""`vidrnn.evaluation.regression` against SciPy and scikit-learn."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from tests.worlds import Array
from vidrnn.evaluation.regression import RegressionMetrics, measure_regression
from vidrnn.evaluation.resampling import ratio_interval


def metrics_of(predicted: Array, truth: Array, **changes: object) -> RegressionMetrics:
    values = {"groups": [f"g{i}" for i in range(len(truth))]} | changes
    return measure_regression(np.asarray(predicted), np.asarray(truth), **values)  # type: ignore[arg-type]


@configure(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=20), st.sampled_from([1, 1e-3]))
def test_metrics_equal_scipy_and_scikit_learn(rows: list[tuple[int, int]], unit: float) -> None:
    """Small integers make ties and constant sides common."""
    predicted, truth = (np.asarray(side, dtype=np.float64) * unit for side in zip(*rows, strict=True))
    found = metrics_of(predicted, truth)
    assert found.mae == pytest.approx(mean_absolute_error(truth, predicted))
    assert found.rmse == pytest.approx(root_mean_squared_error(truth, predicted))
    if len(set(truth)) > 1:
        assert found.r2 == pytest.approx(r2_score(truth, predicted))
    else:
        assert math.isnan(found.r2)
    if len(set(truth)) > 1 and len(set(predicted)) > 1:
        assert found.spearman == pytest.approx(spearmanr(predicted, truth).statistic)
        assert found.pearson == pytest.approx(pearsonr(predicted, truth).statistic)
    else:
        assert math.isnan(found.spearman)
        assert math.isnan(found.pearson)


def test_a_monotone_answer_has_all_ranks_right() -> None:
    truth = np.arange(1.0, 9.0)
    found = metrics_of(np.exp(truth), truth)
    assert found.spearman == pytest.approx(1.0)
    assert 0.0 < found.pearson < 0.9
    assert found.r2 < 0.0


def test_the_interval_is_of_the_absolute_error_over_groups() -> None:
    rng = np.random.default_rng(0)
    predicted, truth, groups = rng.normal(size=20), rng.normal(size=20), [f"g{i // 4}" for i in range(20)]
    expected = ratio_interval(np.abs(predicted - truth), np.ones(20), groups=groups, lowest=0.0)
    assert metrics_of(predicted, truth, groups=groups).interval == expected


def test_half_precision_loses_nothing_on_the_way() -> None:
    """Squares of 300 overflow in float16."""
    found = metrics_of(np.full(4, 300.0, dtype=np.float16), np.asarray([0, 0, 0, 600], dtype=np.float16))
    assert found.rmse == 300.0


@pytest.mark.parametrize("value", [0.1, 0.7, 1e10 / 3])
def test_equal_numbers_vary_in_nothing(value: float) -> None:
    """Their mean may be off by a rounding, from which a correlation of noise would come."""
    found = metrics_of(np.full(7, value), np.arange(7.0))
    assert math.isnan(found.pearson)
    assert math.isnan(metrics_of(np.arange(7.0), np.full(7, value)).r2)


def test_tiny_and_huge_numbers_correlate_like_others() -> None:
    rng = np.random.default_rng(1)
    predicted, truth = rng.normal(size=9), rng.normal(size=9)
    expected = metrics_of(predicted, truth)
    assert metrics_of(predicted * 1e-200, truth * 1e-200).pearson == pytest.approx(expected.pearson)
    assert metrics_of(predicted * 1e100, truth).spearman == pytest.approx(expected.spearman)


def test_metrics_are_plain_json() -> None:
    values = json.loads(json.dumps(metrics_of(np.zeros(3), np.arange(3.0)).as_dict(), allow_nan=False))
    assert set(values) == {"n", "mae", "mae_interval", "rmse", "r2", "spearman", "pearson"}
    assert (values["n"], values["mae"], values["spearman"], values["pearson"]) == (3, 1.0, None, None)
    assert values["r2"] == pytest.approx(-1.5)


@pytest.mark.parametrize(("predicted", "truth"), [((3,), (4,)), ((3, 1), (3, 1)), ((0,), (0,))])
def test_shapes_that_do_not_fit_are_named(predicted: tuple[int, ...], truth: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"predicted has shape .* give one number \(n,\) and one group per video"):
        metrics_of(np.zeros(predicted), np.zeros(truth))


def test_a_group_for_every_video() -> None:
    with pytest.raises(ValueError, match="there are 2 groups"):
        metrics_of(np.zeros(3), np.zeros(3), groups=["a", "b"])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_none_is_named(value: float) -> None:
    with pytest.raises(ValueError, match=f"predicted number 1 is {value}, only finite ones can be measured"):
        metrics_of(np.asarray([0.0, value]), np.zeros(2))
