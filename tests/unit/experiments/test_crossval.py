"""`vidrnn.experiments.crossval`: every video is scored by models that never saw its group."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vidrnn.experiments.crossval_fits as module
from tests.worlds import LABELS, order_task, rgb, sequence_set, tiny_model, tiny_training
from vidrnn.annotations import LabelMap
from vidrnn.annotations.splits import make_folds
from vidrnn.experiments import variants
from vidrnn.experiments.crossval import crossvalidate
from vidrnn.experiments.crossval_fits import seeds_of
from vidrnn.experiments.crossval_result import CrossValidation
from vidrnn.experiments.variants import no_time_settings
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.targets import Targets
from vidrnn.settings.base import validate
from vidrnn.settings.data import DataSettings
from vidrnn.settings.evaluation import EvaluationSettings
from vidrnn.settings.model import Head
from vidrnn.settings.run import RunSettings
from vidrnn.training.members import Fitted
from vidrnn.training.predict import Answers


def make_sequences(groups: int = 4) -> SequenceSet:
    """Each group holds two videos of each of two classes."""
    arrays, targets, owners = [], [], []
    for group in range(groups):
        own, labels = order_task(4, seed=group)
        arrays += own
        targets += labels
        owners += [f"g{group}"] * 4
    return sequence_set(arrays, targets, owners)


def make_settings(**evaluation: object) -> RunSettings:
    values = {"protocol": "leave_one_group_out", "seeds": 2, "baselines": True, "bootstrap": 50} | evaluation
    return RunSettings(
        data=DataSettings(root=Path("r")),
        model=tiny_model(dropout=0.2),
        training=tiny_training(epochs=6),
        evaluation=validate(EvaluationSettings, values),
    )


def run(sequences: SequenceSet, settings: RunSettings, **changes: Any) -> CrossValidation:
    folds = make_folds(sequences.annotations, settings.evaluation, root=Path())
    return crossvalidate(sequences, folds, label_map=LABELS, settings=settings, protocol="p", **changes)


@pytest.mark.parametrize(("seeds", "expected"), [(3, (7, 8, 9)), (1, (7,)), ([4], (4,)), ([5, 1], (5, 1))])
def test_seeds_are_counted_from_the_training_seed_or_listed(seeds: object, expected: tuple[int, ...]) -> None:
    assert seeds_of(validate(EvaluationSettings, {"seeds": seeds}), tiny_training(seed=7)) == expected


def test_mean_pool_averages_the_cached_features_and_keeps_everything_else() -> None:
    """Never the centred ones: their mean is nothing, and a baseline that sees nothing flatters the model."""
    model = tiny_model(cell="lstm", pooling="attention", dropout=0.3, inputs=["centred", "change"])
    changed = model.model_dump() | {"cell": "none", "pooling": "mean", "inputs": ("features",)}
    assert no_time_settings(model).model_dump() == changed


@pytest.mark.parametrize("evaluation", [{}, {"protocol": "group_kfold", "folds": 2}])
def test_no_model_scores_a_group_that_it_was_fitted_on(
    monkeypatch: pytest.MonkeyPatch, evaluation: dict[str, object]
) -> None:
    """A spy on every fit and every prediction; each video is predicted once per seed and variant."""
    fitted: dict[int, set[str]] = {}
    kept: list[Fitted] = []  # alive, so that no two have the same id
    predicted: list[str] = []
    original_fit, original_answer = variants.fit_members, variants.answer

    def spy_fit(train: SequenceSet, val: SequenceSet | None, **named: Any) -> Fitted:
        assert val is None
        result = original_fit(train, val, **named)
        kept.append(result)
        fitted[id(result.model)] = {annotation.group for annotation in train.annotations}
        return result

    def spy_answer(model: Any, sequences: SequenceSet, *values: Any, **named: Any) -> Any:
        assert not fitted[id(model)] & {annotation.group for annotation in sequences.annotations}
        predicted.extend(annotation.path for annotation in sequences.annotations)
        return original_answer(model, sequences, *values, **named)

    monkeypatch.setattr(variants, "fit_members", spy_fit)
    monkeypatch.setattr(variants, "answer", spy_answer)
    sequences, settings = make_sequences(), make_settings(**evaluation)
    result = run(sequences, settings)
    times = 2 + 4  # seeds of the model, trained baselines of one seed
    assert sorted(predicted) == sorted([annotation.path for annotation in sequences.annotations] * times)
    assert len(fitted) == len(result.folds) * times


def test_each_row_of_the_scores_belongs_to_its_video(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that know the answers from the video's name: any mix-up of rows would show."""

    def know(variant: str, train: SequenceSet, test: SequenceSet, **named: Any) -> Any:
        answers = [int(annotation.label.removeprefix("class")) for annotation in test.annotations]
        right = [np.eye(2, dtype=np.float32)[answer] * (1.0 + named["seed"]) for answer in answers]
        return Answers(right, (right, [-own for own in right]))

    monkeypatch.setattr(module, "fit_and_predict", know)
    sequences, settings = make_sequences(), make_settings(seeds=[3, 5])
    result = run(sequences, settings)
    expected = np.eye(2)[sequences.targets.values.numpy()]
    np.testing.assert_array_equal(result.outputs["model"], np.stack([expected * 4.0, expected * 6.0]))
    values = result.as_dict()
    assert (values["top1_mean"], values["top1_std"], values["top1_per_seed"]) == (1.0, 0.0, [1.0, 1.0])
    assert values["baselines"]["mean_pool"] == 1.0
    # One of the two single answers is always right, the other never; the average takes the right one here.
    assert (values["answers_per_video"], values["clip_top1"]) == (2, 0.5)
    assert result.averaging("logits") == (
        "clip top-1 0.500 (each of 2 answers per video by itself), video top-1 1.000 (averaged in logits)"
    )
    shares = [np.exp(1.0 + seed) / (np.exp(1.0 + seed) + 1.0) for seed in (3, 5)]
    assert values["ece_uncalibrated"] == pytest.approx(np.mean([1 - share for share in shares]))


