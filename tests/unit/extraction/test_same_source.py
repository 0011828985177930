"""Stored features are of exactly the file that is there now, also where another one has its size and its time."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.worlds import tiny_spec, video_features
from vidrnn.annotations import Annotation
from vidrnn.extraction.extract import Report, extract
from vidrnn.extraction.failures import FailureList
from vidrnn.extraction.jobs import Failure
from vidrnn.extraction.stored import Stored
from vidrnn.sequences.found_stream import find_stream
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.streams import ExternalSettings
from vidrnn.store import source as source_module
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.manifest import FILE, state
from vidrnn.store.not_made import FAILURE_LIST
from vidrnn.store.source import Places, Source
from vidrnn.streams.passes import file_passes

NAME = "a.npy"


def keep_time(change: Callable[[Path], object], path: Path) -> None:
    """Change a file and set its time back, as `cp -p` and `rsync -t` do."""
    status = path.stat()
    change(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    while path.stat().st_ctime_ns == status.st_ctime_ns:  # a clock that ticks every few milliseconds
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)


def renamed_over(path: Path) -> None:
    path.with_name("part").write_bytes(b"other content")
    path.with_name("part").replace(path)


class World:
    """A file, or what else features come from, and features of it."""

    def __init__(self, root: Path, source: Places) -> None:
        self.folder: FeatureFolder = FeatureStore(root / "store").create(tiny_spec(dim=3))
        self.source = source
        with Stored(self.folder) as stored:
            stored.write(NAME, replace(video_features(np.ones((4, 3))), source=Source.of(source)))

    def find(self, source: Places | None = None) -> str:
        """As each run of an extraction asks."""
        with Stored(self.folder) as stored:
            return stored.find(NAME, source or self.source).what

    def forget(self) -> None:
        (self.folder.path / FILE).unlink()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each file that was read as a whole."""
    found: list[str] = []
    digest = source_module._file_digest

    def counted(file, *, on_read):
        found.append(str(file.name))
        return digest(file, on_read=on_read)

    monkeypatch.setattr(source_module, "_file_digest", counted)
    return found


def one_file(root: Path) -> Path:
    root.mkdir(exist_ok=True)
    (root / NAME).write_bytes(b"first content")
    return root / NAME


def frames(root: Path) -> Path:
    for number in range(3):
        (root / "frames").mkdir(parents=True, exist_ok=True)
        (root / "frames" / f"{number}.png").write_bytes(b"first content")
    return root / "frames"


@pytest.mark.parametrize("manifest", [True, False])
@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"other content"), renamed_over], ids=["cp", "mv"])
@pytest.mark.parametrize("kind", ["file", "folder of frames", "array and video"])
def test_a_file_that_is_replaced_with_its_time_kept_is_another_one(
    tmp_path: Path, kind: str, change: Callable[[Path], object], manifest: bool
) -> None:
    file = one_file(tmp_path / "data")
    source: Places = file
    if kind == "folder of frames":
        source, file = frames(tmp_path), tmp_path / "frames" / "1.png"
    elif kind == "array and video":
        source = file, one_file(tmp_path / "videos")
    world = World(tmp_path, source)
    assert world.find() == "right"
    if not manifest:
        world.forget()
    keep_time(change, file)
    assert world.find() == "missing"
    keep_time(lambda path: path.write_bytes(b"first content"), file)
    assert world.find() == "right"


@pytest.mark.parametrize("manifest", [True, False])
def test_another_root_is_hashed_once_and_only_its_content_counts(
    tmp_path: Path, manifest: bool, hashed: list[str]
) -> None:
    world = World(tmp_path, one_file(tmp_path / "data"))
    shutil.copytree(tmp_path / "data", tmp_path / "same")
    shutil.copytree(tmp_path / "data", tmp_path / "other")
    keep_time(lambda path: path.write_bytes(b"other content"), tmp_path / "other" / NAME)
    if not manifest:
        world.forget()
    hashed.clear()
    assert [world.find() for _ in range(3)] == ["right"] * 3
    assert hashed == []
    assert [world.find(tmp_path / "same" / NAME) for _ in range(3)] == ["right"] * 3
    assert len(hashed) == 1
    assert world.find(tmp_path / "other" / NAME) == "missing"


