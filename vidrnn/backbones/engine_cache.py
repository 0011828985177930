"""Converted networks on disk, so that a second run starts without building, converting or even importing the first.

    CACHE/<key>/network.xml, network.bin    the converted network
    CACHE/<key>/spec.json                   what it computes
    CACHE/<key>/proof.safetensors           some real frames, and the features that eager PyTorch gave for them

CACHE is ``$VIDRNN_CACHE``, else ``vidrnn`` in the user's cache folder. It may be deleted at any time. Whatever
else lies in it is never touched.
"""

import hashlib
import json
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from vidrnn import device
from vidrnn.backbones import engines, networks, quantization, weights
from vidrnn.backbones.cache_folder import cache_folder
from vidrnn.backbones.engines import OpenVino
from vidrnn.backbones.errors import EngineError
from vidrnn.backbones.networks import EMBEDDED, embedded_weights
from vidrnn.backbones.quantization import quantizer
from vidrnn.frames import preprocessing
from vidrnn.settings.features import FeatureSettings
from vidrnn.store.spec import FeatureSpec, NewerSpecError, sampling_values
from vidrnn.version import __version__

if TYPE_CHECKING:
    from openvino import Model

_KEPT = 20  # converted networks; the ones that were not used for longest go first
_FILES = (
    "network.xml",
    "network.bin",
    "proof.safetensors",
    "spec.json",
)  # removed in this order, the telling ones last
_OURS = re.compile(r"[0-9a-f]{16}")
_PACKAGES = ("torch", "torchvision", "timm", "openvino", "numpy")
_CODE = (device, networks, engines, preprocessing, quantization, weights)
"""What decides how a network is built, fed and converted: a change in any of them makes it anew."""


@dataclass(frozen=True)
class Proof:
    """Real frames (n, 3, S, S) uint8 and what eager PyTorch makes of them, (n, D) float32."""

    frames: torch.Tensor
    features: torch.Tensor


@dataclass(frozen=True)
class Converted:
    """One converted network: the OpenVINO model, the spec of its features, and the proof that they are right."""

    model: "Model"
    spec: FeatureSpec
    proof: Proof


class EngineCache:
    """The place of one converted network."""

    def __init__(self, path: Path, settings: FeatureSettings) -> None:
        self._path = path
        self._settings = settings

    @classmethod
    def of(cls, settings: FeatureSettings, *, weights_digest: str | None = None) -> "EngineCache | None":
        """The place that belongs to a configuration, named by all that decides the network and by the versions.

        Args:
            settings: of the features.
            weights_digest: of the loaded network, where it is known. Without it the weights' file must tell. The result
                is None when that file is not at hand before the network is built, as for weights that torchvision or
                timm fetch. It is None too when the version of a package is unknown.
        """
        identity = weights_digest or _file_identity(settings)
        root = cache_folder()
        if identity is None or root is None:
            return None
        name = Path(settings.weights).name
        precision = quantizer() if settings.precision == "int8" else settings.precision
        nodes = list(settings.chosen_nodes.items())
        values = [settings.backbone, name, identity, settings.square, settings.image_size, str(nodes), precision]
        try:
            versions = [__version__, *map(version, _PACKAGES)]
        except PackageNotFoundError:  # a package that was copied and not installed
            return None
        code = [hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest() for module in _CODE]
        key = hashlib.sha256(json.dumps([values, versions, code]).encode()).hexdigest()[:16]
        return cls(root / key, settings)

    def read(self) -> Converted | None:
        """The converted network; None when it is not there or not whole."""
        try:
            spec = FeatureSpec.from_json((self._path / "spec.json").read_text(encoding="utf-8"))
            proof = Proof(**load_file(self._path / "proof.safetensors"))
            model = OpenVino.read(self._path / "network.xml")
            os.utime(self._path)
        except (OSError, SafetensorError, EngineError, TypeError, ValueError):
            return None
        return Converted(model, replace(spec, sampling=sampling_values(self._settings)), proof)

    def write(self, converted: Converted) -> None:
        """Keep a converted network: whole or not at all. A cache that cannot be written is done without."""
        temporary = self._path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            temporary.mkdir(parents=True)
            OpenVino.save(converted.model, temporary / "network.xml")
            save_file(
                {"frames": converted.proof.frames.contiguous(), "features": converted.proof.features.contiguous()},
                temporary / "proof.safetensors",
            )
            (temporary / "spec.json").write_text(converted.spec.to_json(), encoding="utf-8")
            if _is_ours(self._path):
                _remove(self._path)
            temporary.rename(self._path)
            kept = sorted(filter(_is_ours, self._path.parent.iterdir()), key=lambda path: path.stat().st_mtime)
            for old in kept[:-_KEPT]:
                _remove(old)
        except (OSError, RuntimeError, SafetensorError):  # OpenVINO's own word for a full disk is RuntimeError
            pass
        finally:
            _remove(temporary)


def _is_ours(path: Path) -> bool:
    """Whether a folder was made here: its name, no file but ours, and one of them whole that only we write."""
    if not _OURS.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
        return False
    return {file.name for file in path.iterdir()} <= {*_FILES} and (_is_spec(path) or _is_proof(path))


def _is_spec(path: Path) -> bool:
    try:
        FeatureSpec.from_json((path / "spec.json").read_text(encoding="utf-8"))
    except NewerSpecError:
        return True
    except (OSError, TypeError, ValueError):
        return False
    return True


def _is_proof(path: Path) -> bool:
    try:
        with safe_open(path / "proof.safetensors", framework="pt") as proof:
            return {*proof.keys()} == {"frames", "features"}
    except (OSError, SafetensorError):
        return False


def _remove(path: Path) -> None:
    """Remove the files of a converted network, and the folder when nothing else is in it."""
    with suppress(OSError):  # another process removes it too
        for name in _FILES:
            (path / name).unlink(missing_ok=True)
        path.rmdir()


def _file_identity(settings: FeatureSettings) -> str | None:
    if settings.weights == "random":
        return "random"
    if settings.weights != "default":
        file = Path(settings.weights)
    elif settings.backbone == EMBEDDED:
        file = embedded_weights()
    else:
        return None
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:  # building the network says what is wrong with it
        return None
