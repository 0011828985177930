"""Frames of many videos and passes, filled into batches of one size, and the features that come back."""

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.extraction.embedder import Executor
from vidrnn.extraction.threads import Threads
from vidrnn.frames.views import Turn, Views

Features = npt.NDArray[np.float16]


@dataclass
class Throughput:
    """What a run has done so far, and where its time went.

    Attributes:
        frames: embedded so far, each once for every pass.
        waiting_s: seconds of waiting for frames.
        embedding_s: seconds of waiting for the network.
    """

    frames: int = 0
    waiting_s: float = 0.0
    embedding_s: float = 0.0

    @property
    def bottleneck(self) -> str:
        """The stage that limits the speed."""
        return "decoding" if self.waiting_s > self.embedding_s else "backbone"


@dataclass(frozen=True)
class Part:
    """Some neighbouring views of a batch, all of one pass of one video.

    Attributes:
        video: its serial number.
        number: of the pass.
        timestamps_s: of each view.
    """

    video: int
    number: int
    timestamps_s: list[float]


@dataclass
class _Filling:
    """The batch that is being filled: its frames, and which views of them belong to what."""

    frames: torch.Tensor
    count: int = 0
    sources: list[torch.Tensor] = field(default_factory=list)
    turns: list[torch.Tensor] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    num_views: int = 0

    def add(self, frames: torch.Tensor) -> torch.Tensor:
        """Copy frames; their places in the batch."""
        places = torch.arange(self.count, self.count + len(frames))
        # By NumPy: PyTorch would wake a thread on every core, each of which then spins where a decoder could work.
        np.copyto(self.frames[self.count : self.count + len(frames)].numpy(), frames.numpy())
        self.count += len(frames)
        return places

    def look(self, places: torch.Tensor, part: Part, turn: Turn) -> None:
        """Ask for one view of each of these frames."""
        self.sources.append(places)
        self.turns.append(torch.full((len(places),), turn, dtype=torch.uint8))
        self.parts.append(part)
        self.num_views += len(places)

    @property
    def views(self) -> Views:
        """All that was asked for."""
        return Views(torch.cat(self.sources), torch.cat(self.turns))


class Batches:
    """The batches of one executor: one is filled while others are computed. Context manager."""

    def __init__(self, executor: Executor, *, size: int, shape: tuple[int, ...], throughput: Throughput) -> None:
        self._executor, self._size, self._shape, self._throughput = executor, size, shape, throughput
        self._threads = Threads(executor.lanes, "backbone")
        self._under_way: deque[tuple[_Filling, Future[Features]]] = deque()
        self._done: list[tuple[Part, Features]] = []
        self._unused: list[torch.Tensor] = []
        self._filling: _Filling | None = None

    def __enter__(self) -> "Batches":
        return self

    def __exit__(self, *_error: object) -> None:
        self._threads.end(cancel=True)

    @property
    def busy(self) -> bool:
        """Whether there are features to come."""
        return bool(self._under_way) or self._filling is not None

    def add(
        self, frames: torch.Tensor, timestamps_s: list[float], video: int, passes: Sequence[tuple[int, Turn]]
    ) -> None:
        """Take some frames of a video.

        Args:
            frames: (n, 3, S, S) uint8; not needed afterwards.
            timestamps_s: of each.
            video: its serial number.
            passes: the numbers of the passes that look at them, and how they turn them.
        """
        start = 0
        while start < len(frames):
            filling = self._filling = self._filling or _Filling(self._buffer())
            room = (self._size - filling.num_views) // len(passes)
            if room == 0 and filling.num_views:
                self.send()
                continue
            end = start + max(room, 1)  # a batch smaller than the number of passes is filled beyond its size
            places = filling.add(frames[start:end])
            for number, turn in passes:
                filling.look(places, Part(video, number, timestamps_s[start:end]), turn)
            start = end
            if filling.num_views >= self._size:
                self.send()

    def send(self) -> None:
        """Begin with the batch as it is, once there is room for it."""
        if (filling := self._filling) is None:
            return
        self._filling = None
        if len(self._under_way) >= self._executor.lanes:
            self._finish_oldest()
        self._under_way.append((filling, self._threads.submit(partial(self._embed, filling))))

    def take(self, *, everything: bool) -> list[tuple[Part, Features]]:
        """Features that are there, (n, D) for each part; with ``everything`` also those still under way."""
        while self._under_way and (everything or self._under_way[0][1].done()):
            self._finish_oldest()
        done, self._done = self._done, []
        return done

    def _buffer(self) -> torch.Tensor:
        if self._unused:
            return self._unused.pop()
        return torch.empty((self._size, *self._shape), dtype=torch.uint8, pin_memory=self._executor.page_locked)

    def _embed(self, filling: _Filling) -> Features:
        return self._executor(filling.frames[: filling.count], filling.views).numpy().astype(np.float16)

    def _finish_oldest(self) -> None:
        filling, future = self._under_way.popleft()
        started = time.monotonic()
        features = future.result()
        self._throughput.embedding_s += time.monotonic() - started
        self._throughput.frames += len(features)
        self._unused.append(filling.frames)
        start = 0
        for part in filling.parts:
            # A copy: a view would keep the whole batch alive for as long as its longest video is under way.
            self._done.append((part, features[start : start + len(part.timestamps_s)].copy()))
            start += len(part.timestamps_s)
        assert start == len(features), (start, len(features))
