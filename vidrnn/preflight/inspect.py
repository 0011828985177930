"""The verb ``check``, all of it but time and disk (`vidrnn.preflight.forecast`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vidrnn.annotations import Annotation
from vidrnn.bars import Bar, nowhere
from vidrnn.names import writable
from vidrnn.preflight.annotated import describe_splits, find_split_leaks, sides_of
from vidrnn.preflight.files import find_identical, find_missing
from vidrnn.preflight.findings import Finding
from vidrnn.preflight.mirrored import find_mirror_classes
from vidrnn.preflight.pictures import describe_pictures, find_leaks, look_at
from vidrnn.preflight.unmet import find_unmet_segments
from vidrnn.settings.run import RunSettings
from vidrnn.settings.streams import PICTURE_STREAMS
from vidrnn.store.video_features import VideoMetadata


@dataclass(frozen=True)
class Inspection:
    """What `inspect` saw.

    Attributes:
        lines: what there is.
        findings: what deserves attention.
        videos: by their paths, what is known of those that were decoded, now or in an earlier check.
    """

    lines: tuple[str, ...]
    findings: tuple[Finding, ...]
    videos: Mapping[str, VideoMetadata]


def inspect(
    annotations: Sequence[Annotation],
    settings: RunSettings,
    *,
    quick: bool,
    bar: Bar = nowhere,
) -> Inspection:
    """Look at annotations, files and, unless ``quick`` or without a stream of pictures, at a thumbnail of every frame.

    Where features are stored already, the times of their steps are compared with the segments.

    Args:
        annotations: all videos.
        settings: the configuration.
        quick: decode nothing.
        bar: shows how far the longer parts have come.

    Raises:
        OSError: the store cannot be written.
    """
    root, sides = settings.data.root, sides_of(annotations, settings)
    lines = [f"{len(annotations)} videos in {writable(str(root))}", *describe_splits(annotations, settings)]
    findings = [*find_split_leaks(annotations, settings), *find_missing(annotations, settings)]
    findings += find_mirror_classes((name for annotation in annotations for name in annotation.names), settings)
    findings += find_identical(annotations, sides, settings, bar=bar)
    videos: dict[str, VideoMetadata] = {}
    pictures, pixels = None, not quick and bool(PICTURE_STREAMS & set(settings.features.streams))
    if pixels:
        pictures = look_at(annotations, sides, settings, bar=bar)
        videos = dict(zip((video.path for video in pictures.annotations), pictures.metadata, strict=True))
        lines += describe_pictures(pictures)
        findings += find_leaks(pictures, settings, bar=bar)
    findings += find_unmet_segments(annotations, settings, pictures)
    lines.append(f"leaks were looked for between {sides.description}" + ("" if pixels else ", in names and bytes only"))
    return Inspection(tuple(lines), tuple(findings), videos)
