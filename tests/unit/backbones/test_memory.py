"""A network that finds no memory for a batch goes on with half of it; a GPU is simulated by an error above a size."""

import threading
import weakref

import pytest
import torch

from tests.worlds import Sections, sections
from vidrnn.backbones import executor
from vidrnn.backbones.backbone import load_backbone
from vidrnn.backbones.engines import Eager, OpenVino
from vidrnn.errors import ConfigError

MESSAGE = "CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has a total capacity of 1.00 GiB"


def settings(**changes) -> Sections:
    fixed = {"backbone": "timm/test_resnet", "weights": "random", "image_size": 32}
    return sections(**{**fixed, "batch_size": 16, "engine": "eager", **changes})


def frames(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def memory(monkeypatch, tmp_path):
    """Limits the frames that fit at once, and counts the refusals; with a barrier, those of two threads coincide."""
    monkeypatch.setenv("VIDRNN_CACHE", str(tmp_path))
    sizes: list[int] = []

    def limit(count: int, *, barrier: threading.Barrier | None = None) -> list[int]:
        for engine in (Eager, OpenVino):
            honest = engine.__call__

            def call(self, batch, views, honest=honest):
                if len(views) > count:
                    sizes.append(len(views))
                    if barrier and len(sizes) <= barrier.parties:
                        barrier.wait(30)
                    raise torch.cuda.OutOfMemoryError(MESSAGE)
                return honest(self, batch, views)

            monkeypatch.setattr(engine, "__call__", call)
        return sizes

    return limit


@pytest.mark.parametrize("engine", ["eager", "openvino"])
def test_batches_are_halved_until_they_fit_and_a_note_says_so(memory, engine):
    expected = load_backbone(*settings(batch_size=4)).embed(frames(21))
    refused = memory(5)
    backbone = load_backbone(*settings(engine=engine))
    got = backbone.embed(frames(21))
    assert refused == [16, 8]
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    assert backbone.notes == ("batches of 4: cpu has no memory for more",)
    assert torch.equal(backbone.mirrored().embed(frames(21)), got)
    assert refused == [16, 8], "it is found out once for all views and streams"


def test_two_threads_that_find_no_memory_halve_once(memory):
    expected = load_backbone(*settings(batch_size=8)).embed(frames(16))
    backbone = load_backbone(*settings())
    backbone.embed(frames(1))  # it fits at first: another program has taken memory since
    memory(8, barrier=threading.Barrier(2))
    got: list[torch.Tensor] = []
    threads = [threading.Thread(target=lambda: got.append(backbone.embed(frames(16)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert backbone.notes == ("batches of 8: cpu has no memory for more",)
    for each in got:
        torch.testing.assert_close(each, expected, rtol=1e-5, atol=1e-5)
    assert len(got) == 2


def test_what_was_there_is_given_up_before_something_smaller_is_made(memory, monkeypatch):
    """A captured graph holds memory on the GPU, which the smaller one needs."""
    alive: list[int] = []
    made: list[weakref.ref[Eager]] = []

    class Counted(Eager):
        def __init__(self, *arguments, **options):
            held = sum(1 for each in made if each() is not None)
            alive.append(held)
            super().__init__(*arguments, **options)
            made.append(weakref.ref(self))

    monkeypatch.setattr(executor, "Eager", Counted)
    memory(5)
    load_backbone(*settings()).embed(frames(16))
    assert alive == [0, 0, 0]


def test_a_single_frame_that_does_not_fit_is_a_wrong_setting(memory):
    refused = memory(0)
    with pytest.raises(ConfigError) as caught:
        load_backbone(*settings(batch_size=5)).embed(frames(2))
    assert refused == [5, 2, 1]
    assert str(caught.value) == (
        "extraction.device: cpu has no memory for a single frame of timm/test_resnet "
        "(CUDA out of memory. Tried to allocate 2.00 GiB.); use a smaller network or device 'cpu'"
    )
