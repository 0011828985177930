"""Annotated videos to the feature store, with a report that leaves nothing out."""

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vidrnn.annotations import Annotation
from vidrnn.features.backbones import Backbone
from vidrnn.features.pipeline import Failure, Job, embed_videos
from vidrnn.features.store import FeatureFolder, FeatureStore
from vidrnn.settings import FeatureSettings


@dataclass(frozen=True)
class ExtractionReport:
    """What became of every video.

    Attributes:
        folder: where the features are.
        extracted, reused: how many videos.
        failures: one per video without features.
        notes: (path, note) of videos whose features deserve a second look.
    """

    folder: FeatureFolder
    extracted: int
    reused: int
    failures: tuple[Failure, ...]
    notes: tuple[tuple[str, str], ...]

    def summary(self) -> str:
        """One line for the terminal and for scripts."""
        return f"extracted {self.extracted}, reused {self.reused}, failed {len(self.failures)}"


def extract(
    annotations: Iterable[Annotation],
    *,
    root: Path,
    settings: FeatureSettings,
    backbone: Backbone,
    on_video: Callable[[], None] = lambda: None,
) -> ExtractionReport:
    """Fill the store with the features of all annotated videos; finished ones are reused, failures recorded.

    Args:
        annotations: the videos.
        root: what their paths are relative to.
        settings: store, batch size and workers.
        backbone: computes the features and names their spec.
        on_video: called once for each video that is done, in whatever way.

    Raises:
        OSError: the store cannot be written (disk full, read-only); what was written stays valid.
    """
    folder = FeatureStore(settings.store).create(backbone.spec)
    reused = 0

    def missing() -> Iterator[Job]:
        nonlocal reused
        for annotation in annotations:
            source = annotation.source(root)
            if _is_done(folder, annotation.path, source):
                reused += 1
                on_video()
            else:
                yield Job(annotation.path, source)

    extracted = 0
    failures: list[Failure] = []
    notes: list[tuple[str, str]] = []
    for path, result in embed_videos(missing(), backbone, batch_size=settings.batch_size, workers=settings.workers):
        if isinstance(result, Failure):
            failures.append(result)
        else:
            folder.write(path, result)
            extracted += 1
            notes += [(path, note) for note in result.notes]
        on_video()
    failures.sort(key=lambda failure: failure.path)
    _write_failures(folder.path / "failures.csv", failures)
    return ExtractionReport(folder, extracted, reused, tuple(failures), tuple(sorted(notes)))


def _is_done(folder: FeatureFolder, path: str, source: Path) -> bool:
    try:
        return source.is_file() and folder.is_current(path, source)
    except OSError:  # no permission, or a name that is too long: the decoder reports it for this video alone
        return False


def _write_failures(path: Path, failures: list[Failure]) -> None:
    """List the failures of the last run; no list when there were none."""
    if not failures:
        path.unlink(missing_ok=True)
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "stage", "cause"])
        writer.writerows([failure.path, failure.stage, failure.cause] for failure in failures)