@pytest.mark.parametrize("manifest", [True, False])
def test_features_of_an_earlier_version_are_trusted_once_and_then_guarded(
    tmp_path: Path, manifest: bool, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It kept no witness: reading all videos, or all features, after an update would take days where there are many."""
    world = World(tmp_path, one_file(tmp_path / "data"))
    old = Source.of(tmp_path / "data" / NAME)
    world.folder.write(NAME, replace(video_features(np.ones((4, 3))), source=replace(old, witness="")))
    with sqlite3.connect(world.folder.path / FILE) as database:
        stored = state(world.folder.state_of(NAME) or ())
        database.execute("UPDATE found SET source = ?, stored = ?", (f"{old.size} {old.mtime_ns}", stored))
    hashed.clear()
    if manifest:
        with monkeypatch.context() as closed:
            closed.setattr(FeatureFolder, "current", None)  # opens a feature file
            assert world.find() == "right"
    else:
        world.forget()
    assert [world.find() for _ in range(2)] == ["right"] * 2
    assert hashed == []
    keep_time(lambda path: path.write_bytes(b"other content"), tmp_path / "data" / NAME)
    assert world.find() == "missing"


class Arrays:
    """A video with an array of a fixed size and time, under any root, and one store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, root: str, value: float) -> None:
        root_folder = self.folder / root
        (root_folder / "arrays").mkdir(parents=True, exist_ok=True)
        (root_folder / "a.mp4").write_bytes(b"never opened")
        np.save(root_folder / "arrays" / NAME, np.full((4, 2), value, np.float32))
        os.utime(root_folder / "arrays" / NAME, ns=(0, 10**18))

    def extract(self, root: str) -> Report:
        settings = FeatureSettings(streams=("external",), external=ExternalSettings(folder=Path("arrays"), rate=1.0))
        annotations = [Annotation("a.mp4", "x", None, "a")]
        passes = file_passes(annotations, root=self.folder / root, settings=settings)
        how = ExtractionSettings(store=self.folder / "store", workers=1)
        return extract(annotations, passes, root=self.folder / root, settings=how, weights="default")


def test_arrays_under_another_root_are_not_taken_for_the_first_ones(tmp_path: Path) -> None:
    """Arrays have equal sizes as a rule, and programs that unpack them give them equal times."""
    arrays, found = Arrays(tmp_path), []
    for number, root in enumerate(("first", "second")):
        arrays.put(root, number)
        report = arrays.extract(root)
        found.append((report.whole.extracted, float(report.folders[0].read("a.mp4").features[0, 0])))
    assert found == [(1, 0.0), (1, 1.0)]


def test_a_file_that_failed_and_is_mended_with_its_time_kept_is_tried_again(tmp_path: Path) -> None:
    arrays = Arrays(tmp_path)
    arrays.put("data", np.nan)
    assert [arrays.extract("data").whole.not_retried for _ in range(2)] == [0, 1]
    arrays.put("data", 1.0)
    report = arrays.extract("data")
    assert report.whole.summary() == "extracted 1, reused 0, failed 0"


def test_features_of_a_file_that_was_replaced_by_a_bad_one_with_its_time_kept_are_not_used(tmp_path: Path) -> None:
    arrays = Arrays(tmp_path)
    arrays.put("data", 1.0)
    arrays.extract("data")
    arrays.put("data", np.nan)
    (folder,) = arrays.extract("data").folders
    assert list(find_stream([Annotation("a.mp4", "x", None, "a")], folder).replaced) == ["a.mp4"]


@pytest.mark.parametrize("kept", [6, 7], ids=["earlier version", "this version"])
def test_a_list_of_failures_of_an_earlier_version_tells_size_and_time(tmp_path: Path, kept: int) -> None:
    """It had six columns; a run of today adds rows with a seventh."""
    file, listed = one_file(tmp_path / "data"), tmp_path / FAILURE_LIST
    FailureList(listed).add(Failure(NAME, "decode", "broken"), file)
    listed.write_text("".join(",".join(row.split(",")[:kept]) + "\n" for row in listed.read_text().splitlines()))
    FailureList(listed).add(Failure("b.npy", "decode", "broken"), file)
    failures = FailureList(listed)
    assert failures.known(NAME, file) == Failure(NAME, "decode", "broken")
    assert failures.known("b.npy", file) == Failure("b.npy", "decode", "broken")
    keep_time(renamed_over, file)
    assert (failures.known(NAME, file) is None) == (kept == 7)


def test_the_header_of_a_feature_file_tells_the_witness_beside_the_source(tmp_path: Path) -> None:
    """Beside, so that earlier versions read the file."""
    world = World(tmp_path, one_file(tmp_path / "data"))
    written = world.folder.read(NAME)
    header = json.loads(world.folder.header(NAME, written))
    status = (tmp_path / "data" / NAME).stat()
    assert header["witness"] == written.source.witness == f"{status.st_ino}.{status.st_ctime_ns}"
    assert set(header["source"]) == {"size", "mtime_ns", "sha256"}
