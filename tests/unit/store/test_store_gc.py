"""`vidrnn.store.garbage`: what nothing refers to is shown, and just that is removed."""

import errno
import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.worlds import tiny_spec, video_features
from vidrnn.annotations import Annotation
from vidrnn.errors import MissingPathError, StoreError, VideoError
from vidrnn.extraction.embedder import Computed
from vidrnn.extraction.extract import extract
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.store import feature_file
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.garbage import Garbage, find_garbage
from vidrnn.store.garbage_removal import remove
from vidrnn.store.mapping import DATA_START
from vidrnn.store.pack_update import LOCK, locked, pack
from vidrnn.store.source import Source
from vidrnn.store.verification import examine, verify
from vidrnn.store.video_features import VideoFeatures

NAMES = ["a.mp4", "deep/b.mp4", "deep/er/c.mp4"]
PART = ".0123456789abcdef.part"


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / name).write_bytes(b"video")
    return tmp_path / "videos"


@pytest.fixture
def folder(tmp_path: Path) -> FeatureFolder:
    folder = FeatureStore(tmp_path / "store").create(tiny_spec(dim=3))
    for number, name in enumerate(NAMES):
        folder.write(name, video_features(np.full((4, 3), number)))
    return folder


def old(path: Path) -> Path:
    two_hours_ago = time.time() - 7200
    os.utime(path, (two_hours_ago, two_hours_ago), follow_symlinks=False)
    return path


def everything(path: Path) -> set[str]:
    return {child.relative_to(path).as_posix() for child in path.rglob("*")}


def collect(folder: FeatureFolder, root: Path | None = None) -> dict[str, Garbage]:
    """What is found, by path in the store; looking must not change anything."""
    store = folder.path.parent
    before = everything(store)
    found = [item for garbage in find_garbage(FeatureStore(store), [root] if root else []) for item in garbage.items]
    assert everything(store) == before
    return {item.path.relative_to(store).as_posix(): item for item in found}


def delete(folder: FeatureFolder, root: Path | None = None) -> tuple[set[str], list[Garbage]]:
    """What disappeared from the store, and what was kept."""
    store = folder.path.parent
    before = everything(store)
    kept = [item for garbage in find_garbage(FeatureStore(store), [root] if root else []) for item in remove(garbage)]
    return before - everything(store), kept


@pytest.mark.parametrize("packed", [False, True])
def test_features_of_a_superseded_view_are_garbage_and_the_view_in_use_is_not(tmp_path: Path, packed: bool) -> None:
    plain = replace(tiny_spec(dim=3), stream="flow")
    earlier = replace(plain, preprocessing={**plain.preprocessing, "mirrored": True})
    assert (earlier.is_superseded, plain.mirrored().is_superseded) == (True, False)
    store = FeatureStore(tmp_path / "store")
    plain_folder, mirrored, superseded = (store.create(spec) for spec in (plain, plain.mirrored(), earlier))
    for folder in (plain_folder, mirrored, superseded):
        for name in NAMES:
            folder.write(name, video_features(np.zeros((4, 3))))
        if packed:
            pack(folder, remove_files=True)
    for path in superseded.path.rglob("*"):
        old(path)
    kept = everything(plain_folder.path), everything(mirrored.path)
    found = collect(superseded)
    reason = "a later version of vidrnn makes this view in another way"
    assert sum(item.reason == reason for item in found.values()) == (1 if packed else len(NAMES))
    assert all(item.path.is_relative_to(superseded.path) for item in found.values())
    delete(superseded)
    assert not superseded.path.exists()
    assert everything(plain_folder.path) - {LOCK} == kept[0] - {LOCK}
    assert everything(mirrored.path) - {LOCK} == kept[1] - {LOCK}


def test_a_store_in_order_has_no_garbage(folder: FeatureFolder, videos: Path) -> None:
    assert collect(folder, videos) == {}
    pack(folder)
    assert collect(folder, videos) == {}
    assert delete(folder, videos) == (set(), [])


