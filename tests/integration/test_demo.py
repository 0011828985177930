"""The demo, smaller: the same steps on fewer groups."""

import csv
import json
from pathlib import Path

import pytest

from tests.integration.world import call
from vidrnn.cli import demo
from vidrnn.synthetic.clips import ACTIONS


def test_the_demo_separates_twins_in_time_and_names_every_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(demo, "_GROUPS", {"train": 5, "val": 1, "test": 2})
    monkeypatch.setattr(demo, "_CLIPS_PER_GROUP", 1)
    outcome = call(capsys, "demo", "--output", tmp_path / "demo")
    assert outcome.code == 0
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text())
    assert summary["n"] == 2 * len(ACTIONS)
    assert set(summary["baselines"]) == {
        "mean_pool",
        "own_inputs_max",
        "shuffled_time",
        "single_frame",
        "metadata_only",
        "majority",
    }
    # A model without order gives both twins the same answer, so it cannot pass one half whatever it learns.
    assert summary["baselines"]["mean_pool"] <= 0.5
    assert summary["top1"] > 0.6
    rows = list(csv.DictReader((tmp_path / "demo" / "predictions.csv").open()))
    assert [row["status"] for row in rows] == ["ok"] * len(ACTIONS)
    named = [Path(line.split()[0]) for line in outcome.out.splitlines() if line.startswith(str(tmp_path))]
    assert len(named) == 13
    assert all(path.exists() for path in named)
    assert "vidrnn crossval --output runs/mine --config configs/folder.yaml --set data.root=MY_VIDEOS" in outcome.out
