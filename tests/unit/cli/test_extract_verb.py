"""``vidrnn extract`` with and without the mirrored view: what it prints and stores, and what other verbs make of it."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.integration.world import Outcome, call
from tests.media import pictures, write_clip
from tests.old_features import is_old, make_old
from vidrnn.settings.base import validate
from vidrnn.settings.features import FeatureSettings
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.streams import extract_all as extraction

NAMES = ("run/a.mkv", "run/b.mkv", "walk/a.mkv")
FEATURES = {"backbone": "timm/test_resnet", "weights": "random", "image_size": 32}
EXTRACTION = {"device": "cpu", "batch_size": 4}
MIRRORED = ("--set", "features.mirrored=true")


@dataclass
class World:
    """Three clips without loss, a configuration and an empty store."""

    root: Path
    config: Path
    store: Path
    capsys: pytest.CaptureFixture[str]

    def call(self, verb: str, *options: str) -> Outcome:
        return call(self.capsys, verb, "--config", self.config, *options)

    def store_verb(self, verb: str, *options: str | Path) -> Outcome:
        return call(self.capsys, "store", verb, self.store, *options)

    @property
    def settings(self) -> FeatureSettings:
        return validate(FeatureSettings, FEATURES)

    @property
    def plain(self) -> FeatureFolder:
        return FeatureStore(self.store).find(self.settings)

    @property
    def mirrored(self) -> FeatureFolder:
        return FeatureStore(self.store).find_mirrored(self.settings)


def render(root: Path, *, turned: bool = False) -> None:
    for length, name in enumerate(NAMES, start=4):
        images = [np.ascontiguousarray(each[:, ::-1]) if turned else each for each in pictures(length)]
        write_clip(root / name, images, codec="ffv1", pix_fmt="bgr0")


def make_world(path: Path, capsys: pytest.CaptureFixture[str], *, turned: bool = False) -> World:
    render(path / "videos", turned=turned)
    tree = {
        "data": {"root": str(path / "videos"), "format": "folder"},
        "features": FEATURES,
        "extraction": {**EXTRACTION, "store": str(path / "store")},
    }
    (path / "config.yaml").write_text(yaml.safe_dump(tree))
    return World(path / "videos", path / "config.yaml", path / "store", capsys)


@pytest.fixture
def world(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> World:
    return make_world(tmp_path, capsys)


def contents(folder: FeatureFolder) -> dict[str, bytes]:
    return {name: folder.file_of(name).read_bytes() for name in folder.videos()}


def test_one_pass_prints_the_folder_and_the_counts(world: World) -> None:
    outcome = world.call("extract")
    assert outcome.code == 0
    assert outcome.out.splitlines()[-2:] == [f"features: {world.plain.path}", "extracted 3, reused 0, failed 0"]
    assert [each.path for each in FeatureStore(world.store).folders()] == [world.plain.path]


def test_two_passes_print_each_and_then_both(world: World) -> None:
    outcome = world.call("extract", *MIRRORED)
    assert outcome.code == 0
    assert outcome.out.splitlines()[-3:] == [
        f"features: {world.plain.path} (extracted 3, reused 0, failed 0)",
        f"mirrored features: {world.mirrored.path} (extracted 3, reused 0, failed 0)",
        "extracted 6, reused 0, failed 0",
    ]
    again = world.call("extract", *MIRRORED)
    assert (again.code, again.out.splitlines()[-1]) == (0, "extracted 0, reused 6, failed 0")


def test_features_of_an_earlier_version_are_looked_at_and_some_made_anew(world: World) -> None:
    """`check` says that there are some; `extract` says how many differ, and in what."""
    world.call("extract")
    for name in NAMES:
        make_old(world.plain, name, later_s=0.04 if name == NAMES[0] else 0.0)
    found = world.call("check")
    assert (
        "features: 3 videos have features of an earlier version; `vidrnn extract` looks at these videos once and makes "
        "anew what it reads in another way\nfeatures: nothing left to extract"
    ) in found.out
    assert world.call("extract").out.splitlines()[-2:] == [
        "note: 1 of the videos are read in another way than by an earlier version, and made anew (times of frames: 1)",
        "extracted 1, reused 2, failed 0",
    ]
    assert [is_old(world.plain, name) for name in NAMES] == [False, True, True]
    again = world.call("extract").out
    assert again.splitlines()[-1] == "extracted 0, reused 3, failed 0"
    assert "note" not in again
    assert "earlier version" not in world.call("check").out


def test_the_mirrored_features_are_those_of_turned_clips(world: World, tmp_path: Path, capsys) -> None:
    world.call("extract", *MIRRORED)
    other = make_world(tmp_path / "turned", capsys, turned=True)
    other.call("extract")
    for name in NAMES:
        got, expected, plain = (each.read(name, check=True) for each in (world.mirrored, other.plain, world.plain))
        np.testing.assert_array_equal(got.features, expected.features)
        np.testing.assert_array_equal(got.timestamps_s, plain.timestamps_s)
        assert np.abs(got.features - plain.features).max() > 0.01 * np.abs(plain.features).max()


def test_the_plain_features_are_the_same_bytes_with_and_without(world: World, tmp_path: Path) -> None:
    """So a store that is there gets its mirrored view later, and only that."""
    world.call("extract")
    before = contents(world.plain)
    outcome = world.call("extract", *MIRRORED)
    assert outcome.out.splitlines()[-1] == "extracted 3, reused 3, failed 0"
    assert contents(world.plain) == before
    after = contents(world.mirrored)
    shutil.rmtree(world.store)
    world.call("extract", *MIRRORED)
    assert (contents(world.plain), contents(world.mirrored)) == (before, after)


def test_a_bad_video_is_named_once_and_counted_in_both_passes(world: World) -> None:
    (world.root / "run" / "bad.mp4").write_text("no video")
    outcome = world.call("extract", *MIRRORED)
    assert (outcome.code, outcome.out.splitlines()[-1]) == (3, "extracted 6, reused 0, failed 2")
    assert [line for line in outcome.err.splitlines() if "fail" in line] == [
        "failed: run/bad.mp4: cannot be opened as a video (8 bytes): Invalid data found when processing input",
        f"all 1 failures: {world.plain.path / 'failures.csv'}",
        f"all 1 failures: {world.mirrored.path / 'failures.csv'}",
    ]
    hint = "1 of them failed before and were not tried again; --retry-failed tries them"
    again = world.call("extract", *MIRRORED)
    assert (again.code, again.out.splitlines()[-1]) == (3, "extracted 0, reused 6, failed 2")
    assert again.err.splitlines().count(hint) == 2
    retried = world.call("extract", "--retry-failed", *MIRRORED)
    assert (retried.code, retried.out.splitlines()[-1]) == (3, "extracted 0, reused 6, failed 2")
    assert hint not in retried.err


def test_ctrl_c_counts_both_passes(world: World, monkeypatch) -> None:
    honest = extraction.extract

    def extract(annotations, passes, **rest):
        honest(annotations[:2], passes, **rest)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(extraction, "extract", extract)
        stopped = world.call("extract", *MIRRORED)
    assert stopped.code == 1
    assert "extracted 4, reused 0, failed 0, 2 left\nstopped; what was finished stays" in stopped.err
    assert world.call("extract", *MIRRORED).out.splitlines()[-1] == "extracted 2, reused 4, failed 0"


def test_speed_is_that_of_videos_that_were_opened(world: World) -> None:
    """Nothing is said where everything was there."""
    pattern = r"[\d.]+ videos/s, \d+ frames/s, (decoding|backbone) limits"
    assert any(re.fullmatch(pattern, line) for line in world.call("extract", *MIRRORED).out.splitlines())
    assert "videos/s" not in world.call("extract", *MIRRORED).out


def test_check_forecasts_both_passes(world: World) -> None:
    outcome = world.call("check", *MIRRORED)
    assert outcome.code == 0
    (line,) = [line for line in outcome.out.splitlines() if "features: " in line]
    assert line.startswith("features: 3 videos to extract, about ")
    both = int(line.split("about ")[1].split(" frames in 2 passes")[0])
    world.call("extract")
    (line,) = [line for line in world.call("check", *MIRRORED).out.splitlines() if "features: " in line]
    assert line.startswith(f"features: 3 videos to extract, about {both // 2} frames in 2 passes")
    world.call("extract", *MIRRORED)
    assert "features: nothing left to extract" in world.call("check", *MIRRORED).out.splitlines()
    assert not [line for line in world.call("check").out.splitlines() if "mirrored" in line]


def test_the_store_verbs_take_the_mirrored_spec_as_one_more(world: World) -> None:
    world.call("extract", *MIRRORED)
    plain, mirrored = world.plain, world.mirrored
    info = world.store_verb("info").out.splitlines()
    note = f"  mirrored left to right; the plain view is {plain.spec.digest}"
    assert info.count(note) == 1
    assert info[info.index(note) - 2].startswith(f"{mirrored.spec.digest}  3 videos")
    before = {name: mirrored.read(name).features for name in NAMES}
    packed = world.store_verb("pack", "--remove-files")
    assert sorted(line.split()[0] for line in packed.out.splitlines()) == sorted(
        [plain.spec.digest, mirrored.spec.digest]
    )
    for name in NAMES:
        np.testing.assert_array_equal(world.mirrored.read(name).features, before[name])
    verified = world.store_verb("verify", "--root", world.root)
    assert (verified.code, verified.out.strip()) == (0, "6 ok, 0 damaged, 0 stale, 0 orphaned")
    assert world.call("extract", *MIRRORED).out.splitlines()[-1] == "extracted 0, reused 6, failed 0"
    assert world.store_verb("gc", "--root", world.root).out.startswith("0 items, ")
    (world.root / NAMES[0]).unlink()
    shown = world.store_verb("gc", "--root", world.root).out
    assert all(f"{folder.path}/" in shown for folder in (plain, mirrored))
