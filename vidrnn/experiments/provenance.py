"""Where a number comes from: what stands beside every result."""

import hashlib
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidrnn.atomic import write_atomically
from vidrnn.names import last_part
from vidrnn.settings.base import dump_yaml
from vidrnn.settings.run import RunSettings
from vidrnn.settings.streams import BACKBONE_STREAMS
from vidrnn.version import __version__


def provenance(settings: RunSettings) -> dict[str, Any]:
    """What it takes to make a number again: the digest of the configuration and the versions.

    Results are shown around, so the command line is not among it: it tells folders, and with them who works where.
    """
    return {"config_digest": config_digest(settings), "versions": versions()}


def versions() -> dict[str, str]:
    """What a number depends on besides the configuration."""
    return {
        "vidrnn": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def config_digest(settings: RunSettings) -> str:
    """12 hexadecimal digits of what decides the numbers in the resolved configuration: no folders, devices, speed."""
    training, later = settings.training, type(settings.training).model_fields
    unused = {key for key in ("init", "frozen") if getattr(training, key) == later[key].default}
    elsewhere: dict[str, Any] = {"data": {"root"}, "extraction": True, "training": {"device", "tensorboard", *unused}}
    return hashlib.sha256(settings.model_dump_json(exclude=elsewhere).encode()).hexdigest()[:12]


def write_config(path: Path, settings: RunSettings) -> None:
    """Write the resolved configuration so that it can be run again from any working directory. Raises OSError."""
    data = settings.data.model_copy(update={"root": settings.data.root.absolute()})
    extraction = settings.extraction.model_copy(update={"store": settings.extraction.store.absolute()})
    init = settings.training.init
    training = settings.training.model_copy(update={"init": None if init is None else init.absolute()})
    sections = {"data": data, "extraction": extraction, "training": training}
    write_atomically(path, dump_yaml(settings.model_copy(update=sections)).encode())


def describe_data(settings: RunSettings, spec_digest: str) -> str:
    """The part of a protocol string that says which videos and features a number belongs to."""
    data = settings.data
    source = last_part(data.annotations or data.root.name)
    if data.format in {"ucf101", "hmdb51"}:
        source += f", split {data.split_number}"
    steps = settings.training.steps or "all"
    accepted = f"; ACCEPTED: {', '.join(data.accept)}" if data.accept else ""
    shown = settings.features.backbone if set(settings.features.streams) & BACKBONE_STREAMS else "of"
    return f"{source}; features {shown} {spec_digest}, {steps} steps per video{accepted}"