def test_parts_of_killed_writers_go_when_they_are_old(folder: FeatureFolder) -> None:
    name = folder.path.name
    for where in (folder.path, folder.path / "deep" / "er"):
        (where / PART).write_bytes(b"half")
        old(where / PART)
    (folder.path / "deep" / PART).write_bytes(b"of a writer at work")
    (folder.path / ".notes.part").write_bytes(b"not named as ours are")
    old(folder.path / ".notes.part")
    expected = {f"{name}/{PART}", f"{name}/deep/er/{PART}"}
    found = collect(folder)
    assert set(found) == expected
    assert {(item.size, item.reason) for item in found.values()} == {(4, "left by a writer that was killed")}
    assert delete(folder) == (expected, [])
    assert list(folder.videos()) == NAMES


def test_features_of_videos_that_are_gone_go_only_with_a_root(folder: FeatureFolder, videos: Path) -> None:
    (videos / NAMES[2]).unlink()
    assert collect(folder) == {}
    name = folder.path.name
    found = collect(folder, videos)
    assert found[f"{name}/{NAMES[2]}.safetensors"].reason == "its video is gone"
    assert found[f"{name}/deep/er"].kind == "folder", "nothing is left in it"
    assert delete(folder, videos)[0] == {f"{name}/{NAMES[2]}.safetensors", f"{name}/deep/er"}
    assert list(folder.videos()) == NAMES[:2]


