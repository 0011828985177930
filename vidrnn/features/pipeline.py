"""Videos to features in memory: decoder threads feed one backbone, and batches are filled across videos.

Each thread decodes one video at a time and puts fitted frames into a bounded queue, so memory is bounded by
``queued batches x batch size`` frames plus the features themselves, whatever the number and length of the videos.
"""

import contextlib
import queue
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from vidrnn.errors import VideoError
from vidrnn.features.backbones import Backbone
from vidrnn.features.preprocessing import Preprocessing
from vidrnn.features.store import Source, VideoFeatures, VideoMetadata
from vidrnn.video.decode import decode
from vidrnn.video.probe import probe
from vidrnn.video.sampling import Sampling

_QUEUED_BATCHES = 4


@dataclass(frozen=True)
class Job:
    """One video to embed: its name in the annotations and where it lies."""

    path: str
    source: Path


@dataclass(frozen=True)
class Failure:
    """One video that gave no features, and why."""

    path: str
    stage: str
    cause: str


@dataclass(frozen=True)
class _Chunk:
    """Some frames of one video, in order: (n, 3, S, S) uint8 and their times."""

    path: str
    frames: torch.Tensor
    timestamps_s: list[float]


@dataclass(frozen=True)
class _End:
    """The last message about a video."""

    path: str
    num_frames: int
    metadata: VideoMetadata
    source: Source
    notes: tuple[str, ...]


@dataclass
class _Partial:
    """Features of a video that is still under way."""

    features: list[np.ndarray[tuple[int, int], np.dtype[np.float16]]] = field(default_factory=list)
    timestamps_s: list[float] = field(default_factory=list)


_Message = _Chunk | _End | Failure | None  # None: a decoder thread has nothing more to do


def embed_videos(
    jobs: Iterable[Job], backbone: Backbone, *, batch_size: int, workers: int
) -> Iterator[tuple[str, VideoFeatures | Failure]]:
    """Embed many videos; a video that fails costs only itself.

    Args:
        jobs: taken one by one, so the iterable may be endless.
        backbone: says how frames are fitted and which are kept.
        batch_size: frames per backbone call.
        workers: decoder threads.

    Yields:
        (path, features or failure), each video once, in the order in which they finish.
    """
    messages: queue.Queue[_Message] = queue.Queue(maxsize=_QUEUED_BATCHES)
    waiting, lock, stop = iter(jobs), threading.Lock(), threading.Event()
    with ThreadPoolExecutor(workers, thread_name_prefix="decoder") as pool:
        chunk_size = max(batch_size // 2, 1)
        decoders = [
            pool.submit(_decode_all, waiting, lock, messages, stop, backbone, chunk_size) for _ in range(workers)
        ]
        for decoder in decoders:  # a bug ends the run now, not when the other threads have done everything else
            decoder.add_done_callback(lambda done: stop.set() if done.exception() else None)
        try:
            yield from _embed_all(messages, backbone, batch_size=batch_size, running=workers)
        finally:
            stop.set()
            while not all(decoder.done() for decoder in decoders):  # some may wait for room in the queue
                with contextlib.suppress(queue.Empty):
                    messages.get(timeout=0.05)
        for decoder in decoders:
            decoder.result()  # an error that is no fault of a video ends the run


def _decode_all(
    jobs: Iterator[Job],
    lock: threading.Lock,
    messages: "queue.Queue[_Message]",
    stop: threading.Event,
    backbone: Backbone,
    chunk_size: int,
) -> None:
    sampling = Sampling(**backbone.spec.sampling)
    try:
        while not stop.is_set():
            with lock:
                job = next(jobs, None)
            if job is None:
                return
            try:
                for message in _decode_one(job, sampling, backbone.preprocessing, chunk_size):
                    messages.put(message)
                    if stop.is_set():
                        return
            except (VideoError, OSError) as error:
                messages.put(Failure(job.path, "decode", str(error)))
    finally:
        messages.put(None)


def _decode_one(job: Job, sampling: Sampling, preprocessing: Preprocessing, chunk_size: int) -> Iterator[_Chunk | _End]:
    video = probe(job.source)
    indices = sampling.select(video.timestamps_s)
    frames: list[torch.Tensor] = []
    times: list[float] = []
    num_frames = 0
    for frame in decode(video, indices):
        frames.append(preprocessing.fit(frame.rgb))
        times.append(frame.timestamp_s)
        num_frames += 1
        if len(frames) == chunk_size:
            yield _Chunk(job.path, torch.stack(frames), times)
            frames, times = [], []
    if frames:
        yield _Chunk(job.path, torch.stack(frames), times)
    notes = video.notes
    if num_frames < len(indices):
        notes += (f"{len(indices) - num_frames} of {len(indices)} wanted frames hold no picture of their own",)
    metadata = VideoMetadata(video.width, video.height, video.num_frames, video.duration_s)
    yield _End(job.path, num_frames, metadata, Source.of(job.source), notes)


def _embed_all(
    messages: "queue.Queue[_Message]", backbone: Backbone, *, batch_size: int, running: int
) -> Iterator[tuple[str, VideoFeatures | Failure]]:
    partial: defaultdict[str, _Partial] = defaultdict(_Partial)
    pending: list[_Chunk] = []
    ended: dict[str, _End] = {}
    while running or pending:
        message = messages.get() if running else None
        if isinstance(message, Failure):
            pending = [chunk for chunk in pending if chunk.path != message.path]
            partial.pop(message.path, None)
            yield message.path, message
        elif isinstance(message, _End):
            ended[message.path] = message
        elif isinstance(message, _Chunk):
            pending.append(message)
        else:
            running -= 1
        while pending and (not running or sum(len(chunk.frames) for chunk in pending) >= batch_size):
            batch, pending = _cut(pending, batch_size)
            _embed_batch(batch, partial, backbone)
        for path in [path for path, end in ended.items() if len(partial[path].timestamps_s) == end.num_frames]:
            yield path, _whole(partial.pop(path), ended.pop(path))


def _cut(chunks: list[_Chunk], batch_size: int) -> tuple[list[_Chunk], list[_Chunk]]:
    """The first ``batch_size`` frames, and the rest; a chunk may be cut in two.

    Whole batches of one size matter beyond speed: the CPU backend keeps prepared code for every size that it meets.
    """
    taken: list[_Chunk] = []
    room = batch_size
    for position, chunk in enumerate(chunks):
        if len(chunk.frames) > room:
            head = _Chunk(chunk.path, chunk.frames[:room], chunk.timestamps_s[:room])
            tail = _Chunk(chunk.path, chunk.frames[room:], chunk.timestamps_s[room:])
            return [*taken, *([head] if room else [])], [tail, *chunks[position + 1 :]]
        taken.append(chunk)
        room -= len(chunk.frames)
    return taken, []


def _embed_batch(chunks: list[_Chunk], partial: dict[str, _Partial], backbone: Backbone) -> None:
    features = backbone.embed(torch.cat([chunk.frames for chunk in chunks])).to(torch.float16)
    for chunk, part in zip(chunks, torch.split(features, [len(chunk.frames) for chunk in chunks]), strict=True):
        # A copy: a view would keep the whole batch alive for as long as its longest video is under way.
        partial[chunk.path].features.append(part.numpy().copy())
        partial[chunk.path].timestamps_s.extend(chunk.timestamps_s)


def _whole(done: _Partial, end: _End) -> VideoFeatures:
    timestamps_s = np.asarray(done.timestamps_s, dtype=np.float64)
    return VideoFeatures(np.concatenate(done.features), timestamps_s, end.metadata, end.source, end.notes)
