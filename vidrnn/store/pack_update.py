"""The verb `store pack`: what goes into a pack, what is kept of the old one, and when feature files may go.

Until the index is renamed into its place nothing refers to the new shards, and the old shards stay until
`vidrnn store gc --delete`. So a process that is killed at any point leaves the old pack or the new one.
"""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vidrnn.errors import MissingPathError, StoreError
from vidrnn.store.confirmed import Confirmed
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.pack_reader import Pack
from vidrnn.store.pack_writer import PackWriter
from vidrnn.store.video_features import VideoFeatures

SHARD_BYTES = 1 << 30
LOCK = ".lock"
"""In the folder of a spec: an empty file, locked by whoever changes the pack."""
_CLOCK_STEP_S = 0.02  # file systems may count time in steps of up to 10 ms


@dataclass(frozen=True)
class PackReport:
    """What `pack` did.

    Attributes:
        videos: in the pack now.
        added: new or changed ones among them.
        shards: number of files that hold the values.
        size: bytes of the pack.
        removed_files: feature files that were removed because the pack holds them.
        failures: (path, cause) of videos that could not be packed.
    """

    videos: int
    added: int
    shards: int
    size: int
    removed_files: int = 0
    failures: tuple[tuple[str, str], ...] = ()


@contextmanager
def locked(folder: FeatureFolder) -> Iterator[None]:
    """Keep other processes from changing the pack. The lock ends with the process, however that ends.

    NFS turns it into a lock of its own, which it gives only on a file that is open for writing.

    Raises StoreError when another process holds it. OSError: the file system has no locks.
    """
    try:
        number = os.open(folder.path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EROFS}:
            raise
        number = os.open(folder.path, os.O_RDONLY)  # read-only: whoever has nothing to change still gets in
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise StoreError(
            f"another `vidrnn store pack` or `gc --delete` works on {folder.path}; run again when it is done"
        ) from None
    finally:
        os.close(number)


def pack(
    folder: FeatureFolder,
    *,
    remove_files: bool = False,
    shard_bytes: int = SHARD_BYTES,
    on_total: Callable[[int], object] = lambda _videos: None,
    on_video: Callable[[], object] = lambda: None,
) -> PackReport:
    """Merge new and changed feature files into the pack; one video is in memory at a time.

    Shards that are less than half in use are written again together with what is new, so that there are few of them.

    Args:
        folder: of the spec.
        remove_files: remove feature files that the pack holds, after it is safely on disk.
        shard_bytes: a shard is closed when it has this size.
        on_total: gets the number of videos before the first.
        on_video: called after each video, copied or not.

    Raises:
        StoreError: the index of the present pack is damaged, or another process packs.
        OSError: the disk is full or read-only; the pack is as it was.
    """
    with locked(folder):
        old, current = folder.packed()
        new = sorted(video for video, _ in folder.files() if video not in current)
        sparse = _sparse(old, superseded=new, shard_bytes=shard_bytes) if old else set()
        failures: list[tuple[str, str]] = []
        added = 0
        if new or len(sparse) > 1:
            on_total(len(new) + (int(np.isin(old.columns["shard"], list(sparse)).sum()) if old else 0))
            added, failures = rewrite(
                folder, old, add=new, drop=(), shards=sparse, shard_bytes=shard_bytes, on_video=on_video
            )
        result = folder.pack()
        removed = _remove_files(folder) if remove_files else 0
    if result is None:
        return PackReport(0, 0, 0, 0, 0, tuple(failures))
    return PackReport(len(result), added, len(result.shards), result.size, removed, tuple(failures))


