"""A video with something drawn on and below its pictures, written anew.

The pictures keep their samples: only what is drawn is converted to their colours, and only when it changes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Protocol

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from vidrnn.errors import VideoError
from vidrnn.video.container import ANY_TEXT
from vidrnn.video.decode import decode_raw
from vidrnn.video.encode import Encoder, Timing, zero_of
from vidrnn.video.planes import Planes, Upright420, colours_of, frame_of, planes_of_rgb, write_planes
from vidrnn.video.probe import Video
from vidrnn.video.sound_track import open_sound

Pixels = npt.NDArray[np.uint8]
_OPAQUE = 256
_WHITE, _NO_COLOUR = 235, 128
_MARK = "written by vidrnn annotate"


@dataclass(frozen=True, eq=False)
class Sheet:
    """What is drawn at one time. An array that stays the same object is converted once.

    Attributes:
        panel: (h, w, 4) RGB and opacity, over the top left corner of the picture; sizes are even.
        strip: (H, W, 3) RGB, below the picture and as wide; H is even.
        playhead: columns from and to, and rows from and to, of a white line on the strip; all even.
    """

    panel: Pixels
    strip: Pixels
    playhead: tuple[int, int, int, int]


class Sheets(Protocol):
    """All that is drawn on a video whose pictures have one size."""

    def at(self, time_s: float) -> Sheet:
        """What is drawn on the picture that appears at this time."""


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        width, height: of the new video, with the strip.
        num_frames: its pictures.
        duration_s: as `Video.duration_s`.
        notes: what a reader should know.
    """

    width: int
    height: int
    num_frames: int
    duration_s: float
    notes: tuple[str, ...]


def write_annotated(
    video: Video,
    target: Path,
    make_sheets: Callable[[int, int], Sheets],
    *,
    scale: int = 1,
    on_packet: Callable[[], None] = lambda: None,
) -> Iterator[int | Written]:
    """Decode a video, draw on every picture, and write it with its sound, picture by picture.

    Args:
        video: what `probe` returned.
        target: the MP4 to write.
        make_sheets: from width and height of the pictures, upright and enlarged, to what is drawn.
        scale: how many times as large as they are the pictures are shown.
        on_packet: called for each packet that is read.

    Yields:
        How many pictures are written, after each; at the end, when the file is complete, what is in it.

    Raises:
        VideoError: it cannot be decoded or encoded. OSError: the file cannot be written.
    """
    frames = decode_raw(video, np.arange(video.num_frames), on_progress=on_packet)
    first = next(frames, None)
    if first is None:
        raise VideoError("gives no picture; the file is damaged")
    colours = colours_of(first[0])
    upright = Upright420(colours=colours, pixel_aspect=video.pixel_aspect, scale=scale)
    planes = upright(first[0])
    height, width = planes[0].shape
    brush = _Brush(make_sheets(width, height), partial(planes_of_rgb, colours=colours))
    sound = None
    if video.has_audio:
        sound = partial(open_sound, video.path, zero_s=zero_of(video), on_progress=on_packet)
    num_frames = 0
    timing = Timing.of(video)
    with Encoder(target, timing=timing, colours=colours, open_sound=sound, comment=_MARK) as encoder:
        for frame, timestamp_s in chain([first], frames):
            drawn = brush.paint(upright(frame), timestamp_s)
            size = drawn.width, drawn.height
            encoder.add(drawn, timestamp_s)
            num_frames += 1
            yield num_frames
    yield Written(*size, num_frames, video.duration_s, (*video.notes, *encoder.notes))


def is_annotated(path: Path) -> bool:
    """Whether a file was written by `write_annotated`."""
    if not path.is_file():
        return False
    try:
        with av.open(f"file:{path}", **ANY_TEXT) as container:
            return bool(container.metadata.get("comment") == _MARK)
    except (av.FFmpegError, OSError, ValueError):
        return False


class _Brush:
    """Puts sheets over pictures, and remembers what it converted last."""

    def __init__(self, sheets: Sheets, convert: Callable[[Pixels], Planes]) -> None:
        self._sheets, self._convert = sheets, convert
        self._panel: _Panel | None = None
        self._strip: tuple[Pixels, Planes] | None = None

    def paint(self, planes: Planes, time_s: float) -> VideoFrame:
        """The picture with what is drawn at this time, in a frame of its own."""
        sheet = self._sheets.at(time_s)
        if self._panel is None or self._panel.source is not sheet.panel:
            self._panel = _Panel(sheet.panel, self._convert)
        if self._strip is None or self._strip[0] is not sheet.strip:
            self._strip = sheet.strip, self._convert(sheet.strip)
        strip = self._strip[1]
        height = planes[0].shape[0]
        frame = frame_of(planes, below=strip[0].shape[0])
        write_planes(frame, self._panel.over(planes), top=0)
        write_planes(frame, strip, top=height)
        left, right, top, bottom = sheet.playhead
        rows = height + top, height + bottom
        write_planes(frame, _line(right - left, rows[1] - rows[0]), top=rows[0], left=left)
        return frame


class _Panel:
    """A half transparent picture, ready to be laid over others."""

    def __init__(self, rgba: Pixels, convert: Callable[[Pixels], Planes]) -> None:
        self.source = rgba
        opacity = rgba[..., 3].astype(np.uint16)
        opacity += opacity > 127  # 255 is opaque, as 256
        rows, columns = opacity.shape
        coarse = opacity.reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3)).astype(np.uint16)
        self._left = tuple(_OPAQUE - share for share in (opacity, coarse, coarse))
        drawn = convert(rgba[..., :3])
        self._added = tuple(
            plane.astype(np.uint16) * share for plane, share in zip(drawn, (opacity, coarse, coarse), strict=True)
        )

    def over(self, planes: Planes) -> Planes:
        """The top left corner of a picture with this over it."""
        corners = []
        for plane, left, added in zip(planes, self._left, self._added, strict=True):
            corner = plane[: left.shape[0], : left.shape[1]].astype(np.uint16)
            corner *= left
            corner += added
            corner >>= 8
            corners.append(corner.astype(np.uint8))
        return corners[0], corners[1], corners[2]


def _line(width: int, height: int) -> Planes:
    colour = np.full((height // 2, width // 2), _NO_COLOUR, np.uint8)
    return np.full((height, width), _WHITE, np.uint8), colour, colour
