"""`vidrnn.training.convergence`: a fit that ended while it was still learning says so."""

import numpy as np
import pytest

from tests.worlds import order_task, sequence_set, tiny_model, tiny_training
from vidrnn.training.checkpoint import History
from vidrnn.training.convergence import judge_convergence
from vidrnn.training.fit import fit


def history(losses: list[float], **more: float) -> History:
    return [{**more, "epoch": i + 1.0, "updates": 3.0 * (i + 1), "train_loss": loss} for i, loss in enumerate(losses)]


def test_what_fell_after_the_middle_is_counted() -> None:
    """Ten epochs: the first is 2, the third fifth has a mean of 1.2, the last a mean of 1: 0.2 of 1.0."""
    found = judge_convergence(history([2.0, 1.8, 1.6, 1.5, 1.3, 1.1, 1.0, 1.0, 1.1, 0.9]))
    assert (found.updates, found.epochs, found.first) == (30, 10, 2.0)
    assert (found.last, found.late_share) == (pytest.approx(1.0), pytest.approx(0.2))
    assert not found.converged
    assert str(found) == (
        "30 updates in 10 epochs: training loss 2.000 to 1.000, 20% of the fall after the middle of the fit: not "
        "converged; training.min_updates=60 would go on"
    )


def test_a_loss_that_stands_still_from_the_middle_on_has_converged() -> None:
    found = judge_convergence(history([2.0, 1.4, 1.0, 0.6, 0.5, 0.5, 0.5, 0.52, 0.48, 0.5]))
    assert found.converged
    assert str(found).endswith("training loss 2.000 to 0.490, 1% of the fall after the middle of the fit: converged")


def test_a_loss_that_never_fell_has_learned_nothing() -> None:
    found = judge_convergence(history([1.0] * 10))
    assert np.isnan(found.late_share)
    assert not found.converged
    assert str(found) == (
        "30 updates in 10 epochs: training loss 1.000 to 1.000, which is no fall: nothing was learned; raise "
        "training.learning_rate or training.min_updates"
    )


def test_a_handful_of_epochs_is_too_few_to_have_converged() -> None:
    assert not judge_convergence(history([2.0, 0.5, 0.5, 0.5])).converged
    assert judge_convergence(history([2.0, 0.5, 0.5, 0.5, 0.5])).converged


def test_of_an_ensemble_the_member_that_is_furthest_from_it_counts() -> None:
    flat, falling, stuck = [2.0, 1.0, 1.0, 1.0, 1.0], [2.0, 1.8, 1.6, 1.4, 1.2], [1.0] * 5
    of_two = history(flat, member=1.0) + history(falling, member=2.0)
    assert judge_convergence(of_two).last == pytest.approx(1.2)
    assert np.isnan(judge_convergence(of_two + history(stuck, member=3.0)).late_share)


@pytest.mark.parametrize(("epochs", "converged"), [(6, False), (60, True)])
def test_a_real_fit_is_judged_rightly(epochs: int, converged: bool) -> None:
    """The same task: in 12 updates it is not learned, in 120 it is, though both end with the same learning rate."""
    train = sequence_set(*order_task(40, seed=0))
    settings = tiny_training(epochs=epochs, batch_size=20, label_smoothing=0.0)
    fitted = fit(train, None, num_classes=2, model_settings=tiny_model(), settings=settings)
    assert judge_convergence(fitted.history).converged is converged