def rewrite(
    folder: FeatureFolder,
    old: Pack | None,
    *,
    add: Iterable[str],
    drop: Collection[str],
    shards: Collection[int],
    shard_bytes: int = SHARD_BYTES,
    on_video: Callable[[], object] = lambda: None,
) -> tuple[int, list[tuple[str, str]]]:
    """Put a new pack in the place of the old one; the caller holds the lock.

    Args:
        folder: of the spec.
        old: the present pack.
        add: videos to take from their feature files.
        drop: videos to leave out.
        shards: shards of the old pack to write again without what is dropped, superseded or damaged.
        shard_bytes: as for `pack`.
        on_video: as for `pack`.

    Returns:
        How many of ``add`` were packed, and (path, cause) of the videos that could not be copied.

    Raises:
        OSError: the disk is full or read-only; the pack is as it was.
    """
    with PackWriter(folder, shard_bytes) as writer, Confirmed(folder) as confirmed:

        def put(path: str, copy: _Copy) -> None:
            video, size, mtime_ns = copy
            # What the manifest knows of a feature file is lost when that goes; so the pack says it itself.
            reader = confirmed.reader(path, made_by=video.reader)
            writer.add(path, replace(video, reader=reader), size, mtime_ns)

        added, failures = _copy(add, lambda video: _read_file(folder, video), put, on_video)
        kept = np.zeros(0, dtype=np.bool_)
        if old is not None:
            gone, paths = {*drop, *writer.videos}, old.paths()
            kept = np.array([path not in gone for path in paths], dtype=np.bool_)
            again = kept & np.isin(old.columns["shard"], list(shards))
            kept &= ~again
            numbers = {paths[number]: number for number in np.flatnonzero(again).tolist()}
            _, damaged = _copy(numbers, lambda video: _read_packed(folder, old, numbers[video]), put, on_video)
            failures += damaged
        writer.commit(old, kept)
    return added, failures


def _sparse(old: Pack, *, superseded: Iterable[str], shard_bytes: int) -> set[int]:
    """Complete shards that are in use for less than half of ``shard_bytes``."""
    rows = old.columns["rows"].copy()
    for video in superseded:
        number = old.number_of(video)
        if number is not None:
            rows[number] = 0
    used = np.bincount(old.columns["shard"], weights=rows, minlength=len(old.shards))
    complete = np.flatnonzero(old.complete).tolist()
    sizes = {shard: old.shards[shard].size * used[shard] / max(1, old.shards[shard].rows) for shard in complete}
    return {shard for shard, size in sizes.items() if size < shard_bytes / 2}


_Copy = tuple[VideoFeatures, int, int]  # with size and mtime_ns of the feature file


def _copy(
    videos: Iterable[str],
    read: Callable[[str], _Copy],
    put: Callable[[str, _Copy], None],
    on_video: Callable[[], object],
) -> tuple[int, list[tuple[str, str]]]:
    copied, failures = 0, []
    for path in videos:
        try:
            put(path, read(path))
            copied += 1
        except (StoreError, MissingPathError) as error:
            failures.append((path, str(error)))
        on_video()
    return copied, failures


def _read_file(folder: FeatureFolder, video: str) -> _Copy:
    """A feature file with the size and time that tell whether it is still the same. Raises as `FeatureFolder.read`."""
    file = folder.file_of(video)
    while True:
        try:
            before = file.stat()
        except FileNotFoundError:
            raise MissingPathError(f"{file} was removed while packing") from None
        # A file that is replaced within the same step of the clock would look like the one that was packed.
        if time.time() - before.st_mtime < _CLOCK_STEP_S:
            time.sleep(_CLOCK_STEP_S)
        found = folder.read(video, check=True)
        try:
            if os.path.samestat(before, file.stat()) and before.st_mtime_ns == file.stat().st_mtime_ns:
                return found, before.st_size, before.st_mtime_ns
        except FileNotFoundError:
            continue


def _read_packed(folder: FeatureFolder, old: Pack, number: int) -> _Copy:
    size, mtime_ns = old.columns["file_size"][number], old.columns["file_mtime_ns"][number]
    return folder.read_packed(old, number, check=True), int(size), int(mtime_ns)


def _remove_files(folder: FeatureFolder) -> int:
    """Remove the feature files that the pack holds, each after its packed copy has been read back from the file."""
    pack, numbers = folder.packed()
    if pack is None:
        return 0
    _flush_names(pack.folder)
    _flush_names(folder.path)
    removed = 0
    for video, entry in folder.files():
        if video in numbers and not entry.is_symlink():
            folder.read_packed(pack, numbers[video], check=True)
            file = Path(entry.path)
            if pack.is_of(numbers[video], file.stat()):
                file.unlink()
                removed += 1
    return removed


def _flush_names(directory: Path) -> None:
    """Make sure that a rename in this directory survives a power cut before anything is removed."""
    number = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
