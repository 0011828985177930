"""Until which version of the reading stored features were found right, though an earlier one made them."""

from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.manifest import Manifest, state


class Confirmed:
    """What the manifest of a folder says. Context manager; nothing is written."""

    def __init__(self, folder: FeatureFolder) -> None:
        self._folder = folder
        self._manifest = Manifest(folder.path, read_only=True)

    def __enter__(self) -> "Confirmed":
        return self

    def __exit__(self, *_error: object) -> None:
        self._manifest.close()

    def reader(self, video_path: str, *, made_by: int) -> int:
        """The latest version that is known to give the features of a video, which version ``made_by`` made."""
        found, stored = self._manifest.get(video_path), self._folder.state_of(video_path)
        if found is None or stored is None or found.stored != state(stored):
            return made_by
        return max(made_by, found.reader)
