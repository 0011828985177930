"""One backbone for several threads at once, as in a server: each gets the bits that it would get alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import timm
import torch

from tests.worlds import sections
from vidrnn.backbones import quantization
from vidrnn.backbones.backbone import load_backbone
from vidrnn.backbones.networks import build_network
from vidrnn.backbones.weights import weights_digest
from vidrnn.settings.features import FeatureSettings

THREADS, ROUNDS = 6, 4


def batches(size: int) -> list[torch.Tensor]:
    """Other frames for each thread, more than a batch of them."""
    return [
        torch.randint(
            0, 256, (5 + number, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(number)
        )
        for number in range(THREADS)
    ]


@pytest.mark.parametrize("batch_size", [3, 4], ids=["one frame at a time", "two frames at a time"])
@pytest.mark.parametrize(
    ("name", "engine", "precision"),
    [
        ("timm/test_resnet", "eager", "float32"),
        ("timm/test_resnet", "openvino", "float32"),
        ("timm/test_resnet", "openvino", "int8"),
        ("timm/test_vit", "openvino", "float32"),
        ("timm/test_convnext", "openvino", "float32"),
    ],
)
def test_threads_share_a_backbone(name, engine, precision, batch_size, monkeypatch, tmp_path):
    """Also while the first of them settles how the network is executed."""
    monkeypatch.setattr(quantization, "_CLIPS", 3)
    monkeypatch.setenv("VIDRNN_CACHE", str(tmp_path))
    size = 160 if name.endswith("vit") else 64
    own = sections(
        backbone=name, weights="random", image_size=size, engine=engine, precision=precision, batch_size=batch_size
    )
    alone = load_backbone(*own)
    alone.embed(batches(size)[0])
    expected = [alone.embed(batch) for batch in batches(size)]
    shared = load_backbone(*own)
    start = threading.Barrier(THREADS)

    def work(batch: torch.Tensor) -> list[torch.Tensor]:
        start.wait(60)
        return [shared.embed(batch) for _ in range(ROUNDS)]

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(work, batches(size)))
    for several, wanted in zip(found, expected, strict=True):
        assert all(torch.equal(features, wanted) for features in several)


def test_building_a_network_and_drawing_random_numbers_do_not_meet():
    """Two threads build, a third draws: each gets what it gets alone, however they take turns."""
    chosen = FeatureSettings(backbone="timm/test_resnet", weights="random", image_size=32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn_from_the_seed = weights_digest(timm.create_model("test_resnet", pretrained=False))
    torch.manual_seed(7)
    expected = torch.rand(2000)
    torch.manual_seed(7)
    with ThreadPoolExecutor(2) as pool:
        digests = [pool.submit(lambda: weights_digest(build_network(chosen).model)) for _ in range(6)]
        found = torch.stack([torch.rand(()) for _ in range(2000)])
    assert {digest.result() for digest in digests} == {drawn_from_the_seed}
    assert torch.equal(found, expected)
