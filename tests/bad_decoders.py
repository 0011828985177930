"""Ways in which decoding one file goes wrong. Decoder processes import these by name, so they live in a module."""

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.extraction.drawing import draw_video
from vidrnn.extraction.messages import Item
from vidrnn.frames import flow
from vidrnn.frames.fitting import Drawing
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.settings.streams import FlowMethod
from vidrnn.video import neighbours


def by_name(
    source: Path, drawings: Mapping[int, Drawing], chunk_size: int, on_progress: Callable[[], None]
) -> Iterator[Item]:
    """Decode as always, but after the first chunk do what the file's name says."""
    items = draw_video(source, drawings, chunk_size, on_progress)
    yield next(items)
    misbehave(source.stem, on_progress)
    yield from items


def growing(
    source: Path, drawings: Mapping[int, Drawing], chunk_size: int, on_progress: Callable[[], None]
) -> Iterator[Item]:
    """Decode as always, while somebody else adds to the file."""
    items = draw_video(source, drawings, chunk_size, on_progress)
    yield next(items)
    with source.open("ab") as file:
        file.write(b"more")
    yield from items


def misbehave(name: str, on_progress: Callable[[], None]) -> None:
    if name == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
        signal.pause()
    elif name == "hang":
        ctypes.CDLL(None).pause()  # in C, where Python cannot reach it
    elif name == "slow":
        while True:
            time.sleep(0.01)
            on_progress()
    elif name == "greedy":
        eaten = []
        while True:
            eaten.append(bytearray(64_000_000))
    elif name == "broken":
        raise OSError(5, "Input/output error")
    elif name == "bug":
        raise ZeroDivisionError("a bug")
    elif name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)


def every_second(
    source: Path, drawings: Mapping[int, Drawing], chunk_size: int, on_progress: Callable[[], None]
) -> Iterator[Item]:
    """Decode one frame of two: what a file whose packets hold no pictures looks like."""
    honest = neighbours.decode
    neighbours.decode = lambda video, indices, **rest: honest(video, indices[::2], **rest)
    try:
        yield from draw_video(source, drawings, chunk_size, on_progress)
    finally:
        neighbours.decode = honest


def no_picture(
    source: Path, drawings: Mapping[int, Drawing], chunk_size: int, on_progress: Callable[[], None]
) -> Iterator[Item]:
    """Decode nothing: what a file looks like of whose packets none holds a picture."""
    honest = neighbours.decode
    neighbours.decode = lambda *_video, **_rest: iter(())
    try:
        yield from draw_video(source, drawings, chunk_size, on_progress)
    finally:
        neighbours.decode = honest


def counting(
    log: Path,
    source: Path,
    drawings: Mapping[int, Drawing],
    chunk_size: int,
    on_progress: Callable[[], None],
) -> Iterator[Item]:
    """Decode as always; a byte is added to ``log`` for every frame that is fitted."""
    honest = Preprocessing.fit

    def fit(self: Preprocessing, rgb: npt.NDArray[np.uint8], **rest: float) -> torch.Tensor:
        with log.open("ab") as file:
            file.write(b".")
        return honest(self, rgb, **rest)

    Preprocessing.fit = fit
    try:
        yield from draw_video(source, drawings, chunk_size, on_progress)
    finally:
        Preprocessing.fit = honest


def counting_searches(
    log: Path,
    source: Path,
    drawings: Mapping[int, Drawing],
    chunk_size: int,
    on_progress: Callable[[], None],
) -> Iterator[Item]:
    """Decode as always; a byte is added to ``log`` for every search for flow."""
    honest = flow.flow_estimator

    def estimator(method: FlowMethod) -> Callable[[flow.Grey, flow.Grey], flow.FlowField]:
        search = honest(method)

        def counted(first: flow.Grey, second: flow.Grey) -> flow.FlowField:
            with log.open("ab") as file:
                file.write(b".")
            return search(first, second)

        return counted

    flow.flow_estimator = estimator
    try:
        yield from draw_video(source, drawings, chunk_size, on_progress)
    finally:
        flow.flow_estimator = honest
