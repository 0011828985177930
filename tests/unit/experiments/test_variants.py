"""`vidrnn.experiments.variants`: each baseline lacks exactly what its name says."""

import numpy as np
import pytest
import torch

import vidrnn.experiments.variants as module
from tests.worlds import order_task, sequence_set, tiny_model, tiny_training
from vidrnn.experiments.variants import fit_and_answer, trained_baselines
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.steps import choose_steps
from vidrnn.settings.base import validate
from vidrnn.settings.run import RunSettings
from vidrnn.training.members import Fitted


def make_settings() -> RunSettings:
    tree = {"data": {"root": "."}, "model": tiny_model().model_dump(), "training": tiny_training(epochs=2).model_dump()}
    return validate(RunSettings, tree)


def make_sequences(seed: int) -> SequenceSet:
    arrays, targets = order_task(8, seed=seed)
    return sequence_set(arrays, targets, [f"g{number}" for number in range(8)])


def test_heads_with_an_answer_per_step_have_their_single_step_already() -> None:
    assert trained_baselines("label") == ("mean_pool", "shuffled_time", "single_frame")
    assert trained_baselines("step_labels") == ("single_step", "shuffled_time")


def test_the_single_frame_baseline_answers_from_the_features_of_the_middle_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fits: list[Fitted] = []
    original = module.fit_members

    def spy(*positional, **named) -> Fitted:
        fits.append(original(*positional, **named))
        assert named["settings"].steps == 1
        assert (named["model_settings"].cell, named["model_settings"].inputs) == ("none", ("features",))
        return fits[-1]

    monkeypatch.setattr(module, "fit_members", spy)
    train, test = make_sequences(0), make_sequences(1)
    answers = fit_and_answer("single_frame", train, test, num_classes=2, settings=make_settings(), seed=3).averaged
    middle = choose_steps(test.totals, 1).indices[:, 0]
    table = test.streams["rgb"]
    frames = table.features[table.offsets + middle].float().unsqueeze(1)
    with torch.inference_mode():
        expected = fits[0].model(frames, torch.ones(len(test), dtype=torch.int64))
    np.testing.assert_allclose(np.stack(answers), expected.numpy(), atol=1e-6)
