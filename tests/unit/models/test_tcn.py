"""`vidrnn.models.tcn` against the convolution written as a loop over steps and taps."""

import math

import numpy as np
import pytest
import torch

from tests.worlds import Array
from vidrnn.models.tcn import DilatedConvolution

LENGTHS = [5, 1, 9, 4]
WIDTH = 4


def make(*, kernel_size: int, dilation: int, causal: bool) -> DilatedConvolution:
    torch.manual_seed(0)
    return DilatedConvolution(WIDTH, kernel_size=kernel_size, dilation=dilation, causal=causal).double()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Sequences of different lengths with garbage beyond them, and where they are true."""
    steps = torch.randn(4, 11, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    valid = torch.arange(11) < torch.tensor(LENGTHS).unsqueeze(1)
    return steps.masked_fill(~valid.unsqueeze(2), 100.0), valid


def reference(layer: DilatedConvolution, sequence: Array, *, offsets: list[int]) -> Array:
    """W_out gelu(sum over taps of W_tap x[t + offset] + b) + b_out, with zeros outside the sequence."""
    values = {name: value.numpy() for name, value in layer.state_dict().items()}
    result = np.zeros_like(sequence)
    for t in range(len(sequence)):
        total = values["convolution.bias"].copy()
        for tap, offset in enumerate(offsets):
            if 0 <= t + offset < len(sequence):
                total += values["convolution.weight"][:, :, tap] @ sequence[t + offset]
        gelu = np.asarray([x * 0.5 * (1 + math.erf(x / math.sqrt(2))) for x in total])
        result[t] = values["output.weight"] @ gelu + values["output.bias"]
    return result


@pytest.mark.parametrize(
    ("kernel_size", "dilation", "causal", "offsets"),
    [
        (3, 1, False, [-1, 0, 1]),
        (3, 4, False, [-4, 0, 4]),
        (2, 1, False, [-1, 0]),
        (2, 2, False, [-1, 1]),
        (5, 2, False, [-4, -2, 0, 2, 4]),
        (3, 1, True, [-2, -1, 0]),
        (3, 4, True, [-8, -4, 0]),
        (2, 3, True, [-3, 0]),
    ],
)
def test_it_equals_the_loop(kernel_size: int, dilation: int, causal: bool, offsets: list[int]) -> None:
    """Of each sequence by itself: the padding of a batch is the same as nothing."""
    layer = make(kernel_size=kernel_size, dilation=dilation, causal=causal)
    steps, valid = batch()
    with torch.no_grad():
        found = layer(steps, valid)
        for row, length in enumerate(LENGTHS):
            expected = reference(layer, steps[row, :length].numpy(), offsets=offsets)
            np.testing.assert_allclose(found[row, :length].numpy(), expected, rtol=0, atol=1e-12)
            alone = layer(steps[row : row + 1, :length], None)[0]
            np.testing.assert_allclose(alone.numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_gradients_equal_finite_differences(causal: bool) -> None:
    layer = make(kernel_size=3, dilation=2, causal=causal)
    steps, valid = batch()
    steps.requires_grad_()
    weights = (layer.convolution.weight, layer.output.weight)
    assert torch.autograd.gradcheck(lambda inputs, *_: layer(inputs, valid)[valid], (steps, *weights))
    layer(steps, valid)[valid].sum().backward()
    assert steps.grad is not None
    assert not steps.grad[~valid].any()
