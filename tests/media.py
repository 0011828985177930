"""Tiny clips, rendered with PyAV for one test each, and bytes of media files changed on purpose."""

import struct
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.stream import Disposition

Image = npt.NDArray[np.uint8]

_UNITY, _PERSPECTIVE = 1 << 16, 1 << 30
# Clockwise turn of the picture -> (a, b, c, d) of the QuickTime matrix: x' = a x + c y, y' = b x + d y, y downwards.
_MATRICES = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
_MIRROR = (-1, 0, 0, 1)


def picture(number: int, *, width: int = 32, height: int = 24) -> Image:
    """A gradient with a bright bar that moves with ``number``: no two of the first ``width`` / 2 are equal."""
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.stack([columns * 255 // width, rows * 255 // height, np.full_like(rows, 10 * number % 256)], axis=-1)
    left = 2 * number % width
    image[:, left : left + 3] = (255, 255 - 5 * number % 256, 0)
    return image.astype(np.uint8)


def pictures(count: int, *, width: int = 32, height: int = 24) -> list[Image]:
    return [picture(number, width=width, height=height) for number in range(count)]


def flat(colour: tuple[int, int, int], *, width: int = 32, height: int = 32) -> Image:
    return np.full((height, width, 3), colour, dtype=np.uint8)


def write_clip(
    path: Path,
    images: Sequence[Image],
    *,
    codec: str = "libx264",
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
    pix_fmt: str = "yuv420p",
    audio_from_s: float | None = None,
    pixel_aspect: Fraction | None = None,
    muxer: Mapping[str, str] | None = None,
    **options: str,
) -> Path:
    """Encode pictures, by default at 25 per second; ``audio_from_s`` adds silence that starts then.

    ``options`` are of the codec and ``muxer`` of the container.
    """
    height, width = images[0].shape[:2]
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(f"file:{path}", "w", format=options.pop("container", None), options=dict(muxer or {})) as container:
        stream = container.add_stream(codec, rate=round(1 / time_base) if time_base > Fraction(1, 100) else 25)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.options, stream.thread_count = options, 1
        stream.codec_context.time_base = time_base
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if audio_from_s is not None:
            _mux_silence(container, from_s=audio_from_s)
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = (number if pts is None else pts[number]), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_pictures(
    folder: Path, images: Sequence[Image], *, template: str = "img_{:05}.png", numbers: Sequence[int] | None = None
) -> Path:
    """One file per picture, numbered from 1 where no ``numbers`` are given."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in zip(numbers or range(1, len(images) + 1), images, strict=True):
        assert cv2.imwrite(str(folder / template.format(number)), image[..., ::-1])
    return folder


def write_audio(path: Path, *, cover: bool = False) -> Path:
    """A short music file, with a cover picture on request."""
    with av.open(str(path), "w") as container:
        if cover:
            stream = container.add_stream("png", rate=1)
            stream.width, stream.height, stream.pix_fmt = 16, 16, "rgb24"
            stream.disposition = Disposition.attached_pic
            frame = av.VideoFrame.from_ndarray(flat((200, 0, 0), width=16, height=16), format="rgb24")
            frame.pts, frame.time_base = 0, Fraction(1, 1)
            packets = [*stream.encode(frame), *stream.encode()]
        sound = container.add_stream("libmp3lame", rate=44100, layout="mono")
        for packet in packets if cover else []:
            container.mux(packet)
        container.mux(sound.encode(_silence(0.3)))
        container.mux(sound.encode())
    return path


_WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114)}  # of red and blue; BT.709 and BT.601 in ITU-T H.273, table 4


def write_flat(
    path: Path,
    colour: tuple[int, int, int],
    *,
    matrix: int = 1,
    tag: int | None = None,
    transfer: int | None = None,
    size: tuple[int, int] = (32, 32),
) -> Path:
    """One colour, turned into limited-range Y'CbCr by the formulas of a matrix and tagged so, or with another tag."""
    red, green, blue = (value / 255 for value in colour)
    of_red, of_blue = _WEIGHTS[matrix]
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    samples = (16 + 219 * luma, 128 + 112 * (blue - luma) / (1 - of_blue), 128 + 112 * (red - luma) / (1 - of_red))
    width, height = size
    planes = np.empty((height * 3 // 2, width), np.uint8)
    quarter = height // 4
    planes[:height], planes[height:-quarter], planes[-quarter:] = (round(sample) for sample in samples)
    tag, limited = matrix if tag is None else tag, 1
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "1"})
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = width, height, "yuv420p", 1
        context = stream.codec_context
        context.colorspace = context.color_primaries = tag
        context.color_trc = tag if transfer is None else transfer
        context.color_range = limited
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        frame.colorspace, frame.color_range = tag, limited
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turn_mp4(path: Path, *, clockwise: int = 0, mirror: bool = False) -> Path:
    """Write a display matrix into the track header: players turn the picture ``clockwise`` degrees, or mirror it."""
    a, b, c, d = _MIRROR if mirror else _MATRICES[clockwise]
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd") + 4
    matrix = struct.pack(">9i", a * _UNITY, b * _UNITY, 0, c * _UNITY, d * _UNITY, 0, 0, 0, _PERSPECTIVE)
    assert data[header] == 0, "version 0 of the track header has its matrix at byte 40"
    data[header + 40 : header + 76] = matrix
    path.write_bytes(data)
    return path


def decoding_times_only(path: Path, target: Path) -> Path:
    """Copy the packets with their times of decoding as times of showing, as careless tools do."""
    with av.open(str(path)) as source, av.open(str(target), "w") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(packet for packet in source.demux(video=0) if packet.size):
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = number
            copy.mux(packet)
    return target


def change_clock(path: Path, change: dict[int, int | None]) -> Path:
    """Give pictures of a transport stream without B-frames another time, in 1/90000 s, or none."""
    data = bytearray(path.read_bytes())
    place, number = data.find(b"\0\0\1\xe0"), 0
    while place >= 0:
        assert data[place + 7] >> 6 == 2, "a time of showing and none of decoding"
        if number in change:
            time = change[number]
            data[place + 7] &= 255 if time is not None else 0x3F
            data[place + 9 : place + 14] = b"\xff" * 5 if time is None else _clock_bytes(time)
        place, number = data.find(b"\0\0\1\xe0", place + 4), number + 1
    path.write_bytes(data)
    return path


def _clock_bytes(time: int) -> bytes:
    """ISO/IEC 13818-1, 2.4.3.6: 33 bits in three parts, each ended by a one."""
    parts = 0x21 | time >> 29 & 0x0E, time >> 22 & 0xFF, time >> 14 & 0xFE | 1, time >> 7 & 0xFF, time << 1 & 0xFE | 1
    return bytes(parts)


def cut(path: Path, share: float) -> Path:
    """Keep only the first ``share`` of a file's bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def plain_decode(path: Path) -> list[Image]:
    """All pictures in the order of the decoder, as RGB: PyAV at its simplest, as a reference."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def _silence(duration_s: float, *, from_s: float = 0.0) -> av.AudioFrame:
    samples = np.zeros((1, int(44100 * duration_s)), np.int16)
    frame = av.AudioFrame.from_ndarray(samples, format="s16p", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 44100, int(from_s * 44100), Fraction(1, 44100)
    return frame


def _mux_silence(container: av.container.OutputContainer, *, from_s: float) -> None:
    stream = container.add_stream("libmp3lame", rate=44100, layout="mono")
    container.mux(stream.encode(_silence(1.0, from_s=from_s)))
    container.mux(stream.encode())
