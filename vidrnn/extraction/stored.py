"""Whether the store has what an extraction would make of a video now."""

from pathlib import Path

from vidrnn.errors import VideoError
from vidrnn.store.folders import FeatureFolder
from vidrnn.store.source import Places
from vidrnn.video.probe import pixel_shape


def is_stored(folder: FeatureFolder, path: str, source: Places) -> bool:
    """Whether the features of a video are there and are of exactly this source, its pixels taken in their true shape.

    Features of versions that took all pixels as square do not say of which shape they were taken. Where the spec keeps
    proportions, the video's header tells whether it matters. This process may open the video: it has been decoded
    whole before.

    Args:
        folder: of the spec.
        path: of the video, as in the annotations.
        source: what decides its features.

    Raises:
        OSError, ValueError: the source cannot be looked at.
    """
    video = folder.current(path, source)
    if video is None:
        return False
    if not folder.spec.keeps_proportions or video.metadata.pixel_aspect is not None:
        return True
    assert isinstance(source, Path)  # arrays have no proportions
    try:
        return pixel_shape(source) == 1.0
    except VideoError:
        return False
