"""Tiny sounds and clips with sound, written with PyAV for one test each."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.stream import Disposition

from tests.media import pictures

Samples = npt.NDArray[np.float64]


def tone(hertz: float, seconds: float, *, rate: int = 44100, loudness: float = 0.5) -> Samples:
    """(N,) a sine."""
    return loudness * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def click(at_s: float, seconds: float, *, rate: int = 44100) -> Samples:
    """(N,) nothing but five loud milliseconds around an instant."""
    samples = np.zeros(round(seconds * rate))
    middle, reach = round(at_s * rate), round(0.0025 * rate)
    samples[middle - reach : middle + reach] = 0.9 * (-1.0) ** np.arange(2 * reach)
    return samples


def write_sound(
    path: Path,
    sound: Samples,
    *,
    rate: int = 44100,
    codec: str = "pcm_s16le",
    layout: str = "mono",
    from_s: float = 0.0,
    gaps: Sequence[tuple[float, float]] = (),
    images: int = 0,
    clock: float = 1.0,
    tracks: int = 1,
    default: int = 0,
    muxer: Mapping[str, str] | None = None,
) -> Path:
    """Encode a sound, the same in all channels.

    Args:
        path: its suffix names the container.
        sound: (N,) between -1 and 1.
        rate: samples per second.
        codec: of the sound.
        layout: of the channels.
        from_s: when it begins.
        gaps: (from, until) seconds of the sound that are left out; the times of the rest stay.
        images: pictures beside it, at 25 per second from 0 s on.
        clock: seconds that pass in the file for each second of the sound.
        tracks: how many times it is there.
        default: which of these is marked as the one to play; its sound is as given, the others are half as loud.
        muxer: options of the container.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=dict(muxer or {})) as container:
        video = container.add_stream("mpeg4", rate=25) if images else None
        if video is not None:
            video.width, video.height, video.pix_fmt, video.thread_count = 32, 24, "yuv420p", 1
        streams = [container.add_stream(codec, rate=rate, layout=layout) for _ in range(tracks)]
        for place, stream in enumerate(streams):
            stream.disposition = Disposition.default if place == default else Disposition(0)
        for place, stream in enumerate(streams):
            own = sound if place == default else sound / 2
            for frame in _frames(own, rate, layout, stream.format.name, from_s, gaps, clock):
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        if video is not None:
            for number, image in enumerate(pictures(images)):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(video.encode(frame))
            container.mux(video.encode())
    return path


def _frames(
    sound: Samples,
    rate: int,
    layout: str,
    form: str,
    from_s: float,
    gaps: Sequence[tuple[float, float]],
    clock: float,
) -> list[av.AudioFrame]:
    planar, channels = form.endswith("p"), av.AudioLayout(layout).nb_channels
    if form.startswith("flt"):
        scaled: npt.NDArray[Any] = sound.astype(np.float32)
    else:
        kind = np.dtype(np.int32 if form.startswith("s32") else np.int16)
        scaled = np.round(np.iinfo(kind).max * sound).astype(kind)
    frames = []
    for start in range(0, len(sound), 1152):
        if any(begin <= start / rate < end for begin, end in gaps):
            continue
        part = np.repeat(scaled[None, start : start + 1152], channels, axis=0)
        array = part if planar else np.ascontiguousarray(part.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(array, format=form, layout=layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = round(start * clock + from_s * rate)
        frames.append(frame)
    return frames
