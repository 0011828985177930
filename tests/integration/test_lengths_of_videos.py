"""Rows that count frames at a rate, and videos of another rate: the times survive `convert`, the rest is said."""

import csv
from fractions import Fraction
from pathlib import Path

import pytest
import torch
import yaml

from tests.integration.world import call
from tests.media import pictures, write_clip
from tests.worlds import tiny_model, tiny_training
from vidrnn.models.model_file import load_model

FRAMES, RATE = 40, 10
EVENTS = [("cut", 0.4, 2.0), ("peel", 2.0, 3.2)]
NAMES = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of 4 s at 10 frames per second, and their events in seconds."""
    folder = tmp_path_factory.mktemp("lengths")
    rows = ["path,start,end,label"]
    for name in NAMES:
        write_clip(folder / "clips" / f"{name}.mp4", pictures(FRAMES), time_base=Fraction(1, RATE))
        rows += [f"{name}.mp4,{start},{end},{label}" for label, start, end in EVENTS]
    (folder / "clips" / "list.csv").write_text("\n".join(rows))
    tree = {
        "data": {"root": str(folder / "clips"), "format": "csv", "annotations": "list.csv",
                 "accept": ["near_duplicates", "identical_files"]},
        "features": {"image_size": 32},
        "extraction": {"store": str(folder / "store"), "workers": 1, "device": "cpu"},
        "model": tiny_model(head="step_labels").model_dump(mode="json"),
        "training": tiny_training(epochs=1).model_dump(mode="json"),
    }  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    return folder / "config.yaml"


def of(kind: str, where: Path, *more: str) -> list[str]:
    changes = [f"data.format={kind}", f"data.annotations={where}", *more]
    return [word for change in changes for word in ("--set", change)]


@pytest.mark.parametrize("rate", [None, 50])
def test_cholec80_keeps_seconds_whatever_the_rate_of_the_video(config: Path, tmp_path: Path, capsys, rate) -> None:
    """Its frame numbers are of 25 a second; the same configuration that reads the published set reads them again."""
    options = [] if rate is None else ["--frame-rate", str(rate)]
    written = call(capsys, "convert", "--config", config, "--to", "cholec80", "--output", tmp_path / "phases", *options)
    assert written.code == 0
    again = of("cholec80", tmp_path / "phases", "data.video_path='{name}.mp4'")
    again += [] if rate is None else ["--set", f"data.frame_rate={rate}"]
    back = call(capsys, "convert", "--config", config, "--to", "csv", "--output", tmp_path / "back.csv", *again)
    assert (back.code, "another length" in back.out) == (0, False)
    rows = list(csv.DictReader((tmp_path / "back.csv").open()))
    found = [(row["label"], float(row["start"]), float(row["end"])) for row in rows if row["path"] == "a.mp4"]
    assert found == [(label, pytest.approx(start), pytest.approx(end)) for label, start, end in EVENTS]


def test_every_verb_says_that_rows_and_video_differ_in_length(config: Path, tmp_path: Path, capsys) -> None:
    """A row per frame of 10 a second, read at the 25 of the format: 1.6 s of labels for 4 s of video."""
    for name in NAMES:
        rows = "".join(f"{frame}\t{'cut' if frame < 20 else 'peel'}\n" for frame in range(FRAMES))
        path = tmp_path / "phases" / f"{name}-phase.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"Frame\tPhase\n{rows}")
    changes = of(
        "cholec80", tmp_path / "phases", "data.video_path='{name}.mp4'", f"extraction.store={tmp_path / 'store'}"
    )
    text = "the rows of its annotations last 1.6 s, and the video 4 s; set data.frame_rate to the rows per second"
    assert text in call(capsys, "check", "--config", config, *changes).out
    assert text in call(capsys, "extract", "--config", config, *changes).out
    assert text in call(capsys, "check", "--config", config, "--quick", *changes).out
    assert text in call(capsys, "train", "--config", config, "--output", tmp_path / "run", *changes).out
    model = tmp_path / "run" / "model.safetensors"
    assert load_model(model, device=torch.device("cpu")).clip_s == 4.0
    scored = ("evaluate", "--config", config, "--model", model, "--split", "val", "--output", tmp_path / "scored")
    assert text in call(capsys, *scored, *changes, "--set", "data.accept=[shared_groups]").out
    output = ["--to", "csv", "--output", tmp_path / "x.csv"]
    assert text in call(capsys, "convert", "--config", config, *output, *changes).out
    right = call(capsys, "check", "--config", config, "--quick", *changes, "--set", f"data.frame_rate={RATE}")
    assert "rows of its annotations" not in right.out


def test_segments_that_go_beyond_the_video_are_named(config: Path, tmp_path: Path, capsys) -> None:
    longer = tmp_path / "longer.csv"
    longer.write_text((config.parent / "clips" / "list.csv").read_text().replace("3.2,peel", "30,peel"))
    changes = of("csv", longer, f"extraction.store={tmp_path / 'store'}")
    text = "its segments go to 30 s, and the video ends at 4 s; correct the segments"
    assert text in call(capsys, "extract", "--config", config, *changes).out
    assert text in call(capsys, "check", "--config", config, "--quick", *changes).out
