"""Annotated videos to the feature store, with a report that leaves nothing out."""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from vidrnn.annotations import Annotation
from vidrnn.claims import Claims
from vidrnn.errors import VideoError
from vidrnn.extraction.decode_worker import DecodeVideo, decode_video
from vidrnn.extraction.embedder import Embedder
from vidrnn.extraction.failures import FailureList, MissingLists
from vidrnn.extraction.jobs import ABSENT, Failure, Job
from vidrnn.extraction.pipeline import Throughput, embed_videos
from vidrnn.settings.features import FeatureSettings
from vidrnn.store.folders import FeatureFolder, FeatureStore
from vidrnn.store.source import is_there
from vidrnn.store.video_features import VideoFeatures

Results = Generator[tuple[str, VideoFeatures | Failure], None, None]

_UNWRITTEN = 4  # finished videos that may wait for the disk


@dataclass
class Progress:
    """What became of the videos so far.

    Attributes:
        extracted, reused: how many videos.
        failures: one per video without features.
        absent: one per video that does not have this stream.
        not_retried: how many of these failed in an earlier run and were left alone.
        notes: (path, note) of videos whose features deserve a second look.
        throughput: frames, and where the time went.
        started_s: on the monotonic clock.
    """

    extracted: int = 0
    reused: int = 0
    failures: list[Failure] = field(default_factory=list)
    absent: list[Failure] = field(default_factory=list)
    not_retried: int = 0
    notes: list[tuple[str, str]] = field(default_factory=list)
    throughput: Throughput = field(default_factory=Throughput)
    started_s: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> int:
        """Videos whose fate is known."""
        return self.extracted + self.reused + len(self.failures) + len(self.absent)

    def miss(self, failure: Failure) -> None:
        """Count a video without features."""
        (self.absent if failure.stage == ABSENT else self.failures).append(failure)

    def summary(self) -> str:
        """One line for the terminal and for scripts."""
        absent = f", absent {len(self.absent)}" if self.absent else ""
        return f"extracted {self.extracted}, reused {self.reused}, failed {len(self.failures)}{absent}"

    def speed(self) -> str:
        """Rates since the start, and the stage that limits them."""
        seconds = max(time.monotonic() - self.started_s, 1e-9)
        frames = self.throughput.frames / seconds
        if not frames:  # a stream without a backbone
            return f"{self.extracted / seconds:.1f} videos/s"
        return f"{self.extracted / seconds:.1f} videos/s, {frames:.0f} frames/s, {self.throughput.bottleneck} limits"


def extract(
    annotations: Iterable[Annotation],
    *,
    root: Path,
    settings: FeatureSettings,
    backbone: Embedder,
    retry_failed: bool = False,
    plain: FeatureFolder | None = None,
    progress: Progress | None = None,
    on_video: Callable[[], object] = lambda: None,
    decode_one: DecodeVideo = decode_video,
) -> tuple[FeatureFolder, Progress]:
    """Fill the store with the features of all annotated videos; finished ones are reused, failures recorded.

    Args:
        annotations: the videos.
        root: what their paths are relative to.
        settings: store, batch size, decoders and their limits.
        backbone: computes the features and names their spec.
        retry_failed: also try videos that failed in an earlier run and have not changed since.
        plain: where the pass before, over another view of these videos, has put its features: what failed there is
            entered as the same failure and not decoded again.
        progress: kept up to date, so that a caller knows how far an interrupted run came.
        on_video: called once for each video that is done, in whatever way.
        decode_one: how a decoder process turns a file into frames.

    Raises:
        OSError: the store cannot be written (disk full, read-only); what was written stays valid.
    """
    progress = progress or Progress()

    def embed(jobs: Iterator[Job | None]) -> Results:
        return embed_videos(jobs, backbone, settings=settings, throughput=progress.throughput, decode_one=decode_one)

    folder = FeatureStore(settings.store).create(backbone.spec)
    fill(
        folder,
        annotations,
        root=root,
        results_of=embed,
        retry_failed=retry_failed,
        plain=plain,
        progress=progress,
        on_video=on_video,
    )
    return folder, progress


def fill(
    folder: FeatureFolder,
    annotations: Iterable[Annotation],
    *,
    root: Path,
    results_of: Callable[[Iterator[Job | None]], Results],
    progress: Progress,
    source_of: Callable[[Path], Path] = lambda video: video,
    retry_failed: bool = False,
    plain: FeatureFolder | None = None,
    on_video: Callable[[], object] = lambda: None,
) -> None:
    """What `extract` does, for any stream.

    Args:
        folder: of the spec, in the store.
        annotations: as there.
        root: as there.
        results_of: turns jobs into features or failures.
        progress: as there.
        source_of: the file that decides the features of the video at a place. Raises VideoError.
        retry_failed: as there.
        plain: as there.
        on_video: as there.

    Raises:
        OSError: the store cannot be written (disk full, read-only); what was written stays valid.
    """
    known = MissingLists(folder.path)
    known_plain = FailureList(plain.path / "failures.csv") if plain else None
    with Claims(folder.path / ".claims") as claims:
        plan = _Plan(
            folder,
            root,
            claims,
            known,
            known_plain,
            progress,
            source_of=source_of,
            retry_failed=retry_failed,
            on_video=on_video,
        )
        results = results_of(plan.jobs(annotations))
        with closing(results), _Writer(plan) as writer:  # whatever happens, no decoder stays behind
            for path, result in results:
                if isinstance(result, Failure):
                    plan.fail(result)
                else:
                    writer.write(path, result)
        known.tidy()
    progress.failures.sort(key=lambda failure: failure.path)
    progress.absent.sort(key=lambda failure: failure.path)
    progress.notes.sort()


