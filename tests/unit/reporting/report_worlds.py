"""Folders as ``evaluate`` and ``crossval`` write them, with chosen answers: nothing is trained."""

import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.media import pictures, write_clip
from vidrnn.evaluation.metrics import HEADLINES, measure_outputs
from vidrnn.evaluation.predictions import write_predictions
from vidrnn.evaluation.report import write_json
from vidrnn.settings.model import Head

LABELS = ("background", "jump", "run", "wave")
STEPS = 24
HEADS = tuple(HEADLINES)


def answers(head: Head, n: int, *, labels: Sequence[str] = LABELS, seed: int = 0) -> tuple[list[Any], list[Any]]:
    """Outputs and truth of ``n`` videos: mostly right, sometimes not. The truth is the same for all seeds."""
    kinds = {"label": _labels, "multilabel": _sets, "transcript": _transcripts, "regression": _numbers}
    make = kinds.get(head, _curves if head == "step_regression" else _steps)
    outputs, truth = make(np.random.default_rng(seed), np.random.default_rng(99), n, len(labels))
    if head == "step_multilabel":
        hot = [np.where((row < 0)[:, None], np.nan, np.eye(len(labels))[row]) for row in truth]
        return [3 * values - 3 for values in outputs], hot
    return outputs, truth


def _labels(rng: Any, _of_truth: Any, n: int, classes: int) -> tuple[list[Any], list[Any]]:
    truth = [np.int64(number % classes) for number in range(n)]
    likely = 2.5 * np.eye(classes)
    return [likely[true] + rng.normal(size=classes) for true in truth], truth


def _sets(rng: Any, of_truth: Any, n: int, classes: int) -> tuple[list[Any], list[Any]]:
    sets = [(of_truth.random(classes) < 0.4).astype(float) for _ in range(n)]
    return [4 * true - 2 + 1.5 * rng.normal(size=classes) for true in sets], sets


def _transcripts(rng: Any, _of_truth: Any, n: int, classes: int) -> tuple[list[Any], list[Any]]:
    rows = [np.asarray([number % classes, (number + 1) % classes, -1]) for number in range(n)]
    paths = [[classes, row[0], classes, row[1] if rng.random() < 0.7 else 0, classes] for row in rows]
    return [np.eye(classes + 1)[path] for path in paths], rows


def _numbers(rng: Any, _of_truth: Any, n: int, _classes: int) -> tuple[list[Any], list[Any]]:
    numbers = [np.float64(number) for number in range(n)]
    return [np.asarray([number + rng.normal()]) for number in numbers], numbers


def _curves(rng: Any, _of_truth: Any, n: int, _classes: int) -> tuple[list[Any], list[Any]]:
    curves = [np.where(np.arange(STEPS) < 4, np.nan, np.sin(np.arange(STEPS) / 4 + number)) for number in range(n)]
    return [np.nan_to_num(curve)[:, None] + 0.2 * rng.normal(size=(STEPS, 1)) for curve in curves], curves


def _steps(rng: Any, of_truth: Any, n: int, classes: int) -> tuple[list[Any], list[Any]]:
    """Four segments of six steps; the answers come up to three steps late, and nobody looked at the first two."""
    kinds = [np.repeat(of_truth.integers(0, classes, STEPS // 6), 6) for _ in range(n)]
    said = [np.eye(classes)[np.roll(kind, int(rng.integers(0, 4)))] for kind in kinds]
    truth = [np.where(np.arange(STEPS) < 2, -1, kind) for kind in kinds]
    return [2 * marks + 0.3 * rng.normal(size=(STEPS, classes)) for marks in said], truth


def write_run(
    folder: Path,
    head: Head,
    *,
    n: int = 24,
    labels: Sequence[str] = LABELS,
    paths: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    root: Path | None = None,
    **figures: Any,
) -> Path:
    """predictions.csv and metrics.json; with ``root`` a config.yaml too."""
    folder.mkdir(parents=True, exist_ok=True)
    names = paths or [f"clips/{number}.mp4" for number in range(n)]
    groups = [f"g{number // 3}" for number in range(n)]
    by_seed = [(seed, answers(head, n, labels=labels, seed=seed)[0]) for seed in seeds]
    truth = answers(head, n, labels=labels)[1]
    write_predictions(
        folder / "predictions.csv",
        head=head,
        paths=names,
        groups=groups,
        labels=labels,
        answers=by_seed,
        truth=truth,
    )
    metrics = measure_outputs(head, by_seed[0][1], truth, labels=labels, groups=groups, bootstrap=20)
    beside = {"protocol": "list.csv; split test", "split": "test", "head": head, "versions": {"vidrnn": "0"}}
    write_json(folder / "metrics.json", beside | metrics.as_dict() | figures)
    if root is not None:
        tree = {
            "data": {"root": str(root), "format": "csv", "annotations": "list.csv"},
            "features": {"sampling": "uniform", "count": STEPS},
            "model": {"head": head},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    return folder


def write_videos(root: Path, n: int, *, frames: int = 48) -> None:
    """Clips that differ in the colour of a bar's background."""
    for number in range(n):
        images = [np.roll(image, 5 * number, axis=2) for image in pictures(frames, width=64, height=48)]
        write_clip(root / f"clips/{number}.mp4", images)


class Page(HTMLParser):
    """What a browser would make of a page: its elements, its text, and the data in it."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.source = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._inside = ""
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append((self.elements[-1][1], data))
        elif self._inside != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        """What people read, with single spaces."""
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def data(self, name: str) -> Any:
        """The JSON in a script element."""
        return next(json.loads(text) for attributes, text in self.scripts if attributes.get("id") == name)

    def sections(self) -> list[str]:
        return [attributes["id"] or "" for tag, attributes in self.elements if tag == "section"]
