"""Where live pictures come from: a file at its own pace, a camera, or an address that the user gives."""

import re
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame

from vidrnn.errors import ConfigError, MissingPathError, VideoError
from vidrnn.names import quoted
from vidrnn.video.container import ANY_TEXT, MAX_PIXELS, cause_of, moving_streams, packets_of, pixel_aspect
from vidrnn.video.decode import Frame, decode
from vidrnn.video.probe import probe
from vidrnn.video.restarts import JUMP_S
from vidrnn.video.upright import Upright

OPEN_S = 15.0
SILENCE_S = 10.0
"""How long a source may take to open, and to give a picture, before it counts as gone."""
_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "rtp", "srt", "tcp")
_PROTOCOLS = (*_SCHEMES, "rtmpe", "rtmpt", "tls", "crypto", "httpproxy")  # that such an address may lead to: no file


@dataclass
class Arrival:
    """A picture that has come, not yet converted: few of them are kept.

    Attributes:
        timestamp_s: seconds since the start of the stream.
        size: width and height in pixels.
        frame: makes the picture, when it is wanted.
    """

    timestamp_s: float
    size: tuple[int, int]
    frame: Callable[[], Frame] = field(repr=False)


class LiveSource(ABC):
    """A source of pictures.

    Attributes:
        name: for people, without a password.
        is_live: whether its pictures come when they are made; else it has an end and is read at its own pace, once. An
            address tells this with its first picture.
    """

    name: str
    is_live: bool

    @abstractmethod
    def arrivals(self) -> Generator[Arrival, None, None]:
        """Pictures from now on, with increasing times from 0 on.

        Raises:
            VideoError: it cannot be opened, gives nothing, or has gone away.
        """


def find_source(text: str) -> LiveSource:
    """What a user calls a source: the number of a camera, an address, or the path of a file.

    Raises:
        MissingPathError: there is no such file. ConfigError: it is a folder, or an address of another kind.
    """
    if text.isdecimal():
        return _Connected(f"camera {text}", *_camera(int(text)))
    if scheme := re.match(r"(\w[\w+.-]*)://", text):
        if scheme[1].lower() not in _SCHEMES:
            raise ConfigError(f"an address of {scheme[1]}:// is not read; give one of {', '.join(_SCHEMES)}, or a file")
        options = {"protocol_whitelist": ",".join(_PROTOCOLS)}
        if scheme[1].lower().startswith("rtsp"):
            options["rtsp_transport"] = "tcp"  # over UDP lost packets tear pictures
        return _Connected(_without_password(text), text, None, options)
    path = Path(text)
    if path.is_dir():
        raise ConfigError(
            f"{text!r} is a folder; give a video file, the number of a camera, or an address such as rtsp://"
        )
    if not path.exists():
        raise MissingPathError(f"{text!r} does not exist; give a video file, the number of a camera, or an address")
    return _File(path)


class _File(LiveSource):
    """A video file, whose pictures are due at their times."""

    is_live = False

    def __init__(self, path: Path) -> None:
        self._path, self.name = path, str(path)

    def arrivals(self) -> Generator[Arrival, None, None]:
        """See `LiveSource`; the times come from the file, as for `vidrnn classify`."""
        try:
            video = probe(self._path)
            for picture in decode(video, np.arange(video.num_frames)):
                yield _arrived(picture)
        except VideoError as error:
            raise VideoError(f"{quoted(self._path)}: {error}") from error


def _arrived(picture: Frame) -> Arrival:
    height, width = picture.rgb.shape[:2]
    return Arrival(picture.timestamp_s, (width, height), lambda: picture)


class _Connected(LiveSource):
    """A camera or an address."""

    is_live = True

    def __init__(self, name: str, place: str, form: str | None, options: dict[str, str]) -> None:
        self.name, self._place, self._form = name, place, form
        self._options = {"max_pixels": str(MAX_PIXELS), **options}

    def arrivals(self) -> Generator[Arrival, None, None]:
        """See `LiveSource`."""
        try:
            with self._open() as container:
                yield from self._pictures(container)
        except av.FFmpegError as error:
            raise VideoError(f"{self.name} gives no pictures: {_cause(error)}") from error

    def _open(self) -> InputContainer:
        try:
            opened: InputContainer = av.open(
                self._place, mode="r", format=self._form, options=self._options, timeout=(OPEN_S, SILENCE_S), **ANY_TEXT
            )
            return opened
        except (av.FFmpegError, OSError, ValueError) as error:
            raise VideoError(
                f"{self.name} cannot be opened: {_cause(error)}; check that it is there and free"
            ) from error

    def _pictures(self, container: InputContainer) -> Iterator[Arrival]:
        streams = moving_streams(container)
        if not streams:
            raise VideoError(f"{self.name} has no pictures (it holds: {_kinds(container)}); give another address")
        stream = streams[0]
        stream.codec_context.thread_count = 1
        self.is_live = container.duration is None  # an address may name a file
        clock, upright = _Clock(), Upright(pixel_aspect=float(pixel_aspect(stream)), guess_matrix=True)
        for packet in packets_of(container, stream):
            try:
                decoded = packet.decode()
            except av.InvalidDataError:  # a lost packet; pictures come again with the next whole one
                continue
            for picture in decoded:
                yield _to_convert(picture, clock(picture), upright)


def _to_convert(decoded: VideoFrame, time_s: float, upright: Upright) -> Arrival:
    def convert() -> Frame:
        rgb, aspect = upright(decoded)
        return Frame(rgb, time_s, aspect)

    return Arrival(time_s, (decoded.width, decoded.height), convert)


class _Clock:
    """Times of live pictures, from 0 on and increasing, whatever the sender's clock does."""

    def __init__(self) -> None:
        self._offset_s = self._latest_s = 0.0
        self._latest_at: float | None = None

    def __call__(self, picture: VideoFrame) -> float:
        """Seconds since the first picture. Where the sender's time is missing, steps back or leaps, ours goes on."""
        now, sent_s = time.monotonic(), picture.time
        since_s = 0.0 if self._latest_at is None else max(now - self._latest_at, 1e-3)
        time_s = None if sent_s is None else sent_s + self._offset_s
        first = self._latest_at is None
        if first or time_s is None or not self._latest_s < time_s < self._latest_s + JUMP_S:
            time_s = self._latest_s + since_s
            self._offset_s = 0.0 if sent_s is None else time_s - sent_s
        self._latest_s, self._latest_at = time_s, now
        return time_s


def _camera(number: int) -> tuple[str, str, dict[str, str]]:
    """How FFmpeg calls the camera of a number."""
    if sys.platform == "darwin":
        return str(number), "avfoundation", {"framerate": "30"}
    return f"/dev/video{number}", "video4linux2", {}


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    return address if "@" not in parts.netloc else parts._replace(netloc=parts.netloc.rsplit("@", 1)[1]).geturl()


def _kinds(container: InputContainer) -> str:
    return ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"


def _cause(error: Exception) -> str:
    """FFmpeg's own words, without the address, which may hold a password."""
    if isinstance(error, av.ExitError):  # so PyAV names its own time limits
        return f"nothing came for {SILENCE_S:.0f} s"
    return cause_of(error)
