"""`vidrnn.training.crossval`: every video is scored by models that never saw its group."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vidrnn.training.crossval as module
from tests.worlds import LABELS, order_task, sequence_set, tiny_model, tiny_training
from vidrnn.config import validate
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.splits import make_folds
from vidrnn.settings import DataSettings, EvaluationSettings, RunSettings
from vidrnn.training.crossval import CrossValidation, crossvalidate, no_time_settings, seeds_of
from vidrnn.training.members import Fitted


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
    original_fit, original_predict = module.fit_members, module.predict

    def spy_fit(train: SequenceSet, val: SequenceSet | None, **named: Any) -> Fitted:
        assert val is None
        result = original_fit(train, val, **named)
        kept.append(result)
        fitted[id(result.model)] = {annotation.group for annotation in train.annotations}
        return result

    def spy_predict(model: Any, sequences: SequenceSet, *values: Any, **named: Any) -> Any:
        assert not fitted[id(model)] & {annotation.group for annotation in sequences.annotations}
        predicted.extend(annotation.path for annotation in sequences.annotations)
        return original_predict(model, sequences, *values, **named)

    monkeypatch.setattr(module, "fit_members", spy_fit)
    monkeypatch.setattr(module, "predict", spy_predict)
    sequences, settings = make_sequences(), make_settings(**evaluation)
    result = run(sequences, settings)
    times = 2 * 3  # seeds, variants
    assert sorted(predicted) == sorted([annotation.path for annotation in sequences.annotations] * times)
    assert len(fitted) == len(result.folds) * times


def test_each_row_of_the_scores_belongs_to_its_video(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that know the answers from the video's name: any mix-up of rows would show."""

    def know(variant: str, train: SequenceSet, test: SequenceSet, **named: Any) -> Any:
        answers = [int(annotation.label.removeprefix("class")) for annotation in test.annotations]
        return [np.eye(2, dtype=np.float32)[answer] * (1.0 + named["seed"]) for answer in answers]

    monkeypatch.setattr(module, "fit_and_predict", know)
    sequences, settings = make_sequences(), make_settings(seeds=[3, 5])
    result = run(sequences, settings)
    expected = np.eye(2)[sequences.targets.values.numpy()]
    np.testing.assert_array_equal(result.outputs["model"], np.stack([expected * 4.0, expected * 6.0]))
    values = result.as_dict()
    assert (values["top1_mean"], values["top1_std"], values["top1_per_seed"]) == (1.0, 0.0, [1.0, 1.0])
    assert values["baselines"]["mean_pool"] == 1.0


def test_the_result_holds_the_contract_keys_and_adds_up() -> None:
    sequences = make_sequences()
    calls: list[None] = []
    result = run(sequences, make_settings(), on_fit=lambda: calls.append(None))
    values = json.loads(json.dumps(result.as_dict()))
    assert {"protocol", "folds", "top1_mean", "top1_std", "n", "baselines"} <= set(values)
    assert (values["protocol"], values["n"], values["seeds"]) == ("p", 16, [0, 1])
    assert [(fold["name"], fold["n"]) for fold in values["folds"]] == [(f"g{i}", 4) for i in range(4)]
    assert set(values["baselines"]) == {"majority", "metadata_only", "mean_pool", "shuffled_time"}
    right = np.asarray(result.outputs["model"]).argmax(2) == sequences.targets.values.numpy()
    per_seed = right.mean(axis=1)
    assert values["top1_per_seed"] == pytest.approx(per_seed)
    assert values["top1_mean"] == pytest.approx(per_seed.mean())
    assert values["top1_std"] == pytest.approx(per_seed.std())
    assert [fold["top1_mean"] for fold in values["folds"]] == pytest.approx(
        [right[:, 4 * i : 4 * i + 4].mean() for i in range(4)]
    )
    assert values["baselines"]["majority"] == 0.5
    assert values["baselines"]["mean_pool"] == pytest.approx(0.5, abs=0.2)
    assert values["top1_mean"] > 0.9
    assert len(calls) == 4 * 2 * 3


def test_baselines_can_be_left_out() -> None:
    values = run(make_sequences(), make_settings(baselines=False, seeds=1)).as_dict()
    assert set(values["baselines"]) == {"majority", "metadata_only"}


def test_the_same_seeds_give_the_same_scores_in_any_order() -> None:
    sequences = make_sequences(3)
    first = run(sequences, make_settings(seeds=[0, 1], baselines=False))
    second = run(sequences, make_settings(seeds=[1, 0], baselines=False))
    np.testing.assert_array_equal(first.outputs["model"], second.outputs["model"][::-1])
    assert not np.array_equal(first.outputs["model"][0], first.outputs["model"][1])
