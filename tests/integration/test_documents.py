"""The documents do what they say: every command in them runs, every configuration opens, every file they name exists.

The commands run as they stand, in a folder that looks like a user's: rendered clips take the place of the videos, and
the configurations are copies with fewer epochs and smaller frames.
"""

import csv
import re
import runpy
import shlex
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
import yaml

from vidrnn.app.clips import Wanted
from vidrnn.app.session import Session
from vidrnn.cli.app import main
from vidrnn.settings.base import load
from vidrnn.settings.run import RunSettings
from vidrnn.synthetic.clips import render_clip

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
CONFIGS = sorted((REPOSITORY / "configs").glob("*.yaml"))
# `make demo` and `make test` install first; the demo's own test is test_demo.py, and this is `make test`.
MAKE = {"make demo", "make test"}
CLIPS = "${VIDRNN_DATA:-data}"  # where configurations for real clips look for them
ACTIONS = ("sit_down", "raise_arms", "open_door")


def commands() -> list[str]:
    """Lines of all bash blocks, in reading order."""
    blocks = [
        block
        for document in DOCUMENTS
        for block in re.findall(r"```bash\n(.*?)```", document.read_text(), flags=re.DOTALL)
    ]
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]


@pytest.fixture
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with configs/, tools/, my_videos/ (with actions.csv), new_videos/ and data/ as the documents suppose."""
    shutil.copytree(REPOSITORY / "tools", tmp_path / "tools")
    (tmp_path / "configs").mkdir()
    for config in CONFIGS:
        tree = yaml.safe_load(config.read_text())
        tree["features"] |= {"image_size": 32, "sampling": "uniform", "count": 4}
        tree.setdefault("training", {})["epochs"] = 2
        (tmp_path / "configs" / config.name).write_text(yaml.safe_dump(tree))
        if tree["data"]["format"] == "csv" and tree["data"]["root"] == CLIPS:
            _annotated_clips(tmp_path / "data", tree["data"]["annotations"])
    for number in range(6):
        for action in ACTIONS:
            _clip(tmp_path / "my_videos" / action / f"{number}.mp4", action, number)
    with (tmp_path / "my_videos" / "actions.csv").open("w", newline="") as file:
        spans = [(f"{action}/{number}.mp4", 0.4, 1.2, action) for action in ACTIONS for number in range(6)]
        csv.writer(file).writerows([("path", "start", "end", "label"), *spans])
    _clip(tmp_path / "new_videos" / "unknown.mp4", "sit_down", 99)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VIDRNN_DATA", raising=False)
    return tmp_path


def _clip(path: Path, action: str, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    render_clip(path, action=action, group_seed=seed, clip_seed=seed, width=64, height=48)


def _annotated_clips(root: Path, name: str) -> None:
    rows = [["path", "label", "group"]]
    for group in range(2):
        for action in ACTIONS:
            rows.append([f"{Path(name).stem}/{action}_{group}.mp4", action, f"actor{group}"])
            _clip(root / rows[-1][0], action, group)
    with (root / name).open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def test_every_command_runs_as_it_stands(user_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("vidrnn.app.serving.serve", _asked_once)  # else it runs until somebody stops it
    found = commands()
    assert {line for line in found if line.startswith("make")} | {"make test"} >= MAKE
    for line in found:
        if line in MAKE:
            continue
        words = shlex.split(line)
        python = words[0] == "python"
        assert python or words[0] == "vidrnn", f"a command that this test cannot run: {line}"
        monkeypatch.setattr(sys, "argv", words[1:] if python else words)
        command = partial(runpy.run_path, words[1], run_name="__main__") if python else main
        with pytest.raises(SystemExit) as stop:
            command()
        captured = capsys.readouterr()
        assert not stop.value.code, f"{line}\n{captured.out}\n{captured.err}"


def _asked_once(session: Session, **_how: object) -> None:
    """In place of a server: the first page of the list, and whether its first video is there."""
    (row, *_) = session.page(Wanted(), first=0, count=50, anew=True)["rows"]
    assert session.video(row["id"]).exists()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.name)
def test_every_configuration_opens(config: Path) -> None:
    assert isinstance(load(RunSettings, config), RunSettings)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_and_module_in_the_documents_exists(document: Path) -> None:
    text = document.read_text()
    for target in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (document.parent / target).exists(), target
    for name in re.findall(r"`((?:configs|tools|docs|benchmarks|vidrnn)/[\w./]+)`", text):
        assert (REPOSITORY / name).exists(), name
