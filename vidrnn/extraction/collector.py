"""What decoders hand over becomes batches, and what comes back becomes the features of whole videos."""

import contextlib
import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vidrnn.extraction.batches import Batches, Throughput
from vidrnn.extraction.decoder import Chunk, Ended
from vidrnn.extraction.embedder import Computed, Pass
from vidrnn.extraction.gathering import Gather, Gathered, InMemory
from vidrnn.extraction.jobs import Failure, Job
from vidrnn.extraction.messages import Drawn, Read
from vidrnn.extraction.readings import Readings
from vidrnn.frames.views import Turn
from vidrnn.store.video_features import VideoFeatures

Result = Mapping[int, VideoFeatures | Failure]
"""What became of a video, by the number of the pass."""


class Flush:
    """No more frames for now: embed what is there. Another extraction may wait for just these videos."""


@dataclass(frozen=True)
class Comparison:
    """What became of features that an earlier version made of a video, by the number of the pass, see `OnCompared`."""

    path: str
    changes: Mapping[int, str | None]


OnCompared = Callable[[str, int, str | None], object]
"""Called with the path of a video, the number of a pass, and why the features of an earlier version are made anew, or
None where they stay."""
Message = Job | Chunk | Ended | Comparison | Flush | None  # a job: it begins; None: a decoder has nothing more to do


@dataclass
class _Sequence:
    """One pass of one video under way: what has come of it, and how it ended."""

    features: Gathered
    timestamps_s: list[float] = field(default_factory=list)
    end: Drawn | Read | Failure | None = None

    @property
    def is_whole(self) -> bool:
        if isinstance(self.end, Drawn):
            return len(self.timestamps_s) == self.end.num_frames
        return self.end is not None

    def result(self) -> VideoFeatures | Failure:
        assert self.end is not None
        if isinstance(self.end, Read):
            return self.end.features
        if isinstance(self.end, Failure):
            return self.end
        times = np.asarray(self.timestamps_s, dtype=np.float64)
        return VideoFeatures(self.features.whole(), times, self.end.metadata, self.end.source, self.end.notes)


@dataclass(frozen=True)
class _Video:
    """One video under way."""

    job: Job
    sequences: dict[int, _Sequence]

    @property
    def is_whole(self) -> bool:
        return all(sequence.is_whole for sequence in self.sequences.values())


class Collector:
    """Takes the messages of all decoders. Context manager.

    Args:
        passes: what is made of the videos.
        readings: what decoders are asked for.
        size: views in a batch.
        throughput: kept up to date.
        gather: where the features of a video are kept until it is whole.
        on_compared: as it says.
    """

    def __init__(
        self,
        passes: Sequence[Pass],
        readings: Readings,
        *,
        size: int,
        throughput: Throughput,
        on_compared: OnCompared,
        gather: Gather = InMemory,
    ) -> None:
        self._readings, self._throughput, self._gather = readings, throughput, gather
        self._on_compared = on_compared
        self._videos: dict[int, _Video] = {}  # by a serial number: a path may come twice
        self._serials: dict[int, int] = {}  # by the identity of the job
        self._next_serial = 0
        self._of_executor: dict[int, Batches] = {}
        self._batches: dict[int, Batches] = {}  # by the number of the pass
        self._turns: dict[int, Turn] = {}
        for number, embedder in enumerate(passes):
            if isinstance(embedder, Computed):
                continue
            key, shape = id(embedder.executor), embedder.preprocessing.shape
            if key not in self._of_executor:
                self._of_executor[key] = Batches(embedder.executor, size=size, shape=shape, throughput=throughput)
            self._batches[number] = self._of_executor[key]
            self._turns[number] = embedder.preprocessing.turn

    def __enter__(self) -> "Collector":
        self._stack = contextlib.ExitStack()
        for batches in self._of_executor.values():
            self._stack.enter_context(batches)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def collect(self, messages: "queue.Queue[Message]", *, running: int) -> Iterator[tuple[str, Result]]:
        """Videos as they become whole, until so many decoders have said that they have nothing more to do."""
        while running:
            started = time.monotonic()
            message = messages.get()
            self._throughput.waiting_s += time.monotonic() - started
            if message is None:
                running -= 1
            else:
                self._take(message)
            flush = not running or isinstance(message, Flush)
            del message  # with it the decoder gets the place of the frames back
            yield from self._whole_videos(flush=flush)

    def _take(self, message: Job | Chunk | Ended | Comparison | Flush) -> None:
        if isinstance(message, Job):
            sequences = {number: _Sequence(self._gather()) for number in message.wanted}
            self._serials[id(message)] = self._next_serial
            self._videos[self._next_serial] = _Video(message, sequences)
            self._next_serial += 1
        elif isinstance(message, Chunk):
            self._embed(message)
        elif isinstance(message, Comparison):
            for number, change in message.changes.items():
                self._on_compared(message.path, number, change)
        elif isinstance(message, Ended):
            video = self._videos[self._serials[id(message.job)]]
            for number in self._readings.passes_of(message.job, message.reading):
                video.sequences[number].end = message.how

    def _embed(self, chunk: Chunk) -> None:
        """Put frames into the batches of all passes that look at them."""
        looks: dict[Batches, list[tuple[int, Turn]]] = {}
        for number in self._readings.passes_of(chunk.job, chunk.reading):
            looks.setdefault(self._batches[number], []).append((number, self._turns[number]))
        for batches, passes in looks.items():
            batches.add(chunk.frames, chunk.timestamps_s, self._serials[id(chunk.job)], passes)

    def _whole_videos(self, *, flush: bool) -> Iterator[tuple[str, Result]]:
        for batches in self._of_executor.values():
            if flush:
                batches.send()
            for part, features in batches.take(everything=flush):
                if video := self._videos.get(part.video):  # else it has failed since
                    video.sequences[part.number].features.append(features)
                    video.sequences[part.number].timestamps_s.extend(part.timestamps_s)
        for serial, video in list(self._videos.items()):
            if video.is_whole:
                del self._videos[serial], self._serials[id(video.job)]
                yield video.job.path, {number: sequence.result() for number, sequence in video.sequences.items()}
