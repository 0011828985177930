"""What a configuration needs of the installation and the machine, by the checks of the verbs themselves."""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

from vidrnn.backbones.engines import choose_engine, choose_precision
from vidrnn.backbones.networks import EMBEDDED
from vidrnn.backbones.quantization import quantizer
from vidrnn.device import choose_device
from vidrnn.errors import ConfigError, MissingPathError, VidrnnError
from vidrnn.frames.flow import flow_estimator
from vidrnn.names import quoted
from vidrnn.settings.base import load
from vidrnn.settings.run import RunSettings
from vidrnn.streams.text_encoder import require_encoder
from vidrnn.training.curves import require_tensorboard


def unmet_needs(config: Path, overrides: Sequence[str]) -> list[dict[str, str]]:
    """What is not there, each as ``name`` and ``value`` (what is wrong and what to do); empty where all is.

    A need that only one verb has, or that a network would meet, has the key ``note`` as well.
    """
    try:
        settings = load(RunSettings, config, overrides)
    except VidrnnError as error:
        return [{"name": "configuration", "value": str(error)}]
    found = []
    for name, check in _checks(settings).items():
        try:
            check()
        except VidrnnError as error:
            found.append({"name": name, "value": str(error)})
    return found + [{**note, "note": "yes"} for note in _notes(settings)]


def _checks(settings: RunSettings) -> dict[str, Callable[[], object]]:
    """What to call, each of which raises VidrnnError where something is not there."""
    features, extraction, training = settings.features, settings.extraction, settings.training
    checks: dict[str, Callable[[], object]] = {
        "data": lambda: _require_data(settings),
        "extraction.device": lambda: choose_device(extraction.device),
        "training.device": lambda: choose_device(training.device),
        "training.tensorboard": lambda: require_tensorboard(training),
    }
    if features.weights not in {"default", "random"}:
        checks["features.weights"] = lambda: _require_weights(Path(features.weights))
    if features.precision == "int8":
        checks["features.precision"] = quantizer
    if "text" in features.streams:
        checks["features.streams"] = require_encoder
    if "flow" in features.streams:
        checks["features.flow"] = lambda: flow_estimator(features.flow.method)
    checks["extraction.engine"] = lambda: _require_engine(settings)
    return checks


def _require_data(settings: RunSettings) -> None:
    data = settings.data
    if not data.root.is_dir():
        raise MissingPathError(f"data.root {quoted(data.root)} is no folder; name the folder of the videos")
    if data.annotations is not None and not (data.root / data.annotations).exists():
        raise MissingPathError(f"data.annotations {quoted(data.annotations)} is not in {quoted(data.root)}")


def _require_weights(path: Path) -> None:
    if not path.is_file():
        raise MissingPathError(f"features.weights {quoted(path)} does not exist; give a file, 'default' or 'random'")


def _require_engine(settings: RunSettings) -> None:
    device = choose_device(settings.extraction.device)
    precision = choose_precision(settings.features, device)
    if choose_engine(settings.extraction, device, precision=precision) == "openvino":
        try:
            importlib.import_module("openvino")
        except ImportError as error:
            raise ConfigError(f"OpenVINO cannot be used ({error}); extraction.engine: eager does without") from error


def _notes(settings: RunSettings) -> list[dict[str, str]]:
    found = []
    if settings.features.backbone != EMBEDDED and settings.features.weights == "default":
        value = (
            f"the weights of {quoted(settings.features.backbone)} are fetched when they are first used, with a network"
        )
        found.append({"name": "features.weights", "value": value})
    if settings.tuning.space and importlib.util.find_spec("optuna") is None:
        found.append({"name": "tuning", "value": "vidrnn tune needs Optuna; pip install 'vidrnn[tune]'"})
    return found
