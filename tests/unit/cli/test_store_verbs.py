"""``vidrnn store``: what the verbs print, and the exit codes that scripts rely on."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from tests.integration.world import call
from tests.worlds import fill_store, tiny_spec, video_features
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.source import Source
from vidrnn.store.video_features import VideoFeatures

NAMES = ["run/a.mp4", "run/b.mp4", "walk/c.mp4"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / name).write_bytes(name.encode())
    return tmp_path / "videos"


@pytest.fixture
def folder(tmp_path: Path, root: Path) -> FeatureFolder:
    folder = FeatureStore(tmp_path / "store").create(tiny_spec(dim=3))
    for name in NAMES:
        video = video_features(np.ones((4, 3)))
        facts = Source.of(root / name)
        folder.write(name, VideoFeatures(video.features, video.timestamps_s, video.metadata, facts))
    return folder


def break_packed(folder: FeatureFolder, capsys) -> None:
    assert call(capsys, "store", "pack", folder.path.parent, "--remove-files").code == 0
    os.truncate(next((folder.path / "_pack").glob("*.shard")), 5000 - 1000)


BREAK = {
    "cut": lambda folder, root, capsys: os.truncate(folder.file_of(NAMES[0]), 100),
    "bit": lambda folder, root, capsys: folder.file_of(NAMES[0]).write_bytes(
        folder.file_of(NAMES[0]).read_bytes()[:-1] + b"\1"
    ),
    "moved": lambda folder, root, capsys: folder.file_of(NAMES[0]).rename(folder.file_of("other.mp4")),
    "stale": lambda folder, root, capsys: (root / NAMES[0]).write_bytes(b"RUN/A.mp4"),
    "orphaned": lambda folder, root, capsys: (root / NAMES[0]).unlink(),
    "pack": lambda folder, root, capsys: break_packed(folder, capsys),
}


@pytest.mark.parametrize(
    ("damage", "summary"),
    [
        ("cut", "2 ok, 1 damaged, 0 stale, 0 orphaned"),
        ("bit", "2 ok, 1 damaged, 0 stale, 0 orphaned"),
        ("moved", "2 ok, 1 damaged, 0 stale, 0 orphaned"),
        ("stale", "2 ok, 0 damaged, 1 stale, 0 orphaned"),
        ("orphaned", "2 ok, 0 damaged, 0 stale, 1 orphaned"),
        ("pack", "0 ok, 4 damaged, 0 stale, 0 orphaned"),
    ],
)
def test_verify_says_what_is_not_ok_and_exits_with_3(
    folder: FeatureFolder, root: Path, capsys, damage: str, summary: str
) -> None:
    healthy = call(capsys, "store", "verify", folder.path.parent, "--root", root)
    assert (healthy.code, healthy.out.strip(), healthy.err) == (0, "3 ok, 0 damaged, 0 stale, 0 orphaned", "")
    BREAK[damage](folder, root, capsys)
    outcome = call(capsys, "store", "verify", folder.path.parent, "--root", root)
    assert (outcome.code, outcome.out.strip()) == (3, summary)
    assert len(outcome.err.splitlines()) == sum(map(int, summary.replace(",", "").split()[::2])) - int(summary[0])


@pytest.mark.parametrize("damage", ["stale", "orphaned"])
def test_verify_compares_packed_features_with_the_videos(folder, root, capsys, damage: str) -> None:
    call(capsys, "store", "pack", folder.path.parent, "--remove-files")
    BREAK[damage](folder, root, capsys)
    outcome = call(capsys, "store", "verify", folder.path.parent, "--root", root)
    assert outcome.code == 3
    assert f"{damage}: {folder.spec.digest} {NAMES[0]}: " in outcome.err
    assert call(capsys, "store", "verify", folder.path.parent).code == 0, "without a root nothing is compared"


def test_pack_says_what_it_did(folder: FeatureFolder, capsys) -> None:
    store, digest = folder.path.parent, folder.spec.digest
    outcome = call(capsys, "store", "pack", store)
    assert outcome.code == 0
    assert outcome.out.startswith(f"{digest}  packed 3, now 3 videos in 1 shards, ")
    outcome = call(capsys, "store", "pack", store, "--remove-files")
    assert outcome.out.startswith(f"{digest}  packed 0, now 3 videos in 1 shards, ")
    assert outcome.out.strip().endswith("removed 3 feature files")
    info = call(capsys, "store", "info", store).out
    assert f"{digest}  3 videos" in info
    assert "pack: 3 videos in 1 shards" in info


def test_pack_names_what_it_cannot_take_and_exits_with_3(folder: FeatureFolder, capsys) -> None:
    os.truncate(folder.file_of(NAMES[0]), 100)
    outcome = call(capsys, "store", "pack", folder.path.parent)
    assert outcome.code == 3
    assert f"failed: {folder.spec.digest} {NAMES[0]}: {folder.file_of(NAMES[0])} is damaged" in outcome.err
    assert "packed 2, now 2 videos" in outcome.out


def test_one_spec_can_be_packed_alone(folder: FeatureFolder, capsys) -> None:
    store = folder.path.parent
    other = fill_store(store, {"x.mp4": np.ones((2, 4))}, dim=4)
    assert call(capsys, "store", "pack", store, "--spec", other.spec.digest[:6]).code == 0
    assert (other.path / "_pack" / "index").exists()
    assert not (folder.path / "_pack").exists()
    outcome = call(capsys, "store", "pack", store, "--spec", "zzz")
    assert outcome.code == 2
    both = ", ".join(sorted([folder.spec.digest, other.spec.digest]))
    assert outcome.err.strip() == f"error: --spec 'zzz' fits 0 specs; {store} holds {both}"


def test_gc_shows_first_and_removes_only_with_delete(folder: FeatureFolder, root: Path, capsys) -> None:
    store = folder.path.parent
    part = folder.path / "run" / ".00112233445566aa.part"
    part.write_bytes(b"x" * 2_000_000)
    os.utime(part, (time.time() - 7200,) * 2)
    (root / NAMES[2]).unlink()
    gone = folder.file_of(NAMES[2])
    shown = call(capsys, "store", "gc", store, "--root", root)
    assert shown.code == 0
    assert f"2000000  {part}: left by a writer that was killed" in shown.out
    assert f"{gone.stat().st_size}  {gone}: its video is gone" in shown.out
    assert shown.out.splitlines()[-1] == "3 items, 2.0 MB; nothing was removed; --delete removes what is shown"
    assert part.exists()
    assert gone.exists()
    deleted = call(capsys, "store", "gc", store, "--root", root, "--delete")
    assert (deleted.code, deleted.out.splitlines()[-1]) == (0, "3 items, 2.0 MB; removed 3")
    assert deleted.out.splitlines()[:-1] == shown.out.splitlines()[:-1]
    assert not part.exists()
    assert not gone.parent.exists()
    assert call(capsys, "store", "gc", store, "--root", root).out.startswith("0 items, 0.0 MB; ")


def test_gc_with_a_wrong_root_is_an_error(folder: FeatureFolder, tmp_path: Path, capsys) -> None:
    outcome = call(capsys, "store", "gc", folder.path.parent, "--root", tmp_path / "typo", "--delete")
    assert outcome.code == 2
    assert "typo' is not a folder; nothing was looked at" in outcome.err
    assert list(folder.videos()) == NAMES


def test_a_folder_without_features_is_said_to_be_one(root: Path, capsys) -> None:
    """No line at all would leave a wrong folder looking like an empty store."""
    outcome = call(capsys, "store", "info", root)
    assert outcome.code == 0
    assert outcome.out == f"no features in {str(root)!r}; `vidrnn extract` makes them, where extraction.store says\n"
