"""Annotated videos to the feature store: each is opened once for all that is missing, and nothing goes unreported."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from vidrnn.annotations import Annotation
from vidrnn.extraction.collector import Result
from vidrnn.extraction.drawing import DrawVideo, draw_video
from vidrnn.extraction.embedder import Pass
from vidrnn.extraction.jobs import Failure, Job
from vidrnn.extraction.ledger import Ledger
from vidrnn.extraction.pipeline import embed_passes
from vidrnn.extraction.progress import Progress, Speed
from vidrnn.extraction.threads import Threads
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.streams import BACKBONE_STREAMS
from vidrnn.stages import stage
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.video_features import VideoFeatures

_UNWRITTEN = 4  # finished sequences that may wait for the disk


@dataclass
class Report:
    """What `extract` did, kept up to date while it works.

    Attributes:
        folders: of each pass, in the store.
        passes: what became of the videos in each.
        speed: of all together.
    """

    folders: list[FeatureFolder] = field(default_factory=list)
    passes: list[Progress] = field(default_factory=list)
    speed: Speed = field(default_factory=Speed)

    @property
    def whole(self) -> Progress:
        """All passes together; a video counts once for each."""
        return Progress.together(self.passes)


@stage("decode, embed and store")
def extract(
    annotations: Sequence[Annotation],
    passes: Sequence[Pass],
    *,
    root: Path,
    settings: ExtractionSettings,
    weights: str,
    retry_failed: bool = False,
    report: Report | None = None,
    on_video: Callable[[], object] = lambda: None,
    draw_one: DrawVideo = draw_video,
) -> Report:
    """Fill the store with the features of all annotated videos; finished ones are reused, failures recorded.

    A video is opened once, and only what is missing of it is computed; a pass that fails keeps the others.

    Args:
        annotations: the videos.
        passes: what is wanted of each.
        root: what their paths are relative to.
        settings: store, batch size, decoders and their limits.
        weights: ``features.weights``; of a file the store keeps the digest, by which another one is recognised.
        retry_failed: also try videos that failed in an earlier run and have not changed since.
        report: kept up to date, so that a caller knows how far an interrupted run came.
        on_video: called once for each video that is done, in whatever way.
        draw_one: how a decoder process draws the pictures of a file.

    Raises:
        OSError: the store cannot be written (disk full, read-only); what was written stays valid.
    """
    report = report or Report()
    store = FeatureStore(settings.store)
    report.folders = [store.create(one_pass.spec) for one_pass in passes]
    for folder in report.folders:
        if folder.spec.stream in BACKBONE_STREAMS:
            folder.add_weights_file(weights)
    report.passes = [Progress() for _ in passes]
    with ExitStack() as stack:
        ledgers = [
            stack.enter_context(ledger)
            for ledger in _ledgers(report, passes, store=store, root=root, retry_failed=retry_failed)
        ]
        _run(_Plan(annotations, ledgers, root=root, on_video=on_video), passes, settings, report, draw_one=draw_one)
        for ledger in ledgers:
            ledger.close()
    return report


def _run(
    plan: "_Plan", passes: Sequence[Pass], settings: ExtractionSettings, report: Report, *, draw_one: DrawVideo
) -> None:
    """Make what the plan lacks, and write each video as soon as it is done."""
    results = embed_passes(
        plan.jobs(),
        passes,
        settings=settings,
        throughput=report.speed.throughput,
        draw_one=draw_one,
        on_compared=plan.compared,
    )
    with closing(results), _Writer(plan) as writer:  # whatever happens, no decoder stays behind
        for path, found in results:
            report.speed.videos += 1
            _enter(path, found, plan, writer)
            del found  # as large as a long video has it, and the next one begins


def _ledgers(
    report: Report, passes: Sequence[Pass], *, store: FeatureStore, root: Path, retry_failed: bool
) -> Iterator[Ledger]:
    """The books of each pass."""
    for folder, one_pass, progress in zip(report.folders, passes, report.passes, strict=True):
        spec = one_pass.spec
        plain = store.folder(spec.mirrored()) if spec.is_mirrored else None
        yield Ledger(folder, one_pass, root=root, progress=progress, retry_failed=retry_failed, plain=plain)


class _Plan:
    """Which videos still need which passes, and what became of them."""

    def __init__(
        self,
        annotations: Iterable[Annotation],
        ledgers: Sequence[Ledger],
        *,
        root: Path,
        on_video: Callable[[], object],
    ) -> None:
        self._annotations, self._ledgers, self._root, self._on_video = annotations, ledgers, root, on_video
        self._of_path: dict[str, Annotation] = {}
        self._unsettled: dict[str, int] = {}  # passes of a video that are still to come
        self._settling = threading.Lock()

    def jobs(self) -> Iterator[Job | None]:
        """Videos with the passes to make; None while all that are left are in the hands of another extraction."""
        elsewhere: deque[tuple[Annotation, int]] = deque()
        for annotation in self._annotations:
            path, wanted = annotation.path, []
            self._of_path[path] = annotation
            self._unsettled[path] = len(self._ledgers)
            for number, ledger in enumerate(self._ledgers):
                if ledger.is_settled(path):
                    self._settle(path)
                elif not ledger.take(path):
                    elsewhere.append((annotation, number))
                elif ledger.was_done_meanwhile(path):
                    self._settle(path)
                else:
                    wanted.append(number)
            if wanted:
                yield self._job(annotation, wanted)
        # One pass at a time: whoever held one and waited for another could wait for somebody who waits for it.
        for annotation, number in elsewhere:
            while not self._ledgers[number].take(annotation.path):
                yield None
            if self._ledgers[number].was_done_meanwhile(annotation.path):
                self._settle(annotation.path)
            else:
                yield self._job(annotation, [number])

    def _job(self, annotation: Annotation, wanted: Sequence[int]) -> Job:
        path = annotation.path
        made = {number: features for number in wanted if (features := self._ledgers[number].made_before(path))}
        return Job(path, annotation.source(self._root), tuple(wanted), made)

    def compared(self, path: str, number: int, change: str | None) -> None:
        """Enter what a look at a video says of the features that an earlier version made of it, see `OnCompared`."""
        if change is None:
            self._ledgers[number].keep(path)
            self._settle(path)
        else:
            self._ledgers[number].progress.changed[path] = change

    def fail(self, number: int, failure: Failure) -> None:
        """Enter that a pass over a video gave nothing."""
        self._ledgers[number].fail(failure)
        self._settle(failure.path)

    def finish(self, number: int, path: str, video: VideoFeatures) -> None:
        """Put features on disk and enter them. In the writer's thread, which Ctrl-C does not reach. Raises OSError."""
        self._ledgers[number].finish(self._of_path[path], video)
        self._settle(path)

    def _settle(self, path: str) -> None:
        with self._settling:
            self._unsettled[path] -= 1
            if not self._unsettled[path]:
                self._on_video()


def _enter(path: str, found: Result, plan: _Plan, writer: "_Writer") -> None:
    """What became of a video."""
    for number, result in found.items():
        if isinstance(result, Failure):
            plan.fail(number, result)
        else:
            writer.write(number, path, result)


class _Writer:
    """Writes finished sequences beside the network's work: flushing to disk takes milliseconds. Context manager."""

    def __init__(self, plan: _Plan) -> None:
        self._plan = plan
        self._thread = Threads(1, "writer")
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> "_Writer":
        return self

    def write(self, number: int, path: str, video: VideoFeatures) -> None:
        """Hand over one pass of a video. Raises OSError when this or an earlier one could not be written."""
        self._pending.append(self._thread.submit(partial(self._plan.finish, number, path, video)))
        while len(self._pending) > _UNWRITTEN or (self._pending and self._pending[0].done()):
            self._pending.popleft().result()

    def __exit__(self, *error: object) -> None:
        """Also after Ctrl-C, what was handed over is written."""
        self._thread.end()
        while self._pending:
            self._pending.popleft().result()
