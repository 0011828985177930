"""Videos to features in memory: decoder processes feed one backbone, and batches are filled across videos.

Each decoder works on one video at a time and hands over fitted frames in chunks of half a batch. At any time at most
``workers`` chunks are under way in the decoders, ``workers`` in the threads that drive them, four in the queue, less
than two batches wait for the backbone and one or two are in it: memory follows neither the number nor the length of
the videos.
"""

import contextlib
import os
import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.extraction.decode_worker import Decoded, DecodeVideo, ReadFrames, ReadVideo, decode_video
from vidrnn.extraction.decoder import Chunk, Decoder, End, StoppedError, Whole
from vidrnn.extraction.embedder import Embedder
from vidrnn.extraction.jobs import Failure, Job
from vidrnn.settings.features import FeatureSettings
from vidrnn.store.video_features import VideoFeatures
from vidrnn.video.sampling import Sampling

_QUEUED_CHUNKS = 4
_PAUSE_S = 0.2  # before asking again for a job
_NO_MORE = Job("", Path())


_Features = npt.NDArray[np.float16]


@dataclass
class Throughput:
    """What a run has done so far, and where its time went.

    Attributes:
        frames: embedded so far.
        waiting_s: seconds of waiting for frames.
        embedding_s: seconds of waiting for the backbone.
    """

    frames: int = 0
    waiting_s: float = 0.0
    embedding_s: float = 0.0

    @property
    def bottleneck(self) -> str:
        """The stage that limits the speed."""
        return "decoding" if self.waiting_s > self.embedding_s else "backbone"


@dataclass
class _Partial:
    """Features of a video that is still under way."""

    features: list[_Features] = field(default_factory=list)
    timestamps_s: list[float] = field(default_factory=list)


class _Flush:
    """No more frames for now: embed what is there. Another extraction may wait for just these videos."""


_Message = Chunk | End | Whole | Failure | _Flush | None  # None: a decoder has nothing more to do
_Result = tuple[str, VideoFeatures | Failure]


