"""`vidrnn.models.pooling` against NumPy on each sequence by itself."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn

from tests.worlds import Array
from vidrnn.models.pooling import (
    AttentionPooling,
    LogSumExpPooling,
    Pooling,
    last_step,
    max_over_time,
    mean_over_time,
    valid_steps,
)

LENGTHS = [4, 1, 6, 2]


def batch(garbage: float) -> tuple[torch.Tensor, torch.Tensor]:
    steps = torch.randn(4, 7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for row, length in enumerate(LENGTHS):
        steps[row, length:] = garbage
    return steps, torch.tensor(LENGTHS)


def make_attention(heads: int = 1) -> AttentionPooling:
    torch.manual_seed(0)
    return AttentionPooling(5, heads=heads).double()


def reference_weights(pooling: AttentionPooling, sequence: Array) -> Array:
    """softmax(V tanh(W [h_t, sin(pi k s_t), cos(pi k s_t)] + b)) with s_t = (t + 0.5) / T and k = 1..4: (T, heads)."""
    first, last = pooling.score[0], pooling.score[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    share = (np.arange(len(sequence)) + 0.5) / len(sequence)
    angles = np.pi * share[:, None] * np.arange(1, 5)
    seen = np.concatenate([sequence, np.sin(angles), np.cos(angles)], axis=1)
    hidden = np.tanh(seen @ first.weight.detach().numpy().T + first.bias.detach().numpy())
    scores = hidden @ last.weight.detach().numpy().T
    exponentials = np.exp(scores - scores.max(0))
    result: Array = exponentials / exponentials.sum(0)
    return result


@pytest.mark.parametrize("garbage", [0.0, 1e6, -1e6, np.nan, np.inf])
@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        (mean_over_time, lambda sequence: sequence.mean(axis=0)),
        (max_over_time, lambda sequence: sequence.max(axis=0)),
        (last_step, lambda sequence: sequence[-1]),
    ],
)
def test_pooling_sees_the_true_steps_only(
    garbage: float,
    pool: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    expected: Callable[[Array], Array],
) -> None:
    steps, lengths = batch(garbage)
    pooled = pool(steps, lengths)
    for row, length in enumerate(LENGTHS):
        np.testing.assert_allclose(pooled[row].numpy(), expected(steps[row, :length].numpy()), rtol=0, atol=1e-14)


def test_max_of_negative_values_is_not_the_padding() -> None:
    steps = torch.full((1, 3, 2), -5.0)
    steps[0, 1:] = 0.0
    assert max_over_time(steps, torch.tensor([1])).tolist() == [[-5.0, -5.0]]


@pytest.mark.parametrize(("heads", "of_channel"), [(1, [0, 0, 0, 0, 0]), (2, [0, 0, 0, 1, 1]), (5, [0, 1, 2, 3, 4])])
@pytest.mark.parametrize("garbage", [0.0, 1e6, np.nan])
def test_attention_equals_its_formula(garbage: float, heads: int, of_channel: list[int]) -> None:
    """Each head weighs the steps for its own share of the channels."""
    steps, lengths = batch(garbage)
    pooling = make_attention(heads)
    with torch.no_grad():
        weights, pooled = pooling.weights(steps, lengths), pooling(steps, lengths)
    for row, length in enumerate(LENGTHS):
        sequence = steps[row, :length].numpy()
        expected = reference_weights(pooling, sequence)
        np.testing.assert_allclose(weights[row, :length].numpy(), expected, rtol=0, atol=1e-12)
        for channel, head in enumerate(of_channel):
            found = float(pooled[row, channel])
            np.testing.assert_allclose(found, expected[:, head] @ sequence[:, channel], rtol=0, atol=1e-12)


def test_attention_weights_sum_to_one_over_the_true_steps_and_are_zero_on_padding() -> None:
    steps, lengths = batch(1e6)
    weights = make_attention(3).weights(steps, lengths)
    np.testing.assert_allclose(weights.sum(1).detach().numpy(), 1.0, atol=1e-6)
    assert not weights[~valid_steps(lengths, steps)].any()
    assert bool((weights[valid_steps(lengths, steps)] > 0).all())


def test_positions_are_shares_of_the_video() -> None:
    """The middle of a short video looks like the middle of a long one, and padding changes no position."""
    pooling = make_attention()
    of_3 = pooling._positions(torch.zeros(1, 3, 5), torch.tensor([3]))
    of_9 = pooling._positions(torch.zeros(1, 9, 5), torch.tensor([9]))
    padded = pooling._positions(torch.zeros(2, 9, 5), torch.tensor([3, 9]))
    torch.testing.assert_close(of_3[0], of_9[0, 1::3])
    torch.testing.assert_close(padded[0, :3], of_3[0])
    torch.testing.assert_close(padded[1], of_9[0])


def test_attention_knows_the_order_of_time() -> None:
    pooling = make_attention()
    steps, lengths = torch.randn(1, 6, 5, dtype=torch.float64), torch.tensor([6])
    assert not torch.allclose(pooling(steps, lengths), pooling(steps.flip(1), lengths), atol=1e-4)


def make_log_sum_exp() -> LogSumExpPooling:
    """Another sharpness in each channel, from nearly the mean to nearly the maximum."""
    pooling = LogSumExpPooling(5).double()
    pooling.log_sharpness.data = torch.tensor([1e-6, 0.5, 4.0, 20.0, 1e5], dtype=torch.float64).log()
    return pooling


@pytest.mark.parametrize("garbage", [0.0, 1e6, -1e6, np.nan, np.inf])
def test_log_sum_exp_equals_its_formula_and_goes_from_the_mean_to_the_maximum(garbage: float) -> None:
    steps, lengths = batch(garbage)
    pooling = make_log_sum_exp()
    with torch.no_grad():
        pooled = pooling(steps, lengths).numpy()
    sharpness = pooling.log_sharpness.exp().detach().numpy()
    for row, length in enumerate(LENGTHS):
        sequence = steps[row, :length].numpy()
        np.testing.assert_allclose(pooled[row, 0], sequence[:, 0].mean(), rtol=0, atol=1e-5)
        np.testing.assert_allclose(pooled[row, 4], sequence[:, 4].max(), rtol=0, atol=1e-4)
        for channel in (1, 2, 3):  # written out, which the others overflow
            expected = np.log(np.exp(sharpness[channel] * sequence[:, channel]).mean()) / sharpness[channel]
            np.testing.assert_allclose(pooled[row, channel], expected, rtol=0, atol=1e-12)


def test_log_sum_exp_learns_its_sharpness() -> None:
    """A target above what it says of a sequence asks for more of the maximum."""
    pooling = LogSumExpPooling(5).double()
    steps, lengths = batch(np.nan)
    (-pooling(steps, lengths)[0].sum()).backward()
    assert pooling.log_sharpness.grad is not None
    assert bool((pooling.log_sharpness.grad < 0).all())


def make_mixture() -> Pooling:
    torch.manual_seed(0)
    return Pooling("mixture", channels=5, heads=2).double()


def test_a_mixture_starts_as_the_average_of_the_others() -> None:
    pooling = make_mixture()
    steps, lengths = batch(np.nan)
    end = torch.randn(4, 5, dtype=torch.float64)
    assert pooling.attention is not None
    parts = [mean_over_time(steps, lengths), max_over_time(steps, lengths), end, pooling.attention(steps, lengths)]
    torch.testing.assert_close(pooling(steps, end, lengths), torch.stack(parts).mean(0))


@pytest.mark.parametrize("number", range(4))
def test_a_mixture_weighs_each_channel_by_a_softmax(number: int) -> None:
    """In the order mean, max, last, attention; a channel that wants one kind gets it, the others keep theirs."""
    pooling = make_mixture()
    steps, lengths = batch(0.0)
    end = torch.randn(4, 5, dtype=torch.float64)
    before = pooling(steps, end, lengths)
    kind = ("mean", "max", "last", "attention")[number]
    alone = Pooling(kind, channels=5, heads=2).double()
    alone.attention = pooling.attention
    assert pooling.mixture is not None
    pooling.mixture.data[number, 3] = 50.0
    after = pooling(steps, end, lengths)
    torch.testing.assert_close(after[:, 3], alone(steps, end, lengths)[:, 3])
    assert torch.equal(after[:, :3], before[:, :3])


@pytest.mark.parametrize("kind", ["mean", "max", "last", "attention", "log_sum_exp"])
def test_pooling_by_name(kind: Literal["mean", "max", "last", "attention", "log_sum_exp"]) -> None:
    torch.manual_seed(0)
    pooling = Pooling(kind, channels=5).double()
    steps, lengths = batch(np.nan)
    end = torch.randn(4, 5, dtype=torch.float64)
    expected = {
        "mean": lambda: mean_over_time(steps, lengths),
        "max": lambda: max_over_time(steps, lengths),
        "last": lambda: end,
        "attention": lambda: make_attention()(steps, lengths),
        "log_sum_exp": lambda: LogSumExpPooling(5).double()(steps, lengths),
    }
    torch.testing.assert_close(pooling(steps, end, lengths), expected[kind]())


@pytest.mark.parametrize("pool", [mean_over_time, max_over_time, last_step, make_attention(), make_log_sum_exp()])
def test_gradients_are_finite_and_zero_on_padding(
    pool: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> None:
    steps, lengths = batch(1e6)
    steps.requires_grad_()
    pool(steps, lengths).square().sum().backward()
    assert steps.grad is not None
    assert bool(steps.grad.isfinite().all())
    assert not steps.grad[~valid_steps(lengths, steps)].any()
    assert bool(steps.grad[valid_steps(lengths, steps)].abs().sum() > 0)


def test_pooling_keeps_half_precision_finite() -> None:
    """The weights are made in float32 whatever the steps are."""
    pooling = make_attention().to(torch.bfloat16)
    steps, lengths = batch(0.0)
    assert pooling.weights(steps.bfloat16(), lengths).dtype == torch.float32
    assert pooling(steps.bfloat16(), lengths).dtype == torch.bfloat16
    soft = LogSumExpPooling(5)
    assert soft(steps.bfloat16(), lengths).dtype == torch.bfloat16
    torch.testing.assert_close(soft(steps.bfloat16(), lengths).double(), soft(steps, lengths), atol=0.02, rtol=0.02)
