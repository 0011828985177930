"""What an extraction will take, from what is known of the videos that it still has to do, and a few of them done."""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidrnn.annotations import Annotation
from vidrnn.extraction.batches import Throughput
from vidrnn.extraction.embedder import Embedder
from vidrnn.extraction.jobs import Job
from vidrnn.extraction.pipeline import embed_videos
from vidrnn.settings.features import FeatureSettings
from vidrnn.store.folders import FeatureStore
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
        videos: without features so far.
        readable: share of these that can be decoded.
        frames: that will be kept, in all.
        num_bytes: of their features.
        seconds: on this machine, as busy as it was; None when no sampled video gave a frame.
        bottleneck: the stage that limits.
        free_bytes: on the disk of the store, when the earlier passes are done.
    """

    videos: int
    readable: float
    frames: int
    num_bytes: int
    seconds: float | None
    bottleneck: str
    free_bytes: int

    def lines(self) -> Iterator[str]:
        """For people."""
        if not self.videos:
            yield "features: nothing left to extract"
            return
        yield (
            f"features: {self.videos} videos to extract, about {self.frames} frames and {_size(self.num_bytes)} "
            f"({_size(self.free_bytes)} free)"
        )
        if self.seconds is not None:
            yield f"time: about {_duration(self.seconds)} with the machine as busy as now; {self.bottleneck} limits"
        if self.readable < 1:
            yield f"{1 - self.readable:.0%} of the videos cannot be decoded; `vidrnn extract` will name them"
        if self.num_bytes > self.free_bytes:
            yield "warning: the disk of features.store is too small; free some space or set features.store elsewhere"


def forecast(
    annotations: Sequence[Annotation],
    *,
    root: Path,
    settings: FeatureSettings,
    backbone: Embedder,
    videos: Mapping[str, VideoMetadata],
    taken_bytes: int = 0,
) -> Forecast:
    """Extract from a few videos, without storing anything. Takes seconds, whatever the data.

    Args:
        annotations: all videos.
        root: what their paths are relative to.
        settings: as for the extraction.
        backbone: as for the extraction.
        videos: by their paths, what is known of all that can be decoded.
        taken_bytes: what earlier passes will write.
    """
    folder = FeatureStore(settings.store).folder(backbone.spec)
    jobs = [Job(each.path, each.source(root)) for each in annotations]
    waiting = [job for job in jobs if is_reachable(job.source) and not folder.is_current(job.path, job.source)]
    known = [job for job in waiting if job.path in videos]
    sampling, counted = Sampling(**backbone.spec.sampling), _evenly(known, _COUNTED)
    counts = [_count_frames(videos[job.path], sampling) for job in counted]
    frames = round(len(known) * sum(counts) / len(counts)) if counts else 0
    readable = len(known) / len(waiting) if waiting else 1.0
    rate, bottleneck = _rate(_evenly(known, _TIMED), backbone, settings)
    existing = next(path for path in (settings.store.absolute(), *settings.store.absolute().parents) if path.exists())
    return Forecast(
        videos=len(waiting),
        readable=readable,
        frames=frames,
        num_bytes=frames * (2 * backbone.spec.dim + 8) + len(waiting) * _HEADER_BYTES,
        seconds=frames / rate if rate else None,
        bottleneck=bottleneck,
        free_bytes=max(shutil.disk_usage(existing).free - taken_bytes, 0),
    )


def _rate(jobs: Sequence[Job], backbone: Embedder, settings: FeatureSettings) -> tuple[float, str]:
    """Frames per second through the whole pipeline, and the stage that limits; 0 when there was nothing to measure."""
    short = settings.model_copy(update={"time_limit_s": _TIMED_LIMIT_S})
    for _ in embed_videos(jobs[:1], backbone, settings=short):
        pass
    throughput, started = Throughput(), time.monotonic()
    for _ in embed_videos(jobs[1:] or jobs, backbone, settings=short, throughput=throughput):
        pass
    return throughput.frames / (time.monotonic() - started), throughput.bottleneck


def _count_frames(video: VideoMetadata, sampling: Sampling) -> int:
    """Of a video whose frames come at a steady rate."""
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
