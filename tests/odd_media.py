"""Videos as other tools' users have them, each with what is right: the pictures that were put in, and their times."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from tests.media import Image, change_clock, flat, pictures, turn_mp4, write_clip

Planes = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
COLOUR, EDGE = (200, 60, 90), 32
_LIMITED, _FULL = 1, 2  # FFmpeg's AVCOL_RANGE_MPEG and AVCOL_RANGE_JPEG
_FILES = Path(__file__).parent / "files"
_FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


@dataclass(frozen=True)
class Odd:
    """What is right for a file.

    Attributes:
        images: what its frames show, upright.
        times_s: when; empty: 25 per second from 0 on.
        note: what is said of it.
        error: mean difference from ``images`` that is allowed, in grey levels: what the codec loses.
    """

    images: Sequence[Image]
    times_s: tuple[float, ...] = ()
    note: str = ""
    error: float = 12.0

    @property
    def times(self) -> list[float]:
        return list(self.times_s) or [number / 25 for number in range(len(self.images))]


def write_planes(
    path: Path, planes: Planes, *, codec: str, pix_fmt: str, colour_range: int = 0, matrix: int = 2
) -> None:
    """Three equal frames of given samples, with a claim of their range and matrix."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"qp": "0", "x265-params": "lossless=1:log-level=none"})
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = EDGE, EDGE, pix_fmt, 1
        stream.codec_context.color_range, stream.codec_context.colorspace = colour_range, matrix
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(planes, format=pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            frame.color_range, frame.colorspace = colour_range, matrix
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _full_range(*, red: float, blue: float) -> list[int]:
    """Y', Cb, Cr of `COLOUR` in full range by the weights of red and blue (ITU-T H.273, 8.3)."""
    r, g, b = (value / 255 for value in COLOUR)
    luma = red * r + (1 - red - blue) * g + blue * b
    return [
        round(255 * luma),
        round(128 + 127.5 * (b - luma) / (1 - blue)),
        round(128 + 127.5 * (r - luma) / (1 - red)),
    ]


def _aside(path: Path, name: str) -> Path:
    """Where a part of a file is written, which is none of the odd videos itself."""
    return path.parent.with_name("parts") / name


def _one_colour() -> list[Image]:
    return [flat(COLOUR, width=EDGE, height=EDGE)] * 3


def full_range_444(path: Path) -> Odd:
    planes = np.stack([np.full((EDGE, EDGE), each, np.uint8) for each in _full_range(red=0.299, blue=0.114)])
    write_planes(path, planes, codec="libx264", pix_fmt="yuvj444p", colour_range=_FULL, matrix=6)
    return Odd(_one_colour(), error=2)


def full_range_bt709(path: Path) -> Odd:
    luma, cb, cr = _full_range(red=0.2126, blue=0.0722)
    planes = np.full((EDGE * 3 // 2, EDGE), luma, np.uint8)
    planes[EDGE:-8], planes[-8:] = cb, cr
    write_planes(path, planes, codec="libx264", pix_fmt="yuv420p", colour_range=_FULL, matrix=1)
    return Odd(_one_colour(), error=2)


def depth_of_16_bits(path: Path) -> Odd:
    depth = np.linspace(0, 65535, EDGE * EDGE).reshape(EDGE, EDGE).astype(np.uint16)
    write_planes(path, depth, codec="ffv1", pix_fmt="gray16le")
    return Odd([np.repeat(np.rint(depth / 257).astype(np.uint8)[..., None], 3, axis=2)] * 3, error=1.5)


def grey_in_limited_range(path: Path) -> Odd:
    """Black is 64 and white 940 (ITU-R BT.2100, table 9: ten bits)."""
    samples = np.linspace(64, 940, EDGE * EDGE).reshape(EDGE, EDGE).astype(np.uint16)
    write_planes(path, samples, codec="libx265", pix_fmt="gray10le", colour_range=_LIMITED)
    grey = np.rint((samples.astype(float) - 64) * 255 / 876).astype(np.uint8)
    return Odd([np.repeat(grey[..., None], 3, axis=2)] * 3, error=1.5)


def turned_narrow_pixels(path: Path) -> Odd:
    """HEVC codes blocks, so 90 x 50 pixels are stored as more; then come pixels of 9:16 and a quarter turn."""
    shown = pictures(6, width=90, height=50)
    quiet = {"x265-params": "log-level=none", "crf": "4"}
    write_clip(path, shown, codec="libx265", pixel_aspect=Fraction(9, 16), **quiet)
    turn_mp4(path, clockwise=90)
    return Odd([np.rot90(image, -1) for image in shown], note="its pixels are 9:16 and not square")


def another_size_in_the_header(path: Path) -> Odd:
    data = bytearray(write_clip(path, pictures(10), qp="1").read_bytes())
    place = data.index(b"avc1", data.index(b"stsd")) + 28
    assert data[place : place + 4] == b"\0\x20\0\x18"
    data[place : place + 4] = b"\0\x40\0\x30"
    path.write_bytes(data)
    return Odd(pictures(10))


def turned_on_the_way(path: Path) -> Odd:
    wide, high = pictures(6, width=48, height=32), pictures(6, width=32, height=48)
    first, second = (write_clip(_aside(path, f"{len(each[0])}.h264"), each).read_bytes() for each in (wide, high))
    path.write_bytes(first + second)
    return Odd([*wide, *high], note="its frames have 2 sizes (48x32, 32x48), each fitted alone")


def without_its_first_key_frame(path: Path) -> Odd:
    """Cut at a recovery point: no IDR anywhere, and two frames that need what was cut away come before the first."""
    whole = _aside(path, "whole.ts")
    groups = "open-gop=1:keyint=10:min-keyint=10:bframes=2:b-adapt=0:scenecut=0"
    write_clip(whole, pictures(30), **{"x264-params": groups})
    with av.open(str(whole)) as source, av.open(str(path), "w") as copy:
        stream, keys, first = copy.add_stream_from_template(source.streams.video[0]), 0, 0
        for packet in source.demux(video=0):
            if packet.size:
                keys += packet.is_keyframe
                if keys == 2 and packet.is_keyframe:
                    first = round(float((packet.pts - source.streams.video[0].start_time) * packet.time_base) * 25)
                if keys >= 2:
                    packet.stream = stream
                    copy.mux(packet)
    assert 0 < first < 30
    return Odd(pictures(30)[first:])


def of_a_browser(path: Path) -> Odd:
    """No length, no index: the page that recorded it could not go back and write them."""
    write_clip(path, pictures(30), codec="libvpx", muxer={"live": "1"})
    return Odd(pictures(30))


def in_fragments(path: Path) -> Odd:
    write_clip(path, pictures(30), muxer=_FRAGMENTS)
    return Odd(pictures(30))


def time_lapse(path: Path) -> Odd:
    write_clip(path, pictures(10), time_base=Fraction(1, 1), pts=range(0, 600, 60))
    return Odd(pictures(10), tuple(60.0 * number for number in range(10)))


def fast_camera(path: Path) -> Odd:
    write_clip(path, pictures(30), time_base=Fraction(1000, 196263))
    return Odd(pictures(30), tuple(number * 1000 / 196263 for number in range(30)))


def one_time_for_all(path: Path) -> Odd:
    change_clock(write_clip(path, pictures(20), bf="0"), dict.fromkeys(range(20), 90000))
    return Odd(pictures(20), note="frames carry no usable times; taken as 25 per second")


def of_a_killed_recorder(path: Path) -> Odd:
    """An AVI whose header still says 0 frames, without an index, ending between two frames."""
    data = bytearray(write_clip(path, pictures(30), codec="mjpeg", pix_fmt="yuvj420p").read_bytes())
    for place in (data.index(b"avih") + 24, data.index(b"strh") + 40):
        assert data[place : place + 4] == b"\x1e\0\0\0"
        data[place : place + 4] = bytes(4)
    path.write_bytes(data[: data.rindex(b"00dc", 0, data.rindex(b"idx1"))])
    return Odd(pictures(29), error=20)


def joined_byte_for_byte(path: Path) -> Odd:
    parts = (_aside(path, f"{count}{path.suffix}") for count in (9, 12))
    first, second = (write_clip(part, pictures(int(part.stem))).read_bytes() for part in parts)
    path.write_bytes(first + second)
    return Odd(pictures(9), note="another file follows in it, joined byte for byte; only the 9 frames of the first are")


def shown_again(path: Path) -> Odd:
    """Theora in Ogg has a packet without bytes where nothing changes: here for 13 frames of 24, each picture thrice.

    PyAV's FFmpeg reads Theora and does not write it. The tool ffmpeg 5.1 made the file of the same pictures.
    """
    shutil.copy(_FILES / path.name, path)
    shown = (0, 3, 4, 5, 6, 9, 12, 15, 18, 21, 22)
    return Odd([pictures(8)[number // 3] for number in shown], tuple(number / 25 for number in shown))


def single_frame(path: Path) -> Odd:
    write_clip(path, pictures(1))
    return Odd(pictures(1))


def transparent(path: Path) -> Odd:
    samples = np.full((EDGE, EDGE, 4), (255, *COLOUR), np.uint8)  # opacity first
    samples[:, EDGE // 2 :, 0] = 0
    write_planes(path, samples, codec="qtrle", pix_fmt="argb")
    return Odd(_one_colour(), error=0)


ODD: dict[str, Callable[[Path], Odd]] = {
    "full_range_444.mp4": full_range_444,
    "full_range_bt709.mp4": full_range_bt709,
    "depth_of_16_bits.mkv": depth_of_16_bits,
    "grey_in_limited_range.mkv": grey_in_limited_range,
    "turned_narrow_pixels.mp4": turned_narrow_pixels,
    "another_size_in_the_header.mp4": another_size_in_the_header,
    "turned_on_the_way.h264": turned_on_the_way,
    "without_its_first_key_frame.ts": without_its_first_key_frame,
    "of_a_browser.webm": of_a_browser,
    "in_fragments.mp4": in_fragments,
    "time_lapse.mp4": time_lapse,
    "fast_camera.mp4": fast_camera,
    "one_time_for_all.ts": one_time_for_all,
    "of_a_killed_recorder.avi": of_a_killed_recorder,
    "joined_byte_for_byte.mp4": joined_byte_for_byte,
    "joined_byte_for_byte.nut": joined_byte_for_byte,
    "shown_again.ogv": shown_again,
    "single_frame.mp4": single_frame,
    "transparent.mov": transparent,
}
"""By their names, what makes each file."""
