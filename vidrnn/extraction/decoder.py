"""One decoder process as its owner sees it: started when needed, ended when it crashes, hangs or takes too long."""

import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import numpy as np
import torch

from vidrnn.extraction.decode_worker import Decoded, Frames, Message, ReadVideo, Refused, serve
from vidrnn.extraction.jobs import Failure, Job
from vidrnn.extraction.processes import decoder_context
from vidrnn.settings.features import FeatureSettings
from vidrnn.store.video_features import VideoFeatures

# FFmpeg and PyTorch keep a few kilobytes per video for good; a fresh process gives them back.
_VIDEOS_PER_PROCESS = 500
_GLANCE_S = 0.1  # how often a wait looks whether the run has been stopped
_START_LIMIT_S = 300.0  # a first import from a slow network drive


@dataclass(frozen=True)
class Chunk:
    """Some frames of one video, in order: (n, 3, S, S) uint8 and their times."""

    path: str
    frames: torch.Tensor
    timestamps_s: list[float]


@dataclass(frozen=True)
class End:
    """The last message about a video that gave frames."""

    path: str
    decoded: Decoded


@dataclass(frozen=True)
class Whole:
    """The only message about a video whose features were computed in the process that read it."""

    path: str
    features: VideoFeatures


class StoppedError(Exception):
    """The run was stopped while a decoder was at work."""


class _LostError(Exception):
    """The process is of no more use; the message says why."""


class Decoder:
    """Decodes videos one after the other in a process of its own. Used by one thread."""

    def __init__(self, read: ReadVideo, *, settings: FeatureSettings, stop: threading.Event) -> None:
        self._arguments = (read, settings.memory_limit_mb)
        self._settings = settings
        self._stop = stop
        self._process: BaseProcess | None = None
        self._channel: Connection | None = None
        self._videos = 0
        self._busy_s = 0.0

    def decode(self, job: Job) -> Iterator[Chunk | End | Whole | Failure]:
        """All frames of a video in chunks, then its end; or its features; or, at any point, its failure.

        Time in which the caller does not ask for more does not count against the limits.

        Raises:
            StoppedError: the run was stopped. RuntimeError: no decoder process can be started at all.
        """
        if self._process is None or self._videos >= _VIDEOS_PER_PROCESS or not self._process.is_alive():
            self._restart()
        self._videos += 1
        self._busy_s = 0.0
        assert self._channel is not None
        try:
            self._send(job)
            while True:
                message = self._receive()
                if isinstance(message, Frames):
                    pixels = np.frombuffer(bytearray(self._channel.recv_bytes()), dtype=np.uint8)
                    yield Chunk(job.path, torch.from_numpy(pixels.reshape(message.shape)), message.timestamps_s)
                elif isinstance(message, Decoded):
                    yield End(job.path, message)
                    return
                elif isinstance(message, VideoFeatures):
                    yield Whole(job.path, message)
                    return
                elif isinstance(message, Refused):
                    yield Failure(job.path, message.stage, message.cause, self._busy_s)
                    return
        except _LostError as error:
            self.close()
            yield Failure(job.path, "process", str(error), self._busy_s)
        except (EOFError, OSError):
            yield Failure(job.path, "process", self._obituary(), self._busy_s)

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

    def _restart(self) -> None:
        self.close()
        context = decoder_context()
        self._channel, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, *self._arguments), daemon=True)
        self._process.start()
        theirs.close()
        self._videos = 0
        try:
            self._receive(limit_s=_START_LIMIT_S)
        except (EOFError, OSError, _LostError) as error:
            cause = f"not within {_START_LIMIT_S:g} s" if isinstance(error, _LostError) else self._obituary()
            self.close()
            raise RuntimeError(
                f"a decoder process cannot start ({cause}). A script that uses vidrnn must begin its work below "
                "`if __name__ == '__main__':`, because each process imports it"
            ) from error

    def _send(self, job: Job) -> None:
        assert self._channel is not None
        self._channel.send(job.source)

    def _receive(self, *, limit_s: float | None = None) -> Message:
        """The next message, within the limits."""
        assert self._channel is not None
        settings = self._settings
        stall_s = limit_s or settings.stall_limit_s
        silent_s = 0.0
        while True:
            started = time.monotonic()
            ready = self._channel.poll(_GLANCE_S)
            waited = time.monotonic() - started
            self._busy_s, silent_s = self._busy_s + waited, silent_s + waited
            if ready:
                message: Message = self._channel.recv()
                return message
            if self._stop.is_set():
                raise StoppedError
            if silent_s > stall_s:
                raise _LostError(
                    f"the decoder hung: nothing read or decoded for {stall_s:g} s (features.stall_limit_s); "
                    "re-encode or replace the file"
                )
            if limit_s is None and self._busy_s > settings.time_limit_s:
                raise _LostError(
                    f"not decoded within {settings.time_limit_s:g} s (features.time_limit_s); raise the limit or "
                    "sample fewer frames"
                )

    def _obituary(self) -> str:
        """Why the process is gone."""
        assert self._process is not None
        self._process.join(timeout=5)
        code = self._process.exitcode
        self.close()
        if code is None or code >= 0:
            return f"the decoder process ended by itself with exit code {code}; what it printed says more"
        name = signal.Signals(-code).name
        if name == "SIGKILL":
            return "the decoder process was killed (SIGKILL), probably because the machine ran out of memory"
        return f"the decoder crashed ({name}); re-encode or replace the file"