def test_the_result_holds_the_contract_keys_and_adds_up() -> None:
    sequences = make_sequences()
    calls: list[None] = []
    result = run(sequences, make_settings(), on_fit=lambda: calls.append(None))
    values = json.loads(json.dumps(result.as_dict()))
    assert {"protocol", "folds", "top1_mean", "top1_std", "n", "baselines"} <= set(values)
    assert (values["protocol"], values["n"], values["seeds"]) == ("p", 16, [0, 1])
    assert [(fold["name"], fold["n"]) for fold in values["folds"]] == [(f"g{i}", 4) for i in range(4)]
    assert set(values["baselines"]) == {
        "majority",
        "metadata_only",
        "mean_pool",
        "own_inputs_max",
        "shuffled_time",
        "single_frame",
    }
    right = np.asarray(result.outputs["model"]).argmax(2) == sequences.targets.values.numpy()
    per_seed = right.mean(axis=1)
    assert values["top1_per_seed"] == pytest.approx(per_seed)
    assert values["top1_mean"] == pytest.approx(per_seed.mean())
    assert values["top1_std"] == pytest.approx(per_seed.std(ddof=1))
    assert [fold["top1_mean"] for fold in values["folds"]] == pytest.approx(
        [right[:, 4 * i : 4 * i + 4].mean() for i in range(4)]
    )
    assert values["baselines"]["majority"] == 0.5
    assert (values["answers_per_video"], values["clip_top1"]) == (1, values["top1_mean"])
    assert result.averaging("logits") == ""
    assert values["baselines"]["mean_pool"] == pytest.approx(0.5, abs=0.2)
    assert values["top1_mean"] > 0.9
    assert len(calls) == 4 * (2 + 4)  # folds; seeds of the model, trained baselines of one seed


def test_baselines_can_be_left_out() -> None:
    values = run(make_sequences(), make_settings(baselines=False, seeds=1)).as_dict()
    assert set(values["baselines"]) == {"majority", "metadata_only"}


def test_the_same_seeds_give_the_same_scores_in_any_order() -> None:
    sequences = make_sequences(3)
    first = run(sequences, make_settings(seeds=[0, 1], baselines=False))
    second = run(sequences, make_settings(seeds=[1, 0], baselines=False))
    np.testing.assert_array_equal(first.outputs["model"], second.outputs["model"][::-1])
    assert not np.array_equal(first.outputs["model"][0], first.outputs["model"][1])


