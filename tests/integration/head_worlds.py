"""Tiny worlds of rendered clips with what each head needs to know of them, and the verbs run on them once."""

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import yaml

from tests.integration.world import Outcome, call
from tests.media import Image, plain_decode, write_clip
from vidrnn.settings.model import Head

RATE = 25
STRIDE = 2
COLOURS = {"blue": (40, 60, 230), "green": (40, 210, 60), "red": (230, 40, 30)}
HEADERS: dict[Head, tuple[str, ...]] = {
    "multilabel": ("labels",),
    "step_labels": ("start", "end", "label"),
    "transcript": ("labels",),
    "regression": ("target",),
    "step_regression": ("start", "end", "target"),
    "step_multilabel": ("start", "end", "label"),
}
_CLIPS: dict[Head, dict[str, int]] = {
    "multilabel": {"train": 28, "val": 8, "test": 14},
    "step_labels": {"train": 14, "val": 4, "test": 8},
    "transcript": {"train": 32, "val": 6, "test": 14},
    "regression": {"train": 24, "val": 6, "test": 12},
    "step_regression": {"train": 14, "val": 4, "test": 8},
    "step_multilabel": {"train": 24, "val": 6, "test": 8},
}
# What long videos with an answer for every step want, and what makes these tiny fits quick.
_TRAINING: dict[Head, dict[str, Any]] = {
    "multilabel": {"epochs": 40, "batch_size": 8},
    "step_labels": {"epochs": 30, "steps": None, "batch_size": 4},
    "transcript": {"epochs": 40, "steps": None, "batch_size": 6},
    "regression": {"epochs": 40, "batch_size": 8},
    "step_regression": {"epochs": 40, "steps": None, "batch_size": 4},
    "step_multilabel": {"epochs": 40, "steps": None, "batch_size": 4},
}
Row = tuple[object, ...]
Drawing = tuple[list[Image], list[Row]]


@dataclass(frozen=True)
class HeadWorld:
    """Clips annotated for one head, and where its verbs leave what they write.

    Attributes:
        head: what is asked of the clips.
        folder: of everything.
        outcomes: verb to what it left behind, filled by `run_verbs`.
    """

    head: Head
    folder: Path
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def clips(self) -> Path:
        """The data root."""
        return self.folder / "clips"

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def model(self) -> Path:
        return self.folder / "run" / "model.safetensors"

    def metrics(self) -> dict[str, Any]:
        """What ``evaluate`` wrote."""
        values: dict[str, Any] = json.loads((self.folder / "test" / "metrics.json").read_text())
        return values

    def videos(self) -> list[str]:
        """The annotated ones."""
        return sorted({row["path"] for row in self.rows("clips/annotations.csv")})

    def rows(self, name: str) -> list[dict[str, str]]:
        """A CSV below the folder."""
        with (self.folder / name).open(newline="") as file:
            return list(csv.DictReader(file))

    def said(self) -> dict[str, dict[str, Any]]:
        """What ``classify`` wrote as .jsonl, by the name of the clip."""
        objects = map(json.loads, (self.folder / "answers.jsonl").read_text().splitlines())
        return {Path(each["path"]).name: each for each in objects}


def make_head_world(head: Head, folder: Path) -> HeadWorld:
    """Render the clips of a head, two to a group with a backdrop of its own, with a CSV and a quick configuration."""
    world = HeadWorld(head, folder)
    rows: list[Row] = []
    rng = np.random.default_rng(list(HEADERS).index(head))
    for split, number in _CLIPS[head].items():
        backdrop = np.zeros(3)
        for clip in range(number):
            group = f"{split}{clip // 2}"
            backdrop = backdrop if clip % 2 else rng.normal(90.0, 10.0, size=3)
            images, known = _DRAW[head](rng, backdrop)
            path = f"{split}/{clip:02}.mp4"
            write_clip(world.clips / path, images)
            rows += [(path, *row, split, group) for row in known]
    with (world.clips / "annotations.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", *HEADERS[head], "split", "group"), *rows])
    tree: Mapping[str, object] = {
        "data": {"root": str(world.clips), "format": "csv", "annotations": "annotations.csv"},
        "features": {
            "backbone": "timm/test_resnet",
            "weights": "random",
            "image_size": 64,
            "nodes": {"last": 2},
            "sampling": "every",
            "stride": STRIDE,
        },
        "extraction": {"store": str(folder / "features"), "engine": "eager"},
        "model": {"head": head, "hidden_size": 32, "projection": 64, "dropout": 0.1},
        "training": {"steps": 24, "learning_rate": 0.005} | _TRAINING[head],
        "evaluation": {"seeds": 1, "bootstrap": 100, "protocol": "group_kfold", "folds": 2},
    }
    world.config.write_text(yaml.safe_dump(tree))
    return world


def run_verbs(world: HeadWorld, capsys: pytest.CaptureFixture[str]) -> HeadWorld:
    """Extract, train, evaluate on the test split, and classify its clips into both kinds of file; once per world."""
    if world.outcomes:
        return world
    config, model, folder = ("--config", world.config), ("--model", world.model), world.folder
    commands: dict[str, tuple[str | Path, ...]] = {
        "extract": config,
        "train": (*config, "--output", folder / "run"),
        "evaluate": (*model, *config, "--output", folder / "test"),
        "classify": (world.clips / "test", *model, "--output", folder / "answers.csv"),
        "classify to .jsonl": (world.clips / "test", *model, "--output", folder / "answers.jsonl"),
    }
    for name, arguments in commands.items():
        world.outcomes[name] = call(capsys, name.split()[0], *arguments)
    return world


