"""`vidrnn doctor`: what is there and what is missing is said, and nothing that is broken ends it."""

import json
import os
import resource
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from vidrnn.doctor import machine, needs, packages
from vidrnn.doctor.examine import Examination, examine
from vidrnn.doctor.machine import in_words, remarks_on_machine
from vidrnn.doctor.needs import unmet_needs
from vidrnn.doctor.packages import PURPOSES, Required, remarks_on_extras, remarks_on_required, requirements
from vidrnn.doctor.questions import ask
from vidrnn.doctor.remarks import Remark
from vidrnn.errors import ExitCode

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which libraries are broken in every way; what lies there is imported first."""
    folder = tmp_path / "broken"
    folder.mkdir()
    for name, text in {
        "lost_library": "raise ImportError('libGL.so.1: cannot open shared object file')",
        "crashing": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
        "leaving": "import sys\nprint('sorry', file=sys.stderr, flush=True)\nimport os\nos._exit(3)",
        "exiting": "raise SystemExit('no licence')",
        "hanging": "import time\ntime.sleep(600)",
        "talking": 'print(\'{"name": "talking", "version": "a lie"}\')\n__version__ = \'1.2\'',
    }.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_a_library_that_crashes_hangs_or_talks_costs_its_own_line(broken: Path) -> None:
    names = ["talking", "lost_library", "crashing", "leaving", "exiting", "hanging", "json", "no_such_module"]
    answers = ask([names, ["tomllib"]], limit_s=3.0)
    assert answers == {
        "talking": {"version": "1.2"},
        "lost_library": {"error": "ImportError: libGL.so.1: cannot open shared object file"},
        "crashing": {"error": "it ends the process (SIGSEGV)"},
        "leaving": {"error": "it ends the process (exit code 3): sorry"},
        "exiting": {"error": "SystemExit: no licence"},
        "hanging": {"error": "it did not answer within 3 s"},
        "json": {"version": json.__version__},
        "no_such_module": {"error": "ModuleNotFoundError: No module named 'no_such_module'"},
        "tomllib": {"version": None},
    }


def test_a_file_in_the_current_folder_is_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wave.py").write_text("raise ImportError('a script of the user')")
    monkeypatch.chdir(tmp_path)
    assert "error" not in ask([["wave"]])["wave"]


def test_the_verb_survives_broken_libraries_and_says_what_to_do(broken: Path, tmp_path: Path) -> None:
    """PyTorch and PyAV, of which most else depends; a configuration cannot be looked at then."""
    for name in ("torch", "av"):
        (broken / name).mkdir()
        (broken / name / "__init__.py").write_text(f"raise OSError('lib{name}.so: undefined symbol')")
    environment = os.environ | {"PYTHONPATH": f"{broken}{os.pathsep}{REPOSITORY}"}
    command = [sys.executable, "-m", "vidrnn", "doctor", "--config", str(tmp_path / "a.yaml")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (ExitCode.ERROR, "")
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines() if line.startswith("!")]
    said = {words[1]: words[2] for words in lines}
    version = metadata.version("torch")
    assert said["torch"].startswith(f"{version} cannot be used: OSError: libtorch.so: undefined symbol; pip install")
    assert {"torch", "torchvision", "timm", "av", "FFmpeg", "CUDA", "engine", "configuration"} <= set(said)
    assert "numpy" not in said
    assert done.stdout.splitlines()[-1].startswith(f"{len(said)} of what is needed is not there or not usable: ")


def test_the_whole_of_it_on_this_machine(tmp_path: Path) -> None:
    """Everything that the tests need is there, each in the version that pip knows."""
    (tmp_path / "a.yaml").write_text(yaml.safe_dump({"data": {"root": str(tmp_path)}}))
    found = examine(tmp_path / "a.yaml")
    assert found.exit_code == ExitCode.OK, found.lines()
    said = {(remark.part, remark.name): remark.value for remark in found.remarks}
    for name in ("torch", "av", "numpy", "opencv-python-headless"):
        assert said["packages", name] == metadata.version(name)
    assert {"h264", "hevc", "av1", "vp9", "prores"} <= set(said["codecs", "decoders"].split(", "))
    assert said["codecs", "encoders"] == "libx264, aac"
    assert said["devices", "engine"].split()[0] in {"openvino", "graph"}
    assert ("machine", "CPU") in said and ("weights", "efficientnet_lite0") in said
    assert found.remarks[-1].value == "all of it is there"
    assert found.lines()[-1] == "everything that is needed is there"
    values = json.loads(json.dumps(found.as_dict()))
    assert (values["ok"], values["exit_code"], len(values["remarks"])) == (True, 0, len(found.remarks))


def test_requirements_are_those_of_the_project() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    found = requirements()
    assert len(found[""]) == len(project["dependencies"])
    assert Required("av", "18.0") in found[""]
    assert found.keys() - {""} == project["optional-dependencies"].keys() - {"dev"} == PURPOSES.keys()


def test_installed_without_a_checkout_they_come_from_the_metadata(tmp_path: Path, monkeypatch) -> None:
    lines = ["av>=18.0", "numpy", "optuna>=5.0; extra == 'tune'", 'ruff>=1; extra == "dev"']
    monkeypatch.setattr(packages, "__file__", str(tmp_path / "vidrnn" / "doctor" / "packages.py"))
    monkeypatch.setattr(metadata, "requires", lambda _name: lines)
    assert requirements() == {"": (Required("av", "18.0"), Required("numpy", "")), "tune": (Required("optuna", "5.0"),)}


@pytest.mark.parametrize(
    ("version", "least", "too_old"),
    [("18.1.0", "18.0", False), ("17.9", "18.0", True), ("2.9.0", "2.11", True), ("2.11", "2.11.0", False),
     ("2.14.1+cu126", "2.11", False), (None, "1.0", False)],
)  # fmt: skip
def test_versions_are_compared_as_numbers(version: str | None, least: str, too_old: bool, monkeypatch) -> None:
    def installed(_name: str) -> str:
        if version is None:
            raise metadata.PackageNotFoundError
        return version

    monkeypatch.setattr(metadata, "version", installed)
    assert Required("x", least).is_too_old == too_old


def test_packages_that_are_old_or_absent_are_missing_and_extras_are_done_without(monkeypatch) -> None:
    versions = {"av": "17.0", "numpy": "2.4"}

    def installed(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError
        return versions[name]

    monkeypatch.setattr(metadata, "version", installed)
    needed = (Required("av", "18.0"), Required("numpy", "2.0"), Required("faiss-cpu", "1.11"))
    error = "ModuleNotFoundError: No module named 'faiss'"
    old, fine, absent = remarks_on_required(needed, {"av": {}, "numpy": {}, "faiss": {"error": error}})
    assert old == Remark("packages", "av", "17.0 is older than 18.0", "missing", "pip install 'av>=18.0'")
    assert fine == Remark("packages", "numpy", "2.4")
    wanted = Remark("packages", "faiss-cpu", "is not installed", "missing", "pip install 'faiss-cpu>=1.11'")
    assert absent == wanted
    (extra,) = remarks_on_extras({"tune": (Required("no-such-thing", "5.0"),)})
    assert (extra.level, extra.advice) == ("note", "pip install 'vidrnn[tune]'")
    assert extra.value == "no-such-thing is not installed (for vidrnn tune)"


def needed(tmp_path: Path, **sections: dict[str, object]) -> dict[str, str]:
    tree = {"data": {"root": str(tmp_path)}, **sections}
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(tree))
    return {one["name"]: one["value"] for one in unmet_needs(tmp_path / "a.yaml", [])}


def test_a_configuration_is_told_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert needed(tmp_path) == {}
    lacking = needed(
        tmp_path,
        data={"root": str(tmp_path / "gone")},
        features={"weights": str(tmp_path / "w.pt"), "streams": ["rgb", "flow"], "flow": {"method": "tvl1"}},
        training={"device": "cuda:77"},
    )
    assert lacking["data"].startswith(f"data.root '{tmp_path / 'gone'}' is no folder")
    assert "does not exist" in lacking["features.weights"]
    assert "'tvl1' is not part of the installed OpenCV" in lacking["features.flow"]
    assert "cuda:77" in lacking["training.device"]
    assert "annotations 'list.csv' is not in" in needed(
        tmp_path, data={"root": str(tmp_path), "format": "csv", "annotations": "list.csv"}
    )["data"].replace("data.", "")
    assert "fetched when they are first used" in needed(tmp_path, features={"backbone": "resnet18"})["features.weights"]
    (tmp_path / "b.yaml").write_text("data: {rot: x}")
    assert [one["name"] for one in unmet_needs(tmp_path / "b.yaml", [])] == ["configuration"]
    monkeypatch.setattr(needs.importlib.util, "find_spec", lambda _name: None)
    lacking = needed(tmp_path, training={"tensorboard": True}, features={"precision": "int8"})
    assert "vidrnn[tensorboard]" in lacking["training.tensorboard"] and "vidrnn[int8]" in lacking["features.precision"]


def test_limits_of_the_machine_come_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VIDRNN_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(machine.resource, "getrlimit", lambda _what: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(machine, "_LEAST_DISK", 2**62)
    said = {remark.name: remark for remark in remarks_on_machine(tmp_path / "not" / "there")}
    assert said["files"].level == said["cache"].level == said["disk"].level == "note"
    assert said["files"].advice == "raise it to 1024: `ulimit -n 1024` before vidrnn"
    assert "set VIDRNN_CACHE" in said["cache"].advice and "Not a directory" in said["cache"].value
    monkeypatch.setenv("VIDRNN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "a").write_bytes(bytes(1500))
    said = {remark.name: remark for remark in remarks_on_machine(tmp_path)}
    assert said["cache"] == Remark("machine", "cache", f"'{tmp_path / 'cache'}', 2 kB")
    assert list((tmp_path / "cache").iterdir()) == [tmp_path / "cache" / "a"]
    assert f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} cores" in said["CPU"].value


@pytest.mark.parametrize(("size", "words"), [(12, "12 B"), (1500, "2 kB"), (2_340_000, "2.3 MB"), (5e12, "5.0 TB")])
def test_sizes_in_words(size: float, words: str) -> None:
    assert in_words(size) == words


@pytest.mark.parametrize(
    ("levels", "code"),
    [(["ok", "note"], 0), (["ok", "refused"], 2), (["refused", "missing"], 1)],
)
def test_the_exit_code_says_whose_fault_it_is(levels: list, code: int) -> None:
    found = Examination(tuple(Remark("p", f"n{number}", "v", level) for number, level in enumerate(levels)))
    assert found.exit_code == code
