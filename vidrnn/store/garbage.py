"""The verb `store gc`: find what nothing refers to.

Only folders that are named like a spec are looked at, and links are not followed.
"""

import os
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from vidrnn import claims
from vidrnn.bars import Bar, nowhere
from vidrnn.errors import MissingPathError, StoreError
from vidrnn.names import quoted
from vidrnn.store import manifest, pack_reader
from vidrnn.store.feature_folder import WEIGHTS_LIST, FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.gone import find_gone, stored_videos
from vidrnn.store.not_made import ABSENT_LIST, FAILURE_LIST
from vidrnn.store.pack_reader import Pack
from vidrnn.store.pack_update import LOCK

_SPEC_FOLDER = re.compile(r"[0-9a-f]{16}")
_PART = re.compile(r"\.[0-9a-f]{16}\.part")
SHARD_NAME = re.compile(r"[0-9a-f]{16}" + re.escape(pack_reader.SHARD_SUFFIX))
_OF_NO_FEATURE = {
    *("spec.json", FAILURE_LIST, ABSENT_LIST, WEIGHTS_LIST, LOCK),
    *(claims.FILE, manifest.FILE, manifest.JOURNAL),
}
_YOUNG_S = 3600.0  # what is younger may belong to a process that is at work

FileState = tuple[int, int, int]


@dataclass(frozen=True)
class Garbage:
    """Something that can go.

    Attributes:
        path: of the file or folder.
        kind: ``file``; ``shard``: a file of the pack that is written again without the videos in ``dropped``;
            ``folder``: empty when the rest of the list is gone.
        reason: why nothing needs it.
        size: bytes that are freed.
        dropped: videos that the pack loses.
        state: inode, size and time of a file when it was found.
    """

    path: Path
    kind: Literal["file", "shard", "folder"]
    reason: str
    size: int
    dropped: tuple[str, ...] = ()
    state: FileState | None = None


@dataclass(frozen=True)
class SpecGarbage:
    """What can go in the folder of one spec.

    Attributes:
        folder: of the spec; None where there is no spec.json.
        pack: its pack when the list was made.
        items: in the order in which they are removed.
    """

    folder: FeatureFolder | None
    pack: Pack | None
    items: tuple[Garbage, ...]


def find_garbage(
    store: FeatureStore,
    roots: Sequence[Path] = (),
    *,
    gone_on_purpose: Collection[str] = (),
    bar: Bar = nowhere,
) -> Iterator[SpecGarbage]:
    """Look through a store, spec by spec; every feature file and every shard is read.

    Args:
        store: the store.
        roots: the data roots: features of videos that are in none of them any more are garbage as well.
        gone_on_purpose: folders below the roots of which all videos may be gone.
        bar: shows how far it has come.

    Raises:
        MissingPathError: there is no store, or a root does not exist.
        StoreError: a spec is unreadable, or see `find_gone`: a root looks like a share that is not mounted. Nothing was
            yielded then.
    """
    for root in roots:
        if not root.is_dir():
            raise MissingPathError(f"--root {quoted(root)} is not a folder; nothing was looked at")
    folders = {folder.path.name: folder for folder in store.folders()}
    gone = find_gone(folders, roots, on_purpose=gone_on_purpose)
    newer = {path.name for path in store.newer()}
    for entry in sorted(os.scandir(store.root), key=lambda found: found.name):
        if _SPEC_FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False) and entry.name not in newer:
            folder = folders.get(entry.name)
            lost = dict.fromkeys(gone.get(entry.name, ()), "its video is gone")
            if folder is not None and folder.spec.is_superseded:
                lost = dict.fromkeys(stored_videos(folder), "a later version of vidrnn makes this view in another way")
            yield _find_in(Path(entry.path), folder, lost, bar)


def _find_in(path: Path, folder: FeatureFolder | None, lost: Mapping[str, str], bar: Bar) -> SpecGarbage:
    """``lost`` says of videos whose features nothing needs why that is."""
    items = [
        _file(file, "left by a writer that was killed")
        for file in _files(path)
        if _PART.fullmatch(file.name) and _age_s(file) > _YOUNG_S
    ]
    pack = None
    if folder is not None:
        items += _feature_files(folder, lost, bar)
        try:
            pack = folder.pack()
            items += _packed(folder, pack, lost, bar)
        except StoreError as error:
            items += [_file(file, f"no readable index refers to it: {error}") for file in _pack_files(folder)]
    doomed = {item.path for item in items if item.kind == "file"}
    if pack is not None and pack.folder / pack_reader.INDEX in doomed:  # then no shard is written again
        doomed |= {item.path for item in items}
    left = [file for file in _files(path) if file not in doomed]
    ages = [_age_s(file) for file in left if file.name != LOCK]
    if left and {str(file.relative_to(path)) for file in left} <= _OF_NO_FEATURE and min(ages, default=0.0) > _YOUNG_S:
        items += [_file(file, "no feature of this spec is left") for file in left]
        doomed |= set(left)
    return SpecGarbage(folder, pack, (*items, *_empty_folders(path, doomed)))


