"""What is stored is compared once; then neither the video nor its features are opened until one of them changes."""

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from vidrnn.extraction.stored import Standing, Stored
from vidrnn.store import feature_file
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.manifest import FILE
from vidrnn.store.pack_update import pack
from vidrnn.store.source import Source
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.video_features import VideoFeatures, VideoMetadata

SPEC = FeatureSpec("rgb", "net", "random", "0" * 64, "head", 4, 1, {"square": "warp"}, {"kind": "fps"}, "float32")
RIGHT = Standing("right")
NAMES = ("a.mp4", "b/c d.avi", os.fsdecode(b"caf\xe9.mp4"))


@pytest.fixture
def folder(tmp_path) -> FeatureFolder:
    """Features of a few videos, whose manifest knows nothing yet."""
    folder = FeatureStore(tmp_path / "store").create(SPEC)
    for number, name in enumerate(NAMES):
        write(folder, tmp_path, name, content=bytes([number] * 100))
    return folder


def write(folder: FeatureFolder, root: Path, name: str, *, content: bytes) -> None:
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_bytes(content)
    metadata = VideoMetadata(4, 4, 3, 0.3, "test")
    features = VideoFeatures(np.ones((3, 4), np.float16), np.arange(3) / 10, metadata, Source.of(root / name), ())
    folder.write(name, features)


def has(folder: FeatureFolder, root: Path, names=NAMES) -> list[bool]:
    with Stored(folder) as stored:
        return [stored.find(name, root / name).what == "right" for name in names]


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """What is opened from here on: feature files, and videos that are hashed."""
    found: list[str] = []
    read, of = feature_file.read, Source.of
    monkeypatch.setattr(feature_file, "read", lambda path: found.append("features") or read(path))
    monkeypatch.setattr(Source, "of", lambda path, **how: found.append("video") or of(path, **how))
    return found


def test_a_second_look_opens_nothing(folder, tmp_path, opened):
    assert has(folder, tmp_path) == [True] * 3
    assert opened == ["features"] * 3
    opened.clear()
    assert has(folder, tmp_path) == [True] * 3
    assert opened == []


def test_nothing_is_opened_after_an_extraction(folder, tmp_path, opened):
    video = folder.read("a.mp4")
    opened.clear()
    with Stored(folder) as stored:
        stored.write("a.mp4", video)
    assert has(folder, tmp_path, ["a.mp4"]) == [True]
    assert opened == []


def test_a_touched_video_is_hashed_once(folder, tmp_path, opened):
    has(folder, tmp_path)
    os.utime(tmp_path / "a.mp4", (1, 1))
    opened.clear()
    assert has(folder, tmp_path) == [True] * 3
    assert opened == ["features", "video"]
    opened.clear()
    assert has(folder, tmp_path) == [True] * 3
    assert opened == []


def test_a_changed_video_has_no_features_until_they_are_made_anew(folder, tmp_path):
    assert has(folder, tmp_path, ["a.mp4"]) == [True]
    (tmp_path / "a.mp4").write_bytes(b"x" * 100)
    os.utime(tmp_path / "a.mp4", (1, 1))
    assert has(folder, tmp_path, ["a.mp4"]) == [False]
    assert has(folder, tmp_path, ["a.mp4"]) == [False]
    write(folder, tmp_path, "a.mp4", content=b"x" * 100)
    assert has(folder, tmp_path, ["a.mp4"]) == [True]


def test_damaged_and_removed_feature_files_are_noticed(folder, tmp_path):
    assert has(folder, tmp_path) == [True] * 3
    damaged = bytearray(folder.file_of("a.mp4").read_bytes())
    damaged[-1] ^= 1
    folder.file_of("a.mp4").write_bytes(bytes(damaged))
    folder.file_of("b/c d.avi").unlink()
    assert has(folder, tmp_path) == [False, False, True]


def test_packed_features_are_compared_once(folder, tmp_path, monkeypatch):
    pack(folder, remove_files=True)
    reads, honest = [], FeatureFolder.read_packed
    monkeypatch.setattr(FeatureFolder, "read_packed", lambda *a, **how: reads.append("packed") or honest(*a, **how))
    for _ in range(2):
        assert has(folder, tmp_path) == [True] * 3
        assert reads == ["packed"] * 3


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\x00" + bytes(200)])
def test_a_damaged_manifest_is_begun_anew(folder, tmp_path, opened, content):
    (folder.path / FILE).write_bytes(content)
    for expected in (["features"] * 3, []):
        opened.clear()
        assert has(folder, tmp_path) == [True] * 3
        assert opened == expected


def test_a_manifest_of_another_form_is_begun_anew(folder, tmp_path, opened):
    database = sqlite3.connect(folder.path / FILE)
    database.execute("CREATE TABLE found (video TEXT)")
    database.commit()
    database.close()
    has(folder, tmp_path)
    opened.clear()
    assert has(folder, tmp_path) == [True] * 3
    assert opened == []


def test_a_manifest_that_another_process_holds_is_left_alone(folder, tmp_path, monkeypatch):
    has(folder, tmp_path)
    monkeypatch.setattr("vidrnn.store.manifest._WAIT_S", 0.1)
    other = sqlite3.connect(folder.path / FILE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert has(folder, tmp_path) == [True] * 3
    other.execute("ROLLBACK")
    assert len(other.execute("SELECT * FROM found").fetchall()) == 3
    other.close()


def test_where_no_manifest_can_be_kept_everything_is_read(folder, tmp_path, opened):
    (folder.path / FILE).mkdir()
    for _ in range(2):
        opened.clear()
        assert has(folder, tmp_path) == [True] * 3
        assert opened == ["features"] * 3


def test_several_at_the_same_time(folder, tmp_path):
    for number in range(40):
        write(folder, tmp_path, f"{number}.mp4", content=bytes([number]))
    names = [f"{number}.mp4" for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        assert all(all(found) for found in pool.map(lambda _: has(folder, tmp_path, names), range(8)))
    with Stored(folder) as first, Stored(folder) as second, ThreadPoolExecutor(4) as pool:
        for stored in (first, second):
            assert all(pool.map(lambda name, stored=stored: stored.find(name, tmp_path / name) == RIGHT, names))


def test_a_video_that_is_gone_is_an_error_of_that_video(folder, tmp_path):
    has(folder, tmp_path)
    (tmp_path / "a.mp4").unlink()
    with Stored(folder) as stored, pytest.raises(FileNotFoundError):
        stored.find("a.mp4", tmp_path / "a.mp4")