def test_a_wrong_root_does_not_empty_the_store(folder: FeatureFolder, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(StoreError, match=r"none of the 3 videos of .* that is not their data root"):
        delete(folder, tmp_path / "elsewhere")
    with pytest.raises(MissingPathError, match="is not a folder; nothing was looked at"):
        delete(folder, tmp_path / "gone")
    assert list(folder.videos()) == NAMES


def test_features_of_another_data_set_stay_when_its_root_is_given_too(folder: FeatureFolder, videos: Path) -> None:
    elsewhere = videos.parent / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    (videos / NAMES[1]).rename(elsewhere / NAMES[1])
    store = FeatureStore(folder.path.parent)
    assert [len(found.items) for found in find_garbage(store, [videos])] == [1]
    assert [len(found.items) for found in find_garbage(store, [videos, elsewhere])] == [0]
    source = Source.of(elsewhere / NAMES[1])
    folder.write(NAMES[1], replace(video_features(np.ones((4, 3))), source=source))
    assert examine(folder, NAMES[1], roots=[videos, elsewhere]).health == "ok"
    assert examine(folder, NAMES[1], roots=[videos]).health == "orphaned"


def test_damaged_files_go(folder: FeatureFolder) -> None:
    file = folder.file_of(NAMES[1])
    file.write_bytes(file.read_bytes()[:-3])
    moved = folder.file_of("other.mp4")
    shutil.copy(folder.file_of(NAMES[0]), moved)
    found = collect(folder)
    assert "is damaged" in found[file.relative_to(folder.path.parent).as_posix()].reason
    assert "holds the features of 'a.mp4'" in found[moved.relative_to(folder.path.parent).as_posix()].reason
    delete(folder)
    assert list(folder.videos()) == [NAMES[0], NAMES[2]]


def test_a_file_that_cannot_be_read_now_stays(folder: FeatureFolder, monkeypatch) -> None:
    """No permission, or a network disk that is away: nothing says that the features are damaged."""

    def refuse(_path: Path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(feature_file, "read", refuse)
    assert {finding.health for finding in verify(folder)} == {"damaged"}
    assert collect(folder) == {}


def test_shards_that_a_newer_pack_replaced_go(folder: FeatureFolder) -> None:
    pack(folder)
    (first,) = (folder.path / "_pack").glob("*.shard")
    folder.write(NAMES[0], video_features(np.ones((9, 3))))
    pack(folder, remove_files=True)
    key = first.relative_to(folder.path.parent).as_posix()
    assert collect(folder)[key].reason == "a newer pack replaced it"
    assert delete(folder)[0] == {key}
    assert [finding.health for finding in verify(folder)] == ["ok"] * 3


def test_a_pack_loses_the_videos_that_are_gone_and_keeps_the_others(folder: FeatureFolder, videos: Path) -> None:
    pack(folder, remove_files=True)
    (before,) = (folder.path / "_pack").glob("*.shard")
    (videos / NAMES[1]).unlink()
    item = collect(folder, videos)[before.relative_to(folder.path.parent).as_posix()]
    assert (item.kind, item.dropped, item.reason) == ("shard", (NAMES[1],), "its video is gone")
    assert item.size == 4 * (2 * 3 + 8), "its rows of features and times"
    _, kept = delete(folder, videos)
    assert kept == []
    assert not before.exists()
    assert list(folder.videos()) == [NAMES[0], NAMES[2]]
    np.testing.assert_array_equal(folder.read(NAMES[2], check=True).features, np.full((4, 3), 2))
    assert collect(folder, videos) == {}


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_shard_is_written_again_with_what_is_intact(folder: FeatureFolder, damage: str) -> None:
    pack(folder, shard_bytes=DATA_START + 500)  # two videos in the first shard
    opened = folder.pack()
    assert opened is not None
    assert opened.columns["shard"].tolist() == [0, 0, 1]
    for name in NAMES:
        folder.file_of(name).unlink()
    shard = folder.path / "_pack" / opened.shards[0].name
    data = bytearray(shard.read_bytes())
    data[DATA_START] ^= 1  # the first value of a.mp4
    if damage == "gone":
        shard.unlink()
    else:
        shard.write_bytes(data if damage == "flipped" else data[:-1])
    fresh = FeatureFolder(folder.path, folder.spec)
    _, kept = delete(fresh)
    assert kept == []
    assert list(fresh.videos()) == (NAMES[1:] if damage == "flipped" else NAMES[2:])
    assert {finding.health for finding in verify(fresh)} == {"ok"}
    assert collect(fresh) == {}


def test_a_damaged_index_goes_with_its_shards_and_files_can_be_packed_again(folder: FeatureFolder) -> None:
    pack(folder)
    index = folder.path / "_pack" / "index"
    index.write_bytes(index.read_bytes()[:-1])
    fresh = FeatureFolder(folder.path, folder.spec)
    assert {item.path.suffix for item in collect(fresh).values()} == {"", ".shard"}
    delete(fresh)
    assert not (folder.path / "_pack").exists()
    assert pack(fresh).added == 3


def test_empty_folders_go_when_they_are_old(folder: FeatureFolder) -> None:
    (folder.path / "left" / "over").mkdir(parents=True)
    (folder.path / "new").mkdir()
    old(folder.path / "left" / "over")
    old(folder.path / "left")
    expected = {f"{folder.path.name}/left/over", f"{folder.path.name}/left"}
    assert set(collect(folder)) == expected
    assert delete(folder) == (expected, [])


def test_a_spec_without_features_goes_when_it_is_old(folder: FeatureFolder) -> None:
    store = FeatureStore(folder.path.parent)
    empty = store.create(tiny_spec(dim=4))
    (empty.path / "failures.csv").write_text("path,stage,cause\n")
    assert collect(folder) == {}, "an extraction may just have begun"
    for name in ("spec.json", "failures.csv"):
        old(empty.path / name)
    (empty.path / "mine.txt").write_text("not of the store")
    assert collect(folder) == {}, "somebody else's file is in it"
    (empty.path / "mine.txt").unlink()
    name = empty.path.name
    assert delete(folder)[0] == {name, f"{name}/spec.json", f"{name}/failures.csv"}
    assert [found.path for found in store.folders()] == [folder.path]


def _of_nothing(path: Path, _on_progress: object) -> Iterator[VideoFeatures]:
    yield from ()
    raise VideoError(f"no sound in {path.name}")


def test_a_spec_of_which_an_extraction_could_read_no_video_goes_when_it_is_old(folder: FeatureFolder) -> None:
    """With all that extraction itself left in it."""
    empty = FeatureStore(folder.path.parent).create(tiny_spec(dim=4))
    report = extract(
        [Annotation("none.mp4", "walk", None, "none")],
        [Computed(empty.spec, read=_of_nothing)],
        root=folder.path.parent,
        settings=ExtractionSettings(store=folder.path.parent, workers=1),
        weights="default",
    )
    assert len(report.whole.failures) == 1
    for path in (empty.path, *empty.path.rglob("*")):
        old(path)
    delete(folder)
    assert not empty.path.exists(), everything(empty.path)


def test_when_all_videos_of_a_pack_are_damaged_the_whole_spec_goes(folder: FeatureFolder) -> None:
    pack(folder, remove_files=True)
    (shard,) = (folder.path / "_pack").glob("*.shard")
    os.truncate(shard, 10)
    for place in ("spec.json", "deep/er", "deep", "."):
        old(folder.path / place)
    assert delete(FeatureFolder(folder.path, folder.spec))[1] == []
    assert everything(folder.path.parent) == set()


def test_links_are_neither_followed_nor_removed(folder: FeatureFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / PART).write_bytes(b"precious")
    old(outside / PART)
    (outside / "bad.mp4.safetensors").write_bytes(b"precious")
    (folder.path / "link").symlink_to(outside)
    (folder.path / "bad.mp4.safetensors").symlink_to(outside / "bad.mp4.safetensors")
    linked_part = folder.path / f".{'f' * 16}.part"
    linked_part.symlink_to(outside / PART)
    (folder.path.parent / "0123456789abcdef").symlink_to(outside)
    (folder.path / "_pack").symlink_to(outside)
    (outside / ("0" * 16 + ".shard")).write_bytes(b"precious")
    assert collect(folder) == {}
    assert delete(folder) == (set(), [])
    assert everything(outside) == {PART, "bad.mp4.safetensors", "0" * 16 + ".shard"}


def test_what_is_not_of_the_store_is_not_looked_at(folder: FeatureFolder) -> None:
    store = folder.path.parent
    (store / "my notes").mkdir()
    (store / "my notes" / PART).write_bytes(b"precious")
    old(store / "my notes" / PART)
    (folder.path / "_pack").mkdir()
    (folder.path / "_pack" / "readme").write_bytes(b"precious")
    old(folder.path / "_pack")
    assert collect(folder) == {}


def test_what_has_changed_since_it_was_shown_stays(folder: FeatureFolder) -> None:
    file = folder.file_of(NAMES[0])
    file.write_bytes(b"damaged")
    (found,) = find_garbage(FeatureStore(folder.path.parent))
    folder.write(NAMES[0], video_features(np.ones((4, 3))))
    (kept,) = remove(found)
    assert kept.path == file
    np.testing.assert_array_equal(folder.read(NAMES[0]).features, np.ones((4, 3)))


def test_a_pack_that_has_changed_since_it_was_shown_stays(folder: FeatureFolder, videos: Path) -> None:
    pack(folder, remove_files=True)
    (videos / NAMES[1]).unlink()
    (found,) = find_garbage(FeatureStore(folder.path.parent), [videos])
    folder.write("late.mp4", video_features(np.ones((4, 3))))
    pack(folder)
    kept = remove(found)
    assert [item.kind for item in kept] == ["shard"]
    assert list(folder.videos()) == [*NAMES, "late.mp4"]


def test_nothing_is_removed_while_another_process_packs(folder: FeatureFolder) -> None:
    folder.file_of(NAMES[0]).write_bytes(b"damaged")
    (found,) = find_garbage(FeatureStore(folder.path.parent))
    with locked(folder), pytest.raises(StoreError, match="another `vidrnn store pack` or `gc --delete` works on"):
        remove(found)
    assert folder.file_of(NAMES[0]).exists()


def share(folder: FeatureFolder, videos: Path, *, names: tuple[str, ...] = ("x.mp4", "deep/y.mp4")) -> list[str]:
    """Some more videos of the spec, below a folder that may be a mount."""
    paths = [f"share/{name}" for name in names]
    for path in paths:
        (videos / path).parent.mkdir(parents=True, exist_ok=True)
        (videos / path).write_bytes(b"video")
        folder.write(path, video_features(np.zeros((2, 3))))
    return paths


@pytest.mark.parametrize("mount_point", [False, True])
def test_a_share_that_is_not_mounted_is_not_taken_for_deleted(folder: FeatureFolder, videos: Path, mount_point) -> None:
    paths = share(folder, videos)
    assert collect(folder, videos) == {}
    shutil.rmtree(videos / "share")
    if mount_point:
        (videos / "share").mkdir()
    with pytest.raises(StoreError) as caught:
        delete(folder, videos)
    assert str(caught.value) == (
        f"2 videos of {folder.path} below 'share' are gone, and {str(videos)!r} holds no stored video there: is a disk "
        "or a share not mounted? Nothing was removed; if they are gone on purpose, add --gone share"
    )
    assert set(folder.videos()) == {*NAMES, *paths}
    (found,) = find_garbage(FeatureStore(folder.path.parent), [videos], gone_on_purpose=["share"])
    assert {item.path.name for item in found.items if item.kind == "file"} == {"x.mp4.safetensors", "y.mp4.safetensors"}


@pytest.mark.parametrize("below", ["", "walk/", "data/walk/"])
@pytest.mark.parametrize("left", ["nothing", "a mount point", "the other classes"])
def test_one_of_two_roots_that_is_not_mounted_is_not_taken_for_deleted(tmp_path: Path, below: str, left: str) -> None:
    """Also where the other root has the same folders. What is left of a root that is there shows that it is."""
    folder = FeatureStore(tmp_path / "store").create(tiny_spec(dim=3))
    roots = [tmp_path / "first", tmp_path / "second"]
    for number, root in enumerate(roots):
        for name in (f"{below}{number}.mp4", f"{below}{number}_too.mp4", f"run/{number}.mp4"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"video")
            folder.write(name, video_features(np.zeros((2, 3))))
    store = FeatureStore(folder.path.parent)
    (roots[0] / f"{below}0.mp4").unlink()  # one that is deleted
    assert [item.path.name for found in find_garbage(store, roots) for item in found.items] == ["0.mp4.safetensors"]
    if left == "the other classes":
        if not below:
            return  # there is nothing to tell two deleted files from
        shutil.rmtree(roots[1] / below)
    elif left == "a mount point":
        shutil.rmtree(roots[1])
        roots[1].mkdir()
    else:
        shutil.rmtree(roots[1])
    with pytest.raises((StoreError, MissingPathError), match=re.escape(repr(str(roots[1])))):
        list(find_garbage(store, roots))
    if left == "the other classes":
        (found,) = find_garbage(store, roots, gone_on_purpose=[below.split("/", maxsplit=1)[0]])
        assert len([item for item in found.items if item.kind == "file"]) == 3
    assert len(list(folder.videos())) == 6


def test_a_share_of_a_later_spec_keeps_what_is_garbage_in_an_earlier_one(folder: FeatureFolder, videos: Path) -> None:
    """Nothing is removed before all specs were looked at."""
    other = FeatureStore(folder.path.parent).create(tiny_spec(dim=3, weights_digest="1" * 64))
    first, second = sorted([folder, other], key=lambda spec_folder: spec_folder.path.name)
    for spec_folder in (first, second):
        spec_folder.write(NAMES[0], video_features(np.zeros((2, 3))))
        (spec_folder.path / PART).write_bytes(b"half")
        old(spec_folder.path / PART)
    share(second, videos)
    shutil.rmtree(videos / "share")
    with pytest.raises(StoreError, match="below 'share' are gone"):
        delete(folder, videos)
    assert (first.path / PART).exists()


def test_a_spec_of_a_later_version_is_left_alone(folder: FeatureFolder, videos: Path) -> None:
    newer = folder.path.with_name("0123456789abcdef")
    newer.mkdir()
    (newer / "spec.json").write_text('{"format_version": 2, "stream": "rgb", "quality": "fine"}')
    (newer / PART).write_bytes(b"half")
    for path in (newer / PART, newer / "spec.json", newer):
        old(path)
    store = FeatureStore(folder.path.parent)
    assert [found.path for found in store.folders()] == [folder.path]
    assert store.newer() == [newer]
    assert delete(folder, videos) == (set(), [])


def test_an_empty_spec_that_was_locked_goes_whole(folder: FeatureFolder) -> None:
    with locked(folder):
        pass
    for name in NAMES:
        folder.file_of(name).unlink()
    for path in (folder.path / "spec.json", folder.path, *folder.path.rglob("*")):
        old(path)
    delete(folder)
    assert not folder.path.exists()


def test_the_lock_is_one_that_nfs_gives(folder: FeatureFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS makes flock a lock of its own kind, which it gives for writing only on a file that is open for writing."""
    real = fcntl.flock

    def of_nfs(number: int, operation: int) -> None:
        if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        real(number, operation)

    monkeypatch.setattr(fcntl, "flock", of_nfs)
    pack(folder)
    with locked(folder), pytest.raises(StoreError, match="another `vidrnn store pack`"):
        pack(folder)
