"""Opening a video: local files in containers that hold video, and nothing that such a file may name."""

import math
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import av
from av.audio.stream import AudioStream
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidrnn.errors import AbsentStreamError, VideoError
from vidrnn.names import of_unicode, of_windows
from vidrnn.video.restarts import JUMP_S

_Stream = TypeVar("_Stream", VideoStream, AudioStream)

MAX_PIXELS = 8192 * 8192  # per picture; a header may claim any size, and memory is taken before the picture is seen

# FFmpeg's names of the readers that are let in. Left out on purpose: playlists (hls, dash, concat, imf, sdp), subtitles
# (vobsub opens a second file), picture sequences (a pattern names other files), sound, devices, and text. Single
# pictures have readers of their own, which `vidrnn.video.pictures` names one by one.
_CONTAINERS = (
    *("3g2", "3gp", "apng", "asf", "avi", "dv", "flv", "gif", "gxf", "ivf", "matroska", "mov", "mpeg", "mpegts", "mxf"),
    *("nsv", "nut", "ogg", "rm", "webp_pipe", "wtv"),
    *("av1", "h261", "h263", "h264", "hevc", "m4v", "mjpeg", "mpegvideo", "obu", "vc1"),  # streams without container
)
_SIGNATURE, _PIECE = 12, 1 << 20  # bytes: that tell a kind of file, and that are read at once
_NUT_BEGINS, _NUT_HEAD = b"/multimedia container\0", 32  # behind "nut", within so many bytes
_SOUND_CONTAINERS = ("aac", "aiff", "au", "caf", "flac", "mp3", "w64", "wav")
_OPTIONS = {
    "format_whitelist": ",".join(_CONTAINERS),
    "protocol_whitelist": "file",
    "enable_drefs": "0",  # an MP4 may say that its pictures lie in another file
    "max_pixels": str(MAX_PIXELS),
}
# Titles and comments may be in any encoding. PyAV 19 takes them as they are; before, it had to be told.
ANY_TEXT: dict[str, Any] = {} if int(av.__version__.split(".", 1)[0]) >= 19 else {"metadata_errors": "replace"}
_SOUND_OPTIONS = {**_OPTIONS, "format_whitelist": ",".join((*_CONTAINERS, *_SOUND_CONTAINERS))}
# A cover picture in a music file is stored as a video stream of one frame.
_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


@contextmanager
def open_video(path: Path, *, hardware: HWAccel | None = None) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a local file and its video stream, decoded by one thread, or by hardware where that can decode it.

    Where there are several video streams, the default one is taken, else the largest.

    Raises:
        VideoError: not a regular file, not a container of video, or without a video stream that can be decoded.
    """
    with _open(path, hardware=hardware) as container:
        stream = _choose(container)
        context = stream.codec_context
        if context is None:
            raise VideoError(
                "is in a codec that this build of FFmpeg cannot decode; re-encode it, for example to H.264"
            )
        if context.width * context.height > MAX_PIXELS:
            raise VideoError(
                f"claims pictures of {context.width}x{context.height}; at most {MAX_PIXELS} pixels (8192x8192) are "
                "decoded, scale it down"
            )
        # Several videos in flight beat threads inside one, and FFmpeg's automatic count has hung beside PyTorch.
        context.thread_count = 1
        context.options = {"max_pixels": str(MAX_PIXELS)}  # the size may change on the way
        yield container, stream


def _choose(container: InputContainer) -> VideoStream:
    """The stream that is the video. Raises VideoError where the file has no such stream."""
    streams = moving_streams(container)
    tiles = [stream for stream in container.streams.video if stream.disposition & Disposition.dependent]
    if tiles and all(stream.frames == 1 for stream in streams):  # what else is there is a thumbnail
        raise VideoError(
            f"is one picture in {len(tiles)} tiles (HEIC or AVIF, as phones write it), which are not put together; "
            "convert it to JPEG or PNG"
        )
    if not streams:
        kinds = {"a cover picture" if stream.type == "video" else stream.type for stream in container.streams}
        raise VideoError(f"has no video stream (it holds: {', '.join(sorted(kinds)) or 'nothing'})")
    return max(streams, key=_rank)


def moving_streams(container: InputContainer) -> list[VideoStream]:
    """All video streams except cover pictures, thumbnails of chapters and tiles, which stand for another stream."""
    return [stream for stream in container.streams.video if not stream.disposition & _NO_VIDEO]


def _rank(stream: VideoStream) -> tuple[bool, bool, int]:
    """An animated AVIF marks its still picture as default too, and the picture says that it is one frame."""
    context = stream.codec_context
    size = 0 if context is None else context.width * context.height
    return bool(stream.disposition & Disposition.default), stream.frames != 1, size


@contextmanager
def open_audio(path: Path) -> Iterator[tuple[InputContainer, AudioStream]]:
    """Open a local file, which may hold nothing but sound, and an audio stream of it, decoded by one thread.

    Where there are several audio streams, the default one is taken, else the first.

    Raises:
        AbsentStreamError: it has no audio stream.
        VideoError: not a regular file, not a container of video or sound, or in a codec that cannot be decoded.
    """
    with _open(path, options=_SOUND_OPTIONS) as container:
        if not container.streams.audio:
            raise AbsentStreamError("has no sound")
        stream = max(container.streams.audio, key=lambda track: bool(track.disposition & Disposition.default))
        if stream.codec_context is None:
            raise VideoError("has sound in a codec that this build of FFmpeg cannot decode; re-encode it to AAC")
        stream.codec_context.thread_count = 1
        yield container, stream


def size_of(path: Path) -> int:
    """Bytes of a regular file. Opening a pipe would wait for a writer for ever, so whoever opens looks first.

    Raises:
        VideoError: there is no file, or it is not a regular one.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise VideoError(
                "is a link to a file that does not exist; put the file there, or correct the link"
            ) from None
        cause = "does not exist; correct its path, or put the file there"
        raise VideoError(cause + of_windows([path.name]) + of_unicode(path)) from None
    except (OSError, ValueError) as error:
        raise VideoError(f"cannot be looked at: {cause_of(error)}") from error
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise VideoError(f"is not a regular file but {kind}; only local files are read")
    return status.st_size


