"""The options of a fit together with it: reproducible, not without effect, and no obstacle to learning."""

import pytest
import torch

from tests.worlds import order_task, sequence_set, tiny_model, tiny_training
from vidrnn.settings.training import TrainingSettings
from vidrnn.training.fit import fit
from vidrnn.training.predict import PredictOptions, predict

OPTIONS: list[dict[str, object]] = [
    {"time_crop": 0.3},
    {"time_warp": 0.5},
    {"mixup": 0.3},
    {"feature_noise": 0.2},
    {"step_dropout": 0.2},
    {"sampling": "balanced"},
    {"ema_decay": 0.9},
]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: next(iter(option)))
def test_each_option_follows_the_seed_and_changes_the_fit_that_still_learns_order(option: dict[str, object]) -> None:
    train, test = sequence_set(*order_task(40)), sequence_set(*order_task(40, seed=1))

    def run(settings: TrainingSettings) -> tuple[torch.Tensor, torch.Tensor]:
        result = fit(train, None, num_classes=2, model_settings=tiny_model(), settings=settings)
        logits = torch.stack(predict(result.model, test, PredictOptions(settings.steps)))
        return result.model.output.weight, (logits.argmax(1) == test.targets.values).float().mean()

    settings = tiny_training(epochs=15, **option)
    weights, accuracy = run(settings)
    torch.rand(5)  # what was drawn before does not matter
    assert torch.equal(weights, run(settings)[0])
    assert not torch.equal(weights, run(tiny_training(epochs=15))[0])
    assert float(accuracy) >= 0.95
