"""The sound of a video: the first audio track as one channel at one rate, block after block, each with its time.

Time is the presentation timestamp, in seconds since the start of the file, as for the pictures. Where a track is silent
there are samples of value zero; where it has a gap there is nothing.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from vidrnn.errors import AbsentStreamError, VideoError
from vidrnn.video.container import cause_of, file_start_s, longest_step_s, open_audio, packets_of, refuse_encrypted
from vidrnn.video.pictures import is_still
from vidrnn.video.restarts import STRAY, restart_note

_GAP_S = 0.05  # timestamps that are off by less (rounded to milliseconds, drifting) are taken as one after the other
_BACK_S = 1.0  # clocks drift back by less; what claims to be earlier than this has another clock, or a wrong time

_Timed = tuple[AudioFrame, float | None]  # when it begins, in seconds since the start of the file


@dataclass(frozen=True)
class SoundBlock:
    """Some consecutive samples.

    Attributes:
        samples: (N,) float32, -1 to 1 at full scale.
        start_s: when the first one sounds, in seconds since the start of the file.
        follows: whether it comes right behind the block before.
    """

    samples: npt.NDArray[np.float32]
    start_s: float
    follows: bool


class Sound:
    """The first audio track of a file.

    Channels are mixed by FFmpeg's weights for their layout (ITU-R BS.775), which sum to one: the same sound in all of
    them is as loud as in one.

    Attributes:
        notes: what a reader of the report should know; complete when `blocks` has come to its end.
    """

    def __init__(self, path: Path, *, rate: int, on_progress: Callable[[], None] = lambda: None) -> None:
        self._path, self._rate, self._on_progress = path, rate, on_progress
        self._gaps, self._left_out, self._restarts = 0, 0, 0
        self._tracks, self._track = 0, 0
        self._longest_step_s = math.inf

    @property
    def notes(self) -> tuple[str, ...]:
        """One text for each thing that is not as usual."""
        notes = []
        if self._tracks > 1:
            notes.append(
                f"holds {self._tracks} audio tracks; number {self._track} is used, the default one or the first"
            )
        if self._gaps:
            notes.append(f"its sound has {self._gaps} gaps, or a clock that drifts; the times in the file count")
        if self._restarts:
            notes.append(restart_note(self._restarts))
        if self._left_out:
            notes.append(f"{self._left_out} pieces of sound with a wrong time are left out")
        return tuple(notes)

    def blocks(self) -> Iterator[SoundBlock]:
        """Decode from start to end.

        Raises:
            AbsentStreamError: no audio track, or nothing in it.
            VideoError: it cannot be opened or decoded.
        """
        if self._path.is_dir() or is_still(self._path):
            raise AbsentStreamError("is made of pictures and has no sound")
        run: _Run | None = None
        end_s = 0.0
        for frame, time_s in self._on_one_clock():
            off_s = 0.0 if run is None or time_s is None else time_s - run.end_s
            if run is None or abs(off_s) > _GAP_S:
                if run is not None:
                    self._gaps += 1
                    yield from run.finish()
                run = _Run(end_s if time_s is None else time_s, self._rate)
            yield from run.add(frame)
            end_s = run.end_s
        if run is None:
            raise AbsentStreamError("has an audio track without any sound in it")
        yield from run.finish()

    def _on_one_clock(self) -> Iterator[_Timed]:
        """A clock that is set anew goes on where it was; a few frames after which it goes on by itself are left out."""
        held: list[tuple[AudioFrame, float]] = []
        offset_s, end_s = 0.0, math.nan
        for frame, track_s in self._frames():
            time_s = None if track_s is None else track_s + offset_s
            if time_s is not None and not math.isnan(end_s) and not self._follows(time_s, end_s):
                held.append((frame, time_s))
                if len(held) <= STRAY:
                    continue
                offset_s += end_s - held[0][1]
                for moved, moved_s in self._restarted(held, end_s):
                    end_s = moved_s + _seconds(moved)
                    yield moved, moved_s
            else:
                self._left_out += len(held)
                end_s = (end_s if time_s is None else time_s) + _seconds(frame)
                yield frame, time_s
            held = []
        yield from self._restarted(held, end_s)

    def _follows(self, time_s: float, end_s: float) -> bool:
        return -_BACK_S <= time_s - end_s <= self._longest_step_s

    def _restarted(self, held: Sequence[tuple[AudioFrame, float]], end_s: float) -> Iterator[tuple[AudioFrame, float]]:
        """The first frames of a new clock, on the one before, which came to its end at ``end_s``."""
        self._restarts += bool(held)
        for frame, time_s in held:
            moved_s = time_s - held[0][1] + end_s
            if self._follows(moved_s, end_s):
                yield frame, moved_s
            else:
                self._left_out += 1

    def _frames(self) -> Iterator[_Timed]:
        """Decoded frames, and when each begins."""
        with open_audio(self._path) as (container, stream):
            self._tracks = len(container.streams.audio)
            self._track = 1 + container.streams.audio.index(stream)
            self._longest_step_s = longest_step_s(container)
            zero_s, last_s = file_start_s(container, stream), 0.0
            try:
                for packet in packets_of(container, stream):
                    self._on_progress()
                    refuse_encrypted(packet)
                    for frame in packet.decode():
                        unit = frame.time_base or stream.time_base
                        time_s = None if frame.pts is None or unit is None else float(frame.pts * unit) - zero_s
                        last_s = last_s if time_s is None else time_s
                        if frame.samples:
                            yield frame, time_s
            except VideoError:
                raise
            except (av.FFmpegError, OSError, ValueError) as error:
                raise VideoError(
                    f"decoding its sound stopped at {last_s:.1f} s: {cause_of(error)}; the file is damaged, re-encode "
                    "or replace it"
                ) from error


def _seconds(frame: AudioFrame) -> float:
    return frame.samples / frame.sample_rate


class _Run:
    """Frames without a gap between them, on their way to one rate."""

    def __init__(self, start_s: float, rate: int) -> None:
        self._start_s, self._rate = start_s, rate
        self._taken_s, self._given = 0.0, 0
        self._form: tuple[str, str, int] | None = None
        self._resampler: AudioResampler | None = None

    @property
    def end_s(self) -> float:
        """When the next frame should begin."""
        return self._start_s + self._taken_s

    def add(self, frame: AudioFrame) -> Iterator[SoundBlock]:
        form = frame.format.name, frame.layout.name, frame.sample_rate
        if form != self._form:  # it may change on the way
            yield from self.finish()
            self._form = form
            # Without the limit, sounds that all channels share would be louder the more channels there are.
            options = {"rematrix_maxval": "1.0"}
            self._resampler = AudioResampler(format="flt", layout="mono", rate=self._rate, options=options)
        assert self._resampler is not None
        self._taken_s += _seconds(frame)
        frame.pts = None  # samples are counted from the start of the run
        yield from self._resample(self._resampler, frame)

    def finish(self) -> Iterator[SoundBlock]:
        """What the resampler still holds."""
        if self._resampler is not None:
            yield from self._resample(self._resampler, None)
            self._resampler = None

    def _resample(self, resampler: AudioResampler, frame: AudioFrame | None) -> Iterator[SoundBlock]:
        try:
            pieces = resampler.resample(frame)
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(
                f"its sound ({', '.join(map(str, self._form or ()))} Hz) cannot be brought to {self._rate} Hz: "
                f"{cause_of(error)}; the file is damaged, re-encode or replace it"
            ) from error
        for piece in pieces:
            samples = piece.to_ndarray()[0]
            if not np.isfinite(samples).all():
                raise VideoError("its sound holds values that are no numbers; re-encode or replace it")
            yield SoundBlock(samples, self._start_s + self._given / self._rate, follows=self._given > 0)
            self._given += len(samples)