def step_bounds(clip: Path) -> list[float]:
    """Seconds at which the cached steps of a clip begin, and where the last one ends."""
    count = len(plain_decode(clip))
    return [number / RATE for number in (*range(0, count, STRIDE), count)]


def _multilabel(rng: np.random.Generator, backdrop: npt.NDArray[np.float64]) -> Drawing:
    """Any of the three, each for its own stretch of the clip; they may be there together."""
    names = [name for name in COLOURS if rng.random() < 0.5]
    spans = {name: (begin := int(rng.integers(0, 13)), begin + int(rng.integers(8, 12))) for name in names}
    images = [
        _scene(backdrop, rng, [name for name in names if spans[name][0] <= number < spans[name][1]], number)
        for number in range(24)
    ]
    return images, [("|".join(names),)]


def _timeline(rng: np.random.Generator, *, most: int) -> tuple[list[str], list[int]]:
    """Actions in random order, repeats included, and the frames where gap, action, gap, action ... gap change."""
    actions = [str(name) for name in rng.choice(list(COLOURS), size=int(rng.integers(2, most + 1)))]
    lengths = [int(rng.integers(*((4, 7) if part % 2 == 0 else (6, 10)))) for part in range(2 * len(actions) + 1)]
    return actions, np.cumsum([0, *lengths]).tolist()


def _acted(
    rng: np.random.Generator, backdrop: npt.NDArray[np.float64], actions: list[str], at: list[int]
) -> list[Image]:
    shown = [[] if part % 2 == 0 else [actions[part // 2]] for part in range(len(at) - 1)]
    return [
        _scene(backdrop, rng, names, number)
        for names, (begin, end) in zip(shown, pairwise(at), strict=True)
        for number in range(begin, end)
    ]


def _step_labels(rng: np.random.Generator, backdrop: npt.NDArray[np.float64]) -> Drawing:
    """An untrimmed clip: two or three actions with nothing before, between and after them."""
    actions, at = _timeline(rng, most=3)
    spans = list(pairwise(at))[1::2]
    rows: list[Row] = [(begin / RATE, end / RATE, name) for name, (begin, end) in zip(actions, spans, strict=True)]
    return _acted(rng, backdrop, actions, at), rows


def _step_multilabel(rng: np.random.Generator, backdrop: npt.NDArray[np.float64]) -> Drawing:
    """One to three of the discs, each for its own stretch, and all of them in the end, when nobody looks."""
    names = [str(name) for name in rng.permutation(list(COLOURS))[: int(rng.integers(1, 4))]]
    spans = {name: (begin := int(rng.integers(0, 14)), begin + int(rng.integers(8, 16))) for name in names}
    shown = [[name for name in names if spans[name][0] <= number < spans[name][1]] for number in range(32)]
    shown += [list(COLOURS)] * 6
    rows: list[Row] = [(begin / RATE, end / RATE, name) for name, (begin, end) in spans.items()]
    rows.append((32 / RATE, 38 / RATE, ""))
    return [_scene(backdrop, rng, drawn, number) for number, drawn in enumerate(shown)], rows


def _transcript(rng: np.random.Generator, backdrop: npt.NDArray[np.float64]) -> Drawing:
    """Two to four actions, of which only the order is told."""
    actions, at = _timeline(rng, most=4)
    return _acted(rng, backdrop, actions, at), [("|".join(actions),)]


def _regression(rng: np.random.Generator, backdrop: npt.NDArray[np.float64]) -> Drawing:
    """How often the disc came: 0 to 5 times, for 4 frames each."""
    count = int(rng.integers(0, 6))
    begins = {8 * int(place) + 2 for place in rng.choice(5, size=count, replace=False)}
    images = [_scene(backdrop, rng, ["red"] * any(b <= n < b + 4 for b in begins), n) for n in range(42)]
    return images, [(count,)]


def _step_regression(rng: np.random.Generator, backdrop: npt.NDArray[np.float64]) -> Drawing:
    """How high the water stands, in percent, told every 4 frames from the first to the last quarter."""
    period, phase = rng.uniform(20, 50), rng.uniform(0, 6)
    levels = 50 + 40 * np.sin(2 * np.pi * np.arange(41) / period + phase)
    images = []
    for level in levels:
        image = _scene(backdrop, rng, [], 0)
        image[48 - round(0.48 * level) :] = COLOURS["blue"]
        images.append(image)
    spans = [(begin, begin + 4) for begin in range(4, 36, 4)]
    return images, [(begin / RATE, end / RATE, round(float(levels[begin:end].mean()), 2)) for begin, end in spans]


def _scene(backdrop: npt.NDArray[np.float64], rng: np.random.Generator, names: list[str], number: int) -> Image:
    """A noisy backdrop with a disc of each colour, in its own lane, that goes to and fro."""
    rows, columns = np.mgrid[0:48, 0:64]
    image = backdrop + rng.normal(scale=6.0, size=(48, 64, 3))
    for name in names:
        lane = list(COLOURS).index(name)
        centre = 32 + 18 * np.sin(0.3 * number + lane)
        image[(rows - 9 - 15 * lane) ** 2 + (columns - centre) ** 2 < 64] = COLOURS[name]
    return np.clip(image, 0, 255).astype(np.uint8)


_DRAW: dict[Head, Callable[[np.random.Generator, npt.NDArray[np.float64]], Drawing]] = {
    "multilabel": _multilabel,
    "step_labels": _step_labels,
    "transcript": _transcript,
    "regression": _regression,
    "step_regression": _step_regression,
    "step_multilabel": _step_multilabel,
}
