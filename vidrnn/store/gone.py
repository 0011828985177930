"""Which stored videos are below none of the data roots any more, and when that looks like a disk not mounted."""

import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path, PurePosixPath

from vidrnn.errors import StoreError
from vidrnn.names import quoted, writable
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.source import is_there


def find_gone(
    folders: Mapping[str, FeatureFolder], roots: Sequence[Path], *, on_purpose: Collection[str]
) -> dict[str, set[str]]:
    """The videos with features that exist below none of the roots, for each spec.

    A store does not know to which root a video belongs. So each root has to show that it is there: it holds a video of
    the store. From each folder from which several videos are gone, it still holds at least one.

    Args:
        folders: of the specs, by name.
        roots: the data roots; without any, nothing is gone.
        on_purpose: folders below the roots of which all videos may be gone.

    Raises:
        StoreError: a root does not show that it is there, or the roots hold none of a spec's videos.
    """
    if not roots:
        return {}
    videos = {name: stored_videos(folder) for name, folder in folders.items()}
    everything = set().union(*videos.values())
    there = {root: {video for video in everything if is_there(root / video)} for root in roots}
    anywhere = set().union(*there.values())
    gone = {name: of_spec - anywhere for name, of_spec in videos.items()}
    for name, folder in folders.items():
        if videos[name] and len(gone[name]) == len(videos[name]):
            where = " or ".join(map(str, roots))
            raise StoreError(
                f"none of the {len(videos[name])} videos of {folder.path} is in {where}: that is not their data root; "
                "remove the folder by hand if they are all gone"
            )
    for root in roots:
        if everything and not there[root]:
            raise StoreError(
                f"--root {quoted(root)} holds none of the {len(everything)} videos of this store: is its disk or share "
                "mounted? Nothing was removed; leave the root out if no features are of its videos"
            )
    for name, root in product(folders, roots):
        for subtree, number in _missing_subtrees(gone[name], there[root]):
            if subtree not in on_purpose:
                where = f"{folders[name].path} below {quoted(subtree)}"
                raise StoreError(
                    f"{number} videos of {where} are gone, and {quoted(root)} holds no stored video there: is a disk "
                    "or a share not mounted? Nothing was removed; if they are gone on purpose, add --gone "
                    f"{shlex.quote(writable(subtree))}"
                )
    return gone


def stored_videos(folder: FeatureFolder) -> set[str]:
    """The videos that a folder has features of, as far as its indexes can be read."""
    try:
        return set(folder.videos())
    except StoreError:  # a damaged index: what it refers to is reported as a whole
        return {video for video, _ in folder.files()}


def _missing_subtrees(gone: Collection[str], there: Collection[str]) -> Iterator[tuple[str, int]]:
    """The largest folders of which several videos are gone and none is in a root, and how many are gone."""
    lost = Counter(parent for video in gone for parent in _folders_of(video))
    kept = {parent for video in there for parent in _folders_of(video)}
    whole = {folder for folder, number in lost.items() if number > 1 and folder not in kept}
    for folder in sorted(whole):
        if str(PurePosixPath(folder).parent) not in whole:
            yield folder, lost[folder]


def _folders_of(video: str) -> list[str]:
    return [str(parent) for parent in PurePosixPath(video).parents[:-1]]
