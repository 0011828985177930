"""No verb opens an internet socket, and neither does any library that it uses."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.world import World, make_world
from vidrnn.synthetic.clips import render_clip

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("no_network"))


def run(*arguments: str | Path, cache: Path) -> "subprocess.CompletedProcess[str]":
    """A module in a process that an internet socket would kill; with an empty cache, so that nothing is skipped."""
    environment = {**os.environ, "VIDRNN_CACHE": str(cache), "HOME": str(cache)}
    return subprocess.run(
        [sys.executable, "-m", "tests.no_network", *map(str, arguments)],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_an_internet_socket_is_noticed(tmp_path: Path) -> None:
    """The check itself: the standard library's own web server needs one."""
    outcome = run("http.server", "0", cache=tmp_path)
    assert outcome.returncode == -signal.SIGSYS


def test_every_verb_works_without_opening_an_internet_socket(world: World, tmp_path: Path) -> None:
    config, folder = world.config, world.folder
    model = folder / "run" / "model.safetensors"
    # Of a size that a camera could give: blown up from a few pixels, eight bits are too few.
    (folder / "large" / "sit_down").mkdir(parents=True)
    clip = folder / "large" / "sit_down" / "0.mp4"
    render_clip(clip, action="sit_down", group_seed=1, clip_seed=1, width=320, height=240)
    int8 = ["features.precision=int8", "features.image_size=224", "data.format=folder", f"data.root={folder / 'large'}"]
    commands: list[list[str | Path]] = [
        ["check", "--config", config],
        ["extract", "--config", config],
        ["extract", "--config", config, *(word for setting in int8 for word in ("--set", setting))],
        ["train", "--config", config, "--output", folder / "run"],
        ["evaluate", "--model", model, "--config", config, "--output", folder / "evaluation"],
        ["crossval", "--config", config, "--output", folder / "crossval", "--set", "evaluation.seeds=1"],
        ["report", folder / "evaluation"],
        ["classify", world.clips, "--model", model, "--output", folder / "labels.csv"],
        ["store", "info", folder / "features"],
        ["store", "verify", folder / "features", "--root", world.clips, "--root", folder / "large"],
    ]
    for command in commands:
        outcome = run("vidrnn", *command, cache=tmp_path)
        assert outcome.returncode == 0, (command[0], outcome.returncode, outcome.stderr)


def test_weights_that_would_need_a_download_name_the_file(world: World, tmp_path: Path) -> None:
    """Here the attempt is the user's own wish; with name resolution refused it fails with advice, not a traceback."""
    environment = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "HOME": str(tmp_path)}
    outcome = subprocess.run(
        [
            sys.executable,
            "-m",
            "vidrnn",
            "extract",
            "--config",
            str(world.config),
            "--set",
            "features.backbone=resnet18",
        ],
        cwd=REPOSITORY,
        env={**os.environ, **environment, "TORCH_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert outcome.returncode == 2
    assert "could not download resnet18-" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_texts_are_embedded_without_opening_an_internet_socket(world: World, tmp_path: Path, text_extra: None) -> None:
    """The encoder's weights come with a package; its libraries would look on the network otherwise."""
    root = tmp_path / "videos"
    root.mkdir()
    (root / "list.csv").write_text("path,label,text\na.mp4,x,somebody sits down\n")
    changed = [f"data.root={root}", "data.format=csv", "data.annotations=list.csv", "features.streams=[text]"]
    words = [word for setting in changed for word in ("--set", setting)]
    outcome = run("vidrnn", "extract", "--config", world.config, *words, cache=tmp_path)
    assert outcome.returncode == 0, (outcome.returncode, outcome.stderr)
    assert outcome.stdout.splitlines()[-1] == "extracted 1, reused 0, failed 0"
