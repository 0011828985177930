"""`vidrnn.experiments.search_space`: what may be searched, and what the others are told before anything is fitted."""

from pathlib import Path
from typing import Any

import pytest

from tests.worlds import tiny_model, tiny_training
from vidrnn.errors import ConfigError
from vidrnn.experiments.search_space import search_space, with_values
from vidrnn.settings.base import validate
from vidrnn.settings.run import RunSettings
from vidrnn.settings.tuning import SearchRange, TuningSettings


def settings(space: dict[str, Any], *, model: dict[str, Any] | None = None) -> RunSettings:
    """A configuration with that space."""
    tree = {
        "data": {"root": str(Path("videos"))},
        "model": tiny_model(**(model or {})).model_dump(mode="json"),
        "training": tiny_training().model_dump(mode="json"),
        "tuning": {"space": space},
    }
    return validate(RunSettings, tree)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"model.cell": ["gru", "gro"]}, "tuning.space: model.cell: got 'gro': Input should be 'rnn', 'gru', "),
        ({"model.layers": {"low": 0, "high": 3}}, "tuning.space: model.layers."),
        ({"model.hidden_size": {"low": 8, "high": 9.5}}, "tuning.space: model.hidden_size: got 9.5: "),
        ({"model.hidden_size": {"low": 8, "high": 9, "step": 0.5}}, "tuning.space: model.hidden_size: got 8.5: "),
        ({"model.dropout": {"low": 0, "high": 1}}, "tuning.space: model.dropout: got 1.0: Input should be less than 1"),
        ({"model.cell": {"low": 1, "high": 2}},
         ("tuning.space.model.cell: a range needs a number, and the configuration says 'gru'; "
         "give a list of values")),
        ({"model.bidirectional": {"low": 0, "high": 1}},
         ("tuning.space.model.bidirectional: a range needs a number, and the configuration says True; "
         "give a list of values")),
        ({"model.dropout": {"low": 0.1, "high": 0.5, "log": True}},
         ("tuning.space.model.dropout: a log range cannot hold the configuration's own value 0.0, which is the first "
         "trial; set model.dropout above 0 or leave log out")),
        ({"model.hidden_size": {"low": 9, "high": 19, "step": 5}},
         ("tuning.space.model.hidden_size: the configuration's own value 8, which is the first trial, is not low 9.0 "
         "plus a multiple of step 5.0; change model.hidden_size, low or step")),
        ({"model.dropuot": [0.1]}, "tuning.space: 'model.dropuot' cannot be searched; allowed are model.head, "),
        ({"features.rate": [5.0]}, "tuning.space: 'features.rate' cannot be searched; allowed are model.head, "),
        ({"cell": ["gru"]}, "tuning.space: 'cell' cannot be searched; allowed are model.head, "),
        ({"training.seed": [1, 2]},
         ("tuning.space: 'training.seed' cannot be searched: the best seed of many is luck, not a better model; "
         "take it out")),
        ({"training.device": ["cpu"]},
         "tuning.space: 'training.device' cannot be searched: it changes the speed, not the model; take it out"),
    ],
)  # fmt: skip
def test_a_wrong_space_is_named(space: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        search_space(settings(space))
    assert str(caught.value).startswith(message)


def test_the_default_space_fits_the_default_configuration() -> None:
    """Without widening, and every key and value is a setting's."""
    space = search_space(validate(RunSettings, {"data": {"root": "videos"}}))
    assert space.notes == ()
    assert set(space.entries) == set(TuningSettings().space)


def test_the_configuration_is_always_inside_the_space() -> None:
    """Choices get its value, ranges reach to it, and a note says so."""
    space = search_space(
        settings({
            "model.cell": ["lstm"],
            "model.hidden_size": {"low": 16, "high": 64},
            "training.learning_rate": {"low": 1e-4, "high": 1e-3, "log": True},
            "model.projection": [8, 16],
        })
    )  # fmt: skip
    assert space.configured == {
        "model.cell": "gru", "model.hidden_size": 8, "training.learning_rate": 0.01, "model.projection": 8,
    }  # fmt: skip
    assert space.entries == {
        "model.cell": ("lstm", "gru"),
        "model.hidden_size": SearchRange(low=8, high=64),
        "training.learning_rate": SearchRange(low=1e-4, high=0.01, log=True),
        "model.projection": (8, 16),
    }
    assert [note.split()[0] for note in space.notes] == [
        f"tuning.space.{key}" for key in ("model.cell", "model.hidden_size", "training.learning_rate")
    ]


def test_a_value_is_kept_as_the_configuration_would_say_it() -> None:
    """0 and 0.0 are one dropout, a value that stands twice is one value."""
    space = search_space(settings({"model.dropout": [0, 0.5, 0.5]}))
    assert [repr(value) for value in space.entries["model.dropout"]] == ["0.0", "0.5"]
    assert space.notes == ()


def test_values_replace_settings_and_nothing_else() -> None:
    before = settings({"model.cell": ["gru"]})
    after = with_values(before, {"model.inputs": ["centred", "change"], "training.learning_rate": 1e-5}, origin="o")
    assert after.model.inputs == ("centred", "change")
    assert after.training.learning_rate == 1e-5
    restored = with_values(after, {"model.inputs": ["features"], "training.learning_rate": 0.01}, origin="o")
    assert restored == before
