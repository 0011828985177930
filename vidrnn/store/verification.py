"""The verb `store verify`: every feature file and every pack against its checksums, and against the videos."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from vidrnn.bars import Bar, nowhere
from vidrnn.errors import StoreError
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.source import is_there

Health = Literal["ok", "damaged", "stale", "orphaned"]
HEALTHS: tuple[Health, ...] = get_args(Health)


@dataclass(frozen=True)
class Finding:
    """What was found about one video, or about a file of the pack.

    Attributes:
        name: path of the video, or name of the file.
        health: ``stale``: the video has changed, ``orphaned``: it is gone.
        reason: and what to do; empty when ok.
    """

    name: str
    health: Health
    reason: str


def verify(folder: FeatureFolder, roots: Sequence[Path] = (), *, bar: Bar = nowhere) -> Iterator[Finding]:
    """Examine everything of one spec.

    Args:
        folder: of the spec.
        roots: the data roots, to compare with the videos as well; a store may serve several.
        bar: shows how far it has come.

    Yields:
        One finding per video in sorted order, and before them one per damaged file of the pack.
    """
    try:
        pack = folder.pack()
    except StoreError as error:
        yield Finding("the pack", "damaged", str(error))
        pack = None
    videos = {video for video, _ in folder.files()}
    trusted: set[str] = set()  # videos in shards that were compared as a whole
    if pack is not None:
        damage = []
        with bar(total=len(pack.shards), desc="pack", unit="shard") as shown:
            for number in range(len(pack.shards)):
                damage.append(pack.damage(number))
                shown.update()
        for shard, reason in zip(pack.shards, damage, strict=True):
            if reason:
                yield Finding(shard.name, "damaged", reason)
        shards = zip(pack.paths(), pack.columns["shard"].tolist(), strict=True)
        trusted = {path for path, shard in shards if not damage[shard]} - videos
        videos.update(pack.paths())
    with bar(total=len(videos), desc=folder.spec.digest, unit="video") as shown:
        for video in sorted(videos):
            yield examine(folder, video, roots=roots, check=video not in trusted)
            shown.update()


def examine(folder: FeatureFolder, video_path: str, *, roots: Sequence[Path] = (), check: bool = True) -> Finding:
    """Examine the features of one video; with data roots also compare them with their source video."""
    try:
        video = folder.read(video_path, check=check)
    except StoreError as error:
        return Finding(video_path, "damaged", str(error))
    sources = [root / video_path for root in roots]
    there = [source for source in sources if is_there(source)]
    if sources and not there:
        return Finding(video_path, "orphaned", f"{' and '.join(map(str, sources))} is gone")
    # What text and arrays came from lies elsewhere, or in the annotations; the next extraction looks at it.
    of_video = folder.spec.stream not in {"text", "external"}
    if there and of_video and not any(video.source.is_still(source) for source in there):
        reason = f"{' and '.join(map(str, there))} has changed since it was extracted; run `vidrnn extract`"
        return Finding(video_path, "stale", reason)
    return Finding(video_path, "ok", "")
