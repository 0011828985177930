"""A tiny labelled world of rendered clips, and the command line called as a user calls it."""

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from vidrnn.cli.app import main
from vidrnn.synthetic.clips import render_clip

ACTIONS = ("sit_down", "raise_arms", "open_door")
GROUPS = {"train": 4, "val": 1, "test": 2}


@dataclass(frozen=True)
class World:
    """Where everything of a test lies."""

    folder: Path
    clips: Path
    config: Path
    num_videos: int


def make_world(folder: Path) -> World:
    """Clips of three actions by seven actors, a CSV with splits and groups, and a quick configuration."""
    clips = folder / "clips"
    rows = []
    for split, number in GROUPS.items():
        for group in range(number):
            for action in ACTIONS:
                path = f"{action}/{split} {group}.mp4"
                (clips / action).mkdir(parents=True, exist_ok=True)
                seed = sum(map(ord, split)) * 10 + group
                render_clip(clips / path, action=action, group_seed=seed, clip_seed=seed, width=96, height=72)
                rows.append([path, action, split, f"{split}{group}"])
    with (clips / "annotations.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "split", "group"], *rows])
    config = folder / "config.yaml"
    tree = {
        "data": {"root": str(clips), "format": "csv", "annotations": "annotations.csv"},
        "features": {"image_size": 64, "sampling": "uniform", "count": 6},
        "extraction": {"store": str(folder / "features")},
        "model": {"hidden_size": 16, "projection": 32},
        "training": {"steps": 4, "epochs": 12, "learning_rate": 0.005},
        "evaluation": {"seeds": 2, "bootstrap": 200},
    }
    config.write_text(yaml.safe_dump(tree))
    return World(folder, clips, config, len(rows))


def write_config(folder: Path, *, data: Mapping[str, object], features: Mapping[str, object], epochs: int) -> Path:
    """A quick configuration for a few videos: a tiny model, one seed, no baselines, the store beside it."""
    tree = {
        "data": dict(data),
        "features": {"image_size": 32, **features},
        "extraction": {"store": str(folder / "store"), "workers": 1},
        "model": {"hidden_size": 8, "projection": 8},
        "training": {"steps": 4, "epochs": epochs},
        "evaluation": {"seeds": 1, "bootstrap": 50, "baselines": False},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    return folder / "config.yaml"


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


def call(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Outcome:
    """Run ``vidrnn ARGUMENTS`` in this process."""
    before: Sequence[str] = sys.argv
    sys.argv = ["vidrnn", *map(str, arguments)]
    capsys.readouterr()
    try:
        main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = list(before)
    captured = capsys.readouterr()
    return Outcome(code, captured.out, captured.err)
