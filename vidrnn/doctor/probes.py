"""What has to be imported to be known, looked at in a process of its own: a broken library may end the process.

``python -m vidrnn.doctor.probes NAME ...`` prints one line of JSON for each name: what importing that module gave. For
a name that begins with ``:``, it is what the function of that name says. `vidrnn.doctor.questions` reads the lines.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

Answer = dict[str, Any]


def _codecs() -> Answer:
    from vidrnn.video.codecs import codecs_there, ffmpeg_version, has_nvdec

    return {"ffmpeg": ffmpeg_version(), "codecs": codecs_there(), "nvdec": has_nvdec()}


def _gpus() -> Answer:
    import torch

    found = []
    for number in range(torch.cuda.device_count()) if torch.cuda.is_available() else ():
        free, total = torch.cuda.mem_get_info(number)
        found.append({"name": torch.cuda.get_device_name(number), "free": free, "total": total})
    return {"gpus": found, "cuda": torch.version.cuda}


def _engines() -> Answer:
    from vidrnn.backbones.engines import choose_engine
    from vidrnn.device import choose_device
    from vidrnn.settings.extraction import ExtractionSettings

    device = choose_device("auto")
    precision = "float16" if device.type == "cuda" else "float32"
    return {"engine": choose_engine(ExtractionSettings(), device, precision=precision), "device": device.type}


def _weights() -> Answer:
    from vidrnn.backbones.networks import embedded_weights

    path = embedded_weights()
    with path.open("rb") as file:
        file.read(1)
    return {"path": str(path), "size": path.stat().st_size}


def _config() -> Answer:
    from vidrnn.doctor.needs import unmet_needs

    given = json.loads(os.environ["VIDRNN_DOCTOR_CONFIG"])
    return {"unmet": unmet_needs(Path(given["config"]), given["overrides"])}


_FUNCTIONS = {":codecs": _codecs, ":gpus": _gpus, ":engines": _engines, ":weights": _weights, ":config": _config}


def answer(name: str) -> Answer:
    """What importing a module gave, or what a function says; an error of whatever kind is the answer ``error``."""
    try:
        if name in _FUNCTIONS:
            return _FUNCTIONS[name]()
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a broken library raises
        text = (str(error).strip().splitlines() or [""])[0]
        return {"error": f"{type(error).__name__}: {text}" if text else type(error).__name__}
    version = getattr(module, "__version__", None)
    return {"version": None if version is None else str(version)}


def main() -> None:
    """Answer for each name, one line each; whatever libraries print goes elsewhere."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for name in sys.argv[1:]:
        answers.write(json.dumps({"name": name, **answer(name)}) + "\n")
        answers.flush()
    answers.close()
    os._exit(0)  # some libraries take a second to end


if __name__ == "__main__":
    main()
