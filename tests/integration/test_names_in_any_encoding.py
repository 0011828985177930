"""A file whose name is not UTF-8 costs nothing, and a bad one only itself, in every verb and file that is written."""

import csv
import json
import os
import sys
from pathlib import Path

import pytest

from tests.integration.world import Outcome, call, write_config
from vidrnn.names import original
from vidrnn.store.feature_store import FeatureStore
from vidrnn.synthetic.clips import render_clip

ACTIONS = ("raise_arms", "sit_down")
ODD, BAD = os.fsdecode(b"caf\xe9 0.mp4"), os.fsdecode(b"b\xe4d 1.mp4")
SHOWN_ODD, SHOWN_BAD = r"caf\xe9 0.mp4", r"b\xe4d 1.mp4"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other file systems hold only UTF-8 names")


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    for action in ACTIONS:
        for group in range(3):
            plain = folder / "clips" / action / f"clip {group}.mp4"
            plain.parent.mkdir(parents=True, exist_ok=True)
            render_clip(plain, action=action, group_seed=group, clip_seed=group, width=48, height=32)
            if group == 0:
                plain.rename(plain.with_name(ODD))
    (folder / "clips" / ACTIONS[0] / BAD).touch()
    data = {"root": str(folder / "clips"), "group_pattern": r"(\d)\.mp4"}
    write_config(folder, data=data, features={"sampling": "uniform", "count": 4}, epochs=2)
    return folder


def run(capsys, world: Path, verb: str, *arguments: str | Path) -> Outcome:
    return call(capsys, verb, "--config", world / "config.yaml", *arguments)


def test_every_verb_goes_on(capsys, world):
    first = run(capsys, world, "extract")
    assert (first.code, first.out.splitlines()[-1]) == (3, "extracted 6, reused 0, failed 1")
    assert f"failed: {ACTIONS[0]}/{SHOWN_BAD}: " in first.err
    second = run(capsys, world, "extract")
    assert (second.code, second.out.splitlines()[-1]) == (3, "extracted 0, reused 6, failed 1")
    assert "1 of them failed before" in second.err
    (folder,) = FeatureStore(world / "store").folders()
    with (folder.path / "failures.csv").open(encoding="utf-8", newline="") as file:
        assert [original(row["path"]) for row in csv.DictReader(file)] == [f"{ACTIONS[0]}/{BAD}"]
    assert f"{ACTIONS[0]}/{ODD}" in set(folder.videos())

    checked = run(capsys, world, "check")
    assert checked.code in {2, 3}
    assert SHOWN_BAD in checked.out
    assert "udce" not in checked.out + checked.err

    output = world / "crossval"
    validated = run(capsys, world, "crossval", "--output", output)
    assert validated.code == 0
    with (output / "predictions.csv").open(encoding="utf-8", newline="") as file:
        assert f"{ACTIONS[1]}/{ODD}" in {original(row["path"]) for row in csv.DictReader(file)}
    assert f"{ACTIONS[0]}/{SHOWN_BAD}" in json.loads((output / "crossval.json").read_text())["missing_features"]
    assert call(capsys, "compare", output, output).code == 0

    trained = run(capsys, world, "train", "--output", world / "run", "--set", "data.accept=[missing_classes]")
    assert trained.code == 0
    for suffix in (".csv", ".jsonl"):
        answers = world / f"answers{suffix}"
        arguments = (world / "clips", "--model", world / "run" / "model.safetensors", "--output", answers)
        classified = call(capsys, "classify", *arguments)
        assert (classified.code, classified.out.strip().splitlines()[-1]) == (
            3,
            f"classified 6, reused 0, failed 1; wrote {answers}",
        )
        again = call(capsys, "classify", *arguments, "--resume")
        assert again.out.strip().splitlines()[-1] == f"classified 0, reused 6, failed 1; wrote {answers}"
        assert SHOWN_ODD.replace("\\", "\\\\" if suffix == ".jsonl" else "\\") in answers.read_text(encoding="utf-8")
    for arguments in (("store", "info"), ("store", "verify"), ("store", "pack"), ("store", "gc")):
        assert call(capsys, *arguments, world / "store").code in {0, 3}
    assert run(capsys, world, "extract").out.splitlines()[-1] == "extracted 0, reused 6, failed 1"
