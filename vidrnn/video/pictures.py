"""Single pictures: still images, and the frames of a video that lie in a folder as one file each.

PyAV reads them, so they take the same way to RGB as the frames of a video do. Half a JPEG is an error, where OpenCV
gives a grey area. FFmpeg's own reader of numbered pictures (image2) is not used: it stops at a gap in the numbers and
takes one size for all. It also opens what a pattern names, and has to be led past the pictures that nobody wants.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidrnn.errors import VideoError
from vidrnn.frame_folders import PICTURE_SUFFIXES
from vidrnn.video.container import ANY_TEXT, MAX_PIXELS, cause_of, decode_all, size_of
from vidrnn.video.tiff import needs_pillow, read_tiff, tiff_size

_HEAD = 1 << 16  # bytes that tell the format; an animated PNG says so before its first pixels
_FORMATS = (  # how a file begins, and FFmpeg's reader of just one picture of that kind
    (b"\xff\xd8\xff", "jpeg_pipe"),
    (b"\x89PNG\r\n\x1a\n", "png_pipe"),
    (b"BM", "bmp_pipe"),
    (b"II*\0", "tiff_pipe"),
    (b"MM\0*", "tiff_pipe"),
    (b"P5", "pgm_pipe"),
    (b"P6", "ppm_pipe"),
)
_OPTIONS = {"protocol_whitelist": "file", "max_pixels": str(MAX_PIXELS)}


@dataclass(frozen=True)
class Shape:
    """What the header of a picture says: FFmpeg's name of its codec, and pixels before it is turned upright."""

    codec: str
    width: int
    height: int


def is_still(path: Path) -> bool:
    """Whether a file is a still image: by its name and by its content, so that a renamed video stays a video.

    WebP is left to the readers of videos, one of which can tell a moving WebP; an animated PNG is a video.
    """
    suffix = path.suffix.lower()
    if suffix not in PICTURE_SUFFIXES or suffix == ".webp":
        return False
    try:
        head = _head_of(path)
    except (VideoError, OSError):  # whoever opens it says why
        return False
    return _format_of(head) is not None and b"acTL" not in head.partition(b"IDAT")[0]


def measure(path: Path) -> Shape:
    """Codec and size of a picture. Raises VideoError naming the picture."""
    if _is_odd_tiff(path):
        with _named(path):
            return Shape("tiff", *tiff_size(path))
    with _opened(path) as (_, stream):
        context = stream.codec_context
        return Shape(context.name, context.width, context.height)


def read_picture(path: Path) -> VideoFrame:
    """Decode a picture; of a file that holds several, the first. Raises VideoError naming the picture."""
    if _is_odd_tiff(path):
        with _named(path):
            return VideoFrame.from_ndarray(read_tiff(path), format="rgb24")
    with _opened(path) as (container, stream):
        for frame in decode_all(container, stream, on_progress=lambda: None):
            return frame
        raise VideoError("no pixels in it")


def _is_odd_tiff(path: Path) -> bool:
    with _named(path):
        return _format_of(_head_of(path)) == "tiff_pipe" and needs_pillow(path)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except (VideoError, av.FFmpegError, OSError) as error:
        raise VideoError(f"picture {path.name}: {cause_of(error)}; replace it, or remove it") from error


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    with _named(path):
        kind = _format_of(_head_of(path))
        if kind is None:
            raise VideoError("neither JPEG, PNG, WebP, BMP, TIFF nor PNM by its content")
        with av.open(f"file:{path}", format=kind, options=_OPTIONS, **ANY_TEXT) as container:
            stream = container.streams.video[0]
            context = stream.codec_context
            context.thread_count = 1
            context.options = {"max_pixels": str(MAX_PIXELS)}
            if kind == "jpeg_pipe":  # FFmpeg fills what a JPEG lacks; other formats fail, and its TIFF is too strict
                context.options |= {"err_detect": "explode"}
            if context.width * context.height > MAX_PIXELS:
                raise VideoError(
                    f"{context.width}x{context.height}, more than the {MAX_PIXELS} pixels that are decoded"
                )
            yield container, stream


def _head_of(path: Path) -> bytes:
    if size_of(path) == 0:
        raise VideoError("the file is empty (0 bytes)")
    with path.open("rb") as file:
        return file.read(_HEAD)


def _format_of(head: bytes) -> str | None:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp_pipe"
    return next((name for start, name in _FORMATS if head.startswith(start)), None)
