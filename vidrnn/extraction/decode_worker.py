"""What runs in a decoder process: it receives requests, reads each file once, and sends all that is wanted of it."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from pathlib import Path

import numpy as np
import torch

from vidrnn.errors import AbsentStreamError, VideoError
from vidrnn.extraction.changes import change_since
from vidrnn.extraction.child import NEEDS_MEMORY, alive, end_with_parent, lacks_memory, limit_memory
from vidrnn.extraction.drawing import DecodingError, DrawVideo, draw_video
from vidrnn.extraction.embedder import ChangeSince, ReadStream
from vidrnn.extraction.jobs import ABSENT
from vidrnn.extraction.messages import Compared, Finished, Frames, Item, Pixels, Read, Refused, Request
from vidrnn.extraction.shared_frames import SharedFrames
from vidrnn.frames.fitting import Drawing
from vidrnn.store.video_features import VideoFeatures


@dataclass(frozen=True)
class Reader:
    """All that a decoder process may be asked for, by the numbers of the readings.

    Attributes:
        drawings: of pictures.
        streams: of other things in the file.
        chunk_size: most frames in a chunk.
        draw_one: how pictures are drawn.
        gpu: number of the GPU that decodes, None: the CPU.
        changes: by the readings of ``streams``, what tells features of an earlier version that differ.
    """

    drawings: Mapping[int, Drawing]
    streams: Mapping[int, ReadStream]
    chunk_size: int
    draw_one: DrawVideo = draw_video
    gpu: int | None = None
    changes: Mapping[int, ChangeSince] = field(default_factory=dict)

    def __call__(self, request: Request, on_progress: Callable[[], None]) -> Iterator[Item]:
        """All that is wanted of a file; a reading that fails costs only itself."""
        for reading, made in request.made.items():
            for number, features in made.items():
                with suppress(VideoError, OSError, MemoryError):  # without an answer they are made anew, which says why
                    yield Compared(number, self._change_since(features, request.source, reading, on_progress))
        drawings = {number: self.drawings[number] for number in request.wanted if number in self.drawings}
        if drawings:
            draw_one = self.draw_one if self.gpu is None else partial(draw_video, gpu=self.gpu)
            yield from _or_refused(drawings, draw_one(request.source, drawings, self.chunk_size, on_progress))
        for number in request.wanted:
            if number in self.streams:
                found = (Read(number, features) for features in self.streams[number](request.source, on_progress))
                yield from _or_refused((number,), found)

    def _change_since(
        self, made: VideoFeatures, source: Path, reading: int, on_progress: Callable[[], None]
    ) -> str | None:
        if reading in self.drawings:
            return change_since(made, source, self.drawings[reading], on_progress=on_progress)
        return self.changes[reading](made, source)

    def place_bytes(self) -> int:
        """Size of the largest chunk."""
        shapes = (drawing.preprocessing.shape for drawing in self.drawings.values())
        return max((self.chunk_size * int(np.prod(shape)) for shape in shapes), default=1)


def _or_refused(numbers: Sequence[int] | Mapping[int, object], items: Iterator[Item]) -> Iterator[Item]:
    """What comes, and when it stops with an error, the same refusal for each reading that has not ended."""
    left = set(numbers)
    try:
        for item in items:
            if not isinstance(item, Pixels | Compared):
                left.discard(item.reading)
            yield item
        return
    except Exception as error:
        if (refusal := _refusal_of(error)) is None:
            raise
        stage, cause = refusal
    for number in sorted(left):
        yield Refused(number, stage, cause)


def _refusal_of(error: Exception) -> tuple[str, str] | None:
    """The stage and the cause of a failure; None of an error that nobody expected, which ends the process."""
    if lacks_memory(error):
        return "decode", NEEDS_MEMORY
    if isinstance(error, AbsentStreamError):
        return ABSENT, str(error)
    if isinstance(error, DecodingError):
        return "decode", str(error)
    if isinstance(error, VideoError | OSError):
        return "probe", str(error)
    return None


def serve(channel: Connection, read: Reader, places: int, memory_limit_mb: int) -> None:
    """Body of a decoder process: receive requests, send messages, until the channel closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    threading.Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    file = recv_handle(channel)
    shared = SharedFrames(file, places=places, place_bytes=read.place_bytes())
    os.close(file)
    if read.gpu is not None:  # PyTorch's context, in which FFmpeg decodes; what it takes is not the video's
        torch.zeros(1, device=f"cuda:{read.gpu}")
    limit_memory(memory_limit_mb)
    try:
        channel.send(None)  # ready
        while True:
            request = channel.recv()
            for item in read(request, alive(channel)):
                if isinstance(item, Pixels):
                    shape = (len(item.frames), *item.frames[0].shape)
                    channel.send(Frames(item.reading, item.timestamps_s, shape, shared.put(item.frames)))
                else:
                    channel.send(item)
            channel.send(Finished())
    except (EOFError, BrokenPipeError, ConnectionResetError):  # the parent has what it wanted
        return
