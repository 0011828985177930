"""The verb `store gc --delete`: remove what `vidrnn.store.garbage` found, and nothing that has changed since."""

from contextlib import nullcontext

from vidrnn.errors import StoreError
from vidrnn.store import pack_reader
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.garbage import SHARD_NAME, Garbage, SpecGarbage, state_of_file
from vidrnn.store.pack_reader import Pack
from vidrnn.store.pack_update import LOCK, locked, rewrite


def remove(garbage: SpecGarbage) -> list[Garbage]:
    """Remove what was found.

    Returns:
        What stays, because it has changed since.

    Raises:
        StoreError: another process changes the pack.
        OSError: the store is read-only, or a shard cannot be written again; nothing that is needed was removed.
    """
    with locked(garbage.folder) if garbage.folder else nullcontext():
        kept = [item for item in garbage.items if item.kind == "file" and not _unlink(garbage, item)]
        shards = [item for item in garbage.items if item.kind == "shard"]
        if shards and garbage.folder and garbage.pack:
            kept += _write_again(garbage.folder, garbage.pack, shards)
        for item in garbage.items:
            if item.kind == "folder":
                try:
                    if garbage.folder and item.path == garbage.folder.path:
                        (item.path / LOCK).unlink(missing_ok=True)  # ours, of a moment ago
                    item.path.rmdir()
                except OSError:  # something new is in it
                    kept.append(item)
    return kept


def _unlink(garbage: SpecGarbage, item: Garbage) -> bool:
    """Whether the file was what it had been and is gone now."""
    if item.path.name == pack_reader.INDEX and garbage.pack is not None:
        return True  # goes when its shards go
    if SHARD_NAME.fullmatch(item.path.name) and item.path.name in _in_use(garbage.folder):
        return False
    try:
        same = state_of_file(item.path.lstat()) == item.state
    except FileNotFoundError:
        return True
    if same:
        item.path.unlink()
    return same


def _in_use(folder: FeatureFolder | None) -> set[str]:
    try:
        pack = folder.pack() if folder else None
    except StoreError:
        pack = None
    return {shard.name for shard in pack.shards} if pack else set()


def _write_again(folder: FeatureFolder, pack: Pack, items: list[Garbage]) -> list[Garbage]:
    if folder.pack() is not pack:
        return items
    names = {item.path.name for item in items}
    shards = {number for number, shard in enumerate(pack.shards) if shard.name in names}
    rewrite(folder, pack, add=(), drop={video for item in items for video in item.dropped}, shards=shards)
    for item in items:
        item.path.unlink(missing_ok=True)
    return []
