"""Files that go with a video and are named as it is."""

from pathlib import Path

from vidrnn.errors import VideoError


def sidecar_of(video: Path, *, root: Path, folder: Path | None, suffix: str) -> Path:
    """The file of a video: ``a/b.mp4`` has ``a/b.txt`` or ``a/b.mp4.txt``, whichever is there; the first if none is.

    Args:
        video: at its place below ``root``, or anywhere.
        root: of the videos.
        folder: in which the files lie as the videos do below ``root``; null: beside the videos, as always for a video
            that is not below ``root``.
        suffix: with its dot.

    Raises:
        VideoError: both are there.
    """
    place = folder / video.relative_to(root) if folder is not None and video.is_relative_to(root) else video
    short, long = place.with_suffix(suffix), place.with_name(place.name + suffix)
    if short == long or not long.exists():
        return short
    if short.exists():
        raise VideoError(f"has two files, {short} and {long.name}; keep one")
    return long
