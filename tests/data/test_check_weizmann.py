"""`vidrnn check` on Weizmann: as it is it passes; what is planted in a copy is named, and stops it."""

import csv
import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from tests.fake_backbone import AverageColour
from tests.integration.world import Outcome, call
from tests.media import plain_decode, write_clip
from vidrnn.streams import passes

BEND, JACK, RUN, SIDE, WALK = (
    f"weizmann/{name}.avi"
    for name in ("bend/daria_bend", "jack/daria_jack", "run/daria_run", "side/daria_side", "walk/daria_walk")
)

COPIES = {"bytes.avi": "bend", "encoded.mp4": "jack", "trimmed.mp4": "run", "mirrored.mp4": "side", "small.mp4": "walk"}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """Both tests decode Weizmann once."""
    return tmp_path_factory.mktemp("thumbnails")


def check(folder: Path, root: Path, annotations: str, store: Path, capsys, monkeypatch) -> Outcome:
    monkeypatch.setattr(passes, "load_passes", lambda *_sections: (AverageColour(),))
    tree = {
        "data": {"root": str(root), "format": "csv", "annotations": annotations, "val_fraction": 0.0},
        "extraction": {"store": str(store)},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    return call(capsys, "check", "--config", folder / "config.yaml")


def test_weizmann_as_it_is_passes(data_root, tmp_path, store, capsys, monkeypatch) -> None:
    outcome = check(tmp_path, data_root, "weizmann.csv", store, capsys, monkeypatch)
    assert outcome.code == 0, outcome.out
    assert "refused" not in outcome.out
    assert "leaks were looked for between 9 folds of leave_one_group_out" in outcome.out


def planted(data_root: Path, folder: Path) -> None:
    """Three actors test, one class short; a group on both sides, and copies of one training actor's videos."""
    (folder / "weizmann").symlink_to(data_root / "weizmann")
    with (data_root / "weizmann.csv").open(newline="") as file:
        rows = [(row["path"], row["label"], row["group"]) for row in csv.DictReader(file)]
    tested = sorted({group for _, _, group in rows})[-3:]
    listed = [[*row, "test" if row[2] in tested else "train"] for row in rows]
    listed = [row for row in listed if row[3] == "train" or row[1] != "wave2"]
    next(row for row in listed if row[2] == tested[0])[3] = "train"
    shutil.copy(data_root / BEND, folder / "bytes.avi")
    write_clip(folder / "encoded.mp4", plain_decode(data_root / JACK), crf="32")
    frames = plain_decode(data_root / RUN)
    write_clip(folder / "trimmed.mp4", frames[len(frames) // 4 : -len(frames) // 5])
    write_clip(
        folder / "mirrored.mp4", [np.ascontiguousarray(each[:, ::-1]) for each in plain_decode(data_root / SIDE)]
    )
    small = [cv2.resize(each, (90, 72), interpolation=cv2.INTER_AREA) for each in plain_decode(data_root / WALK)]
    write_clip(folder / "small.mp4", small[::2], time_base=Fraction(2, 25))
    for name, label in COPIES.items():
        listed.append([name, label, "somebody", "test"])
    with (folder / "planted.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "group", "split"], *listed])


def test_what_is_planted_in_a_copy_is_named(data_root, tmp_path, store, capsys, monkeypatch) -> None:
    planted(data_root, tmp_path)
    outcome = check(tmp_path, tmp_path, "planted.csv", store, capsys, monkeypatch)
    assert outcome.code == 2
    refused = [line for line in outcome.out.splitlines() if line.startswith("refused")]
    assert [line.split(" (")[0].split(" from test")[0] for line in refused] == [
        "refused: 1 groups are in more than one split",
        "refused: classes ['wave2'] are missing",
        "refused: 1 pairs of identical files on two sides",
        "refused: 4 pairs of near-duplicates on two sides",
    ]
    pairs = {
        tuple(sorted(line.split(": similarity")[0].split())) for line in outcome.out.splitlines() if " and " in line
    }
    for copy, original in zip(COPIES, (BEND, JACK, RUN, SIDE, WALK), strict=True):
        assert tuple(sorted((copy, "(test)", "and", original, "(train)"))) in pairs, outcome.out
    (mirrored,) = (line for line in outcome.out.splitlines() if line.endswith(", mirrored"))
    assert "mirrored.mp4" in mirrored
