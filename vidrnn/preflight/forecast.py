"""What an extraction will take, from what is known of the videos that it still has to do, and a few of them done."""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidrnn.annotations import Annotation
from vidrnn.bars import Bar, nowhere
from vidrnn.extraction.batches import Throughput
from vidrnn.extraction.embedder import Embedder
from vidrnn.extraction.jobs import Job
from vidrnn.extraction.pipeline import embed_passes
from vidrnn.extraction.stored import Stored
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.stages import stage
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.source import is_reachable
from vidrnn.store.video_features import VideoMetadata
from vidrnn.video.sampling import Sampling

_COUNTED, _TIMED = 1000, 7  # videos; the first of the timed ones only warms up
_TIMED_LIMIT_S = 5.0  # for each of them: a rate needs no whole video
_HEADER_BYTES = 600


@dataclass(frozen=True)
class Forecast:
    """What is still to do.

    Attributes:
        videos: that lack the features of at least one pass.
        readable: share of these that can be decoded.
        frames: that will be kept, each once for every pass that is missing.
        num_bytes: of their features.
        seconds: on this machine, as busy as it was; None when no sampled video gave a frame.
        bottleneck: the stage that limits.
        free_bytes: on the disk of the store.
        passes: how many are made of a video.
        old: videos whose features an earlier version of the reading made; how many of them differ is not known yet.
    """

    videos: int
    readable: float
    frames: int
    num_bytes: int
    seconds: float | None
    bottleneck: str
    free_bytes: int
    passes: int = 1
    old: int = 0

    def lines(self) -> Iterator[str]:
        """For people."""
        if self.old:
            yield (
                f"features: {self.old} videos have features of an earlier version; `vidrnn extract` looks at these "
                "videos once and makes anew what it reads in another way"
            )
        if not self.videos:
            yield "features: nothing left to extract"
            return
        over = f" in {self.passes} passes" if self.passes > 1 else ""
        yield (
            f"features: {self.videos} videos to extract, about {self.frames} frames{over} and {_size(self.num_bytes)} "
            f"({_size(self.free_bytes)} free)"
        )
        if self.seconds is not None:
            yield f"time: about {_duration(self.seconds)} with the machine as busy as now; {self.bottleneck} limits"
        if self.readable < 1:
            yield f"{self.videos - round(self.readable * self.videos)} of these {self.videos} cannot be decoded"
        if self.num_bytes > self.free_bytes:
            yield "warning: the disk of extraction.store is too small; free some space, or set it to a folder elsewhere"


@stage("measure the speed on a few videos")
def forecast(
    annotations: Sequence[Annotation],
    passes: Sequence[Embedder],
    *,
    root: Path,
    settings: ExtractionSettings,
    videos: Mapping[str, VideoMetadata],
    bar: Bar = nowhere,
) -> Forecast:
    """Extract from a few videos, without storing anything. Takes seconds, whatever the data.

    Args:
        annotations: all videos.
        passes: over pictures, as for the extraction.
        root: what their paths are relative to.
        settings: as for the extraction.
        videos: by their paths, what is known of all that can be decoded.
        bar: shows how many of the few are done.
    """
    waiting, old = _missing(annotations, passes, root=root, settings=settings)
    known = [job for job in waiting if job.path in videos]
    counted = _evenly(known, _COUNTED)
    share = len(known) / len(counted) if counted else 0.0
    frames = num_bytes = 0.0
    for number, spec in enumerate(embedder.spec for embedder in passes):
        sampling = Sampling(**spec.sampling)
        count = sum(_count_frames(videos[job.path], sampling) for job in counted if number in job.wanted) * share
        frames += count
        num_bytes += count * (2 * spec.dim + 8) + sum(number in job.wanted for job in waiting) * _HEADER_BYTES
    rate, bottleneck = _rate(_evenly(known, _TIMED), passes, settings, bar)
    existing = next(path for path in (settings.store.absolute(), *settings.store.absolute().parents) if path.exists())
    return Forecast(
        videos=len(waiting),
        readable=len(known) / len(waiting) if waiting else 1.0,
        frames=round(frames),
        num_bytes=round(num_bytes),
        seconds=frames / rate if rate else None,
        bottleneck=bottleneck,
        free_bytes=shutil.disk_usage(existing).free,
        passes=len(passes),
        old=old,
    )


def _missing(
    annotations: Sequence[Annotation], passes: Sequence[Embedder], *, root: Path, settings: ExtractionSettings
) -> tuple[list[Job], int]:
    """The videos that lack something, with the numbers of the passes that they lack, and how many have old features."""
    store, waiting, old = FeatureStore(settings.store), list[Job](), 0
    with ExitStack() as stack:
        known = [stack.enter_context(Stored(store.folder(embedder.spec))) for embedder in passes]
        for annotation in annotations:
            source = annotation.source(root)
            if is_reachable(source):
                standings = [stored.find(annotation.path, source).what for stored in known]
                old += "old" in standings
                if "missing" in standings:
                    lacking = [number for number, standing in enumerate(standings) if standing == "missing"]
                    waiting.append(Job(annotation.path, source, tuple(lacking)))
    return waiting, old


def _rate(jobs: Sequence[Job], passes: Sequence[Embedder], settings: ExtractionSettings, bar: Bar) -> tuple[float, str]:
    """Frames per second through the whole pipeline, and the stage that limits; 0 when there was nothing to measure."""
    short = settings.model_copy(update={"time_limit_s": _TIMED_LIMIT_S})
    timed = jobs[1:] or jobs
    with bar(total=len(jobs[:1]) + len(timed), desc="speed", unit="video") as shown:
        for _ in embed_passes(jobs[:1], passes, settings=short):
            shown.update()
        throughput, started = Throughput(), time.monotonic()
        for _ in embed_passes(timed, passes, settings=short, throughput=throughput):
            shown.update()
    return throughput.frames / (time.monotonic() - started), throughput.bottleneck


def _count_frames(video: VideoMetadata, sampling: Sampling) -> int:
    """How many frames are kept of a video whose frames come at a steady rate."""
    timestamps_s = np.arange(video.num_frames, dtype=np.float64) * (video.duration_s / max(video.num_frames, 1))
    return len(sampling.select(timestamps_s))


def _evenly(jobs: Sequence[Job], count: int) -> list[Job]:
    return list(jobs[:: max(-(-len(jobs) // count), 1)])


def _size(num_bytes: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if num_bytes < 1000:
            return f"{num_bytes:.0f} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} TB"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
