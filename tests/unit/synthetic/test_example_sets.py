"""The example sets: what keeps their answers from being told by anything but what they are about."""

import csv
import wave
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidrnn.synthetic.example_sets import write_example_sets


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    write_example_sets(folder, seed=3)
    return folder


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "annotations.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def samples_of(path: Path):
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")


@pytest.mark.parametrize("name", ["captions", "digits", "sounds"])
def test_every_file_is_listed_once_and_no_group_is_in_two_splits(root, name):
    rows = rows_of(root / name)
    there = {path.relative_to(root / name).as_posix() for path in (root / name).rglob("*.*") if path.suffix != ".csv"}
    assert sorted(row["path"] for row in rows) == sorted(there)
    splits = defaultdict(set)
    for row in rows:
        splits[row["group"]].add(row["split"])
    assert all(len(each) == 1 for each in splits.values())
    assert set.union(*splits.values()) == {"train", "val", "test"}


def test_of_mixtures_every_file_is_listed_and_some_ends_nobody_listened_to(root):
    """Sounds of different kinds overlap, of one kind they never do, and no row reaches into what is not known."""
    rows = rows_of(root / "mixtures")
    there = {path.relative_to(root / "mixtures").as_posix() for path in (root / "mixtures").rglob("*.wav")}
    assert {row["path"] for row in rows} == there
    assert {row["split"] for row in rows} == {"train", "val", "test"}
    of_path = defaultdict(list)
    for row in rows:
        if row["start"]:
            of_path[row["path"]].append((float(row["start"]), float(row["end"]), row["label"]))
    overlaps, loudness = Counter(), []
    for path, spans in of_path.items():
        for one, other in combinations(sorted(spans), 2):
            if other[0] < one[1]:
                overlaps[one[2] == other[2]] += 1
        ends = [start for start, _, label in spans if not label]
        assert ends == ([6.0] if path.startswith("train") and path.endswith("1.wav") else [])
        assert all(end <= (ends or [8.0])[0] for _, end, label in spans if label)
        loudness += [samples_of(root / "mixtures" / path)[96_000:].astype(np.float64).std() for _ in ends]
    assert overlaps[True] == 0
    assert overlaps[False] > 100
    assert max(loudness) > 3000  # there is something to hear all the same


def test_the_same_seed_draws_the_same_files_and_another_one_others(root, tmp_path):
    write_example_sets(tmp_path / "same", seed=3)
    write_example_sets(tmp_path / "other", seed=4)
    for name in (
        "captions/test00/00.png",
        "digits/test00/0_0.png",
        "sounds/test00/rising_0.wav",
        "mixtures/test00/0.wav",
    ):
        drawn = (root / name).read_bytes()
        assert (tmp_path / "same" / name).read_bytes() == drawn
        assert (tmp_path / "other" / name).read_bytes() != drawn


def test_in_each_group_a_caption_and_a_colour_agree_as_often_as_not(root):
    """What is shown is measured in the pixels: where red and blue differ most, which is larger."""
    found = defaultdict(Counter)
    for row in rows_of(root / "captions"):
        picture = cv2.imread(str(root / "captions" / row["path"])).astype(np.int64)
        redder = picture[..., 2] - picture[..., 0]
        shown = "red" if redder.max() > -redder.min() else "blue"
        said = "red" if "red" in row["text"].split() else "blue"
        assert (shown == said) == (row["labels"] == "match"), row
        found[row["group"]][shown, said] += 1
    assert all(set(each.values()) == {3} and len(each) == 4 for each in found.values())


def test_no_wording_is_in_two_groups(root):
    wordings = defaultdict(set)
    for row in rows_of(root / "captions"):
        words = [word for word in row["text"].split() if word not in {"red", "blue"}]
        wordings[" ".join(words)].add(row["group"])
    assert all(len(groups) == 1 for groups in wordings.values())


@pytest.mark.parametrize("pair", [("rising", "falling"), ("low_high", "high_low"), ("swelling", "fading")])
def test_each_sound_has_a_twin_that_is_its_samples_in_reverse(root, pair):
    for one in sorted((root / "sounds").glob(f"*/{pair[0]}_*.wav")):
        other = one.with_name(one.name.replace(*pair))
        np.testing.assert_array_equal(samples_of(one), samples_of(other)[::-1])
        assert (samples_of(one) != samples_of(one)[::-1]).any()
