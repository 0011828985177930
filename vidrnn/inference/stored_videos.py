"""Videos whose features lie in a feature store already, made as a model takes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidrnn.errors import StoreError
from vidrnn.inference.seen import Seen
from vidrnn.inference.side_files import absolute
from vidrnn.settings.run import RunSettings
from vidrnn.settings.streams import PICTURE_STREAMS, Stream
from vidrnn.store.confirmed import Confirmed
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.reader import may_differ
from vidrnn.store.spec import FeatureSpec


@dataclass(frozen=True)
class StoredVideos:
    """Where to look.

    Attributes:
        folders: of all that the model takes of a video.
        root: what the paths in the store are relative to.
    """

    folders: Sequence[FeatureFolder]
    root: Path

    @classmethod
    def of(
        cls, settings: RunSettings, specs: Sequence[FeatureSpec], *, streams: Sequence[Stream], both_views: bool
    ) -> "StoredVideos":
        """The store that a configuration names.

        Args:
            settings: names the store, and the folder of the videos.
            specs: of the model, as in training.
            streams: what it is shown.
            both_views: whether it also sees the videos in a mirror.
        """
        store, wanted = FeatureStore(settings.extraction.store), []
        for spec in specs:
            if spec.stream in streams and spec.stream != "text":
                wanted += [spec, spec.mirrored()] if both_views and spec.stream in PICTURE_STREAMS else [spec]
        return cls([store.folder(spec) for spec in wanted], settings.data.root)

    def find(self, video: Path) -> Seen | None:
        """All features of a video, mapped and not read; None where one is missing, damaged, or not what is made now.

        `vidrnn extract` finds out which features an earlier version of the reading made rightly.
        """
        place, root = absolute(video), absolute(self.root)
        path = place.relative_to(root).as_posix() if place.is_relative_to(root) else place.as_posix()
        seen = Seen()
        for folder in self.folders:
            try:
                made = folder.mapped(path)
                if made is None or not len(made.features) or not made.source.is_still(place):
                    return None
                if _may_be_others(folder, path, made.reader):
                    return None
            except (StoreError, OSError):
                return None
            seen.add(folder.spec, made)
        return None if seen.failed else seen


def _may_be_others(folder: FeatureFolder, path: str, reader: int) -> bool:
    """Whether today's reading may give other features than the version that made them."""
    stream = folder.spec.stream
    if not may_differ(stream, reader):  # the usual case asks no manifest
        return False
    with Confirmed(folder) as confirmed:
        return may_differ(stream, confirmed.reader(path, made_by=reader))
