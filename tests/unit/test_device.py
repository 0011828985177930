"""Where tensors live: what is asked for, what there is, and what is refused with the count of GPUs."""

import pytest
import torch
from torch import nn

from vidrnn.device import FixedRandom, choose_batch_size, choose_device
from vidrnn.errors import ConfigError
from vidrnn.settings.base import validate
from vidrnn.settings.extraction import ExtractionSettings


@pytest.fixture
def gpus(monkeypatch):
    def install(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return install


@pytest.mark.parametrize(
    ("count", "name", "expected"),
    [
        (0, "auto", "cpu"),
        (0, "cpu", "cpu"),
        (2, "auto", "cuda"),
        (2, "cpu", "cpu"),
        (2, "cuda", "cuda"),
        (2, "cuda:0", "cuda:0"),
        (2, "cuda:1", "cuda:1"),
    ],
)
def test_a_name_is_a_device(gpus, count, name, expected):
    gpus(count)
    assert choose_device(name) == torch.device(expected)


@pytest.mark.parametrize(
    ("count", "name", "there"),
    [
        (2, "cuda:7", "2 GPUs, from cuda:0 to cuda:1; use one of these or 'auto'"),
        (2, "cuda:2", "2 GPUs, from cuda:0 to cuda:1; use one of these or 'auto'"),
        (1, "cuda:7", "1 GPU; use 'cuda' or 'auto'"),
        (0, "cuda", "no GPU; use 'auto' or 'cpu'"),
        (0, "cuda:1", "no GPU; use 'auto' or 'cpu'"),
    ],
)
def test_a_gpu_that_is_not_there_is_refused_with_what_there_is(gpus, count, name, there):
    gpus(count)
    with pytest.raises(ConfigError) as caught:
        choose_device(name)
    assert str(caught.value) == f"device: {name!r} was asked for, but PyTorch sees {there}"


@pytest.mark.parametrize("name", ["cuda:0", "cuda:12", "cuda", "cpu", "auto"])
def test_names_of_devices_are_settings(name):
    assert validate(ExtractionSettings, {"device": name}).device == name


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cuda:x", "CPU", "", "cuda:1 ", "mps"])
def test_other_names_are_refused_with_those_that_there_are(name):
    with pytest.raises(ConfigError) as caught:
        validate(ExtractionSettings, {"device": name})
    assert f"got {name!r}: use 'auto', 'cpu', 'cuda', or 'cuda:1' for the second GPU" in str(caught.value)


def test_batches_fill_the_device_unless_told_otherwise(gpus):
    gpus(1)
    assert choose_batch_size(None, "auto") == 256
    assert choose_batch_size(None, "cpu") == 16
    assert choose_batch_size(7, "auto") == 7


def test_fixed_random_numbers_follow_the_seed_and_leave_those_of_the_process():
    def draw() -> list[torch.Tensor]:
        drawn = [torch.rand(3), torch.randn(2, 2), torch.randint(9, (4,)), torch.randperm(5)]
        drawn += [torch.empty(3).uniform_(), torch.normal(torch.zeros(3), 1.0), torch.bernoulli(torch.full((9,), 0.5))]
        drawn += [torch.rand_like(torch.zeros(3)), torch.multinomial(torch.ones(9), 3)]
        layers = nn.ModuleList([nn.Linear(3, 2), nn.Conv2d(2, 2, 3), nn.LSTM(2, 3), nn.Embedding(3, 2)])
        return [
            *drawn,
            *layers.parameters(),
            nn.init.trunc_normal_(torch.empty(5)),
            nn.init.orthogonal_(torch.ones(3, 3)),
        ]

    torch.manual_seed(5)
    expected = draw()
    before = torch.get_rng_state()
    with FixedRandom(seed=5):
        found = draw()
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert torch.equal(torch.get_rng_state(), before)
