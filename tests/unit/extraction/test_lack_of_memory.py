"""A stream that needs more memory than there is fails alone, and says so, whichever library could not have it."""

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

import vidrnn.extraction.drawing
from tests.media import pictures, write_clip
from tests.unit.extraction.test_one_reading import settings
from vidrnn.errors import VideoError
from vidrnn.extraction.child import NEEDS_MEMORY, lacks_memory
from vidrnn.extraction.decode_worker import Reader
from vidrnn.extraction.messages import Drawn, Pixels, Refused, Request
from vidrnn.extraction.readings import Readings
from vidrnn.frames.fitting import draw
from vidrnn.streams.passes import load_passes

TOO_MANY = 2**50


def of_pytorch() -> None:
    torch.empty(TOO_MANY)


def of_numpy() -> None:
    np.empty(TOO_MANY)


def of_opencv() -> None:
    error = cv2.error("Failed to allocate 60000000 bytes in function 'OutOfMemoryError'")
    error.code = cv2.Error.StsNoMem  # type: ignore[attr-defined]
    raise error


def of_ffmpeg() -> None:
    try:
        raise av.error.MemoryError(12, "Cannot allocate memory")
    except av.FFmpegError as error:
        raise VideoError("decoding stopped after 0.00 s of 0.80 s; the file is damaged") from error


def of_the_system() -> None:
    raise OSError(12, "Cannot allocate memory")


WAYS = [of_pytorch, of_numpy, of_opencv, of_ffmpeg, of_the_system]


@pytest.mark.parametrize("way", WAYS)
def test_each_library_says_it_in_its_way(way: Callable[[], None]) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011  five kinds
        way()
    assert lacks_memory(caught.value)


@pytest.mark.parametrize("error", [RuntimeError("size mismatch"), OSError(5, "Input/output error"), cv2.error("bad")])
def test_other_errors_are_no_lack_of_memory(error: Exception) -> None:
    assert not lacks_memory(error)


@pytest.mark.parametrize("way", WAYS)
def test_only_the_stream_that_needs_too_much_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Callable[[], None]
) -> None:
    """Pictures and flow are drawn of one decode. What is too much with flow is enough for the pictures alone."""
    source = write_clip(tmp_path / "clip.mp4", pictures(12, width=64, height=48))
    drawings = Readings.of(load_passes(*settings(streams=["rgb", "flow"], stride=1, mirrored=False))).drawings

    def too_much_with_flow(video, wanted, **options):
        for place, step in enumerate(draw(video, wanted, **options)):
            if any(drawing.preprocessing.rendering for drawing in wanted.values()) and place == 7:
                way()
            yield step

    def ends(numbers: list[int]) -> dict[int, tuple[list[float], object]]:
        times: dict[int, list[float]] = {number: [] for number in numbers}
        ended: dict[int, object] = {}
        for item in Reader(drawings, {}, chunk_size=4)(Request(source, tuple(numbers)), lambda: None):
            if isinstance(item, Pixels):
                times[item.reading] += item.timestamps_s
            elif isinstance(item, Drawn | Refused):
                ended[item.reading] = item
        return {number: (times[number], ended[number]) for number in numbers}

    rgb, flow = drawings
    alone = ends([rgb])
    monkeypatch.setattr(vidrnn.extraction.drawing, "draw", too_much_with_flow)
    together = ends([rgb, flow])
    assert together[rgb] == alone[rgb]
    assert len(together[rgb][0]) == 12
    assert together[flow][1] == Refused(flow, "decode", NEEDS_MEMORY)
