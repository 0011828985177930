"""What runs in a decoder process: it receives requests, reads each file once, and sends all that is wanted of it."""

import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.errors import AbsentStreamError, VideoError
from vidrnn.extraction.embedder import ReadStream
from vidrnn.extraction.jobs import ABSENT
from vidrnn.extraction.shared_frames import SharedFrames
from vidrnn.frames.fitting import Drawing, Step, draw, indices_of, refusal
from vidrnn.store.source import Source, is_there, state_of
from vidrnn.store.video_features import VideoFeatures, VideoMetadata
from vidrnn.video.probe import Video, probe

_ALIVE_EVERY_S = 1.0


@dataclass(frozen=True)
class Request:
    """A file, and the numbers of the readings that are wanted of it."""

    source: Path
    wanted: tuple[int, ...]


@dataclass(frozen=True)
class Pixels:
    """Some frames of a drawing, in order: their times in seconds, and n arrays of the shape `Preprocessing.shape`."""

    reading: int
    timestamps_s: list[float]
    frames: list[npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Frames:
    """Says where `Pixels` lie in the shared memory; ``shape`` has n first."""

    reading: int
    timestamps_s: list[float]
    shape: tuple[int, ...]
    place: int


@dataclass(frozen=True)
class Drawn:
    """The last message about a drawing that gave frames."""

    reading: int
    num_frames: int
    metadata: VideoMetadata
    source: Source
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Read:
    """The only message about a stream whose features were computed here."""

    reading: int
    features: VideoFeatures


@dataclass(frozen=True)
class Refused:
    """The last message about a reading that cannot be had."""

    reading: int
    stage: str
    cause: str


@dataclass(frozen=True)
class Finished:
    """The last message about a file."""


Item = Pixels | Drawn | Read | Refused
Message = Frames | Drawn | Read | Refused | Finished | None  # None: still alive, nothing to show yet
DrawVideo = Callable[[Path, Mapping[int, Drawing], int, Callable[[], None]], Iterator[Item]]


def draw_video(
    source: Path,
    drawings: Mapping[int, Drawing],
    chunk_size: int,
    on_progress: Callable[[], None],
    *,
    gpu: int | None = None,
) -> Iterator[Item]:
    """Decode a video once, draw what is wanted, and hand it on in chunks.

    Args:
        source: the video file, or the folder of its frames.
        drawings: what is wanted, by the number of its reading; all read folders of frames in the same way.
        chunk_size: most frames in a chunk.
        on_progress: called for every packet and frame.
        gpu: as in `draw`.

    Yields:
        `Pixels` of all drawings, then one `Drawn` or `Refused` for each.

    Raises:
        VideoError: it cannot be decoded, or was written to meanwhile. OSError: it cannot be read.
    """
    before = state_of(source) if is_there(source) else None
    sampling = next(iter(drawings.values())).sampling
    video = probe(
        source, frame_rate=sampling.frame_rate, frame_template=sampling.frame_template, on_progress=on_progress
    )
    refused = {number: cause for number, drawing in drawings.items() if (cause := refusal(video, drawing))}
    sheets = {number: _Sheet(number) for number in drawings if number not in refused}
    if sheets:
        try:
            for number, step in draw(
                video, {reading: drawings[reading] for reading in sheets}, gpu=gpu, on_progress=on_progress
            ):
                sheet = sheets[number]
                sheet.add(step)
                if len(sheet.frames) == chunk_size:
                    yield sheet.take()
            for sheet in sheets.values():
                if sheet.frames:
                    yield sheet.take()
            digest = Source.of(source, on_read=lambda _count: on_progress())
        except (VideoError, OSError) as error:
            raise DecodingError(str(error)) from error
        if before != (digest.size, digest.mtime_ns):
            raise DecodingError("was written to while it was decoded; run again when the file is complete")
        for number, sheet in sheets.items():
            yield sheet.end(video, digest, drawings[number], gpu=gpu)
    for number, cause in refused.items():
        yield Refused(number, "decode", cause)


@dataclass
class _Sheet:
    """What has been drawn and not handed on yet, and what is known of the rest."""

    reading: int
    frames: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    timestamps_s: list[float] = field(default_factory=list)
    num_frames: int = 0
    sizes: dict[tuple[int, int], None] = field(default_factory=dict)
    by_gpu: int = 0

    def add(self, step: Step) -> None:
        self.frames.append(step.pixels)
        self.timestamps_s.append(step.timestamp_s)
        self.sizes[step.size] = None
        self.num_frames += 1
        self.by_gpu += step.by_gpu

    def take(self) -> Pixels:
        taken = Pixels(self.reading, self.timestamps_s, self.frames)
        self.frames, self.timestamps_s = [], []
        return taken

    def end(self, video: Video, source: Source, drawing: Drawing, *, gpu: int | None) -> Drawn | Refused:
        wanted = len(indices_of(video, drawing))
        if not self.num_frames:
            return Refused(self.reading, "decode", f"none of {wanted} wanted frames holds a picture")
        notes = video.notes + drawing.sampling.thinning(video.timestamps_s)
        notes += _notes(wanted=wanted, got=self.num_frames, sizes=list(self.sizes))
        if gpu is not None and video.pictures is None and self.by_gpu < self.num_frames:
            notes += (f"the GPU does not decode it ({video.codec}, {video.pixel_format}); decoded on the CPU",)
        codec = f"{video.codec} in {video.container.split(',')[0]}"
        metadata = VideoMetadata(
            video.width, video.height, video.num_frames, video.duration_s, codec, video.pixel_aspect
        )
        return Drawn(self.reading, self.num_frames, metadata, source, notes)


def _notes(*, wanted: int, got: int, sizes: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """What only decoding shows."""
    notes = []
    if got < wanted:
        notes.append(f"{wanted - got} of {wanted} wanted frames hold no picture of their own")
    if len(sizes) > 1:
        shown = ", ".join(f"{width}x{height}" for width, height in sizes[:3]) + (" ..." if len(sizes) > 3 else "")
        notes.append(f"its frames have {len(sizes)} sizes ({shown}), each fitted alone")
    return tuple(notes)


class DecodingError(VideoError):
    """A video was opened and indexed, but its frames did not come."""


@dataclass(frozen=True)
class Reader:
    """All that a decoder process may be asked for, by the numbers of the readings.

    Attributes:
        drawings: of pictures.
        streams: of other things in the file.
        chunk_size: most frames in a chunk.
        draw_one: how pictures are drawn.
        gpu: number of the GPU that decodes, None: the CPU.
    """

    drawings: Mapping[int, Drawing]
    streams: Mapping[int, ReadStream]
    chunk_size: int
    draw_one: DrawVideo = draw_video
    gpu: int | None = None

    def __call__(self, request: Request, on_progress: Callable[[], None]) -> Iterator[Item]:
        """All that is wanted of a file; a reading that fails costs only itself."""
        drawings = {number: self.drawings[number] for number in request.wanted if number in self.drawings}
        if drawings:
            draw_one = self.draw_one if self.gpu is None else partial(draw_video, gpu=self.gpu)
            yield from _or_refused(drawings, draw_one(request.source, drawings, self.chunk_size, on_progress))
        for number in request.wanted:
            if number in self.streams:
                found = (Read(number, features) for features in self.streams[number](request.source, on_progress))
                yield from _or_refused((number,), found)

    def place_bytes(self) -> int:
        """Size of the largest chunk."""
        shapes = (drawing.preprocessing.shape for drawing in self.drawings.values())
        return max((self.chunk_size * int(np.prod(shape)) for shape in shapes), default=1)


def _or_refused(numbers: Sequence[int] | Mapping[int, object], items: Iterator[Item]) -> Iterator[Item]:
    """What comes, and when it stops with an error, the same refusal for each reading that has not ended."""
    left = set(numbers)
    try:
        for item in items:
            if not isinstance(item, Pixels):
                left.discard(item.reading)
            yield item
        return
    except AbsentStreamError as error:
        stage, cause = ABSENT, str(error)
    except DecodingError as error:
        stage, cause = "decode", str(error)
    except (VideoError, OSError) as error:
        stage, cause = "probe", str(error)
    except MemoryError:
        stage, cause = "decode", "needs more memory than extraction.memory_limit_mb allows a decoder"
    for number in sorted(left):
        yield Refused(number, stage, cause)


def serve(channel: Connection, read: Reader, places: int, memory_limit_mb: int) -> None:
    """Body of a decoder process: receive requests, send messages, until the channel closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    file = recv_handle(channel)
    shared = SharedFrames(file, places=places, place_bytes=read.place_bytes())
    os.close(file)
    if read.gpu is not None:  # PyTorch's context, in which FFmpeg decodes; what it takes is not the video's
        torch.zeros(1, device=f"cuda:{read.gpu}")
    _limit_memory(memory_limit_mb)
    try:
        channel.send(None)  # ready
        while True:
            request = channel.recv()
            for item in read(request, _alive(channel)):
                if isinstance(item, Pixels):
                    shape = (len(item.frames), *item.frames[0].shape)
                    channel.send(Frames(item.reading, item.timestamps_s, shape, shared.put(item.frames)))
                else:
                    channel.send(item)
            channel.send(Finished())
    except (EOFError, BrokenPipeError, ConnectionResetError):  # the parent has what it wanted
        return


def _alive(channel: Connection) -> Callable[[], None]:
    """Something to call at every packet and frame, which says now and then that there was one."""
    spoken_s = time.monotonic()

    def on_progress() -> None:
        nonlocal spoken_s
        if time.monotonic() - spoken_s > _ALIVE_EVERY_S:
            channel.send(None)
            spoken_s = time.monotonic()

    return on_progress


def _end_with_parent() -> None:
    """A decoder that hangs in C would outlive a killed parent; nothing that it holds needs an orderly end."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _limit_memory(megabytes: int) -> None:
    """Bound what the process may take from here on. Only Linux counts memory in a way that serves."""
    if sys.platform != "linux":
        return
    status = Path("/proc/self/status").read_text(encoding="ascii")
    taken_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:"))
    limit = taken_kb * 1024 + megabytes * 1_000_000
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
