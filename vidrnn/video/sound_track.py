"""The sound of a video on its way into an MP4: copied, or encoded anew where a browser would be silent."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from vidrnn.errors import AbsentStreamError, VideoError
from vidrnn.video.container import cause_of, longest_step_s, open_audio, packets_of
from vidrnn.video.pictures import is_still

_COPIED = frozenset({"aac", "flac", "mp3", "opus"})  # what browsers play in an MP4
_AAC_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000})
_RATE = 48000
_BEFORE_S = 0.1  # a decoder of sound is in tune after this (Opus asks for 80 ms); players leave it out
_BACK_S = 1.0  # a clock that drifts back by less has not been set anew, see `vidrnn.video.audio`
_SEEKABLE = frozenset({"matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"})
_WINDUP_S = 2.0  # how much earlier than wanted is read after a seek


class SoundTrack:
    """The default audio track of a file, written into another.

    Sound that does not begin with the pictures keeps its distance from them. A clock that is set anew goes on where it
    was, as the clock of the pictures does.

    Args:
        path: the file.
        output: gets a stream; its header is not written yet.
        zero_s: where the file's clock stands at time 0 of the new file.
        length_s: sound from 0 to here is written.
        on_progress: called for each packet that is read.

    Attributes:
        notes: what is not as it was in the file.
    """

    def __init__(
        self,
        path: Path,
        output: OutputContainer,
        *,
        zero_s: float,
        length_s: float = math.inf,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._output, self._length_s, self._on_progress = output, length_s, on_progress
        self.notes: tuple[str, ...] = ()
        self._stack = ExitStack()
        container, stream = self._stack.enter_context(open_audio(path))
        self._clock = _Clock(container, stream, zero_s=zero_s)
        if zero_s > _WINDUP_S and container.format.name in _SEEKABLE and stream.time_base:
            container.seek(int((zero_s - _WINDUP_S) / stream.time_base), stream=stream)
        codec = stream.codec_context.codec.canonical_name
        if codec in _COPIED:
            self._packets = self._copied(container, stream, output.add_stream_from_template(stream, opaque=True))
        else:
            self.notes = (f"its sound ({codec}) is encoded anew as AAC, which browsers play in MP4",)
            self._packets = self._encoded(container, stream)
        self._next: Packet[AudioStream] | None = None

    def write_until(self, time_s: float | None) -> None:
        """Write what begins before a time of the new file; None: all that is left.

        Damaged sound ends where it is damaged, with a note: the pictures are worth more.
        """
        try:
            while (packet := self._next or next(self._packets, None)) is not None:
                self._next = packet
                if time_s is not None and packet.dts is not None and packet.dts * packet.time_base >= time_s:
                    return
                self._next = None
                self._output.mux(packet)
        except (VideoError, av.InvalidDataError, av.error.EOFError) as error:
            self._packets = iter(())
            self.notes += (f"its sound is damaged and ends early: {cause_of(error)}",)

    def close(self) -> None:
        """Close the file that was read."""
        self._stack.close()

    def _copied(
        self, container: InputContainer, stream: AudioStream, target: AudioStream
    ) -> "Iterator[Packet[AudioStream]]":
        last = None
        for packet in packets_of(container, stream):
            self._on_progress()
            if not packet.size or packet.pts is None:
                continue
            length = packet.duration or 0
            begin = self._clock.place(packet.pts, length)
            if (begin + length) * self._clock.unit_s <= -_BEFORE_S or (last is not None and begin <= last):
                continue
            if begin * self._clock.unit_s >= self._length_s:
                return
            packet.pts = packet.dts = last = begin
            packet.stream = target
            yield packet

    def _encoded(self, container: InputContainer, stream: AudioStream) -> "Iterator[Packet[AudioStream]]":
        """The encoder is made when the first packet is asked for, which is before the header is written."""
        given = stream.codec_context
        target = self._output.add_stream("aac", rate=given.sample_rate if given.sample_rate in _AAC_RATES else _RATE)
        target.layout = "mono" if given.channels == 1 else "stereo"
        target.bit_rate = 64_000 * (1 if given.channels == 1 else 2)
        return self._encoded_frames(container, stream, target)

    def _encoded_frames(
        self, container: InputContainer, stream: AudioStream, target: AudioStream
    ) -> "Iterator[Packet[AudioStream]]":
        for packet in packets_of(container, stream):
            self._on_progress()
            for frame in packet.decode():
                if self._is_wanted(frame, stream):
                    yield from target.encode(frame)
        yield from target.encode(None)

    def _is_wanted(self, frame: AudioFrame, stream: AudioStream) -> bool:
        unit = frame.time_base or stream.time_base
        if frame.pts is None or unit is None:
            return False
        length = round(frame.samples / frame.sample_rate / unit)
        frame.pts = self._clock.place(frame.pts, length)
        begin_s = float(frame.pts * unit)
        return begin_s + float(length * unit) > -_BEFORE_S and begin_s < self._length_s


class _Clock:
    """Times of one track on the clock of the new file, in the track's unit."""

    def __init__(self, container: InputContainer, stream: AudioStream, *, zero_s: float) -> None:
        if stream.time_base is None:
            raise AbsentStreamError("has sound without times")
        self.unit_s = float(stream.time_base)
        self._offset = -round(zero_s / self.unit_s)
        self._limit = longest_step_s(container)
        self._end: int | None = None

    def place(self, pts: int, duration: int) -> int:
        """When something begins that the file says to begin at ``pts``."""
        begin = pts + self._offset
        if self._end is not None and not -_BACK_S <= (begin - self._end) * self.unit_s <= self._limit:
            self._offset += self._end - begin
            begin = self._end
        self._end = begin + duration
        return begin


def open_sound(
    path: Path,
    output: OutputContainer,
    *,
    zero_s: float,
    length_s: float = math.inf,
    on_progress: Callable[[], None] = lambda: None,
) -> SoundTrack | None:
    """A `SoundTrack`; None where a video has no sound, or is made of pictures."""
    if path.is_dir() or is_still(path):
        return None
    try:
        return SoundTrack(path, output, zero_s=zero_s, length_s=length_s, on_progress=on_progress)
    except AbsentStreamError:
        return None
