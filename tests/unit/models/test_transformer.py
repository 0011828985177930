"""`vidrnn.models.transformer` against attention written out in NumPy and against PyTorch's encoder layer."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.worlds import Array
from vidrnn.models.rotary import rotate
from vidrnn.models.transformer import FeedForward, SelfAttention

LENGTHS = [5, 1, 7, 4]
WIDTH, HEADS = 12, 3


def make(*, causal: bool, rotary: bool, window: int | None = None) -> SelfAttention:
    torch.manual_seed(0)
    return SelfAttention(WIDTH, heads=HEADS, causal=causal, rotary=rotary, window=window).double()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Sequences of different lengths with garbage beyond them, and where they are true."""
    steps = torch.randn(4, 9, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    valid = torch.arange(9) < torch.tensor(LENGTHS).unsqueeze(1)
    return steps.masked_fill(~valid.unsqueeze(2), 100.0), valid


def turned(vectors: Array) -> Array:
    """Su et al. 2021 with complex numbers: pair i of step t times exp(1j * t * 10000^(-2i / E))."""
    half = vectors.shape[1] // 2
    pairs = vectors[:, :half] + 1j * vectors[:, half:]
    pairs = pairs * np.exp(1j * np.arange(len(vectors))[:, None] * 10_000.0 ** (-2 * np.arange(half) / (2 * half)))
    return np.concatenate([pairs.real, pairs.imag], axis=1)


def reference(layer: SelfAttention, sequence: Array) -> Array:
    """softmax(Q K^T / sqrt(E)) V of each head, one query after the other."""
    values = {name: value.numpy() for name, value in layer.state_dict().items()}
    query, key, value = np.split(sequence @ values["qkv.weight"].T + values["qkv.bias"], 3, axis=1)
    size = WIDTH // HEADS
    mixed = np.zeros_like(sequence)
    for head in range(HEADS):
        part = slice(head * size, (head + 1) * size)
        q, k = query[:, part], key[:, part]
        if layer.rotary:
            q, k = turned(q), turned(k)
        for t in range(len(sequence)):
            seen = slice(max(0, t + 1 - (layer.window or t + 1)), t + 1 if layer.causal else len(sequence))
            scores = np.exp(k[seen] @ q[t] / np.sqrt(size))
            mixed[t, part] = (scores / scores.sum()) @ value[seen, part]
    result: Array = mixed @ values["output.weight"].T + values["output.bias"]
    return result


@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize(
    ("causal", "window"), [(False, None), (True, None), (True, 1), (True, 3), (True, 7), (True, 500)]
)
def test_attention_equals_its_formula(causal: bool, window: int | None, rotary: bool) -> None:
    """Of each sequence by itself, with and without a mask."""
    layer = make(causal=causal, rotary=rotary, window=window)
    steps, valid = batch()
    with torch.no_grad():
        mixed = layer(steps, valid)
        for row, length in enumerate(LENGTHS):
            expected = reference(layer, steps[row, :length].numpy())
            np.testing.assert_allclose(mixed[row, :length].numpy(), expected, rtol=0, atol=1e-12)
            alone = layer(steps[row : row + 1, :length], None)[0]
            np.testing.assert_allclose(alone.numpy(), expected, rtol=0, atol=1e-12)


def test_attention_and_feed_forward_equal_an_encoder_layer_of_pytorch() -> None:
    torch.manual_seed(0)
    theirs = nn.TransformerEncoderLayer(
        WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True, dtype=torch.float64
    ).eval()
    attention, network = make(causal=False, rotary=False), FeedForward(WIDTH).double()
    pairs = {
        attention.qkv.weight: theirs.self_attn.in_proj_weight,
        attention.qkv.bias: theirs.self_attn.in_proj_bias,
        attention.output.weight: theirs.self_attn.out_proj.weight,
        attention.output.bias: theirs.self_attn.out_proj.bias,
        network.inner.weight: theirs.linear1.weight,
        network.inner.bias: theirs.linear1.bias,
        network.output.weight: theirs.linear2.weight,
        network.output.bias: theirs.linear2.bias,
    }
    steps, valid = batch()
    with torch.no_grad():
        for ours, given in pairs.items():
            ours.copy_(given)
        stream = steps + attention(theirs.norm1(steps), valid)
        stream = stream + network(theirs.norm2(stream), valid)
        expected = theirs(steps, src_key_padding_mask=~valid)
    torch.testing.assert_close(stream[valid], expected[valid], rtol=0, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_gradients_equal_finite_differences(causal: bool) -> None:
    layer = make(causal=causal, rotary=True)
    steps, valid = batch()
    steps = steps[:, :5].clone().requires_grad_()
    valid = valid[:, :5]
    assert torch.autograd.gradcheck(lambda inputs, *_: layer(inputs, valid)[valid], (steps, layer.qkv.weight))
    layer(steps, valid)[valid].sum().backward()
    assert steps.grad is not None
    assert not steps.grad[~valid].any()


def test_rotary_scores_depend_on_distance_only() -> None:
    """A step that looks 3 back sees the same score anywhere, also after 16 384 steps."""
    query, key = torch.randn(2, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    queries, keys = rotate(query.expand(16_384, 8)), rotate(key.expand(16_384, 8))
    scores = (queries[3:] * keys[:-3]).sum(1)
    torch.testing.assert_close(scores, scores[:1].expand_as(scores), rtol=0, atol=1e-9)
    assert abs(float(scores[0] - queries[0] @ keys[0])) > 1e-3


def test_rotation_keeps_lengths_and_leaves_the_first_step() -> None:
    vectors = torch.randn(2, 3, 10, 6, dtype=torch.float64)
    torch.testing.assert_close(rotate(vectors).norm(dim=3), vectors.norm(dim=3))
    assert torch.equal(rotate(vectors)[:, :, 0], vectors[:, :, 0])


def test_a_window_is_the_same_in_blocks() -> None:
    """600 steps are answered in three blocks, each of which sees the end of the one before."""
    layer = make(causal=True, rotary=True, window=20)
    steps = torch.randn(1, 600, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        np.testing.assert_allclose(
            layer(steps, None)[0].numpy(), reference(layer, steps[0].numpy()), rtol=0, atol=1e-12
        )
