"""`vidrnn.models.scan` against the recurrence written as a loop in float64, forward and gradient."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

from tests.worlds import Array
from vidrnn.models.scan import linear_scan

LONG = 16_384
ROUNDING = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}  # largest relative error of rounding to nearest


def loop(decay: Array, value: Array) -> Array:
    """h_t = decay_t * h_{t-1} + value_t, step by step."""
    states, state = np.zeros_like(value), np.zeros_like(value[:, 0])
    for t in range(value.shape[1]):
        state = decay[:, t] * state + value[:, t]
        states[:, t] = state
    return states


def loop_gradients(decay: Array, value: Array, of_states: Array) -> tuple[Array, Array]:
    """Of sum(of_states * states): backpropagation through time, step by step."""
    states = loop(decay, value)
    of_decay, of_value, carried = np.zeros_like(decay), np.zeros_like(value), np.zeros_like(value[:, 0])
    for t in reversed(range(value.shape[1])):
        carried = of_states[:, t] + (decay[:, t + 1] * carried if t + 1 < value.shape[1] else 0.0)
        of_value[:, t] = carried
        if t:
            of_decay[:, t] = carried * states[:, t - 1]
    return of_decay, of_value


def draw(steps: int, *, seed: int, batch: int = 2, channels: int = 3) -> tuple[Array, Array, Array]:
    """Decays from almost 0 to almost 1, values, and weights of the states in a sum."""
    rng = np.random.default_rng(seed)
    shape = (batch, steps, channels)
    return 1 / (1 + np.exp(rng.normal(scale=4.0, size=shape))), rng.normal(size=shape), rng.normal(size=shape)


@configure(max_examples=60, deadline=None)
@given(st.integers(1, 700), st.integers(0, 1000), st.booleans())
def test_states_and_gradients_equal_the_loop(steps: int, seed: int, reverse: bool) -> None:
    """For any number of steps: less than a chunk, whole chunks, chunks of chunks, and what is left over."""
    decay, value, weight = draw(steps, seed=seed)
    tensors = [torch.from_numpy(array).requires_grad_() for array in (decay, value)]
    if reverse:  # is the same as turning time around before and after
        states = linear_scan(*(tensor.flip(1) for tensor in tensors), reverse=True).flip(1)
    else:
        states = linear_scan(*tensors)
    (states * torch.from_numpy(weight)).sum().backward()
    np.testing.assert_allclose(states.detach().numpy(), loop(decay, value), rtol=0, atol=1e-12)
    for tensor, expected in zip(tensors, loop_gradients(decay, value, weight), strict=True):
        assert tensor.grad is not None
        np.testing.assert_allclose(tensor.grad.numpy(), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 16, 17, 33, 290])
def test_gradients_equal_finite_differences(steps: int, reverse: bool) -> None:
    decay, value, _ = draw(steps, seed=steps, batch=1, channels=1)
    tensors = tuple(torch.from_numpy(array).requires_grad_() for array in (decay, value))
    assert torch.autograd.gradcheck(partial(linear_scan, reverse=reverse), tensors)


@pytest.mark.parametrize("remembers", [False, True], ids=["mixed", "remembers"])
@pytest.mark.parametrize("dtype", ROUNDING)
def test_half_precision_over_16384_steps_loses_the_rounding_of_the_result_only(
    dtype: torch.dtype, remembers: bool
) -> None:
    """States and gradients are those of the float64 loop on the same rounded inputs, rounded once at the end."""
    decay, value, weight = draw(LONG, seed=0, batch=1)
    if remembers:  # the bfloat16 next below 1: the state reaches back over hundreds of steps
        decay, value = np.full_like(decay, 1 - 2.0**-8), np.abs(value)
    rounded = [torch.from_numpy(array).to(dtype) for array in (decay, value, weight)]
    decay, value, weight = (tensor.double().numpy() for tensor in rounded)
    tensors = [tensor.requires_grad_() for tensor in rounded[:2]]
    states = linear_scan(*tensors)
    assert states.dtype == dtype
    (states * rounded[2]).sum().backward()
    expected = (loop(decay, value), *loop_gradients(decay, value, weight))
    for found, exact in zip((states, *(tensor.grad for tensor in tensors)), expected, strict=True):
        assert found is not None
        allowed = 1.01 * ROUNDING[dtype] * np.abs(exact) + 2e-5 * np.abs(exact).max()
        assert (np.abs(found.detach().double().numpy() - exact) <= allowed).all()


@pytest.mark.parametrize("decay", [0.0, 1e-30, 1.0])
def test_decays_that_underflow_or_never_fade_stay_exact(decay: float) -> None:
    """A cumulative sum of logarithms would be -inf at 0 and lose all digits at 1e-30."""
    value = torch.ones(1, LONG, 1, requires_grad=True)
    factor = torch.full_like(value, decay).requires_grad_()
    states = linear_scan(factor, value)
    states.sum().backward()
    expected = loop(np.full((1, LONG, 1), decay), np.ones((1, LONG, 1)))
    np.testing.assert_allclose(states.detach().numpy(), expected, rtol=1e-6)
    assert value.grad is not None
    assert factor.grad is not None
    assert bool(value.grad.isfinite().all())
    assert bool(factor.grad.isfinite().all())


def test_nan_stays_in_its_sequence_and_its_future() -> None:
    decay, value, _ = draw(50, seed=0)
    value[0, 20, 1] = np.nan
    states = linear_scan(torch.from_numpy(decay), torch.from_numpy(value))
    where = torch.zeros(2, 50, 3, dtype=torch.bool)
    where[0, 20:, 1] = True
    assert torch.equal(states.isnan(), where)
