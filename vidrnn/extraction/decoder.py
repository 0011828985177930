"""One decoder process as its owner sees it: started when needed, ended when it crashes, hangs or takes too long."""

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import send_handle
from pathlib import Path

import torch

from vidrnn.errors import DecoderError
from vidrnn.extraction.child import obituary
from vidrnn.extraction.decode_worker import Reader, serve
from vidrnn.extraction.jobs import Failure, Job
from vidrnn.extraction.messages import Compared, Drawn, Finished, Frames, Message, Read, Refused, Request
from vidrnn.extraction.processes import decoder_context
from vidrnn.extraction.shared_frames import SharedFrames
from vidrnn.processes import start
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.store.video_features import VideoFeatures

# FFmpeg and PyTorch keep a few kilobytes per video for good; a fresh process gives them back.
_VIDEOS_PER_PROCESS = 500
_PLACES = 3  # chunks of frames that may wait for their owner
_GLANCE_S = 0.1  # how often a wait looks whether the run has been stopped
_START_LIMIT_S = 300.0  # a first import from a slow network drive


@dataclass(frozen=True)
class Chunk:
    """Some frames of one drawing of a video, in order: (n, 3, S, S) uint8 and their times.

    The frames lie in memory that the decoder waits for: whoever is done with them drops them.
    """

    job: Job
    reading: int
    frames: torch.Tensor
    timestamps_s: list[float]


@dataclass(frozen=True)
class Ended:
    """The last message about one reading of a video: how it was drawn, its features, or why there are none."""

    job: Job
    reading: int
    how: Drawn | Read | Failure


class StoppedError(Exception):
    """The run was stopped while a decoder was at work."""


class _LostError(Exception):
    """The process is of no more use; the message says why."""


class Decoder:
    """Reads videos one after the other in a process of its own. Used by one thread."""

    def __init__(self, read: Reader, *, settings: ExtractionSettings, stop: threading.Event) -> None:
        self._reader = read
        self._settings = settings
        self._stop = stop
        self._process: BaseProcess | None = None
        self._channel: Connection | None = None
        self._shared: SharedFrames | None = None
        self._videos = 0
        self._busy_s = 0.0

    def decode(self, job: Job, wanted: Sequence[int]) -> Iterator[Chunk | Ended]:
        """All that is wanted of a video: chunks of frames, and one end for each reading.

        Time in which the caller does not ask for more, or holds all frames that there is room for, does not count
        against the limits.

        Args:
            job: the video.
            wanted: numbers of the readings.

        Raises:
            StoppedError: the run was stopped. DecoderError: no decoder process can be started at all.
        """
        self._begin_file()
        left = set(wanted)
        try:
            for message in self._answers(Request(job.source, tuple(wanted))):
                if isinstance(message, Frames):
                    yield self._chunk(job, message)
                elif not isinstance(message, Compared):
                    left.discard(message.reading)
                    yield Ended(job, message.reading, self._how(job, message))
            assert not left, f"the decoder said nothing of {left}"
            return
        except _LostError as error:
            self.close()
            cause = str(error)
        except (EOFError, OSError):
            cause = self._obituary()
        for reading in sorted(left):
            yield Ended(job, reading, Failure(job.path, "process", cause, self._busy_s))

    def compare(self, source: Path, made: Mapping[int, Mapping[int, VideoFeatures]]) -> dict[int, str | None]:
        """What makes features differ from what an earlier version made of a file; None where nothing does.

        Args:
            source: the file.
            made: the features, by the number of the reading and then of the pass.

        Returns:
            By the number of the pass; those about which nothing can be said are left out.

        Raises:
            StoppedError, DecoderError: as `decode`.
        """
        self._begin_file()
        found: dict[int, str | None] = {}
        try:
            for message in self._answers(Request(source, made=made)):
                if isinstance(message, Compared):
                    found[message.number] = message.change
        except (EOFError, OSError, _LostError):
            self.close()
        return found

    def _begin_file(self) -> None:
        if self._process is None or self._videos >= _VIDEOS_PER_PROCESS or not self._process.is_alive():
            self._restart()
        self._videos += 1
        self._busy_s = 0.0

    def _answers(self, request: Request) -> Iterator[Frames | Drawn | Read | Refused | Compared]:
        """What the process says until it is done with a file. Raises EOFError, OSError or _LostError before that."""
        assert self._channel is not None
        self._channel.send(request)
        while not isinstance(message := self._receive(), Finished):
            if message is not None:
                yield message

    def _chunk(self, job: Job, message: Frames) -> Chunk:
        assert self._shared is not None
        frames = torch.from_numpy(self._shared.get(message.place, message.shape))
        return Chunk(job, message.reading, frames, message.timestamps_s)

    def _how(self, job: Job, message: Drawn | Read | Refused) -> Drawn | Read | Failure:
        if isinstance(message, Refused):
            return Failure(job.path, message.stage, message.cause, self._busy_s)
        return message

    def close(self) -> None:
        """End the process, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self._shared = None

    def _restart(self) -> None:
        self.close()
        context = decoder_context()
        place_bytes = self._reader.place_bytes()
        file = SharedFrames.create(places=_PLACES, place_bytes=place_bytes)
        try:
            self._shared = SharedFrames(file, places=_PLACES, place_bytes=place_bytes)
            self._channel, theirs = context.Pipe()
            arguments = (theirs, self._reader, _PLACES, self._settings.memory_limit_mb)
            self._process = context.Process(target=serve, args=arguments, daemon=True)
            start(self._process)
            theirs.close()
            self._videos = 0
            assert self._process.pid is not None
            send_handle(self._channel, file, self._process.pid)
            self._receive(limit_s=_START_LIMIT_S)
        except (EOFError, OSError, _LostError) as error:
            cause = f"not within {_START_LIMIT_S:g} s" if isinstance(error, _LostError) else self._obituary()
            self.close()
            raise DecoderError(
                f"a decoder process cannot start ({cause}); what it printed says more, and so does "
                f"`python -c 'import {serve.__module__}'`"
            ) from error
        finally:
            os.close(file)

    def _receive(self, *, limit_s: float | None = None) -> Message:
        """The next message, within the limits."""
        assert self._channel is not None
        settings = self._settings
        stall_s = limit_s or settings.stall_limit_s
        silent_s = 0.0
        while True:
            started = time.monotonic()
            ready = self._channel.poll(_GLANCE_S)
            waited = 0.0 if self._shared is not None and self._shared.is_full else time.monotonic() - started
            self._busy_s, silent_s = self._busy_s + waited, silent_s + waited
            if ready:
                message: Message = self._channel.recv()
                return message
            if self._stop.is_set():
                raise StoppedError
            if silent_s > stall_s:
                raise _LostError(
                    f"the decoder hung: nothing read or decoded for {stall_s:g} s (extraction.stall_limit_s); "
                    "re-encode or replace the file"
                )
            if limit_s is None and self._busy_s > settings.time_limit_s:
                raise _LostError(
                    f"not decoded within {settings.time_limit_s:g} s (extraction.time_limit_s); raise the limit or "
                    "sample fewer frames"
                )

    def _obituary(self) -> str:
        """Why the process is gone."""
        assert self._process is not None
        self._process.join(timeout=5)
        code = self._process.exitcode
        self.close()
        return obituary(code)
