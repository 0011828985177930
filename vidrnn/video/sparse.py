"""Decoding by a plan: only the packets that the wanted frames need are sent to the decoder.

Nothing here is taken on trust. Every packet must be the one that the index lists. Every wanted frame must come out with
exactly its time, in order and whole. At the first deviation `Doubt` is raised and the caller decodes from the start.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidrnn.video.container import packets_of
from vidrnn.video.packets import Integers, PacketIndex
from vidrnn.video.plan import Run

# Containers with an index of their own; in the others FFmpeg guesses where a time lies.
_SEEKABLE = frozenset({"avi", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"})
# A seek takes as long as reading some five packets (benchmarks/sparse_decoding.py); reading on asks less of the file.
_SEEK_PACKETS, _SEEK_BYTES = 50, 1 << 20


class Doubt(Exception):  # noqa: N818 - no error: the caller goes another way
    """Something is not as the index says."""


def decode_runs(
    container: InputContainer,
    stream: VideoStream,
    index: PacketIndex,
    runs: Sequence[Run],
    *,
    on_progress: Callable[[], None],
) -> Iterator[VideoFrame]:
    """Decode the wanted frames of all runs, in order.

    Args:
        container: freshly opened.
        stream: its video, from which nothing was decoded yet.
        index: the stream's packets.
        runs: what `plan` made for them.
        on_progress: called for every packet that is read.

    Raises:
        Doubt: something is not as the index says; the frames so far are right.
        av.FFmpegError, OSError: the decoder or the file fails, which may be the fault of a wrong start.
    """
    context = stream.codec_context
    codec = context.codec.canonical_name
    # Half a picture is no reason to stop for FFmpeg, but how it fills the gap depends on what was decoded before.
    context.options = {**context.options, "err_detect": "explode"}
    reader = PacketReader(container, stream, index, on_progress=on_progress)
    for run in runs:
        reader.approach(int(run.send[0]))
        wanted = deque(run.wanted)
        for frame in _frames(stream, reader.read(run.send)):
            if wanted and _is_next(frame, wanted, codec=codec):
                yield frame
                if not wanted:
                    break
        if wanted:
            raise Doubt(f"{len(wanted)} wanted frames did not come out of the decoder")
        context.flush_buffers()
        context.reorder_depth = index.reorder_depth  # emptying makes FFmpeg guess it anew


def _frames(stream: VideoStream, packets: "Iterator[Packet[VideoStream]]") -> Iterator[VideoFrame]:
    for packet in packets:
        yield from stream.codec_context.decode(packet)
    yield from stream.codec_context.decode(None)


def _is_next(frame: VideoFrame, wanted: deque[int], *, codec: str) -> bool:
    """Whether a frame is the next wanted one, which is then taken off the list."""
    if frame.is_corrupt or frame.pts is None or frame.pts > wanted[0]:
        raise Doubt(f"a frame at {frame.pts} came out before the one at {wanted[0]}, or a damaged one")
    if codec == "mpeg4" and frame.interlaced_frame:
        raise Doubt("FFmpeg builds B-frames in fields with a distance that it remembers from the first of the file")
    if frame.pts < wanted[0]:
        return False
    wanted.popleft()
    return True


class PacketReader:
    """Reads packets at given positions of the index, and holds each against it."""

    def __init__(
        self, container: InputContainer, stream: VideoStream, index: PacketIndex, *, on_progress: Callable[[], None]
    ) -> None:
        self._container, self._stream, self._index = container, stream, index
        self._on_progress = on_progress
        self._packets = packets_of(container, stream)
        self._next: Packet[VideoStream] | None = None  # read, but not handed out
        self._position = 0  # of the next packet
        self._seeks = container.format.name in _SEEKABLE
        self._bytes_before = np.concatenate([[0], np.cumsum(index.size)])

    def approach(self, position: int) -> None:
        """Seek to a packet when that is cheaper than reading on. The decoder must be empty."""
        index, ahead = self._index, position - self._position
        if ahead <= 0 or not self._seeks:
            return
        if ahead < _SEEK_PACKETS and self._bytes_before[position] - self._bytes_before[self._position] < _SEEK_BYTES:
            return
        self._container.seek(int(index.pts[position]), stream=self._stream)
        self._packets = packets_of(self._container, self._stream)
        self._next = self._read_one()
        landed = np.flatnonzero((index.pts == self._next.pts) & (index.size == self._next.size))
        if len(landed) != 1 or landed[0] > position:
            raise Doubt(f"a seek to packet {position} ended at {landed}")
        self._seeks = landed[0] > self._position  # a file without key frames in its index starts again and again
        self._position = int(landed[0])

    def read(self, positions: Integers) -> "Iterator[Packet[VideoStream]]":
        """The packets at strictly increasing positions that lie ahead."""
        for position in positions:
            while self._position <= position:
                packet = self._next or self._read_one()
                self._next = None
                self._check(packet)
                self._position += 1
            yield packet

    def _read_one(self) -> "Packet[VideoStream]":
        self._on_progress()
        packet = next(self._packets, None)
        if packet is None:
            raise Doubt("the file ends earlier than it did")
        return packet

    def _check(self, packet: "Packet[VideoStream]") -> None:
        index, position = self._index, self._position
        listed = index.pts[position], index.size[position], index.shown[position]
        if (packet.pts, packet.size, not packet.is_discard) != listed:
            raise Doubt(f"packet {position} is not the one that was listed")
