"""Whether the store has what an extraction would make of a video now."""

from pathlib import Path

from vidrnn.errors import VideoError
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.manifest import Found, Manifest, state
from vidrnn.store.source import Places, state_of
from vidrnn.store.video_features import VideoFeatures
from vidrnn.video.probe import pixel_shape


class Stored:
    """The features of one spec, and what the manifest knows of them. Context manager, for several threads.

    A video and a feature file that have not changed since they were last compared are not opened.
    """

    def __init__(self, folder: FeatureFolder) -> None:
        self._folder = folder
        self._manifest = Manifest(folder.path)

    def __enter__(self) -> "Stored":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Put the manifest on disk."""
        self._manifest.close()

    def has(self, path: str, source: Places) -> bool:
        """Whether the features of a video are there and are of exactly this source, its pixels in their true shape.

        Args:
            path: of the video, as in the annotations.
            source: what decides its features.

        Raises:
            OSError, ValueError: the source is not there, or cannot be looked at.
        """
        features, now = self._folder.state_of(path), state(state_of(source))
        if features is None:
            return False
        stored, known = state(features), self._manifest.get(path)
        if known is not None and (known.source, known.stored) == (now, stored):
            return True
        sha256 = known.sha256 if known is not None and known.source == now else None
        video = self._folder.current(path, source, sha256=sha256)
        if video is None or not self._shape_is_right(video, source):
            return False
        self._manifest.enter(path, Found(now, video.source.sha256, stored))
        return True

    def write(self, path: str, video: VideoFeatures) -> None:
        """Put features on disk. Raises OSError."""
        self._folder.write(path, video)
        if (features := self._folder.state_of(path)) is not None:
            source = video.source
            self._manifest.enter(path, Found(state((source.size, source.mtime_ns)), source.sha256, state(features)))

    def _shape_is_right(self, video: VideoFeatures, source: Places) -> bool:
        """Features of versions that took all pixels as square do not say of which shape they were taken.

        Where the spec keeps proportions, the video's header tells whether it matters. This process may open the video:
        it has been decoded whole before.
        """
        if not self._folder.spec.keeps_proportions or video.metadata.pixel_aspect is not None:
            return True
        assert isinstance(source, Path)  # arrays have no proportions
        try:
            return pixel_shape(source) == 1.0
        except VideoError:
            return False
