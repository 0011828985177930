"""What is in a video file and when each of its frames is shown, found without keeping pixels.

Time is the presentation timestamp. The times of all frames come from the packets, without decoding; where a container
does not carry them, from one decode. Frame counts and rates of headers are only reported.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from vidrnn.errors import VideoError
from vidrnn.frame_folders import FrameFiles, list_frames
from vidrnn.video.clock import Ticks
from vidrnn.video.container import (
    cause_of,
    ends_with_its_first,
    file_start_s,
    is_followed,
    moving_streams,
    open_video,
)
from vidrnn.video.decoded_times import decoded_times
from vidrnn.video.header import pixels_of
from vidrnn.video.packets import Integers, PacketIndex, list_packets
from vidrnn.video.pictures import is_still, measure
from vidrnn.video.sampling import Seconds

_USUAL_RATE = 25.0  # frames per second where neither the frames nor the header tell
_HEADER_TOLERANCE = 0.1  # a header may claim this share more frames than there are before a note is made


@dataclass(frozen=True)
class Video:
    """What a file holds, found without keeping pixels.

    Attributes:
        width, height: of the decoded picture in pixels, before rotation.
        timestamps_s: (N,) seconds since the start of the file, strictly increasing; one per frame.
        num_frames_from_header, rate_from_header: claims of the container, 0 when it makes none.
        pts: (N,) the same times in the stream's own units when each frame carries its own; None when frames can only
            be told apart by counting them.
        notes: what a reader of the report should know (estimated times, a header that claims more).
        packets: which packets need which, where that is known beyond doubt; None: decode from the start.
        pixel_aspect: width of a pixel over its height, before rotation.
        pictures: the file of each frame, where each is a picture of its own; None: the frames are in ``path``.
        pixel_format: FFmpeg's name of how pixels are stored; None where it is not known before decoding.
    """

    path: Path
    container: str
    codec: str
    width: int
    height: int
    timestamps_s: Seconds
    num_frames_from_header: int
    rate_from_header: float
    has_audio: bool
    notes: tuple[str, ...]
    pts: Integers | None = field(repr=False)
    packets: PacketIndex | None = field(default=None, repr=False)
    pictures: tuple[Path, ...] | None = field(default=None, repr=False)
    pixel_aspect: float = 1.0
    pixel_format: str | None = None

    @property
    def num_frames(self) -> int:
        """Frames that the file really holds."""
        return len(self.timestamps_s)

    @property
    def duration_s(self) -> float:
        """From the first frame to the end of the last, which is taken to last as long as the median frame."""
        gaps = np.diff(self.timestamps_s)
        last = float(np.median(gaps)) if len(gaps) else 1.0 / (self.rate_from_header or _USUAL_RATE)
        return float(self.timestamps_s[-1] - self.timestamps_s[0]) + last


def probe(
    path: Path,
    *,
    frame_rate: float | None = None,
    frame_template: str | None = None,
    on_progress: Callable[[], None] = lambda: None,
) -> Video:
    """Find out what a file holds and when each of its frames is shown.

    Args:
        path: a local file: a video, or a still image, which is a video of one frame; or a folder of numbered pictures.
        frame_rate: pictures per second in such a folder.
        frame_template: names of the pictures in it, see `list_frames`.
        on_progress: called for each packet that is read and each frame that is decoded, so that whoever waits can tell
            slow from hung.

    Raises:
        VideoError: not a regular file, no video stream, not decodable, or no frame in it; a folder without a rate, or
            whose pictures are no one series; with the cause.
    """
    if _is_folder(path):
        return _probe_folder(path, rate=frame_rate, template=frame_template)
    if is_still(path):
        return _of_pictures(path, FrameFiles((path,), (0,)), container="still image")
    return _probe_file(path, on_progress=on_progress)


def _probe_file(path: Path, *, on_progress: Callable[[], None]) -> Video:
    with open_video(path) as (container, stream):
        listing = list_packets(container, stream, on_progress=on_progress)
        header_frames = max(stream.frames - listing.hidden, 0) // (1 + listing.in_fields)
        header_rate = _positive(stream.average_rate)
        start_s = file_start_s(container, stream)
        time_base = _positive(stream.time_base) or 1e-3
        shape = stream.codec_context.width, stream.codec_context.height
        names = container.format.name, stream.codec_context.name
        pixel_format = stream.codec_context.pix_fmt
        may_be_followed = ends_with_its_first(container)
        has_audio = bool(container.streams.audio)
        aspect, told = pixels_of(stream)
        notes = _stream_notes(container, stream) + told
    pts, packets = listing.pts, listing.index
    if (
        listing.is_sure and pts is not None and len(pts)
    ):  # a file that was cut may begin with frames that its start does not count
        start_s = min(start_s, pts[0].item() * time_base)
    timestamps_s = None if pts is None else _seconds(pts, unit_s=time_base, start_s=start_s)
    if timestamps_s is None or not listing.is_sure:
        rate = header_rate or _USUAL_RATE
        shown = decoded_times(path, rate=rate, unit_s=time_base, on_progress=on_progress)
        notes += shown.notes
        if pts is None or timestamps_s is None or not (shown.as_stored and np.array_equal(shown.ticks, pts)):
            timestamps_s = _seconds(shown.ticks, unit_s=time_base, start_s=start_s)
            pts, packets = None, None
    if timestamps_s is None or len(timestamps_s) == 0:
        raise VideoError("holds no frame; the file is empty or was cut off before its first picture")
    followed = may_be_followed and listing.end and is_followed(path, listing.end, on_read=on_progress)
    notes += _length_notes(len(timestamps_s), header_frames=header_frames, followed=bool(followed))
    return Video(
        path=path,
        container=names[0],
        codec=names[1],
        width=shape[0],
        height=shape[1],
        timestamps_s=timestamps_s,
        num_frames_from_header=header_frames,
        rate_from_header=header_rate,
        has_audio=has_audio,
        notes=tuple(notes),
        pts=pts,
        packets=packets,
        pixel_aspect=float(aspect),
        pixel_format=pixel_format,
    )


def _length_notes(frames: int, *, header_frames: int, followed: bool) -> list[str]:
    notes = []
    if followed:
        notes.append(
            f"another file follows in it, joined byte for byte; only the {frames} frames of the first are "
            "read, so join them with a tool for videos, or cut them apart"
        )
    if header_frames > frames * (1 + _HEADER_TOLERANCE) + 1:
        notes.append(f"header claims {header_frames} frames, the file holds {frames}")
    return notes


def _stream_notes(container: InputContainer, stream: VideoStream) -> list[str]:
    """What a reader of the report should know of the choice of the stream."""
    streams = moving_streams(container)
    if len(streams) == 1:
        return []
    size = f"{stream.codec_context.width}x{stream.codec_context.height}"
    number = 1 + [other.index for other in streams].index(stream.index)
    return [f"holds {len(streams)} video streams; number {number} ({size}) is used, the default one or the largest"]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # whoever opens it says why
        return False


def _probe_folder(folder: Path, *, rate: float | None, template: str | None) -> Video:
    """Time counts the numbers in the names: a number that is missing is a moment without a frame."""
    try:
        files = list_frames(folder, template=template)
    except OSError as error:
        raise VideoError(f"is a folder that cannot be listed: {cause_of(error)}") from error
    if rate is None:
        raise VideoError(
            f"is a folder of {len(files.paths)} numbered pictures, whose times nothing tells; set features.frame_rate "
            "to the pictures per second (classify: --frame-rate)"
        )
    notes = []
    if files.missing:
        notes.append(f"{files.missing} numbers between the first and the last picture are missing: gaps in time")
    if files.left_out:
        notes.append(f"{files.left_out} other pictures in the folder are left out")
    return _of_pictures(folder, files, container="frame folder", rate=rate, notes=tuple(notes))


def _of_pictures(
    path: Path, files: FrameFiles, *, container: str, rate: float = 0.0, notes: tuple[str, ...] = ()
) -> Video:
    first = measure(files.paths[0])
    since_first = np.asarray(files.numbers, dtype=np.int64) - files.numbers[0]
    return Video(
        path=path,
        container=container,
        codec=first.codec,
        width=first.width,
        height=first.height,
        timestamps_s=since_first / (rate or _USUAL_RATE),
        num_frames_from_header=0,
        rate_from_header=rate,
        has_audio=False,
        notes=notes,
        pts=since_first,
        pictures=files.paths,
    )


def _positive(claim: Fraction | None) -> float:
    """A rate or unit that a header claims, as a number; 0 when it claims none or nonsense."""
    value = float(claim) if claim else 0.0
    return value if math.isfinite(value) and value > 0 else 0.0


def _seconds(pts: Integers | Ticks, *, unit_s: float, start_s: float) -> Seconds | None:
    """(N,) times in seconds since the start of the file; None when float64 cannot tell them apart."""
    if len(pts) == 0:
        return np.zeros(0)
    # The difference is exact as an integer; a product of the time itself is not, where time counts from 1970.
    timestamps_s = np.asarray((pts - pts[0]) * unit_s + (pts[0].item() * unit_s - start_s), dtype=np.float64)
    return timestamps_s if bool((np.diff(timestamps_s) > 0).all()) else None