def _feature_files(folder: FeatureFolder, lost: Mapping[str, str], bar: Bar) -> Iterator[Garbage]:
    files = sorted(folder.files(), key=lambda found: found[0])
    with bar(total=len(files), desc=folder.spec.digest, unit="file") as shown:
        for video, entry in files:
            yield from _feature_file(folder, video, entry, lost)
            shown.update()


def _feature_file(
    folder: FeatureFolder, video: str, entry: os.DirEntry[str], lost: Mapping[str, str]
) -> Iterator[Garbage]:
    path = Path(entry.path)
    if entry.is_symlink() or folder.file_of(video) != path:
        return
    if video in lost:
        yield _file(path, lost[video])
        return
    try:
        folder.read(video, check=True)
    except StoreError as error:
        if not isinstance(error.__cause__, OSError):  # what cannot be read at all now may be intact
            yield _file(path, str(error))


def _packed(folder: FeatureFolder, pack: Pack | None, lost: Mapping[str, str], bar: Bar) -> Iterator[Garbage]:
    """Shards that a newer pack replaced, and those that hold something damaged or of no use."""
    names = {shard.name for shard in pack.shards} if pack else set()
    for path in _pack_files(folder):
        if path.name not in names and path.name != pack_reader.INDEX:
            yield _file(path, "a newer pack replaced it" if pack else "there is no index that refers to it")
    if pack is None or pack.folder.is_symlink():
        return
    paths, num_dropped = pack.paths(), 0
    with bar(total=len(pack.shards), desc="pack", unit="shard") as shown:
        found = []
        for shard in range(len(pack.shards)):
            found.append(pack.damage(shard))
            shown.update()
    for shard, (facts, damage) in enumerate(zip(pack.shards, found, strict=True)):
        numbers = np.flatnonzero(pack.columns["shard"] == shard).tolist()
        dropped = [video for video in numbers if paths[video] in lost or (damage and _is_damaged(folder, pack, video))]
        if damage or dropped:
            path = pack.folder / facts.name
            size = path.stat().st_size if path.exists() else 0
            if len(dropped) < len(numbers):
                size = int(pack.columns["rows"][dropped].sum()) * (2 * folder.spec.dim + 8)
            reason = damage or lost[paths[dropped[0]]]
            yield Garbage(path, "shard", reason, size, tuple(paths[video] for video in dropped))
        num_dropped += len(dropped)
    if num_dropped == len(pack):
        yield _file(pack.folder / pack_reader.INDEX, "refers to nothing any more")


def _is_damaged(folder: FeatureFolder, pack: Pack, number: int) -> bool:
    try:
        folder.read_packed(pack, number, check=True)
    except StoreError:
        return True
    return False


def _pack_files(folder: FeatureFolder) -> list[Path]:
    directory = folder.path / pack_reader.FOLDER
    if directory.is_symlink() or not directory.is_dir():
        return []
    files = [path for path in directory.iterdir() if path.name == pack_reader.INDEX or SHARD_NAME.fullmatch(path.name)]
    return sorted(path for path in files if path.is_file() and not path.is_symlink())


def _empty_folders(path: Path, doomed: set[Path]) -> list[Garbage]:
    """Folders in which nothing is left, the deepest first; ``path`` itself comes last."""
    found: list[Garbage] = []
    empty = True
    touched = _age_s(path) > _YOUNG_S
    for child in sorted(path.iterdir()):
        if child.is_dir() and not child.is_symlink():
            inner = _empty_folders(child, doomed)
            found += inner
            empty &= bool(inner) and inner[-1].path == child
            touched = touched or bool(inner)
        else:
            empty &= child in doomed
            touched = touched or child in doomed
    return [*found, Garbage(path, "folder", "empty", 0)] if empty and touched else found


def _files(path: Path) -> list[Path]:
    """All files below a folder, links among them; links to folders are not followed."""
    found: list[Path] = []
    for child in sorted(path.iterdir()):
        found += _files(child) if child.is_dir() and not child.is_symlink() else [child]
    return found


def _file(path: Path, reason: str) -> Garbage:
    status = path.lstat()
    return Garbage(path, "file", reason, status.st_size, state=state_of_file(status))


def state_of_file(status: os.stat_result) -> FileState:
    """Inode, size and time, by which a file that has changed is recognised."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def _age_s(path: Path) -> float:
    return time.time() - path.lstat().st_mtime