def _open(path: Path, *, options: dict[str, str] = _OPTIONS, hardware: HWAccel | None = None) -> InputContainer:
    """Let FFmpeg open the file, when it is one."""
    size = size_of(path)
    if size == 0:
        raise VideoError("cannot be opened as a video (0 bytes): the file is empty; replace it")
    try:
        # The protocol is spelled out so that a file called 'http:...' or 'concat:...' is still only a file.
        opened: InputContainer = av.open(f"file:{path}", mode="r", options=options, hwaccel=hardware, **ANY_TEXT)
        return opened
    except av.ArgumentError as error:
        raise VideoError(
            f"is not in a container of video ({size} bytes). Playlists and subtitles are not read, and a "
            "picture only where its name ends as a picture's. Name the video itself, for example an MP4, Matroska, AVI "
            "or MPEG file"
        ) from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"cannot be opened as a video ({size} bytes): {cause_of(error)}") from error


def packets_of(container: InputContainer, stream: _Stream) -> "Iterator[Packet[_Stream]]":
    """The packets of a stream, then one that is empty.

    Ogg writes a packet without bytes where a picture is shown again (Theora). No decoder of FFmpeg takes such a packet,
    and none needs it: the picture before it stays on the screen.

    A transport stream may announce more streams on the way. PyAV made no room for those: behind the last packet of the
    others it looks one up that it does not have. The reader of NUT takes a whole file that follows for one more frame.
    """
    may_swallow = container.format.name == "nut"
    with suppress(IndexError):
        for packet in container.demux(stream):
            swallowed = may_swallow and _NUT_BEGINS in bytes(memoryview(packet)[:_NUT_HEAD])
            if not swallowed and (packet.size or not packet.buffer_ptr):  # the last one has no place in memory either
                yield packet


def refuse_encrypted(packet: "Packet[Any]") -> None:
    """Raise VideoError where the container says that what is in a packet is encrypted (Common Encryption, DRM)."""
    if any(side_data.data_type == "encryption_info" for side_data in packet.iter_sidedata()):
        raise VideoError("is encrypted (DRM), and nothing here has its key; take a copy without encryption")


def longest_step_s(container: InputContainer) -> float:
    """A longer step forward is a new clock, in seconds; infinite where the container forbids one.

    ffmpeg has the same limit (``-dts_delta_threshold``) for the same containers.
    """
    return JUMP_S if Flags.ts_discont in Flags(container.format.flags) else math.inf


def ends_with_its_first(container: InputContainer) -> bool:
    """Whether of files that were joined byte for byte only the first is read, without a word."""
    return container.format.name.split(",")[0] in {"mov", "flv", "asf", "nut"}


def is_followed(path: Path, end: int, *, on_read: Callable[[], object] = lambda: None) -> bool:
    """Whether behind ``end``, the last byte that was read as video, another file of the same kind begins."""
    with path.open("rb") as file:
        head = file.read(_SIGNATURE)
        signature = head[4:] if head[4:8] == b"ftyp" else head  # before that stands the length of the box
        file.seek(end)
        before = b""
        while piece := file.read(_PIECE):
            on_read()
            if signature in before + piece:
                return True
            before = piece[-len(signature) :]
    return False


def file_start_s(container: InputContainer, stream: VideoStream | AudioStream) -> float:
    """The instant that players call zero: the earliest start of any stream."""
    stream_s = None
    if stream.start_time is not None and stream.time_base is not None:
        stream_s = stream.start_time * float(stream.time_base)
    if container.start_time is None:
        return stream_s or 0.0
    start_s = container.start_time / av.time_base
    # The container's start is rounded to microseconds: taken as it is, it would move the first frame off zero.
    return stream_s if stream_s is not None and abs(stream_s - start_s) < 1 / av.time_base else start_s


def decode_all(
    container: InputContainer, stream: VideoStream, *, on_progress: Callable[[], None]
) -> Iterator[VideoFrame]:
    """All frames from the start of the file, in the decoder's order."""
    for packet in packets_of(container, stream):
        on_progress()
        yield from packet.decode()


def pixel_aspect(stream: VideoStream) -> Fraction:
    """Width of a pixel over its height; where the container and the codec contradict, the container counts."""
    return stream.sample_aspect_ratio or Fraction(1)


def damage_of(error: Exception, *, width: int) -> str:
    """FFmpeg's own words for a decoding error, and what to do; the width of the picture is 0 where none was found."""
    if width:
        return f"{cause_of(error)}; the file is damaged, re-encode or replace it"
    return (
        f"{cause_of(error)}; its pictures have no known size (FFmpeg cannot decode them, as moving WebP), or more than "
        f"the {MAX_PIXELS} pixels (8192x8192) that are decoded: re-encode or replace it"
    )


def cause_of(error: Exception) -> str:
    """FFmpeg's own words for an error."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