class _Plan:
    """Which videos still need features, and the books on what became of them."""

    def __init__(
        self,
        folder: FeatureFolder,
        root: Path,
        claims: Claims,
        known: MissingLists,
        known_plain: FailureList | None,
        progress: Progress,
        *,
        source_of: Callable[[Path], Path],
        retry_failed: bool,
        on_video: Callable[[], object],
    ) -> None:
        self._folder = folder
        self._root, self._claims, self._known, self._known_plain = root, claims, known, known_plain
        self._progress, self._retry_failed, self._on_video = progress, retry_failed, on_video
        self._source_of = source_of
        self._listed_frames: dict[str, int | None] = {}

    def jobs(self, annotations: Iterable[Annotation]) -> Iterator[Job | None]:
        """Videos to extract; None while all that are left are in the hands of another extraction."""
        elsewhere: deque[Annotation] = deque()
        for annotation in annotations:
            video = annotation.source(self._root)
            self._listed_frames[annotation.path] = annotation.listed_frames
            source = self._source(annotation.path)
            if self._is_done(annotation.path, source):
                self._reuse(annotation.path)
            elif not self._retry_failed and (failure := self._known.known(annotation.path, source)):
                self._progress.not_retried += failure.stage != ABSENT
                self._enter(failure)
            elif self._known_plain and (failure := self._known_plain.known(annotation.path, source)):
                self.fail(failure)
            elif not self._claims.take(annotation.path):
                elsewhere.append(annotation)
            elif self._is_done(annotation.path, source):  # by another extraction, a moment ago
                self._claims.give_back(annotation.path)
                self._reuse(annotation.path)
            else:
                yield Job(annotation.path, video)
        for _ in range(len(elsewhere)):
            annotation = elsewhere.popleft()
            while not self._claims.take(annotation.path):
                yield None
            if self._is_done(annotation.path, self._source(annotation.path)):
                self._claims.give_back(annotation.path)
                self._reuse(annotation.path)
            else:
                yield Job(annotation.path, annotation.source(self._root))

    def fail(self, failure: Failure) -> None:
        """Enter a failure, or that the video does not have this stream."""
        self._known.add(failure, self._source(failure.path))
        self._claims.give_back(failure.path)
        self._enter(failure)

    def _enter(self, failure: Failure) -> None:
        self._progress.miss(failure)
        self._on_video()

    def _source(self, path: str) -> Path:
        """The file that decides the features; the video itself where that cannot be told, which fails by name then."""
        try:
            return self._source_of(self._root / path)
        except VideoError:
            return self._root / path

    def finish(self, path: str, video: VideoFeatures) -> None:
        """Put features on disk and enter them. In the writer's thread, which Ctrl-C does not reach. Raises OSError."""
        listed, held = self._listed_frames.get(path), video.metadata.num_frames
        if listed is not None and listed != held:
            note = f"the list says {listed} frames, there are {held}; all of these count"
            video = replace(video, notes=(*video.notes, note))
        self._folder.write(path, video)
        self._claims.give_back(path)  # from here on another extraction finds them
        self._known.solve(path)
        self._progress.extracted += 1
        self._progress.notes += [(path, note) for note in video.notes]
        self._on_video()

    def _reuse(self, path: str) -> None:
        self._known.solve(path)  # a run that was killed may have left its failure behind
        self._progress.reused += 1
        self._on_video()

    def _is_done(self, path: str, source: Path) -> bool:
        try:
            return is_there(source) and self._folder.is_current(path, source)
        except (OSError, ValueError):  # no permission, or no possible name: the decoder reports it for this video
            return False


class _Writer:
    """Writes finished videos beside the backbone's work: flushing to disk takes milliseconds. Context manager."""

    def __init__(self, plan: _Plan) -> None:
        self._plan = plan
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> "_Writer":
        return self

    def write(self, path: str, video: VideoFeatures) -> None:
        """Hand over one video. Raises OSError when this or an earlier one could not be written."""
        self._pending.append(self._pool.submit(self._plan.finish, path, video))
        while len(self._pending) > _UNWRITTEN or (self._pending and self._pending[0].done()):
            self._pending.popleft().result()

    def __exit__(self, *error: object) -> None:
        """Also after Ctrl-C, what was handed over is written."""
        self._pool.shutdown()
        while self._pending:
            self._pending.popleft().result()
