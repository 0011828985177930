"""All streams of annotated videos to the store: one reading of each video for its passes, then the texts."""

from collections.abc import Callable, Sequence
from pathlib import Path

from vidrnn.annotations import Annotation
from vidrnn.extraction.embedder import Pass
from vidrnn.extraction.extract import Report, extract
from vidrnn.extraction.progress import Progress
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.streams.text import extract_text


def extract_all(
    annotations: Sequence[Annotation],
    passes: Sequence[Pass],
    *,
    root: Path,
    features: FeatureSettings,
    extraction: ExtractionSettings,
    retry_failed: bool = False,
    report: Report | None = None,
    on_video: Callable[[], object] = lambda: None,
) -> Report:
    """Fill the store with every stream of ``features.streams``.

    Args:
        annotations: the videos.
        passes: from `vidrnn.streams.passes.all_passes`; empty where texts are the only stream.
        root: what their paths are relative to.
        features: which streams, the weights, and where the texts are.
        extraction: store, batch size, decoders and their limits.
        retry_failed: also try videos that failed before and have not changed.
        report: kept up to date, so that a caller knows how far an interrupted run came.
        on_video: called once for each video that is done, and once more for its text.

    Raises:
        ConfigError, MissingPathError: see `extract_text`. OSError: the store cannot be written.
    """
    report = report or Report()
    if passes:
        extract(
            annotations,
            passes,
            root=root,
            settings=extraction,
            weights=features.weights,
            retry_failed=retry_failed,
            report=report,
            on_video=on_video,
        )
    if "text" in features.streams:
        progress = Progress()
        report.passes.append(progress)
        folder = extract_text(
            annotations, root=root, features=features, extraction=extraction, progress=progress, on_video=on_video
        )
        report.folders.append(folder)
    return report
