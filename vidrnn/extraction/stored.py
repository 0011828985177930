"""Whether the store has what an extraction would make of a video now."""

import threading
from dataclasses import dataclass, replace
from typing import Literal

from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.manifest import Found, Manifest, state
from vidrnn.store.reader import READER, may_differ
from vidrnn.store.source import Places, state_of
from vidrnn.store.video_features import VideoFeatures


@dataclass(frozen=True)
class Standing:
    """What the store has of a video.

    Attributes:
        what: ``right``: the features of exactly this source. ``old``: these too, but an earlier version of the reading
            made them, and only a look at the source tells whether this one would make others. ``missing``: nothing.
        made: all that is known of old features but their values.
    """

    what: Literal["right", "old", "missing"]
    made: VideoFeatures | None = None


_RIGHT, _MISSING = Standing("right"), Standing("missing")
_OLD_IN_MEMORY = 1000  # videos; more than decoders ever have in hand


class Stored:
    """The features of one spec, and what the manifest knows of them. Context manager, for several threads.

    A video and a feature file that have not changed since they were last compared are not opened.
    """

    def __init__(self, folder: FeatureFolder) -> None:
        self._folder = folder
        self._manifest = Manifest(folder.path)
        self._lock = threading.Lock()
        self._old: dict[str, tuple[Found, VideoFeatures]] = {}  # not confirmed yet

    def __enter__(self) -> "Stored":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Put the manifest on disk."""
        self._manifest.close()

    def find(self, path: str, source: Places) -> Standing:
        """Whether the features of a video are there and are of exactly this source, read as it would be read now.

        Args:
            path: of the video, as in the annotations.
            source: what decides its features.

        Raises:
            OSError, ValueError: the source is not there, or cannot be looked at.
        """
        features, now = self._folder.state_of(path), state(state_of(source))
        if features is None:
            return _MISSING
        stored, known = state(features), self._manifest.get(path)
        if known is not None and now.startswith(f"{known.source} "):  # an earlier version, which knew no witness
            known = replace(known, source=now)
            self._manifest.enter(path, known)
        reader = known.reader if known is not None and (known.source, known.stored) == (now, stored) else None
        if reader is not None and not self._may_differ(reader):
            return _RIGHT
        with self._lock:
            found, made = self._old.get(path, (None, None))
        if found is not None and (found.source, found.stored) == (now, stored):
            return Standing("old", made)
        sha256 = known.sha256 if known is not None and known.source == now else None
        changed = known is not None and known.source != now
        video = self._folder.current(path, source, sha256=sha256, in_doubt=changed)
        if video is None:
            return _MISSING
        found = Found(now, video.source.sha256, stored, READER)
        if self._may_differ(max(video.reader, reader or 0)):
            made = video.without_values()
            with self._lock:
                while len(self._old) >= _OLD_IN_MEMORY:
                    del self._old[next(iter(self._old))]
                self._old[path] = found, made
            return Standing("old", made)
        self._manifest.enter(path, found)
        return _RIGHT

    def confirm(self, path: str) -> None:
        """Remember that the old features of a video are what this version would make."""
        with self._lock:
            found, _ = self._old.pop(path, (None, None))
        if found is not None:
            self._manifest.enter(path, found)

    def write(self, path: str, video: VideoFeatures) -> None:
        """Put features on disk. Raises OSError."""
        self._folder.write(path, video)
        with self._lock:
            self._old.pop(path, None)
        if (features := self._folder.state_of(path)) is not None:
            source = video.source
            now = state(source.state)
            self._manifest.enter(path, Found(now, source.sha256, state(features), video.reader))

    def _may_differ(self, reader: int) -> bool:
        return may_differ(self._folder.spec.stream, reader)
