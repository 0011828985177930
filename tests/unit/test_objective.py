"""`vidrnn.training.objective` against NumPy, PyTorch's own schedule, and the formulas."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.worlds import Array, sequence_set, tiny_model, tiny_training
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.sequences.targets import Targets
from vidrnn.settings import Head, TrainingSettings
from vidrnn.training.objective import Objective, learning_rate, make_optimiser

ONE_STEP = torch.ones(1, dtype=torch.int64)


def objective(settings: TrainingSettings, targets: Array, *, classes: int, head: Head = "label") -> Objective:
    """Of a training set with such targets, one step per video."""
    train = sequence_set([np.zeros((1, 2))] * len(targets), [0] * len(targets))
    train = replace(train, targets=Targets(torch.from_numpy(targets)))
    return Objective(settings, head, train=train, num_classes=classes)


def reference_loss(logits: Array, targets: Array, *, smoothing: float, weight: Array) -> float:
    """Weighted cross-entropy with label smoothing as PyTorch defines it (over the summed weight of the targets)."""
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    rows = np.arange(len(targets))
    of_target = -(weight[targets] * log_p[rows, targets]).sum()
    of_all = -(weight * log_p).sum() / logits.shape[1]
    return float(((1 - smoothing) * of_target + smoothing * of_all) / weight[targets].sum())


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("class_weight", ["none", "balanced"])
def test_the_loss_is_cross_entropy_on_logits(smoothing: float, class_weight: str) -> None:
    """A bug of the field: softmax before cross-entropy. Large logits tell the two apart."""
    rng = np.random.default_rng(0)
    train_targets = np.asarray([0, 0, 0, 0, 1, 1, 2])
    logits, targets = rng.normal(scale=10.0, size=(6, 4)), np.asarray([0, 1, 2, 3, 0, 0])
    weight = np.ones(4)
    if class_weight == "balanced":
        weight = np.asarray([7 / (4 * 4), 7 / (4 * 2), 7 / (4 * 1), 7 / 4])  # a class without videos counts as one
    settings = tiny_training(label_smoothing=smoothing, class_weight=class_weight)
    loss = objective(settings, train_targets, classes=4)
    found = float(loss(torch.from_numpy(logits).float(), torch.from_numpy(targets), ONE_STEP))
    assert found == pytest.approx(reference_loss(logits, targets, smoothing=smoothing, weight=weight), rel=1e-6)


def test_the_loss_of_a_right_answer_goes_to_zero() -> None:
    """Probabilities instead of logits could not go below log(1 + (classes - 1) / e)."""
    loss = objective(tiny_training(), np.asarray([0, 1, 2]), classes=3)
    assert float(loss(torch.tensor([[50.0, 0.0, 0.0]]), torch.tensor([0]), ONE_STEP)) < 1e-6


def test_the_loss_of_steps_asks_each_true_step_for_the_class_of_its_video() -> None:
    rng = np.random.default_rng(0)
    logits, targets, lengths = rng.normal(size=(3, 5, 4)), np.asarray([2, 0, 3]), [5, 1, 3]
    logits[1, 1:] = np.nan
    settings = tiny_training(label_smoothing=0.1, class_weight="balanced")
    loss = objective(settings, np.asarray([0, 0, 1, 2, 3]), classes=4)
    found = loss.of_steps(torch.from_numpy(logits).float(), torch.from_numpy(targets), torch.tensor(lengths))
    rows = np.concatenate([logits[row, :length] for row, length in enumerate(lengths)])
    weight = np.asarray([5 / 8, 5 / 4, 5 / 4, 5 / 4])
    expected = reference_loss(rows, np.repeat(targets, lengths), smoothing=0.1, weight=weight)
    assert float(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("total_steps", [2, 3, 7, 10, 40, 401])
def test_one_cycle_equals_pytorch_step_by_step(total_steps: int) -> None:
    settings = tiny_training(learning_rate=0.02, schedule="one_cycle")
    optimiser = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=0.02, total_steps=total_steps, cycle_momentum=False
    )
    for step in range(total_steps):
        found = learning_rate(step, total_steps=total_steps, settings=settings)
        assert found == pytest.approx(schedule.get_last_lr()[0], rel=1e-9, abs=1e-15)
        optimiser.step()
        if step < total_steps - 1:
            schedule.step()


@pytest.mark.parametrize("total_steps", [1, 2, 5, 30])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
def test_cosine_equals_its_formula(total_steps: int, warmup: float) -> None:
    settings = tiny_training(learning_rate=0.3, schedule="cosine", warmup_fraction=warmup)
    turn = warmup * total_steps
    for step in range(total_steps):
        if step < turn:
            expected = 0.3 * (step + 1) / (turn + 1)
        else:
            share = min((step - turn) / max(total_steps - 1 - turn, 1), 1.0)
            expected = 0.3 * 0.5 * (1 + math.cos(math.pi * share))
        assert learning_rate(step, total_steps=total_steps, settings=settings) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
@pytest.mark.parametrize("total_steps", [1, 2, 3, 4, 9, 100])
def test_every_learning_rate_is_between_zero_and_the_peak(schedule: str, total_steps: int) -> None:
    settings = tiny_training(learning_rate=0.01, schedule=schedule)
    rates = [learning_rate(step, total_steps=total_steps, settings=settings) for step in range(total_steps)]
    assert all(0.0 <= rate <= 0.01 for rate in rates)
    assert max(rates) > 0.0


def test_only_weight_matrices_decay() -> None:
    """A step without gradient shrinks matrices by 1 - rate * decay and leaves biases and norms where they are."""
    torch.manual_seed(0)
    model = SequenceClassifier(tiny_model(pooling="attention"), dim=4, num_classes=3)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    make_optimiser(model, tiny_training(learning_rate=0.1, weight_decay=0.5)).step()
    for name, value in model.named_parameters():
        is_matrix = (name.endswith("weight") and not name.startswith("norm")) or "weight_" in name
        torch.testing.assert_close(value.detach(), before[name] * (0.95 if is_matrix else 1.0))
    assert {name for name in before if "norm" in name or "bias" in name} >= {"norm.weight", "norm.bias", "output.bias"}


def test_every_parameter_is_optimised_once() -> None:
    model = SequenceClassifier(tiny_model(layers=2), dim=4, num_classes=3)
    groups = make_optimiser(model, tiny_training(weight_decay=0.3)).param_groups
    chosen = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(chosen) == sorted(id(parameter) for parameter in model.parameters())
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]
