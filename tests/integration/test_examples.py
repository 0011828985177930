"""The four examples of docs/examples.md, with the committed configurations and through the command line.

The bounds leave room for another machine: over three seeds each figure was well on its side of them (docs/examples.md).
"""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.world import call
from vidrnn.synthetic.example_sets import write_example_sets

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples have been drawn."""
    root = tmp_path_factory.mktemp("examples")
    write_example_sets(root / "examples")
    return root


@pytest.fixture
def example(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """A function that extracts (unless told not to), trains and evaluates with a configuration; returns the metrics."""
    monkeypatch.chdir(folder)

    def run(name: str, *changes: str, extract: bool = True) -> dict[str, Any]:
        output = folder / "runs" / "_".join([name, *changes])
        config = ("--config", CONFIGS / f"{name}.yaml", *(word for each in changes for word in ("--set", each)))
        for verb in (
            *((("extract",),) if extract else ()),
            ("train", "--output", output),
            ("evaluate", "--model", output / "model.safetensors", "--output", output / "test"),
        ):
            outcome = call(capsys, *verb, *config)
            assert outcome.code == 0, outcome.err
        values: dict[str, Any] = json.loads((output / "test" / "metrics.json").read_text())
        return values

    return run


@pytest.fixture
def classified(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """A function that classifies one test group of an example and compares with what evaluate said of it."""

    def compare(name: str, data: str, *options: object) -> None:
        run = folder / "runs" / name
        model, output = run / "model.safetensors", run / "labels.csv"
        outcome = call(capsys, "classify", f"examples/{data}/test00", *options, "--model", model, "--output", output)
        assert outcome.code == 0, outcome.err
        stored = {row["path"]: row["predicted"] for row in read_rows(run / "test" / "predictions.csv")}
        rows = read_rows(output)
        assert len(rows) == sum(path.startswith("test00/") for path in stored) > 0
        for row in rows:
            assert row.get("label", row.get("labels")) == stored[f"test00/{Path(row['path']).name}"]

    return compare


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_neither_picture_nor_sentence_tells_what_both_together_do(
    example: Any, classified: Any, text_extra: None
) -> None:
    """One sigmoid output, on painters and wordings that were never seen in training; half of the videos have it."""
    both = example("captions_lite0_lstm")
    classified("captions_lite0_lstm", "captions", "--texts", "examples/captions/annotations.csv")
    assert (both["n"], [(own["label"], own["n"]) for own in both["per_class"]]) == (96, [("match", 48)])
    assert both["mean_average_precision"] > 0.9
    assert both["exact_match"] > 0.85
    for stream in ("rgb", "text"):
        changes = (f"features.streams=[{stream}]", "evaluation.baselines=false")
        alone = example("captions_lite0_lstm", *changes, extract=False)
        assert alone["n"] == 96
        assert alone["mean_average_precision"] < 0.7
        assert alone["exact_match"] < 0.65


def test_a_recurrent_network_reads_a_still_image_row_by_row(example: Any, classified: Any) -> None:
    """Ten digits in handwritings that were never seen in training; rows without their order tell little."""
    metrics = example("digits_rows_lstm")
    classified("digits_rows_lstm", "digits")
    assert (metrics["n"], metrics["baselines"]["majority"]) == (200, pytest.approx(0.1))
    assert metrics["top1"] > 0.8
    assert metrics["baselines"]["mean_pool"] < 0.4


def test_sound_alone_tells_sounds_apart_that_are_each_others_reverse(example: Any, classified: Any) -> None:
    """Six sounds of instruments that were never heard in training. Who cannot tell a sound from its twin has 0.5."""
    metrics = example("sounds_audio_bigru")
    classified("sounds_audio_bigru", "sounds")
    assert (metrics["n"], metrics["baselines"]["majority"]) == (96, pytest.approx(1 / 6))
    assert metrics["top1"] > 0.75
    assert metrics["baselines"]["mean_pool"] < 0.5


def test_sounds_that_overlap_are_told_apart_by_their_course(example: Any, folder: Path, capsys: Any) -> None:
    """At every step, of instruments that were never heard; a step by itself cannot say which way a tone glides.

    Each segment of `classify` is a run of steps in which `evaluate` says the same.
    """
    metrics = example("mixtures_audio_bigru")
    assert metrics["n"] == 16
    assert metrics["mean_average_precision"] > 0.9
    assert metrics["f1_50"] > 0.65
    baselines = metrics["baselines"]
    assert baselines["majority"] < 0.3
    assert max(baselines[name] for name in ("single_step", "shuffled_time")) < 0.85
    run = folder / "runs" / "mixtures_audio_bigru"
    output = run / "sounds.csv"
    outcome = call(
        capsys, "classify", "examples/mixtures/test00", "--model", run / "model.safetensors", "--output", output
    )
    assert outcome.code == 0, outcome.err
    stored = [row for row in read_rows(run / "test" / "predictions.csv") if row["path"] == "test00/0.wav"]
    said = [row for row in read_rows(output) if Path(row["path"]).name == "0.wav"]
    assert len(said) > 3
    assert [float(row["start"]) for row in said] == sorted(float(row["start"]) for row in said)
    for row in said:
        first, last = round(float(row["start"]) * 10), round(float(row["end"]) * 10)
        inside = [row["label"] in step["predicted"].split("|") for step in stored[first:last]]
        assert inside and all(inside)
    steps = sum(len(list(filter(None, step["predicted"].split("|")))) for step in stored)
    assert sum(round(10 * (float(row["end"]) - float(row["start"]))) for row in said) == pytest.approx(steps, abs=4)
