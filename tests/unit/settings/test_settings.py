"""`vidrnn.settings.run`: which configurations are allowed, and what the others are told."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

from vidrnn.errors import ConfigError
from vidrnn.settings.base import Settings, dump_yaml, load, validate
from vidrnn.settings.data import DataSettings
from vidrnn.settings.evaluation import EvaluationSettings, InferenceSettings
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.model import ModelSettings
from vidrnn.settings.run import RunSettings
from vidrnn.settings.training import TrainingSettings
from vidrnn.settings.tuning import SearchRange, TuningSettings

CONFIGS = sorted((Path(__file__).resolve().parents[3] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_configuration_loads_and_dumps_back(path: Path, tmp_path: Path) -> None:
    settings = load(RunSettings, path)
    copy = tmp_path / "config.yaml"
    copy.write_text(dump_yaml(settings), encoding="utf-8")
    assert load(RunSettings, copy) == settings


def test_configurations_are_shipped() -> None:
    assert CONFIGS


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, "c: data: missing, and it has no default"),
        ({"data": {}}, "c: data.root: missing, and it has no default"),
        ({"data": {"root": "a", "format": "csv"}},
         "c: data: format csv needs data.annotations, the CSV file relative to data.root"),
        ({"evaluation": {"protocol": "folds_csv"}},
         ("c: data: missing, and it has no default; "
         "evaluation: protocol folds_csv needs evaluation.folds, a CSV with header path,fold")),
        ({"data": {"root": "a"}, "evaluation": {"protocol": "group_kfold", "folds": "f.csv"}},
         "c: evaluation: protocol group_kfold needs a number in evaluation.folds"),
        ({"data": {"root": "a"}, "evaluation": {"seeds": []}},
         "c: evaluation: evaluation.seeds must name at least one seed"),
        ({"data": {"root": "a"}, "evaluation": {"seeds": [0, 1, 0]}},
         "c: evaluation: evaluation.seeds [0, 1, 0] repeat; name each seed once"),
        ({"data": {"root": "a"}, "model": {"cell": "mamba"}},
         ("c: model.cell: got 'mamba': "
          "Input should be 'rnn', 'gru', 'lstm', 'mingru', 'minlstm', 'transformer', 'tcn' or 'none'")),
        ({"data": {"root": "a"}, "model": {"layers": ["gru", "transformer"], "hidden_size": 10, "attention_heads": 3}},
         ("c: model: a transformer of width 20 (hidden_size times directions) does not split into 3 heads of even "
          "width; make it a multiple of 6 or change model.attention_heads")),
        ({"data": {"root": "a", "format": "csv", "annotations": "b"}, "model": {"head": "transcript"},
          "inference": {"average": "logits"}},
         ("c: (whole configuration): inference.average 'logits' has no meaning for head 'transcript', which takes the "
          "likeliest transcript of all draws and views instead of an average; leave it out")),
        ({"data": {"root": "a", "format": "csv", "annotations": "b"},
          "model": {"head": "step_labels", "bidirectional": False}},
         ("c: (whole configuration): training.steps 24 spreads the steps over the whole video, so with "
          "model.bidirectional false the answers of head 'step_labels' would depend on what comes later; set "
          "training.steps to null")),
        ({"data": {"root": "a", "format": "csv", "annotations": "b"},
          "model": {"head": "step_multilabel", "bidirectional": False}},
         ("c: (whole configuration): training.steps 24 spreads the steps over the whole video, so with "
          "model.bidirectional false the answers of head 'step_multilabel' would depend on what comes later; set "
          "training.steps to null")),
        ({"data": {"root": "a", "format": "csv", "annotations": "b"}, "model": {"head": "step_multilabel"},
          "training": {"mixup": 0.2}},
         "c: (whole configuration): training.mixup 0.2 cannot mix the answers of head 'step_multilabel'; set it to 0"),
        ({"data": {"root": "a", "format": "csv", "annotations": "b"}, "model": {"head": "step_multilabel"},
          "training": {"loss": "focal"}},
         ("c: (whole configuration): training.loss 'focal' does not fit head 'step_multilabel': binary_cross_entropy, "
          "asymmetric")),
        ({"data": {"root": "a", "format": "csv", "annotations": "b"}, "model": {"head": "step_multilabel"},
          "training": {"class_weight": "balanced"}},
         ("c: (whole configuration): training.class_weight 'balanced' weighs one class per video or step, which head "
          "'step_multilabel' has not; set it to none")),
        ({"data": {"root": "a"}, "model": {"head": "step_multilabel"}},
         "c: (whole configuration): model.head 'step_multilabel' needs data.format csv: folders name labels only"),
        ({"data": {"root": "a"}, "model": {"head": "multilabel"}, "training": {"class_weight": "balanced"}},
         ("c: (whole configuration): training.class_weight 'balanced' weighs one class per video or step, which head "
          "'multilabel' has not; set it to none")),
        ({"data": {"root": "a", "val_fraction": 1.0}}, "c: data.val_fraction: got 1.0: Input should be less than 1"),
        ({"data": {"root": "a"}, "training": {"epochs": 0}},
         "c: training.epochs: got 0: Input should be greater than or equal to 1"),
        ({"data": {"root": "a"}, "training": {"learning_rate": "1e-3"}},
         "c: training.learning_rate: got '1e-3': Input should be a valid number"),
        ({"data": {"root": "a"}, "inference": {"max_risk": 1.0}},
         "c: inference.max_risk: got 1.0: Input should be less than 1"),
        ({"data": {"root": "a"}, "inference": {"max_risk": 0.1}, "model": {"head": "multilabel"}},
         "c: (whole configuration): inference.max_risk 0.1 needs one class per video, which head 'multilabel' has not"),
        ({"data": {"root": "a"}, "optimizer": {}},
         ("c: optimizer: unknown key; known here: data, features, extraction, model, training, inference, evaluation, "
          "tuning")),
        ({"data": {"root": "a"}, "tuning": {"space": {"model.dropout": {"low": 0.1, "high": 0.5, "steps": 0.1}}}},
         "c: tuning.space.model.dropout.range.steps: unknown key; known here: low, high, log, step"),
        ({"data": {"root": "a"}, "tuning": {"space": {"model.dropout": {"low": 0.5, "high": 0.1}}}},
         "c: tuning.space.model.dropout.range: low 0.5 must be below high 0.1"),
        ({"data": {"root": "a"}, "tuning": {"space": {"training.learning_rate": {"low": 0, "high": 1, "log": True}}}},
         "c: tuning.space.training.learning_rate.range: log needs low above 0 (it is 0.0) and no step (it is None)"),
        ({"data": {"root": "a"}, "tuning": {"space": {"model.dropout": {"low": 0.0, "high": 0.5, "step": 0.2}}}},
         "c: tuning.space.model.dropout.range: high 0.5 must be low 0.0 plus a multiple of step 0.2"),
        ({"data": {"root": "a"}, "tuning": {"space": {"model.cell": []}}},
         ("c: tuning.space.model.cell.choices: got []: "
          "Tuple should have at least 1 item after validation, not 0")),
        ({"data": {"root": "a"}, "tuning": {"folds": 1}},
         "c: tuning.folds: got 1: Input should be greater than or equal to 2"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_named(tree: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(RunSettings, tree, origin="c")
    assert str(caught.value) == message


@pytest.mark.parametrize("seeds", [3, [5], [1, 2, 9]])
def test_seeds_are_a_number_or_a_list(seeds: int | list[int]) -> None:
    expected = tuple(seeds) if isinstance(seeds, list) else seeds
    assert validate(EvaluationSettings, {"seeds": seeds}).seeds == expected


@pytest.mark.parametrize(
    "section",
    [
        DataSettings,
        FeatureSettings,
        ExtractionSettings,
        ModelSettings,
        TrainingSettings,
        InferenceSettings,
        EvaluationSettings,
        SearchRange,
        TuningSettings,
    ],
)
def test_every_setting_is_described(section: type[Settings]) -> None:
    """The docstring of a field is its only description, so none may lack one."""
    assert [name for name, field in section.model_fields.items() if not field.description] == []


@configure(deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=10),
    st.floats(0.0, 0.99),
    st.one_of(st.integers(1, 9), st.lists(st.integers(), min_size=1, max_size=3, unique=True).map(tuple)),
)
def test_a_dump_holds_every_setting(pattern: str, fraction: float, seeds: int | tuple[int, ...]) -> None:
    settings = RunSettings(
        data=DataSettings(root=Path("r"), group_pattern=pattern, val_fraction=fraction),
        evaluation=EvaluationSettings(seeds=seeds),
    )
    tree = yaml.safe_load(dump_yaml(settings))
    assert validate(RunSettings, tree) == settings
    assert {name: set(values) for name, values in tree.items()} == {
        name: set(getattr(settings, name).__class__.model_fields) for name in RunSettings.model_fields
    }
