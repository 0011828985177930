"""When each frame is shown, found by one decode that keeps no pixels: for files whose packets do not tell."""

from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np

from vidrnn.errors import VideoError
from vidrnn.video.clock import Output, Shown, shown_times
from vidrnn.video.container import damage_of, longest_step_s, open_video, packets_of
from vidrnn.video.restarts import Stamp


def decoded_times(path: Path, *, rate: float, unit_s: float, on_progress: Callable[[], None]) -> Shown:
    """Times of all frames in the order in which the decoder shows them, without keeping pixels.

    Args:
        path: a video file.
        rate: frames per second to count by, where too few frames have a time.
        unit_s: seconds in a unit of the stream's times.
        on_progress: called for each packet that is read.

    Raises:
        VideoError: the decoder stops with an error.
    """
    stamps: list[Stamp] = []
    frames: list[Output] = []
    with open_video(path) as (container, stream):
        context = stream.codec_context
        context.copy_opaque = True  # each frame names the packet that it came from
        try:
            for packet in packets_of(container, stream):
                on_progress()
                if packet.size:
                    packet.opaque = len(stamps)
                    stamps.append(Stamp(packet.pts, packet.dts, not packet.is_discard))
                released = len(stamps) - 1 if packet.size else None
                frames += [Output(_source(frame.opaque, stamps), released) for frame in packet.decode()]
        except (av.FFmpegError, OSError) as error:
            raise VideoError(
                f"decoding stopped after {len(frames)} frames: {damage_of(error, width=context.width)}"
            ) from error
        step, limit = 1 / (rate * unit_s), longest_step_s(container) / unit_s
        made_up = container.format.name == "avi"
        first = stream.start_time or 0
    shown = shown_times(stamps, frames, step=step, limit=limit, made_up=made_up)
    if shown is None:
        ticks = first + step * np.arange(len(frames), dtype=np.float64)
        shown = Shown(ticks, False, (f"frames carry no usable times; taken as {rate:g} per second",))
    return shown


def _source(number: object, stamps: Sequence[Stamp]) -> int:
    """The packet that a frame names; a decoder that does not pass names on was given the last one."""
    return number if isinstance(number, int) else len(stamps) - 1
