"""What decoding every video once into thumbnails tells: damage, sizes, lengths, copies, and labels that need no pixel.

The thumbnails are kept in the feature store under a spec of their own, so the next check reads them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import GroupKFold

from vidrnn.annotations import Annotation, LabelMap
from vidrnn.bars import Bar
from vidrnn.evaluation.baselines import metadata_only
from vidrnn.evaluation.classification import measure_classification
from vidrnn.extraction.extract import extract
from vidrnn.names import writable
from vidrnn.preflight.annotated import Sides
from vidrnn.preflight.findings import Finding, leak
from vidrnn.preflight.motion import Motion, motion_of
from vidrnn.preflight.near_copies import NearCopy, find_near_copies
from vidrnn.preflight.thumbnails import Thumbnails
from vidrnn.settings.run import RunSettings
from vidrnn.stages import stage
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.source import is_reachable
from vidrnn.store.video_features import VideoMetadata

_KEPT_VIDEOS = 64  # motions in memory, of 12 megabytes at most
_GIVEN_AWAY = 0.9  # accuracy without pixels from which no number on these videos means anything
_FOLDS = 5


@dataclass(frozen=True)
class Pictures:
    """Thumbnails of the videos that can be decoded.

    Attributes:
        annotations: n videos.
        sides: of these.
        folder: holds the thumbnails.
        metadata: of each.
        digests: (n,) sha256 of the files.
        failures: of the others, the path and why.
    """

    annotations: tuple[Annotation, ...]
    sides: Sides
    folder: FeatureFolder
    metadata: tuple[VideoMetadata, ...]
    digests: tuple[str, ...]
    failures: tuple[str, ...]

    @property
    def facts(self) -> npt.NDArray[np.float64]:
        """(n, 4) width, height, frames, seconds."""
        rows = [(video.width, video.height, video.num_frames, video.duration_s) for video in self.metadata]
        return np.array(rows, dtype=np.float64).reshape(-1, 4)

    def motion(self, position: int) -> Motion:
        """The motion of one video."""
        video = self.folder.read(self.annotations[position].path)
        return motion_of(video.features, video.timestamps_s)


@stage("look at a thumbnail of every frame")
def look_at(annotations: Sequence[Annotation], sides: Sides, settings: RunSettings, *, bar: Bar) -> Pictures:
    """Decode the videos that are there and have no thumbnails yet. Raises OSError when the store cannot be written."""
    root = settings.data.root
    chosen = [position for position, annotation in enumerate(annotations) if is_reachable(annotation.source(root))]
    with bar(total=len(chosen), desc="thumbnails", unit="video") as shown:
        report = extract(
            [annotations[position] for position in chosen],
            [Thumbnails(settings.features)],
            root=root,
            settings=settings.extraction,
            weights=settings.features.weights,
            on_video=shown.update,
        )
    (folder,), failures = report.folders, report.whole.failures
    failed = {failure.path for failure in failures}
    good = [position for position in chosen if annotations[position].path not in failed]
    videos = (folder.read(annotations[position].path) for position in good)
    known = [(video.metadata, video.source.sha256) for video in videos]
    return Pictures(
        annotations=tuple(annotations[position] for position in good),
        sides=Sides(sides.description, tuple(sides.names[position] for position in good)),
        folder=folder,
        metadata=tuple(metadata for metadata, _ in known),
        digests=tuple(digest for _, digest in known),
        failures=tuple(f"{writable(failure.path)}: {failure.cause}" for failure in failures),
    )


def describe_pictures(pictures: Pictures) -> Iterator[str]:
    """Codecs, sizes and durations."""
    if not pictures.annotations:
        return
    codecs = Counter(video.codec for video in pictures.metadata if video.codec)
    if codecs:
        shown = ", ".join(f"{name} {count}" for name, count in codecs.most_common())
        yield f"codecs of {codecs.total()} videos: {shown}"
    sizes = Counter(f"{video.width}x{video.height}" for video in pictures.metadata)
    shown = ", ".join(f"{size} {count}" for size, count in sizes.most_common(5))
    yield f"sizes: {shown}" + (f" and {len(sizes) - 5} others" if len(sizes) > 5 else "")
    seconds = pictures.facts[:, 3]
    yield f"durations: {seconds.min():.1f} to {seconds.max():.1f} s, median {np.median(seconds):.1f} s"


def find_leaks(pictures: Pictures, settings: RunSettings, *, bar: Bar) -> Iterator[Finding]:
    """Videos that cannot be decoded, near-duplicates on two sides, labels that follow from metadata."""
    if pictures.failures:
        yield Finding("failed", f"{len(pictures.failures)} videos cannot be decoded", pictures.failures)
    accept, sides = settings.data.accept, pictures.sides
    if len(set(sides.names)) > 1:
        read = lru_cache(_KEPT_VIDEOS)(pictures.motion)
        of_side = {name: number for number, name in enumerate(sorted(set(sides.names)))}
        numbers = [of_side[name] for name in sides.names]
        with bar(total=2 * len(numbers), desc="looking for copies", unit="video") as shown:
            found = find_near_copies(read, numbers, on_video=shown.update)
        # The same bytes are a finding of their own.
        if pairs := [pair for pair in found if pictures.digests[pair.first] != pictures.digests[pair.second]]:
            yield leak(
                "near_duplicates",
                f"{len(pairs)} pairs of near-duplicates on two sides ({sides.description}); keep one of each, or give "
                "them one group and one side",
                accept=accept,
                examples=[_describe(pair, pictures) for pair in pairs],
            )
    yield from _find_given_away(pictures, settings)


def _describe(pair: NearCopy, pictures: Pictures) -> str:
    names, sides = [writable(pictures.annotations[i].path) for i in (pair.first, pair.second)], pictures.sides.names
    mirrored = ", mirrored" if pair.is_mirrored else ""
    return (
        f"{names[0]} ({sides[pair.first]}) and {names[1]} ({sides[pair.second]}): similarity {pair.similarity:.2f}"
        f"{mirrored}"
    )


def _find_given_away(pictures: Pictures, settings: RunSettings) -> Iterator[Finding]:
    labels = [annotation.label for annotation in pictures.annotations]
    groups = [annotation.group for annotation in pictures.annotations]
    if not all(labels) or len(set(labels)) < 2 or len(set(groups)) < 2:
        return
    label_map = LabelMap.from_annotations(pictures.annotations)
    targets = np.array([label_map.index(label) for label in labels])
    scores = np.zeros((len(labels), len(label_map)))
    for train, test in GroupKFold(min(_FOLDS, len(set(groups)))).split(targets, groups=groups):
        predicted = metadata_only(
            "label", pictures.facts[train], list(targets[train]), pictures.facts[test], num_classes=len(label_map)
        )
        assert predicted is not None
        scores[test] = np.stack(predicted)
    metrics = measure_classification(scores, targets, labels=label_map.names, groups=groups)
    majority = float(np.bincount(targets).max() / len(targets))
    text = (
        f"width, height, length and frame rate alone tell {metrics.top1:.3f} of the labels "
        f"({metrics.interval[0]:.3f} to {metrics.interval[1]:.3f}, unseen groups), "
        f"the most frequent class {majority:.3f}"
    )
    if metrics.top1 >= _GIVEN_AWAY and metrics.interval[0] > majority:
        advice = "; cut and encode all classes alike"
        yield leak("metadata", text + advice, accept=settings.data.accept)
    elif metrics.interval[0] > majority:
        yield Finding("warning", f"{text}; read results beside the metadata_only baseline")
