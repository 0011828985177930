"""The verb ``check``, all of it but time and disk (`vidrnn.preflight.forecast`)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vidrnn.annotations import Annotation
from vidrnn.preflight.annotated import describe_splits, find_split_leaks, sides_of
from vidrnn.preflight.files import describe_codecs, find_identical, find_missing
from vidrnn.preflight.findings import Finding
from vidrnn.preflight.pictures import describe_pictures, find_leaks, look_at
from vidrnn.settings.run import RunSettings
from vidrnn.settings.streams import PICTURE_STREAMS


@dataclass(frozen=True)
class Inspection:
    """What `inspect` saw.

    Attributes:
        lines: what there is.
        findings: what deserves attention.
    """

    lines: tuple[str, ...]
    findings: tuple[Finding, ...]


def inspect(
    annotations: Sequence[Annotation],
    settings: RunSettings,
    *,
    quick: bool,
    on_video: Callable[[], object] = lambda: None,
) -> Inspection:
    """Look at annotations, files and, unless ``quick`` or without a stream of pictures, at a thumbnail of every frame.

    Args:
        annotations: all videos.
        settings: the configuration.
        quick: decode nothing.
        on_video: called for each video that was decoded or known.

    Raises:
        OSError: the store cannot be written.
    """
    root, sides = settings.data.root, sides_of(annotations, settings)
    lines = [f"{len(annotations)} videos in {root}", *describe_splits(annotations, settings)]
    findings = [*find_split_leaks(annotations, settings), *find_missing(annotations, root)]
    findings += find_identical(annotations, sides, settings)
    pixels = not quick and bool(PICTURE_STREAMS & set(settings.features.streams))
    if pixels:
        lines += describe_codecs(annotations, settings)
        pictures = look_at(annotations, sides, settings, on_video=on_video)
        lines += describe_pictures(pictures)
        findings += find_leaks(pictures, settings)
    lines.append(f"leaks were looked for between {sides.description}" + ("" if pixels else ", in names and bytes only"))
    return Inspection(tuple(lines), tuple(findings))