def with_numbers(*, per_step: bool) -> SequenceSet:
    """Four groups of videos; numbers, or classes of the steps, follow from the features."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(3 + number % 4, 6)) for number in range(12)]
    plain = sequence_set(arrays, [number // 4 % 2 for number in range(12)], [f"g{number % 4}" for number in range(12)])
    if per_step:
        values = np.concatenate(arrays)[:, 0] > 0.3
        return replace(plain, targets=Targets(torch.from_numpy(values.astype(np.int64)), rgb(plain).offsets))
    return replace(plain, targets=Targets(torch.tensor([float(array[:, 1].mean()) for array in arrays])))


def of_head(head: Head, **evaluation: object) -> RunSettings:
    settings = make_settings(**evaluation)
    return settings.model_copy(update={"model": tiny_model(head=head)})


def without(group: int, values: list[Any]) -> list[Any]:
    """What the model of a fold has learned from."""
    return [value for number, value in enumerate(values) if number % 4 != group]


def test_the_result_of_steps_adds_up_over_all_of_them() -> None:
    """Every figure from the kept outputs, by counting; the majority is that of each training side."""
    sequences = with_numbers(per_step=True)
    folds = make_folds(sequences.annotations, make_settings().evaluation, root=Path())
    result = crossvalidate(sequences, folds, label_map=LABELS, settings=of_head("step_labels"), protocol="p")
    values = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert (values["n"], values["seeds"]) == (12, [0, 1])
    assert set(values["baselines"]) == set(values["baselines_std"]) == {"majority", "single_step", "shuffled_time"}
    assert {"frame_accuracy_interval", "edit", "f1_10", "f1_25", "f1_50"} <= set(values)
    assert "top1_mean" not in values
    truth = sequences.targets.per_video(sequences.totals)

    def accuracy(outputs: list[Any], videos: Any = range(12)) -> float:
        right = [outputs[video].argmax(1) == truth[video] for video in videos]
        return float(np.concatenate(right).mean())

    per_seed = [accuracy(own) for own in result.outputs["model"]]
    assert values["frame_accuracy_per_seed"] == pytest.approx(per_seed)
    assert values["frame_accuracy_mean"] == pytest.approx(np.mean(per_seed))
    assert values["frame_accuracy_std"] == pytest.approx(np.std(per_seed, ddof=1))
    of_folds = [[accuracy(own, range(group, 12, 4)) for own in result.outputs["model"]] for group in range(4)]
    assert [fold["frame_accuracy_mean"] for fold in values["folds"]] == pytest.approx(np.mean(of_folds, axis=1))
    assert [fold["n"] for fold in values["folds"]] == [3] * 4
    assert values["frame_accuracy_fold_mean"] == pytest.approx(np.mean(of_folds))
    for variant in ("single_step", "shuffled_time"):
        assert values["baselines"][variant] == pytest.approx(
            np.mean([accuracy(own) for own in result.outputs[variant]])
        )
    likeliest = [np.bincount(np.concatenate(without(group, truth))).argmax() for group in range(4)]
    right = np.concatenate([truth[video] == likeliest[video % 4] for video in range(12)])
    assert values["baselines"]["majority"] == pytest.approx(right.mean())


def test_the_result_of_numbers_adds_up() -> None:
    sequences = with_numbers(per_step=False)
    folds = make_folds(sequences.annotations, make_settings().evaluation, root=Path())
    result = crossvalidate(sequences, folds, label_map=LabelMap(()), settings=of_head("regression"), protocol="p")
    values = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert set(values["baselines"]) == {
        "median",
        "metadata_only",
        "mean_pool",
        "own_inputs_max",
        "shuffled_time",
        "single_frame",
    }
    assert {"mae_interval", "rmse", "r2", "spearman", "pearson"} <= set(values)
    truth = sequences.targets.values.double().numpy()
    said = np.asarray([[float(own[0]) for own in outputs] for outputs in result.outputs["model"]])
    errors = np.abs(said - truth)
    assert values["n"] == 12
    assert values["mae_per_seed"] == pytest.approx(errors.mean(axis=1))
    assert values["mae_mean"] == pytest.approx(errors.mean())
    assert values["mae_std"] == pytest.approx(errors.mean(axis=1).std(ddof=1))
    assert values["rmse"] == pytest.approx(np.sqrt(np.square(errors).mean(axis=1)).mean())
    assert [fold["mae_mean"] for fold in values["folds"]] == pytest.approx(
        [errors[:, group::4].mean() for group in range(4)]
    )
    medians = [np.median(without(group, truth.tolist())) for group in range(4)]
    assert values["baselines"]["median"] == pytest.approx(
        np.mean([abs(truth[video] - medians[video % 4]) for video in range(12)])
    )
    pooled = np.asarray([[float(own[0]) for own in outputs] for outputs in result.outputs["mean_pool"]])
    assert values["baselines"]["mean_pool"] == pytest.approx(np.abs(pooled - truth).mean())


def test_a_fold_without_any_known_number_has_no_figure_and_ends_nothing() -> None:
    """Its value is nan, the pooled one is over all other steps."""
    sequences = with_numbers(per_step=True)
    values = sequences.targets.values.float()
    for video in range(0, 12, 4):
        values[rgb(sequences).offsets[video] : rgb(sequences).offsets[video] + sequences.totals[video]] = math.nan
    sequences = replace(sequences, targets=Targets(values, rgb(sequences).offsets))
    folds = make_folds(sequences.annotations, make_settings().evaluation, root=Path())
    settings = of_head("step_regression", baselines=False, seeds=1)
    result = crossvalidate(sequences, folds, label_map=LabelMap(()), settings=settings, protocol="p")
    found = result.as_dict()
    assert [math.isnan(fold["mae_mean"]) for fold in found["folds"]] == [True, False, False, False]
    truth = sequences.targets.per_video(sequences.totals)
    errors = np.concatenate(
        [abs(own[:, 0] - true) for own, true in zip(result.outputs["model"][0], truth, strict=True)]
    )
    assert found["mae_mean"] == pytest.approx(np.nanmean(errors))
    assert (found["n"], set(found["baselines"])) == (12, {"median"})
