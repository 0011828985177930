"""What runs in a decoder process: one video at a time to fitted frames, which are sent to the process that embeds them.

FFmpeg is a large body of C that reads whatever people have in their folders. In a process of its own, a crash, a hang
or a flood of memory costs the one video that caused it.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.errors import AbsentStreamError, VideoError
from vidrnn.extraction.jobs import ABSENT
from vidrnn.frames.fitting import fitted_steps
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.store.source import Source, is_there, state_of
from vidrnn.store.video_features import VideoFeatures, VideoMetadata
from vidrnn.video.probe import probe
from vidrnn.video.sampling import Sampling

_ALIVE_EVERY_S = 1.0


@dataclass(frozen=True)
class Frames:
    """Announces some frames of the video under way, in order; their bytes follow, uint8 of this shape (n first)."""

    timestamps_s: list[float]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Decoded:
    """The last message about a video that gave frames."""

    num_frames: int
    metadata: VideoMetadata
    source: Source
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Refused:
    """The last message about a video that cannot be decoded."""

    stage: str
    cause: str


Message = Frames | Decoded | VideoFeatures | Refused | None  # None: still alive, nothing to show yet
Item = tuple[list[float], npt.NDArray[np.uint8]] | Decoded | VideoFeatures
ReadVideo = Callable[[Path, Callable[[], None]], Iterator[Item]]
"""What a decoder process does with one file; the second argument is called for every packet and frame.

It gives frames in chunks and then one `Decoded`, or computes the features itself and gives just these."""
DecodeVideo = Callable[[Path, Sampling, Preprocessing, int, Callable[[], None]], Iterator[Item]]


@dataclass(frozen=True)
class ReadFrames:
    """A `ReadVideo` that gives frames: how they are decoded, with all that decides which and in what form."""

    decode_one: DecodeVideo
    sampling: Sampling
    preprocessing: Preprocessing
    chunk_size: int

    def __call__(self, source: Path, on_progress: Callable[[], None]) -> Iterator[Item]:
        """Frames in chunks, then their end."""
        return self.decode_one(source, self.sampling, self.preprocessing, self.chunk_size, on_progress)


def decode_video(
    source: Path, sampling: Sampling, preprocessing: Preprocessing, chunk_size: int, on_progress: Callable[[], None]
) -> Iterator[Item]:
    """Decode the frames that are kept, bring them to the network's square, and hand them on in chunks.

    Args:
        source: the video file, or the folder of its frames.
        sampling: which frames.
        preprocessing: how they are fitted, and what the stream makes of them.
        chunk_size: most frames in a chunk.
        on_progress: called for every packet and frame.

    Yields:
        ``(times in seconds, (n, 3, S, S) uint8)`` (or n times `Preprocessing.shape`), then one `Decoded`.

    Raises:
        VideoError: it cannot be decoded, or was written to meanwhile. OSError: it cannot be read.
    """
    before = state_of(source) if is_there(source) else None
    video = probe(
        source,
        frame_rate=sampling.frame_rate,
        frame_template=sampling.frame_template,
        on_progress=on_progress,
    )
    indices = sampling.select(video.timestamps_s)
    frames: list[npt.NDArray[np.uint8]] = []
    times: list[float] = []
    num_frames = 0
    sizes: dict[tuple[int, int], None] = {}
    try:
        for step in fitted_steps(video, indices, preprocessing, on_progress=on_progress):
            frames.append(step.pixels)
            times.append(step.timestamp_s)
            sizes[step.size] = None
            num_frames += 1
            if len(frames) == chunk_size:
                yield times, np.stack(frames)
                frames, times = [], []
        if frames:
            yield times, np.stack(frames)
        digest = Source.of(source)
    except (VideoError, OSError) as error:
        raise DecodingError(str(error)) from error
    if before != (digest.size, digest.mtime_ns):
        raise DecodingError("was written to while it was decoded; run again when the file is complete")
    notes = video.notes + _notes(wanted=len(indices), got=num_frames, sizes=list(sizes))
    metadata = VideoMetadata(video.width, video.height, video.num_frames, video.duration_s)
    yield Decoded(num_frames, metadata, digest, notes)


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


def serve(channel: Connection, read: ReadVideo, memory_limit_mb: int) -> None:
    """Body of a decoder process: receive a path, send messages, until the channel closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _limit_memory(memory_limit_mb)
    try:
        channel.send(None)  # ready
        while True:
            source = channel.recv()
            for message, frames in _messages(source, channel, read):
                channel.send(message)
                if frames is not None:
                    channel.send_bytes(np.ascontiguousarray(frames).data.cast("B"))
    except (EOFError, BrokenPipeError, ConnectionResetError):  # the parent has what it wanted
        return


def _messages(
    source: Path, channel: Connection, read: ReadVideo
) -> Iterator[tuple[Message, npt.NDArray[np.uint8] | None]]:
    spoken_s = time.monotonic()

    def on_progress() -> None:
        nonlocal spoken_s
        if time.monotonic() - spoken_s > _ALIVE_EVERY_S:
            channel.send(None)
            spoken_s = time.monotonic()

    try:
        for item in read(source, on_progress):
            if isinstance(item, tuple):
                yield Frames(item[0], item[1].shape), item[1]
            else:
                yield item, None
    except AbsentStreamError as error:
        yield Refused(ABSENT, str(error)), None
    except DecodingError as error:
        yield Refused("decode", str(error)), None
    except (VideoError, OSError) as error:
        yield Refused("probe", str(error)), None
    except MemoryError:
        yield Refused("decode", "needs more memory than features.memory_limit_mb allows a decoder"), None


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
    import resource

    status = Path("/proc/self/status").read_text(encoding="ascii")
    taken_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:"))
    limit = taken_kb * 1024 + megabytes * 1_000_000
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
