"""What is in a video file and when each of its frames is shown, found without keeping pixels.

Time is the presentation timestamp. The times of all frames come from the packets, without decoding; where a container
does not carry them, from one decode. Frame counts and rates of headers are only reported.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vidrnn.errors import VideoError
from vidrnn.video.sampling import Seconds

_PLAYLISTS = {"concat", "dash", "hls", "imf", "sdp"}  # text files that make FFmpeg open other files and addresses
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
    pts: npt.NDArray[np.int64] | None = field(repr=False)

    @property
    def num_frames(self) -> int:
        """Frames that the file really holds."""
        return len(self.timestamps_s)

    @property
    def duration_s(self) -> float:
        """From the first frame to the end of the last, which is taken to last as long as the median frame."""
        gaps = np.diff(self.timestamps_s)
        last = float(np.median(gaps)) if len(gaps) else 1.0 / (self.rate_from_header or 25.0)
        return float(self.timestamps_s[-1] - self.timestamps_s[0]) + last


def probe(path: Path) -> Video:
    """Find out what a file holds and when each of its frames is shown.

    Raises:
        VideoError: not a regular file, no video stream, not decodable, or no frame in it; with the cause.
    """
    with open_video(path) as (container, stream):
        pts = _packet_pts(container, stream)
        header_frames, header_rate = stream.frames, float(stream.average_rate or 0)
        start_s = _start_s(container, stream)
        time_base = stream.time_base or Fraction(1, 1000)
        shape = stream.codec_context.width, stream.codec_context.height
        names = container.format.name, stream.codec_context.name
        has_audio = bool(container.streams.audio)
    notes: list[str] = []
    if pts is not None:
        timestamps_s = np.asarray(pts * float(time_base) - start_s, dtype=np.float64)
    else:
        decoded, note = _decoded_times(path, rate=header_rate or 25.0)
        timestamps_s = decoded - start_s
        notes += [note] if note else []
    if len(timestamps_s) == 0:
        raise VideoError("holds no frame; the file is empty or was cut off before its first picture")
    if header_frames > len(timestamps_s) * (1 + _HEADER_TOLERANCE) + 1:
        notes.append(f"header claims {header_frames} frames, the file holds {len(timestamps_s)}")
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
    )


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a local file and its first real video stream, decoded by one thread.

    Raises:
        VideoError: not a regular file, not a video, or without a video stream that can be decoded.
    """
    if not path.exists():
        raise VideoError("does not exist; check the path in the annotations against data.root")
    if not path.is_file():
        raise VideoError("is not a regular file (a folder, pipe or device); only local files are read")
    try:
        # The protocol is spelled out so that a file called 'http:...' or 'concat:...' is still only a file.
        container = av.open(f"file:{path}", mode="r", metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        size = path.stat().st_size
        raise VideoError(f"cannot be opened as a video ({size} bytes): {cause_of(error)}") from error
    with container:
        if container.format.name in _PLAYLISTS:
            raise VideoError(f"is a playlist ({container.format.name}), not a video; name the files that it lists")
        # A cover picture in a music file is stored as a video stream of one frame.
        streams = [each for each in container.streams.video if not each.disposition & Disposition.attached_pic]
        if not streams:
            kinds = {"a cover picture" if each.type == "video" else each.type for each in container.streams}
            raise VideoError(f"has no video stream (it holds: {', '.join(sorted(kinds)) or 'nothing'})")
        stream = streams[0]
        if stream.codec_context is None:
            raise VideoError(
                "is in a codec that this build of FFmpeg cannot decode; re-encode it, for example to H.264"
            )
        # Several videos in flight beat threads inside one, and FFmpeg's automatic count has hung beside PyTorch.
        stream.codec_context.thread_count = 1
        yield container, stream


def cause_of(error: Exception) -> str:
    """FFmpeg's own words for an error."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _start_s(container: InputContainer, stream: VideoStream) -> float:
    """The instant that players call zero: the earliest start of any stream."""
    own_s = None
    if stream.start_time is not None and stream.time_base is not None:
        own_s = stream.start_time * float(stream.time_base)
    if container.start_time is None:
        return own_s or 0.0
    start_s = container.start_time / av.time_base
    # The container's start is rounded to microseconds: taken as it is, it would move the first frame off zero.
    return own_s if own_s is not None and abs(own_s - start_s) < 1 / av.time_base else start_s


def _packet_pts(container: InputContainer, stream: VideoStream) -> npt.NDArray[np.int64] | None:
    """Sorted timestamps of all packets that give a frame; None when they cannot be relied on.

    A packet without a time, or two with the same, say nothing about the order of frames. AVI stores no presentation
    times at all: FFmpeg makes them up, which goes wrong as soon as frames are reordered (B-frames).
    """
    pts: list[int] = []
    try:
        for packet in container.demux(stream):
            if packet.size == 0 or packet.is_discard:
                continue
            if packet.pts is None:
                return None
            pts.append(packet.pts)
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"cannot be read to its end: {cause_of(error)}; the file is damaged") from error
    distinct = np.unique(np.asarray(pts, dtype=np.int64))
    reordered_without_times = container.format.name == "avi" and stream.codec_context.has_b_frames
    return distinct if len(distinct) == len(pts) and not reordered_without_times else None


def _decoded_times(path: Path, *, rate: float) -> tuple[Seconds, str | None]:
    """Times of all frames in the order in which the decoder shows them, without keeping pixels.

    Presentation times where they increase, else decoding times, else the header's rate.

    Returns:
        (N,) seconds, strictly increasing, and a note when they are not presentation times.
    """
    shown: list[float | None] = []
    decoded: list[float | None] = []
    with open_video(path) as (container, stream):
        unit = float(stream.time_base or Fraction(1, 1000))
        try:
            for frame in container.decode(stream):
                shown.append(None if frame.pts is None else frame.pts * unit)
                decoded.append(None if frame.dts is None else frame.dts * unit)
        except (av.FFmpegError, OSError) as error:
            raise VideoError(
                f"decoding stopped after {len(shown)} frames: {cause_of(error)}; the file is damaged, "
                "re-encode or replace it"
            ) from error
    if (times := _increasing(shown, step_s=1.0 / rate)) is not None:
        return times, None
    if (times := _increasing(decoded, step_s=1.0 / rate)) is not None:
        # Decoding runs ahead of showing; the first frame's presentation time, where there is one, is right.
        offset = (shown[0] or 0.0) - times[0] if shown[0] is not None else 0.0
        return times + offset, "presentation times are missing or out of order; decoding times used"
    return np.arange(len(shown)) / rate, f"frames carry no usable times; taken as {rate:g} per second"


def _increasing(times: list[float | None], *, step_s: float) -> Seconds | None:
    """Times as an array when they strictly increase; the frames that the decoder flushes last may lack theirs."""
    known = list(times)
    for position in range(len(known) - 1, -1, -1):
        if known[position] is not None:
            break
    else:
        return np.zeros(0) if not known else None
    last = known[position]
    assert last is not None
    known[position + 1 :] = [last + step_s * (extra + 1) for extra in range(len(known) - position - 1)]
    if any(value is None for value in known):
        return None
    array = np.asarray(known, dtype=np.float64)
    return array if bool((np.diff(array) > 0).all()) else None
