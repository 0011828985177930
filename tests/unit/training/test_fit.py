"""`vidrnn.training.fit`: learns what only time tells, reproduces, stops, selects and fails as it says."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import vidrnn.training.fit as module
import vidrnn.training.predict as predict_module
import vidrnn.training.trainer as trainer_module
from tests.worlds import order_task, rgb, sequence_set, tiny_model, tiny_training, with_rgb
from vidrnn.errors import TrainingError
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.steps import choose_steps
from vidrnn.settings.model import ModelSettings
from vidrnn.settings.training import TrainingSettings
from vidrnn.training.fit import FitResult, fit
from vidrnn.training.predict import PredictOptions, predict


def make_set(number: int, *, seed: int = 0) -> SequenceSet:
    return sequence_set(*order_task(number, seed=seed))


def run(
    settings: TrainingSettings, *, model: ModelSettings | None = None, val: SequenceSet | None = None, **changes: Any
) -> FitResult:
    return fit(make_set(16), val, num_classes=2, model_settings=model or tiny_model(), settings=settings, **changes)


def top1(result: FitResult, sequences: SequenceSet, settings: TrainingSettings, **changes: bool) -> float:
    logits = torch.stack(predict(result.model, sequences, PredictOptions(settings.steps, **changes)))
    return float((logits.argmax(1) == sequences.targets.values).float().mean())


def without_time(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "mingru", "minlstm", "transformer", "tcn"])
def test_every_layer_type_learns_the_order_of_time_and_the_baselines_cannot(cell: str) -> None:
    """Each test sequence is there once forwards and once backwards, so mean pooling can only be right on half."""
    settings = tiny_training(epochs=15)
    train, test = make_set(40), make_set(40, seed=1)
    fits = {
        "model": fit(train, None, num_classes=2, model_settings=tiny_model(cell=cell), settings=settings),
        "mean_pool": fit(train, None, num_classes=2, model_settings=tiny_model(cell="none"), settings=settings),
        "shuffled": fit(
            train, None, num_classes=2, model_settings=tiny_model(cell=cell), settings=settings, shuffled_time=True
        ),
    }
    assert top1(fits["model"], test, settings) >= 0.95
    assert top1(fits["mean_pool"], test, settings) == pytest.approx(0.5, abs=0.06)
    assert top1(fits["shuffled"], test, settings, shuffled_time=True) == pytest.approx(0.5, abs=0.25)


def test_the_loss_of_steps_teaches_every_step() -> None:
    """The first loss asks for the end states alone, which say little about what the output makes of those between."""
    sequences, model = make_set(40), tiny_model(pooling="last")
    batch = sequences.batch(torch.arange(40), choose_steps(sequences.totals, 8), model)
    wrong, first_loss = [], []
    for weight in (0.0, 1.0):
        settings = tiny_training(epochs=15, step_loss_weight=weight)
        fitted = fit(sequences, None, num_classes=2, model_settings=model, settings=settings)
        first_loss.append(fitted.history[0]["train_loss"])
        with torch.inference_mode():
            _, of_steps = fitted.model.with_step_logits(batch.features, batch.lengths)
        wrong.append(float((of_steps.argmax(2) != batch.targets.unsqueeze(1)).float().mean()))
    assert wrong[1] < 0.02 < wrong[0]
    assert first_loss[1] == pytest.approx(2 * first_loss[0], rel=0.2)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_seed_gives_the_same_bits(precision: str) -> None:
    settings = tiny_training(jitter=True, steps=4, precision=precision)
    model = tiny_model(dropout=0.3, layers=2)
    first = run(settings, model=model, val=make_set(8, seed=1))
    torch.rand(7)  # what was drawn before does not matter
    second = run(settings, model=model, val=make_set(8, seed=1))
    assert all(torch.equal(value, second.last[name]) for name, value in first.last.items())
    assert without_time(first.history) == without_time(second.history)
    other = run(settings.model_copy(update={"seed": 1}), model=model)
    assert not torch.equal(other.last["output.weight"], first.last["output.weight"])


def test_threads_that_fit_at_the_same_time_get_the_bits_of_one_alone() -> None:
    """PyTorch has one stream of random numbers for the whole process, and dropout draws from it."""
    settings, model = tiny_training(epochs=4), tiny_model(dropout=0.3)
    expected = run(settings, model=model).last
    meeting = threading.Barrier(3)

    def fitted(_number: int) -> FitResult:
        meeting.wait()
        return run(settings, model=model)

    with ThreadPoolExecutor(3) as pool:
        for result in pool.map(fitted, range(3)):
            assert all(torch.equal(value, result.last[name]) for name, value in expected.items())


def test_the_callers_own_random_numbers_go_on_as_if_nothing_had_been_fitted() -> None:
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    run(tiny_training(epochs=1), model=tiny_model(dropout=0.3))
    assert torch.equal(torch.rand(4), expected)


def test_a_row_of_the_log_says_what_happened() -> None:
    rows: list[dict[str, float]] = []
    settings = tiny_training(epochs=2, batch_size=6, learning_rate=0.02)
    result = run(settings, val=make_set(8, seed=1), on_epoch=rows.append)
    assert rows == result.history
    assert [row["epoch"] for row in rows] == [1.0, 2.0]
    assert set(rows[0]) == {
        "epoch", "updates", "learning_rate", "train_loss", "train_top1", "gradient_norm_mean", "gradient_norm_max",
        "val_loss", "val_top1", "seconds",
    }  # fmt: skip
    assert [row["updates"] for row in rows] == [3.0, 6.0]  # 16 videos in batches of 6
    assert rows[1]["learning_rate"] == pytest.approx(0.02 / 25 / 1e4)  # the end of one cycle


@pytest.mark.parametrize(("min_updates", "epochs"), [(0, 2), (6, 2), (7, 3), (20, 7)])
def test_few_videos_get_more_epochs_until_the_smallest_number_of_updates(min_updates: int, epochs: int) -> None:
    """16 videos in batches of 6 are 3 updates an epoch; the learning rate ends with the last epoch, however many."""
    result = run(tiny_training(epochs=2, batch_size=6, learning_rate=0.02, min_updates=min_updates))
    assert [row["epoch"] for row in result.history] == [1.0 + number for number in range(epochs)]
    assert result.history[-1]["learning_rate"] == pytest.approx(0.02 / 25 / 1e4)


def test_validation_loss_is_plain_cross_entropy_of_the_logits() -> None:
    """Neither smoothed nor weighted, so that it compares between runs; softmax is applied once."""
    val = make_set(8, seed=1)
    settings = tiny_training(epochs=1, label_smoothing=0.4, class_weight="balanced")
    result = run(settings, val=val)
    logits = torch.stack(predict(result.model, val, PredictOptions(settings.steps))).double().numpy()
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    expected = -log_p[np.arange(8), val.targets.values.numpy()].mean()
    assert result.history[0]["val_loss"] == pytest.approx(expected, rel=1e-5)
    assert result.history[0]["val_top1"] == (logits.argmax(1) == val.targets.values.numpy()).mean()


def script_validation(monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> None:
    """Let validation give these losses, one per epoch."""
    values = iter(losses)
    monkeypatch.setattr(module, "validate", lambda *_, **__: {"val_loss": next(values), "val_top1": 0.0})


def test_the_best_epoch_has_the_lowest_validation_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    weights: list[torch.Tensor] = []
    kept: list[SequenceClassifier] = []
    original = trainer_module.SequenceClassifier

    def remember(*values: Any, **named: Any) -> SequenceClassifier:
        kept.append(original(*values, **named))
        return kept[-1]

    monkeypatch.setattr(trainer_module, "SequenceClassifier", remember)
    for select, chosen in (("best", 1), ("last", 3)):
        script_validation(monkeypatch, [0.9, 0.5, 0.7, 0.5])
        weights.clear()
        result = run(
            tiny_training(epochs=4, select=select),
            val=make_set(4),
            on_epoch=lambda _: weights.append(kept[-1].output.weight.detach().clone()),
        )
        assert result.best_epoch == 2
        assert result.best is not None
        assert torch.equal(result.best["output.weight"], weights[1])
        assert torch.equal(result.last["output.weight"], weights[3])
        assert torch.equal(result.model.output.weight, weights[chosen])
        assert not result.model.training


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 6), (None, 7)])
def test_patience_counts_epochs_without_a_better_loss(
    monkeypatch: pytest.MonkeyPatch, patience: int | None, epochs: int
) -> None:
    script_validation(monkeypatch, [0.9, 0.5, 0.6, 0.4, 0.4, 0.5, 0.1])
    result = run(tiny_training(epochs=7, patience=patience), val=make_set(4))
    assert len(result.history) == epochs
    assert result.best_epoch == {3: 2, 6: 4, 7: 7}[epochs]


def test_without_validation_all_epochs_run_and_the_last_is_kept() -> None:
    result = run(tiny_training(epochs=3, patience=1))
    assert result.best is None
    assert result.best_epoch == 3
    assert all(torch.equal(value, result.last[name]) for name, value in result.model.state_dict().items())


def test_a_loss_that_is_no_number_stops_with_what_to_do() -> None:
    sequences = make_set(8)
    broken = with_rgb(sequences, features=torch.full_like(rgb(sequences).features, math.nan))
    with pytest.raises(TrainingError) as caught:
        fit(broken, None, num_classes=2, model_settings=tiny_model(), settings=tiny_training())
    assert str(caught.value) == (
        "the loss became nan in epoch 1, the largest gradient norm nan; "
        "lower training.learning_rate or training.clip_norm"
    )


def test_the_gradient_norm_is_logged_before_clipping() -> None:
    """One epoch of one batch from the same start: the limit changes the weights, not the logged norm."""
    free = run(tiny_training(epochs=1, batch_size=16, clip_norm=1e6))
    clipped = run(tiny_training(epochs=1, batch_size=16, clip_norm=1e-6))
    assert clipped.history[0]["gradient_norm_max"] == free.history[0]["gradient_norm_max"] > 1e-3
    torch.manual_seed(0)
    model = SequenceClassifier(tiny_model(), dim=6, num_classes=2)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    sequences = make_set(16)
    logits = model.train()(rgb(sequences).features.float().view(16, 8, 6), torch.full((16,), 8))
    nn.functional.cross_entropy(logits, sequences.targets.values).backward()
    norm = math.sqrt(sum(float(p.grad.double().square().sum()) for p in model.parameters() if p.grad is not None))
    assert free.history[0]["gradient_norm_max"] == pytest.approx(norm, rel=1e-4)
    assert not torch.equal(free.last["output.weight"], start["output.weight"])


def test_balanced_weights_help_the_rare_class() -> None:
    """Identical inputs with classes 3 to 1: the answer is the majority, until the classes weigh the same."""
    sequences = sequence_set([np.ones((2, 3))] * 16, [0] * 12 + [1] * 4)
    settings = tiny_training(epochs=30, batch_size=16, learning_rate=0.05, weight_decay=0.0)
    shares = {}
    for weight in ("none", "balanced"):
        chosen = settings.model_copy(update={"class_weight": weight})
        result = fit(sequences, None, num_classes=2, model_settings=tiny_model(cell="none"), settings=chosen)
        shares[weight] = float(predict(result.model, sequences, PredictOptions(chosen.steps))[0].softmax(0)[1])
    assert shares["none"] == pytest.approx(0.25, abs=0.03)
    assert shares["balanced"] == pytest.approx(0.5, abs=0.03)


def test_predictions_do_not_depend_on_the_batch_size(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    sequences = sequence_set([rng.normal(size=(1 + i % 13, 6)) for i in range(20)], [0, 1] * 10)
    settings = tiny_training()
    model = run(settings).model
    together = torch.stack(predict(model, sequences, PredictOptions(settings.steps)))
    monkeypatch.setattr(predict_module, "_STEPS_PER_BATCH", 1)
    torch.testing.assert_close(
        torch.stack(predict(model, sequences, PredictOptions(settings.steps))), together, rtol=0, atol=1e-6
    )
    assert together.shape == (20, 2)


def test_single_pictures_need_the_features_themselves() -> None:
    """A video of one step is its own mean, and has no neighbours to change from."""
    pictures = sequence_set([np.ones((1, 6)), np.zeros((1, 6))], [0, 1])
    model = tiny_model(inputs=["centred", "change"])
    with pytest.raises(TrainingError) as caught:
        fit(pictures, None, num_classes=2, model_settings=model, settings=tiny_training(epochs=1))
    assert str(caught.value) == (
        "every training video has one step, of which model.inputs centred, change show nothing; add features to "
        "model.inputs"
    )
    allowed = tiny_model(inputs=["features", "change"])
    fit(pictures, None, num_classes=2, model_settings=allowed, settings=tiny_training(epochs=1))


def test_shuffled_predictions_are_the_same_each_time() -> None:
    sequences, settings = make_set(10), tiny_training()
    model = run(settings).model
    first = torch.stack(predict(model, sequences, PredictOptions(settings.steps, shuffled_time=True)))
    assert torch.equal(
        first, torch.stack(predict(model, sequences, PredictOptions(settings.steps, shuffled_time=True)))
    )
    assert not torch.allclose(first, torch.stack(predict(model, sequences, PredictOptions(settings.steps))))
