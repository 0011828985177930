"""Every benchmark can be imported, explains itself, and names only settings that there are, the one for GPUs too."""

import ast
import importlib
import re
import runpy
import sys
from pathlib import Path

import pytest

from tests.integration.test_documents import REPOSITORY
from vidrnn.settings.run import RunSettings

BENCHMARKS = sorted(path for path in (REPOSITORY / "benchmarks").glob("*.py") if path.stem != "common")
SECTIONS = {name: field.annotation for name, field in RunSettings.model_fields.items()}
SETTINGS = {section.__name__: section for section in SECTIONS.values()}
_NAME = rf"({'|'.join(SECTIONS)})\.(\w+)"
READ, OVERRIDDEN = re.compile(rf"\bsettings\.{_NAME}"), re.compile(rf"[\"' ]{_NAME}=")


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_explains_itself(path: Path, monkeypatch, capsys):
    name = f"benchmarks.{path.stem}"
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(SystemExit) as stop:
        runpy.run_module(name, run_name="__main__")
    assert not stop.value.code
    text = capsys.readouterr().out
    first = importlib.import_module(name).__doc__.splitlines()[0]
    assert text.startswith("usage: ")
    assert " ".join(first.split()) in " ".join(text.split())


def is_known(section: type, key: str) -> bool:
    return key in section.model_fields or hasattr(section, key)


def unknown_keys(source: str) -> list[str]:
    """Settings that a script names and that do not exist: by keyword, or by dotted path."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    found = [
        f"{call.func.id}({keyword.arg}=...)"
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in SETTINGS
        for keyword in call.keywords
        if keyword.arg is not None and keyword.arg not in SETTINGS[call.func.id].model_fields
    ]
    paths = [*READ.findall(source), *OVERRIDDEN.findall(source)]
    return found + [f"{section}.{key}" for section, key in paths if not is_known(SECTIONS[section], key)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("FeatureSettings(store=path, rate=2.0)", ["FeatureSettings(store=...)"]),
        ("ExtractionSettings(store=path)", []),
        ('["data.root=.", f"features.store={path}"]', ["features.store"]),
        ("num_workers(settings.features.workers)", ["features.workers"]),
        ("settings.features.model_copy(update={})", []),
    ],
)
def test_unknown_settings_are_found(source, expected):
    assert unknown_keys(source) == expected


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_names_settings_that_there_are(path: Path):
    assert unknown_keys(path.read_text(encoding="utf-8")) == []
