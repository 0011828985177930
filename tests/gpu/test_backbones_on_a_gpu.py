"""Features of a GPU are those of the CPU, from every engine, in any number of threads, within the memory there is."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tests.media import pictures
from tests.worlds import Sections, sections
from vidrnn.backbones.backbone import Backbone, load_backbone
from vidrnn.backbones.engines import similarity
from vidrnn.errors import ConfigError
from vidrnn.frames.views import Turn, Views
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings

FAMILIES = ("efficientnet_lite0", "resnet50", "convnext_tiny", "timm/vit_small_patch16_224")
LEAST = {"float32": 0.9995, "float16": 0.999, "bfloat16": 0.999}


def settings(backbone: str = "efficientnet_lite0", **changes) -> Sections:
    weights = "default" if backbone == "efficientnet_lite0" else "random"
    return sections(**{"backbone": backbone, "weights": weights, "device": "cuda", "batch_size": 8, **changes})


def frames(backbone: Backbone, count: int, *, offset: int = 0) -> torch.Tensor:
    """Fitted pictures, no two alike."""
    drawn = pictures(offset + count, width=256, height=192)[offset:]
    return torch.stack([backbone.preprocessing.fit(each) for each in drawn])


@pytest.fixture(scope="module", params=FAMILIES)
def family(request) -> tuple[str, torch.Tensor, torch.Tensor]:
    """A network by name, eight frames, and their features on the CPU in plain PyTorch."""
    backbone = load_backbone(*settings(request.param, device="cpu", engine="eager", precision="float32"))
    batch = frames(backbone, 8)
    return request.param, batch, backbone.embed(batch)


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("engine", ["eager", "graph"])
def test_features_agree_with_those_of_the_cpu(family, engine, precision):
    name, batch, expected = family
    backbone = load_backbone(*settings(name, engine=engine, precision=precision))
    alike = similarity(backbone.embed(batch), expected)
    if (name, precision) == ("efficientnet_lite0", "bfloat16"):
        assert backbone.notes[0].startswith("bfloat16 changes the features (similarity to float32 0.9")
        return
    assert alike >= LEAST[precision]
    assert backbone.notes == ()


def test_automatic_is_a_graph_in_float16_with_batches_of_256():
    backbone = load_backbone(FeatureSettings(), ExtractionSettings())
    assert backbone.device.type == "cuda"
    assert backbone.spec.precision == "float16"
    assert backbone.executor._engine_name == "graph"
    assert backbone.executor._size == 256
    batch = frames(backbone, 5)
    expected = load_backbone(*settings(device="cpu", engine="eager", precision="float32")).embed(batch)
    assert similarity(backbone.embed(batch), expected) >= LEAST["float16"]


def test_compiled_features_agree():
    backbone = load_backbone(*settings(engine="compile"))
    batch = frames(backbone, 8)
    expected = load_backbone(*settings(device="cpu", engine="eager", precision="float32")).embed(batch)
    assert similarity(backbone.embed(batch), expected) >= LEAST["float16"]
    assert backbone.notes == ()


def test_features_do_not_depend_on_the_company():
    backbone = load_backbone(*settings())
    batch = frames(backbone, 11)
    together = backbone.embed(batch)
    alone = torch.cat([backbone.embed(frame[None]) for frame in batch])
    assert torch.equal(together, alone)


def test_the_gpu_mirrors_as_the_cpu_does():
    backbone = load_backbone(*settings())
    batch = frames(backbone, 8)
    views = Views(torch.arange(8), torch.tensor([Turn.MIRRORED, Turn.MIRRORED_FLOW] * 4, dtype=torch.uint8))
    assert torch.equal(backbone.executor(batch, views), backbone.embed(views.of(batch)))


@pytest.mark.parametrize("engine", ["eager", "graph"])
@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet50", "timm/vit_small_patch16_224"])
def test_threads_get_the_features_of_their_own_frames(name, engine):
    nodes = {"resnet50": {"layer3": 2, "last": 1}, "timm/vit_small_patch16_224": {"blocks.5": 1, "last": 1}}.get(name)
    backbone = load_backbone(*settings(name, engine=engine, nodes=nodes))
    batches = [frames(backbone, 8, offset=8 * number) for number in range(4)] * 15
    expected = [backbone.embed(batch) for batch in batches]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(backbone.embed, batches))
    for got, own in zip(found, expected, strict=True):
        assert similarity(got, own) > 0.99999


def test_batches_that_do_not_fit_are_halved_with_a_note():
    small = load_backbone(*settings("resnet50", batch_size=4))
    batch = frames(small, 4)
    expected = small.embed(batch)
    del small
    torch.cuda.empty_cache()
    taken, whole = torch.cuda.memory_reserved(), torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((taken + 600e6) / whole)
    try:
        backbone = load_backbone(*settings("resnet50", batch_size=512))
        found = backbone.embed(batch)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert similarity(found, expected) > 0.999
    assert backbone.executor._size < 512
    assert backbone.notes == (f"batches of {backbone.executor._size}: {backbone.device} has no memory for more",)


def test_a_gpu_by_number():
    assert load_backbone(*settings(device="cuda:0")).device == torch.device("cuda:0")
    with pytest.raises(ConfigError, match=r"'cuda:99' was asked for, but PyTorch sees \d+ GPU"):
        load_backbone(*settings(device="cuda:99"))
