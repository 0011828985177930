"""`vidrnn.training.averaging`: the running average of the weights, against the formula in float64."""

import numpy as np
import pytest
import torch

from tests.worlds import order_task, sequence_set, tiny_model, tiny_training
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.training.averaging import AveragedWeights
from vidrnn.training.fit import FitResult, fit


def make_model() -> SequenceClassifier:
    torch.manual_seed(0)
    return SequenceClassifier(tiny_model(head="regression"), dim=6, num_classes=0)


@pytest.mark.parametrize("decay", [0.05, 0.5, 0.9])
def test_the_average_is_that_of_the_formula(decay: float) -> None:
    """d_n = min(decay, (1 + n) / (10 + n)), in both of its branches; beginning with the weights before any step."""
    model = make_model()
    average = AveragedWeights(model, decay=decay)
    expected = {name: value.detach().double().numpy().copy() for name, value in model.named_parameters()}
    generator = torch.Generator().manual_seed(1)
    for number in range(1, 101):
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn(weight.shape, generator=generator))
        average.update(model, number=number)
        share = min(decay, (1 + number) / (10 + number))
        for name, value in model.named_parameters():
            expected[name] = share * expected[name] + (1 - share) * value.detach().double().numpy()
    for name, value in average.model.named_parameters():
        np.testing.assert_allclose(value.detach().numpy(), expected[name], rtol=1e-4, atol=1e-4)


def test_buffers_are_those_of_the_model_and_not_averaged() -> None:
    model = make_model()
    average = AveragedWeights(model, decay=0.9)
    assert model.scale is not None
    model.scale.copy_(torch.tensor([5.0, 3.0]))
    average.update(model, number=1)
    assert average.model.scale is not None
    assert average.model.scale.tolist() == [5.0, 3.0]


def test_the_model_that_is_averaged_stays_as_it_is() -> None:
    model = make_model().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    average = AveragedWeights(model, decay=0.5)
    with torch.no_grad():
        average.model.output.weight.add_(1.0)
    average.update(model, number=1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training
    assert not average.model.training


def run(**changes: object) -> FitResult:
    train, val = sequence_set(*order_task(16)), sequence_set(*order_task(8, seed=1))
    settings = tiny_training(epochs=4, batch_size=6, **changes)
    return fit(train, val, num_classes=2, model_settings=tiny_model(dropout=0.2), settings=settings)


def test_a_fit_gives_the_average_of_the_weights_that_a_plain_fit_goes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Averaging looks on: the optimiser's own weights are those of the fit without it, bit by bit."""
    seen: list[dict[str, np.ndarray]] = []
    optimise = torch.optim.AdamW.step

    def spy(self: torch.optim.AdamW, *arguments: object) -> object:
        done = optimise(self, *arguments)  # type: ignore[arg-type]
        matrices, others = (
            [weights.detach().double().numpy().copy() for weights in g["params"]] for g in self.param_groups
        )
        seen.append(
            {f"m{i}": weights for i, weights in enumerate(matrices)} | {f"o{i}": e for i, e in enumerate(others)}
        )
        return done

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    plain = run()
    through, seen = seen, []
    averaged = run(ema_decay=0.6)
    assert len(seen) == len(through) == 4 * 3
    assert all(np.array_equal(a[name], b[name]) for a, b in zip(seen, through, strict=True) for name in a)
    torch.manual_seed(0)  # the weights before the first step
    expected = [
        parameter.detach().double().numpy()
        for parameter in SequenceClassifier(tiny_model(dropout=0.2), dim=6, num_classes=2).parameters()
        if parameter.ndim >= 2
    ]
    for number, weights in enumerate(through, start=1):
        share = min(0.6, (1 + number) / (10 + number))
        expected = [share * before + (1 - share) * weights[f"m{i}"] for i, before in enumerate(expected)]
    names = [name for name, value in averaged.model.named_parameters() if value.ndim >= 2]
    for name, value in zip(names, expected, strict=True):
        np.testing.assert_allclose(averaged.last[name].numpy(), value, rtol=1e-4, atol=1e-5)
        assert not torch.equal(averaged.last[name], plain.last[name])


def test_validation_and_the_selected_weights_are_of_the_average() -> None:
    plain, averaged = run(), run(ema_decay=0.9)
    assert [row["train_loss"] for row in averaged.history] == [row["train_loss"] for row in plain.history]
    assert [row["val_loss"] for row in averaged.history] != [row["val_loss"] for row in plain.history]
    assert averaged.best is not None
    state = averaged.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in averaged.best.items())
    assert not averaged.model.training