def num_workers(settings: FeatureSettings) -> int:
    """How many videos are decoded at once: as asked, else one per core that this process may use."""
    if settings.workers is not None:
        return settings.workers
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def embed_videos(
    jobs: Iterable[Job | None],
    backbone: Embedder,
    *,
    settings: FeatureSettings,
    throughput: Throughput | None = None,
    decode_one: DecodeVideo = decode_video,
) -> Generator[tuple[str, VideoFeatures | Failure], None, None]:
    """Embed many videos; a video that fails, crashes its decoder or hangs costs only itself.

    Args:
        jobs: taken one by one, so the iterable may be endless; None says that there is none right now.
        backbone: says how frames are fitted and which are kept.
        settings: batch size, number of decoders and their limits.
        throughput: kept up to date while the run goes on.
        decode_one: how a decoder process turns a file into frames.

    Yields:
        (path, features or failure), each video once, in the order in which they finish.
    """
    read = ReadFrames(
        decode_one, Sampling(**backbone.spec.sampling), backbone.preprocessing, max(settings.batch_size // 2, 1)
    )
    counted = throughput or Throughput()

    def embed(messages: "queue.Queue[_Message]", running: int) -> Iterator[_Result]:
        return _embed_all(messages, backbone, settings.batch_size, running=running, throughput=counted)

    yield from _through_decoders(jobs, read, settings, embed)


def read_videos(
    jobs: Iterable[Job | None], read: ReadVideo, *, settings: FeatureSettings
) -> Generator[_Result, None, None]:
    """As `embed_videos`, for a stream whose features are computed in the processes that read the files.

    Args:
        jobs: as there.
        read: gives the features of one file.
        settings: number of processes and their limits.

    Yields:
        (path, features or failure), each video once, in the order in which they finish.
    """
    yield from _through_decoders(jobs, read, settings, _take_all)


def _through_decoders(
    jobs: Iterable[Job | None],
    read: ReadVideo,
    settings: FeatureSettings,
    take: Callable[["queue.Queue[_Message]", int], Iterator[_Result]],
) -> Generator[_Result, None, None]:
    """Let decoders read the videos and ``take`` what they say; whatever happens, none stays behind."""
    messages: queue.Queue[_Message] = queue.Queue(maxsize=_QUEUED_CHUNKS)
    waiting, lock, stop = iter(jobs), threading.Lock(), threading.Event()
    workers = num_workers(settings)
    with ThreadPoolExecutor(workers, thread_name_prefix="decoder") as pool:
        decoders = [Decoder(read, settings=settings, stop=stop) for _ in range(workers)]
        drivers = [pool.submit(_drive, decoder, waiting, lock, messages, stop) for decoder in decoders]
        for driver in drivers:  # a bug ends the run now, not when the other threads have done everything else
            driver.add_done_callback(lambda done: stop.set() if done.exception() else None)
        try:
            yield from take(messages, workers)
        finally:
            stop.set()
            while not all(driver.done() for driver in drivers):  # some may wait for room in the queue
                with contextlib.suppress(queue.Empty):
                    messages.get(timeout=0.05)
        for driver in drivers:
            driver.result()  # an error that is no fault of a video ends the run


def _take_all(messages: "queue.Queue[_Message]", running: int) -> Iterator[_Result]:
    while running:
        message = messages.get()
        if isinstance(message, Whole):
            yield message.path, message.features
        elif isinstance(message, Failure):
            yield message.path, message
        elif message is None:
            running -= 1


def _drive(
    decoder: Decoder,
    jobs: Iterator[Job | None],
    lock: threading.Lock,
    messages: "queue.Queue[_Message]",
    stop: threading.Event,
) -> None:
    """One thread: give its decoder process one video after the other."""
    try:
        while not stop.is_set():
            with lock:
                job = next(jobs, _NO_MORE)
            if job is _NO_MORE:
                return
            if job is None:
                messages.put(_Flush())
                stop.wait(_PAUSE_S)
                continue
            for message in decoder.decode(job):
                messages.put(message)
                if stop.is_set():
                    return
    except StoppedError:
        return
    finally:
        decoder.close()
        messages.put(None)


def _embed_all(
    messages: "queue.Queue[_Message]", backbone: Embedder, batch_size: int, *, running: int, throughput: Throughput
) -> Iterator[tuple[str, VideoFeatures | Failure]]:
    partial: defaultdict[str, _Partial] = defaultdict(_Partial)
    pending: list[Chunk] = []
    ended: dict[str, Decoded] = {}
    failed: set[str] = set()
    with _Lanes(backbone, throughput) as lanes:
        while running or pending or lanes.busy:
            started = time.monotonic()
            message = messages.get() if running else None
            throughput.waiting_s += time.monotonic() - started
            if isinstance(message, Failure):
                pending = [chunk for chunk in pending if chunk.path != message.path]
                failed.add(message.path)
                yield message.path, message
            elif isinstance(message, End):
                ended[message.path] = message.decoded
            elif isinstance(message, Chunk):
                pending.append(message)
            elif message is None:
                running -= 1
            flush = running <= 0 or isinstance(message, _Flush)
            while pending and (flush or sum(len(chunk.frames) for chunk in pending) >= batch_size):
                batch, pending = _cut(pending, batch_size)
                lanes.put(batch)
            for chunk, features in lanes.take(everything=flush):
                partial[chunk.path].features.append(features)
                partial[chunk.path].timestamps_s.extend(chunk.timestamps_s)
            for path in failed & partial.keys():  # also what was under way when the failure came
                del partial[path]
            for path in [path for path, end in ended.items() if len(partial[path].timestamps_s) == end.num_frames]:
                yield path, _whole(partial.pop(path), ended.pop(path))


class _Lanes:
    """Batches under way in the backbone, in order, while the next one is put together. Context manager."""

    def __init__(self, backbone: Embedder, throughput: Throughput) -> None:
        self._backbone = backbone
        self._throughput = throughput
        self._pool = ThreadPoolExecutor(backbone.lanes, thread_name_prefix="backbone")
        self._under_way: deque[tuple[list[Chunk], Future[torch.Tensor]]] = deque()
        self._done: list[tuple[Chunk, _Features]] = []

    def __enter__(self) -> "_Lanes":
        return self

    def __exit__(self, *_error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    @property
    def busy(self) -> bool:
        """Whether there are features to come."""
        return bool(self._under_way)

    def put(self, batch: list[Chunk]) -> None:
        """Begin with a batch, once there is room for it."""
        if len(self._under_way) >= self._backbone.lanes:
            self._finish_oldest()
        self._under_way.append((batch, self._pool.submit(self._embed, batch)))

    def take(self, *, everything: bool) -> list[tuple[Chunk, "_Features"]]:
        """Features that are there, (n, D) float16 for each chunk; with ``everything`` also those still under way."""
        while self._under_way and (everything or self._under_way[0][1].done()):
            self._finish_oldest()
        done, self._done = self._done, []
        return done

    def _embed(self, batch: list[Chunk]) -> torch.Tensor:
        return self._backbone.embed(torch.cat([chunk.frames for chunk in batch])).to(torch.float16)

    def _finish_oldest(self) -> None:
        batch, future = self._under_way.popleft()
        started = time.monotonic()
        features = future.result()
        self._throughput.embedding_s += time.monotonic() - started
        self._throughput.frames += len(features)
        for chunk, part in zip(batch, torch.split(features, [len(each.frames) for each in batch]), strict=True):
            # A copy: a view would keep the whole batch alive for as long as its longest video is under way.
            self._done.append((chunk, part.numpy().copy()))


def _cut(chunks: list[Chunk], batch_size: int) -> tuple[list[Chunk], list[Chunk]]:
    """The first ``batch_size`` frames, and the rest; a chunk may be cut in two."""
    taken: list[Chunk] = []
    room = batch_size
    for position, chunk in enumerate(chunks):
        if len(chunk.frames) > room:
            head = Chunk(chunk.path, chunk.frames[:room], chunk.timestamps_s[:room])
            tail = Chunk(chunk.path, chunk.frames[room:], chunk.timestamps_s[room:])
            return [*taken, *([head] if room else [])], [tail, *chunks[position + 1 :]]
        taken.append(chunk)
        room -= len(chunk.frames)
    return taken, []


def _whole(done: _Partial, end: Decoded) -> VideoFeatures:
    timestamps_s = np.asarray(done.timestamps_s, dtype=np.float64)
    return VideoFeatures(np.concatenate(done.features), timestamps_s, end.metadata, end.source, end.notes)
