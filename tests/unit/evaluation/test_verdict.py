"""`vidrnn.evaluation.verdict`: a fit that is no better than a simpler answer says so."""

import math
from pathlib import Path

import pytest

from tests.worlds import make_run
from vidrnn.evaluation.verdict import describe_verdict, no_better_than
from vidrnn.experiments.crossval import run_crossval
from vidrnn.experiments.train import train
from vidrnn.settings.model import Head
from vidrnn.settings.run import RunSettings


@pytest.mark.parametrize(
    ("head", "value", "expected"),
    [
        ("label", 0.9, []),
        ("label", 0.8, ["own_inputs_max"]),
        ("label", 0.5, ["own_inputs_max", "mean_pool", "majority"]),
        ("label", 0.4, ["own_inputs_max", "mean_pool", "majority"]),
    ],
)
def test_what_was_not_beaten_is_named_best_first(head: Head, value: float, expected: list[str]) -> None:
    """Equal is not better; shuffled time and metadata are no measure of learning."""
    baselines = {"majority": 0.5, "mean_pool": 0.6, "own_inputs_max": 0.8, "shuffled_time": 0.95, "metadata_only": 0.99}
    assert list(no_better_than(head, value, baselines, recurrent=True)) == expected
    bare = no_better_than(head, value, baselines, recurrent=False)
    assert list(bare) == (["majority"] if value <= 0.5 else [])


def test_of_errors_the_lower_is_better_and_what_is_not_defined_says_nothing() -> None:
    baselines = {"median": 4.0, "mean_pool": 2.0, "own_inputs_max": math.nan}
    assert list(no_better_than("regression", 3.0, baselines, recurrent=True)) == ["mean_pool"]
    assert list(no_better_than("regression", 4.5, baselines, recurrent=True)) == ["mean_pool", "median"]
    assert not no_better_than("regression", math.nan, baselines, recurrent=True)


def test_the_sentence_says_the_figures_and_what_they_mean() -> None:
    assert describe_verdict("label", 0.9, {}) == ""
    assert describe_verdict("label", 0.5, {"majority": 0.5}) == (
        "WARNING: top-1 0.500 is no better than majority 0.500: nothing was learned beyond a constant answer"
    )
    assert describe_verdict("label", 0.7, {"own_inputs_max": 0.75}) == (
        "WARNING: top-1 0.700 is no better than own_inputs_max 0.750: the course of time added nothing to the model's "
        "own inputs"
    )


def blind(settings: RunSettings) -> RunSettings:
    """A learning rate that moves nothing."""
    return settings.model_copy(update={"training": settings.training.model_copy(update={"learning_rate": 1e-12})})


@pytest.mark.parametrize("learns", [False, True])
def test_every_verb_that_measures_says_when_nothing_was_learned(tmp_path: Path, learns: bool) -> None:
    settings = make_run(tmp_path, groups=6, splits=True, bootstrap=20, seeds=1, folds=3, protocol="group_kfold")
    if learns:
        training = settings.training.model_copy(update={"epochs": 30, "learning_rate": 0.02})
        settings = settings.model_copy(update={"training": training})
    else:
        settings = blind(settings)
    run = train(settings, output=tmp_path / "run")
    cross = run_crossval(settings, output=tmp_path / "cv")
    assert bool(run.verdict) == bool(cross.verdict()) != learns
    assert bool(run.metrics["no_better_than"]) == bool(cross.as_dict()["no_better_than"]) != learns
