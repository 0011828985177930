"""`vidrnn.training.objective` against NumPy, PyTorch's own schedule, and the formulas."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.worlds import Array, rgb, sequence_set, tiny_model, tiny_training
from vidrnn.errors import TrainingError
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.sequences.targets import Targets
from vidrnn.settings.model import Head
from vidrnn.settings.training import TrainingSettings
from vidrnn.training.losses import smoothing_loss
from vidrnn.training.objective import Objective, learning_rate, make_optimiser

ONE_STEP = torch.ones(1, dtype=torch.int64)


def objective(settings: TrainingSettings, targets: Array, *, classes: int, head: Head = "label") -> Objective:
    """Of a training set with such targets, one step per video."""
    train = sequence_set([np.zeros((1, 2))] * len(targets), [0] * len(targets))
    train = replace(train, targets=Targets(torch.from_numpy(targets)))
    return Objective(settings, head, train=train, num_classes=classes)


def reference_loss(logits: Array, targets: Array, *, smoothing: float, weight: Array) -> float:
    """Cross-entropy with label smoothing (Szegedy et al. 2016, eq. 7), each example times the weight of its class."""
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    wanted = (1 - smoothing) * np.eye(logits.shape[1])[targets] + smoothing / logits.shape[1]
    return float((weight[targets] * -(wanted * log_p).sum(1)).mean())


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("class_weight", ["none", "balanced"])
def test_the_loss_is_cross_entropy_on_logits(smoothing: float, class_weight: str) -> None:
    """A bug of the field: softmax before cross-entropy. Large logits tell the two apart."""
    rng = np.random.default_rng(0)
    train_targets = np.asarray([0, 0, 0, 0, 1, 1, 2])
    logits, targets = rng.normal(scale=10.0, size=(6, 4)), np.asarray([0, 1, 2, 3, 0, 0])
    weight = np.ones(4)
    if class_weight == "balanced":
        weight = np.asarray([7 / (3 * 4), 7 / (3 * 2), 7 / (3 * 1), 0.0])  # a class without videos weighs nothing
    settings = tiny_training(label_smoothing=smoothing, class_weight=class_weight)
    loss = objective(settings, train_targets, classes=4)
    found = float(loss(torch.from_numpy(logits).float(), torch.from_numpy(targets), ONE_STEP))
    assert found == pytest.approx(reference_loss(logits, targets, smoothing=smoothing, weight=weight), rel=1e-6)


def cheapest_answers(loss: Objective) -> Array:
    """(2,) probability of their own class that costs least for examples of either of two classes, tried on a grid."""
    grid = np.linspace(0.001, 0.999, 401)
    best = []
    for true_class in (0, 1):
        shares = np.stack([grid, 1 - grid] if true_class == 0 else [1 - grid, grid], axis=1)
        logits, target = torch.from_numpy(np.log(shares)).float(), torch.tensor([true_class])
        best.append(grid[np.argmin([float(loss(row[None], target, ONE_STEP)) for row in logits])])
    return np.asarray(best)


@pytest.mark.parametrize("head", ["label", "step_labels"])
@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
@pytest.mark.parametrize("counts", [[4, 4], [38, 1], [200, 8], [999, 1]])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_the_cheapest_answer_is_the_smoothed_truth_however_unequal_the_classes(
    head: Head, loss: str, counts: list[int], smoothing: float
) -> None:
    """With the smoothed share weighted too, a common example was answered best with the rare class."""
    settings = tiny_training(loss=loss, focal_gamma=1.0, label_smoothing=smoothing, class_weight="balanced")
    best = cheapest_answers(objective(settings, np.repeat([0, 1], counts), classes=2, head=head))
    assert best.min() > 0.5
    if loss == "cross_entropy":
        np.testing.assert_allclose(best, 1 - smoothing / 2, atol=0.005)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("counts", [(5, 1, 0), (90, 9, 1)])
def test_examples_that_look_alike_are_shared_evenly_among_the_classes_that_occur(
    smoothing: float, counts: tuple[int, int, int]
) -> None:
    """One answer for all examples: that of lowest cost on a grid over three classes."""
    settings = tiny_training(label_smoothing=smoothing, class_weight="balanced")
    taught = np.repeat([0, 1, 2], counts)
    loss = objective(settings, taught, classes=3)
    points = [(a / 60, b / 60, 1 - (a + b) / 60) for a in range(1, 59) for b in range(1, 60 - a)]
    logits = torch.tensor(points).log()
    targets = torch.from_numpy(taught)
    costs = [float(loss(row.expand(len(taught), 3), targets, ONE_STEP)) for row in logits]
    present = np.asarray(counts) > 0
    expected = (1 - smoothing) * present / present.sum() + smoothing / 3
    assert points[int(np.argmin(costs))] == pytest.approx(tuple(expected), abs=1.5 / 60)


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


def of_numbers(settings: TrainingSettings, train: Array, head: Head = "regression") -> tuple[Objective, float, float]:
    """The objective, and the mean and deviation of the numbers in training that it should stand on."""
    known = train[~np.isnan(train)].astype(np.float64)
    return objective(settings, train.astype(np.float32), classes=0, head=head), known.mean(), known.std()


def loss_and_gradient(
    loss: Objective, outputs: Array, targets: Array, lengths: list[int] | None = None
) -> tuple[float, Array]:
    given = torch.from_numpy(outputs.astype(np.float32)).requires_grad_()
    rows = torch.from_numpy(targets.astype(np.float32) if targets.dtype.kind == "f" else targets)
    value = loss(given, rows, torch.tensor(lengths or [outputs.shape[1]] * len(outputs)))
    value.backward()  # type: ignore[no-untyped-call]
    assert given.grad is not None
    return float(value.detach()), given.grad.numpy()


def test_any_number_of_labels_are_taught_by_binary_cross_entropy_on_logits() -> None:
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(scale=20.0, size=(5, 3)), rng.integers(0, 2, (5, 3)).astype(np.float64)
    found, gradient = loss_and_gradient(
        objective(tiny_training(), targets, classes=3, head="multilabel"), logits, targets
    )
    expected = (np.logaddexp(0.0, logits) - targets * logits).mean()
    assert found == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient, (1 / (1 + np.exp(-logits)) - targets) / 15, atol=1e-7)


def test_the_asymmetric_loss_has_the_constants_of_its_paper() -> None:
    """gamma 0 for positives and 4 for negatives, margin 0.05; eq. 7 written out in float64."""
    rng = np.random.default_rng(1)
    logits, targets = rng.normal(scale=3.0, size=(6, 4)), rng.integers(0, 2, (6, 4)).astype(np.float64)
    p = 1 / (1 + np.exp(-logits))
    shifted = np.maximum(p - 0.05, 0.0)
    expected = -(targets * np.log(p) + (1 - targets) * shifted**4 * np.log(1 - shifted)).mean()
    settings = tiny_training(loss="asymmetric")
    found, _ = loss_and_gradient(objective(settings, targets, classes=4, head="multilabel"), logits, targets)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_steps_are_taught_one_by_one_and_padding_is_not(loss: str, smoothing: float) -> None:
    """Averaged over the true steps of the batch, weights included; nan behind the end leaves no trace."""
    rng = np.random.default_rng(2)
    logits, targets, lengths = rng.normal(size=(3, 5, 4)), rng.integers(0, 4, (3, 5)), [5, 1, 3]
    for row, length in enumerate(lengths):
        logits[row, length:], targets[row, length:] = np.nan, -1
    settings = tiny_training(loss=loss, focal_gamma=1.5, label_smoothing=smoothing, class_weight="balanced")
    taught = np.asarray([-1, 0, 0, 0, 1, -1, 1, 2, 3, 3])  # at two of these steps nobody looked
    of_steps = objective(settings, taught, classes=4, head="step_labels")
    found, gradient = loss_and_gradient(of_steps, logits, targets, lengths)
    weight = np.asarray([8 / (4 * count) for count in (3, 2, 1, 2)])
    rows = np.concatenate([logits[row, :length] for row, length in enumerate(lengths)])
    wanted = np.concatenate([targets[row, :length] for row, length in enumerate(lengths)])
    if loss == "cross_entropy":
        expected = reference_loss(rows, wanted, smoothing=smoothing, weight=weight)
    else:
        p = np.exp(rows) / np.exp(rows).sum(1, keepdims=True)
        shares = (1 - smoothing) * np.eye(4)[wanted] + smoothing / 4
        expected = (weight[wanted] * -(shares * (1 - p) ** 1.5 * np.log(p)).sum(1)).mean()
    assert found == pytest.approx(expected, rel=1e-5)
    for row, length in enumerate(lengths):
        assert not gradient[row, length:].any()
        assert gradient[row, :length].any()


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "asymmetric"])
def test_sets_of_labels_at_steps_are_taught_where_somebody_looked(loss: str) -> None:
    """Averaged over the known decisions of the batch; padding and what nobody looked at leave no trace."""
    rng = np.random.default_rng(3)
    logits, targets = rng.normal(size=(3, 5, 4)), rng.integers(0, 2, (3, 5, 4)).astype(np.float32)
    lengths = [5, 1, 3]
    for row, length in enumerate(lengths):
        logits[row, length:], targets[row, length:] = np.nan, np.nan
    targets[0, 2], targets[2, :, 1] = np.nan, np.nan
    known = ~np.isnan(targets)
    of_steps = objective(tiny_training(loss=loss), targets[0], classes=4, head="step_multilabel")
    found, gradient = loss_and_gradient(of_steps, logits, targets, lengths)
    p, wanted = 1 / (1 + np.exp(-logits[known])), targets[known]
    if loss == "asymmetric":
        shifted = np.maximum(p - 0.05, 0)
        costs = wanted * np.log(p) + (1 - wanted) * shifted**4 * np.log(1 - shifted)
    else:
        costs = wanted * np.log(p) + (1 - wanted) * np.log(1 - p)
    assert found == pytest.approx(-costs.mean(), rel=1e-5)
    assert not gradient[~known].any()
    assert of_steps.count(torch.from_numpy(targets)) == known.sum()


def path_probability(logits: Array, transcript: list[int], *, blank: int) -> float:
    """Of all paths that collapse to the transcript, one by one (Graves et al. 2006, eq. 3)."""
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    total = 0.0
    for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        collapsed = [label for label, _ in itertools.groupby(path) if label != blank]
        if collapsed == transcript:
            total += float(np.prod([p[step, label] for step, label in enumerate(path)]))
    return total


def test_transcripts_are_taught_by_all_ways_to_place_them() -> None:
    """The blank is the output behind the classes; each video counts by the length of its transcript."""
    rng = np.random.default_rng(3)
    logits, lengths = rng.normal(size=(3, 5, 3)), [5, 2, 4]
    logits[1, 2:], logits[2, 4:] = np.nan, np.nan
    targets = np.asarray([[1, 1, 0], [-1, -1, -1], [0, 1, -1]])
    found, gradient = loss_and_gradient(
        objective(tiny_training(), targets, classes=2, head="transcript"), logits, targets, lengths
    )
    costs = [
        -math.log(path_probability(logits[row, :length], [t for t in targets[row].tolist() if t >= 0], blank=2)) / count
        for row, (length, count) in enumerate(zip(lengths, (3, 1, 2), strict=True))
    ]
    assert found == pytest.approx(np.mean(costs), rel=1e-5)
    assert np.isfinite(gradient).all()
    assert not gradient[1, 2:].any()


@pytest.mark.parametrize("head", ["regression", "step_regression"])
@pytest.mark.parametrize("loss", ["auto", "mse", "huber"])
def test_numbers_are_compared_in_units_of_their_deviation(head: Head, loss: str) -> None:
    """Squared, or linear beyond one deviation; what is not known counts neither in the sum nor in the mean."""
    rng = np.random.default_rng(4)
    train = rng.normal(loc=50.0, scale=7.0, size=20)
    train[3] = np.nan
    scaled, mean, deviation = of_numbers(tiny_training(loss=loss), train, head)
    assert scaled.scale is not None
    np.testing.assert_allclose(scaled.scale.numpy(), [mean, deviation], rtol=1e-6)  # the numbers came as float32
    shape = (4,) if head == "regression" else (4, 6)
    targets, outputs = rng.normal(50.0, 7.0, shape), rng.normal(0.0, 3.0, (*shape, 1))
    targets[0], targets[2] = np.nan, outputs[2, ..., 0] * deviation + mean
    error = (outputs[..., 0] - (targets - mean) / deviation)[~np.isnan(targets)]
    huber = np.where(np.abs(error) <= 1, error**2 / 2, np.abs(error) - 0.5)
    found, gradient = loss_and_gradient(scaled, outputs, targets)
    assert found == pytest.approx((huber if loss == "huber" else error**2).mean(), rel=1e-4)
    assert not gradient[0].any()
    assert gradient[1].all()


@pytest.mark.parametrize(
    ("head", "taught", "unknown"),
    [
        ("step_labels", np.asarray([0, 1]), np.full((2, 3), -1)),
        ("step_multilabel", np.eye(2, dtype=np.float32), np.full((2, 3, 2), np.nan, dtype=np.float32)),
    ],
)
def test_a_batch_without_any_labelled_step_teaches_nothing(head: Head, taught: Array, unknown: Array) -> None:
    of_steps = objective(tiny_training(), taught, classes=2, head=head)
    found, gradient = loss_and_gradient(of_steps, np.ones((2, 3, 2)), unknown)
    assert found == 0.0
    assert not gradient.any()
    assert of_steps.count(torch.from_numpy(unknown)) == 0


@pytest.mark.parametrize("head", ["regression", "step_regression"])
def test_a_batch_without_any_known_number_teaches_nothing(head: Head) -> None:
    """Not nan, which would end the fit; outputs in the padding may be anything."""
    scaled, _, _ = of_numbers(tiny_training(), np.asarray([1.0, 2.0, np.nan]), head)
    shape = (2,) if head == "regression" else (2, 3)
    outputs = np.ones((*shape, 1))
    outputs[1] = np.nan
    found, gradient = loss_and_gradient(scaled, outputs, np.full(shape, np.nan))
    assert found == 0.0
    assert not gradient.any()


@pytest.mark.parametrize("train", [np.asarray([3.0, 3.0, 3.0]), np.asarray([3.0])])
def test_equal_numbers_are_compared_as_they_are(train: Array) -> None:
    """They have no deviation to be a unit."""
    loss = objective(tiny_training(), train.astype(np.float32), classes=0, head="regression")
    assert loss.scale is not None
    assert loss.scale.tolist() == [3.0, 1.0]
    assert loss_and_gradient(loss, np.asarray([[2.0]]), np.asarray([3.0]))[0] == pytest.approx(4.0)


def test_numbers_of_which_none_is_known_cannot_be_taught() -> None:
    with pytest.raises(TrainingError) as caught:
        objective(tiny_training(), np.full(3, np.nan, dtype=np.float32), classes=0, head="step_regression")
    assert str(caught.value) == (
        "no video to learn from has a known answer at any step; annotate some, or use other folds"
    )


def test_steps_of_which_none_is_labelled_cannot_be_taught() -> None:
    with pytest.raises(TrainingError, match="no video to learn from has a known answer at any step"):
        objective(tiny_training(), np.full(3, -1), classes=2, head="step_labels")
    with pytest.raises(TrainingError, match="no video to learn from has a known answer at any step"):
        objective(tiny_training(), np.full((3, 2), np.nan), classes=2, head="step_multilabel")


SHAPES: dict[Head, tuple[int, ...]] = {"step_labels": (4,), "transcript": (4,), "step_regression": (1,)}


@pytest.mark.parametrize("head", SHAPES)
@pytest.mark.parametrize("extra", [1, 7])
@pytest.mark.parametrize("garbage", [0.0, 1e6, math.nan])
def test_padding_never_changes_the_loss_of_steps(head: Head, extra: int, garbage: float) -> None:
    rng = np.random.default_rng(5)
    lengths = [4, 6]
    outputs = rng.normal(size=(2, 6, *SHAPES[head]))
    targets: Array = {
        "step_labels": rng.integers(0, 4, (2, 6)),
        "transcript": np.asarray([[0, 2], [1, -1]]),
        "step_regression": rng.normal(size=(2, 6)),
    }[head]
    if head != "transcript":
        targets[0, 4:] = -1 if head == "step_labels" else np.nan
    train = {"step_labels": np.arange(4), "transcript": targets, "step_regression": np.arange(4.0, dtype=np.float32)}
    loss = objective(tiny_training(), train[head], classes=3 if head == "transcript" else 4, head=head)
    expected, gradient = loss_and_gradient(loss, outputs, targets, lengths)
    outputs[0, 4:] = garbage
    wider = np.concatenate([outputs, np.full((2, extra, *SHAPES[head]), garbage)], axis=1)
    if head != "transcript":
        beyond = np.full((2, extra), -1 if head == "step_labels" else np.nan)
        targets = np.concatenate([targets, beyond.astype(targets.dtype)], axis=1)
    found, wider_gradient = loss_and_gradient(loss, wider, targets, lengths)
    assert found == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(wider_gradient[:, :6], gradient, atol=1e-7)
    assert not wider_gradient[:, 6:].any()


def test_balanced_weights_of_steps_count_the_steps_of_their_own_set() -> None:
    """A subset shares the values of all videos; those of the others, here the test side of a fold, must not count."""
    totals = torch.tensor([4, 3, 5])
    values = torch.tensor([0, 0, 0, 1, 1, 1, 1, 0, 1, 1, 2, 2])
    whole = sequence_set([np.zeros((total, 2)) for total in totals.tolist()], [0, 0, 0])
    whole = replace(whole, targets=Targets(values, rgb(whole).offsets))
    settings = tiny_training(class_weight="balanced")
    loss = Objective(settings, "step_labels", train=whole.subset([2, 0]), num_classes=3)
    logits = np.random.default_rng(6).normal(size=(1, 3, 3))
    found, _ = loss_and_gradient(loss, logits, np.asarray([[0, 1, 2]]))
    weight = np.asarray([9 / (3 * 4), 9 / (3 * 3), 9 / (3 * 2)])
    expected = reference_loss(logits[0], np.asarray([0, 1, 2]), smoothing=0.0, weight=weight)
    assert found == pytest.approx(expected, rel=1e-6)


def test_numbers_stand_on_the_steps_of_their_own_set() -> None:
    whole = sequence_set([np.zeros((3, 2)), np.zeros((2, 2))], [0, 0])
    whole = replace(whole, targets=Targets(torch.tensor([1.0, math.nan, 3.0, 100.0, 200.0]), rgb(whole).offsets))
    loss = Objective(tiny_training(), "step_regression", train=whole.subset([0]), num_classes=0)
    assert loss.scale is not None
    assert loss.scale.tolist() == [2.0, 1.0]


@pytest.mark.parametrize("head", ["multilabel", "regression"])
def test_single_steps_are_asked_for_the_answer_of_their_video(head: Head) -> None:
    """For other heads than one label too; a long video counts by its steps, its padding not at all."""
    rng = np.random.default_rng(7)
    lengths, width = [2, 4, 1], 3 if head == "multilabel" else 1
    outputs = rng.normal(size=(3, 4, width))
    targets = rng.integers(0, 2, (3, 3)).astype(np.float32) if head == "multilabel" else rng.normal(size=3)
    targets = targets.astype(np.float32)
    loss = objective(tiny_training(), targets, classes=3, head=head)
    for row, length in enumerate(lengths):
        outputs[row, length:] = np.nan
    found = loss.of_steps(torch.from_numpy(outputs).float(), torch.from_numpy(targets), torch.tensor(lengths))
    costs = []
    for row, length in enumerate(lengths):
        for step in range(length):
            own_outputs, own_targets = outputs[row, step], targets[row].astype(np.float64)
            if head == "multilabel":
                costs.append((np.logaddexp(0.0, own_outputs) - own_targets * own_outputs).mean())
            else:
                numbers = targets.astype(np.float64)
                costs.append((own_outputs[0] - (own_targets - numbers.mean()) / numbers.std()) ** 2)
    assert float(found) == pytest.approx(np.mean(costs), rel=1e-5)


def of_steps(settings: TrainingSettings, videos: list[list[int]], *, classes: int) -> Objective:
    """The objective of ``step_labels`` for such training videos."""
    train = sequence_set([np.zeros((len(video), 2)) for video in videos], [0] * len(videos))
    offsets = np.cumsum([0, *map(len, videos)])[:-1]
    targets = Targets(torch.tensor([label for video in videos for label in video]), torch.from_numpy(offsets))
    return Objective(settings, "step_labels", train=replace(train, targets=targets), num_classes=classes)


def test_weights_by_segment_make_the_segments_of_all_classes_weigh_the_same() -> None:
    """Class 0 has two segments of 3 and 1 steps, class 1 one of 2; -1 is nobody's, class 2 never occurs."""
    videos = [[0, 0, 0, 1, 1], [-1, -1, 0]]
    settings = tiny_training(class_weight="segments", label_smoothing=0.0)
    loss = of_steps(settings, videos, classes=3)
    weight = np.asarray([6 * 2 / (3 * 4), 6 * 1 / (3 * 2), 0.0])
    steps = np.asarray([label for video in videos for label in video if label >= 0])
    assert weight[steps].mean() == pytest.approx(1.0)
    logits, targets = np.random.default_rng(0).normal(size=(5, 3)), np.asarray([0, 1, 2, 0, 1])
    found = float(loss(torch.from_numpy(logits)[None], torch.from_numpy(targets)[None], torch.tensor([5])))
    assert found == pytest.approx(reference_loss(logits, targets, smoothing=0.0, weight=weight), rel=1e-6)


def test_the_smoothing_loss_is_added_with_its_weight() -> None:
    """To the cross-entropy of the known steps."""
    logits = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[0, 1, 1, 2, 2], [1, 1, -1, 0, -1]])
    lengths = torch.tensor([5, 4])
    plain = of_steps(tiny_training(), [[0, 1, 2]], classes=3)(logits, targets, lengths)
    settings = tiny_training(smoothing_weight=0.3, smoothing_limit=1.5)
    found = of_steps(settings, [[0, 1, 2]], classes=3)(logits, targets, lengths)
    expected = plain + 0.3 * smoothing_loss(logits, targets >= 0, limit=1.5)
    torch.testing.assert_close(found, expected)
