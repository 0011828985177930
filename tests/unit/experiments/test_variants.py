"""`vidrnn.experiments.variants`: each baseline lacks exactly what its name says."""

import numpy as np
import pytest
import torch

import vidrnn.experiments.variants as module
from tests.worlds import order_task, sequence_set, tiny_model, tiny_training
from vidrnn.experiments.variants import fit_and_predict, trained_baselines
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.steps import choose_steps
from vidrnn.settings.base import validate
from vidrnn.settings.evaluation import InferenceSettings
from vidrnn.settings.run import RunSettings
from vidrnn.training.members import Fitted


def make_settings() -> RunSettings:
    tree = {"data": {"root": "."}, "model": tiny_model().model_dump(), "training": tiny_training(epochs=2).model_dump()}
    return validate(RunSettings, tree)


def make_sequences(seed: int) -> SequenceSet:
    arrays, targets = order_task(8, seed=seed)
    return sequence_set(arrays, targets, [f"g{number}" for number in range(8)])


def test_heads_with_an_answer_per_step_have_their_single_step_already() -> None:
    model = tiny_model(inputs=["centred", "change"])
    steps = model.model_copy(update={"head": "step_labels"})
    own = ("own_inputs_mean", "own_inputs_max")
    assert trained_baselines(model) == ("mean_pool", *own, "shuffled_time", "single_frame")
    assert trained_baselines(steps) == ("single_step", "own_inputs_step", "shuffled_time")


def test_a_baseline_is_not_fitted_twice() -> None:
    """On features alone the mean of the own inputs is `mean_pool`; a model without recurrence is its own baseline."""
    assert trained_baselines(tiny_model()) == ("mean_pool", "own_inputs_max", "shuffled_time", "single_frame")
    assert trained_baselines(tiny_model(head="step_labels")) == ("single_step", "shuffled_time")
    for head in ("step_labels", "step_multilabel"):  # whose pooling decides nothing
        assert trained_baselines(tiny_model(head=head, pooling="max")) == ("single_step", "shuffled_time")
        bare = tiny_model(head=head, inputs=["change"], cell="none", pooling="max")
        assert trained_baselines(bare) == ("single_step", "shuffled_time")
    bare = tiny_model(inputs=["change"], cell="none", pooling="max")
    assert trained_baselines(bare) == ("mean_pool", "own_inputs_mean", "shuffled_time", "single_frame")


@pytest.mark.parametrize("variant", ["own_inputs_mean", "own_inputs_max"])
def test_the_own_inputs_without_recurrence_see_what_the_model_sees(variant: str) -> None:
    """Classes that only the change tells apart: each video jumps along its own axis, from a place far away."""
    rng = np.random.default_rng(0)
    arrays, targets = [], [0, 1] * 30
    for target in targets:
        jump = np.outer(np.arange(12) >= 6, 3.0 * np.eye(4)[target])
        arrays.append(jump + rng.normal(scale=10.0, size=4) + rng.normal(scale=0.3, size=(12, 4)))
    sequences = sequence_set(arrays, targets)
    settings = make_settings().model_copy(
        update={
            "model": tiny_model(inputs=["change"]),
            "training": tiny_training(epochs=20, steps=12, learning_rate=0.02),
        }
    )
    train, test = sequences.subset(range(40)), sequences.subset(range(40, 60))
    truth = test.targets.values.numpy()
    right = {}
    for name in (variant, "mean_pool"):
        said = fit_and_predict(name, train, test, num_classes=2, settings=settings, seed=0).averaged
        right[name] = float((np.stack(said).argmax(1) == truth).mean())
    assert right[variant] >= 0.9
    assert right["mean_pool"] <= 0.8


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
    several = make_settings().model_copy(update={"inference": InferenceSettings(draws=3)})
    said = fit_and_predict("single_frame", train, test, num_classes=2, settings=several, seed=3)
    answers = said.averaged
    assert len(said.single) == 1  # several draws would be several frames
    middle = choose_steps(test.totals, 1).indices[:, 0]
    table = test.streams["rgb"]
    frames = table.features[table.offsets + middle].float().unsqueeze(1)
    with torch.inference_mode():
        expected = fits[0].model(frames, torch.ones(len(test), dtype=torch.int64))
    np.testing.assert_allclose(np.stack(answers), expected.numpy(), atol=1e-6)
