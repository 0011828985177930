"""A stretch of a video as a file of its own: its packets as they are where that shows the very frames, else encoded."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.container import OutputContainer

from vidrnn.errors import VideoError
from vidrnn.video.container import open_video
from vidrnn.video.decode import decode_raw
from vidrnn.video.edit_list import set_shown_seconds
from vidrnn.video.encode import Encoder, Timing, new_mp4, zero_of
from vidrnn.video.packets import Integers
from vidrnn.video.plan import run_for
from vidrnn.video.planes import Upright420, colours_of, frame_of
from vidrnn.video.probe import Video, probe
from vidrnn.video.sampling import Seconds
from vidrnn.video.sound_track import SoundTrack, open_sound
from vidrnn.video.sparse import Doubt, PacketReader
from vidrnn.video.upright import placement

How = Literal["copied", "encoded"]
_HELD = frozenset({"av1", "h264", "hevc", "mpeg4", "vp9"})  # codecs that players read in an MP4
_SAME_S = 2e-3  # containers round times to milliseconds


@dataclass(frozen=True)
class Stretch:
    """Some neighbouring frames of a video.

    Attributes:
        first, last: positions in ``Video.timestamps_s``; the last is not included.
    """

    first: int
    last: int

    def times_in(self, video: Video) -> Seconds:
        """(n,) seconds since the first frame of the stretch."""
        times = video.timestamps_s[self.first : self.last]
        return np.asarray(times - times[0])

    def seconds_in(self, video: Video) -> float:
        """From the first frame to the end of the last one, which is when the next one begins."""
        start_s = float(video.timestamps_s[self.first])
        if self.last < video.num_frames:
            return float(video.timestamps_s[self.last]) - start_s
        return float(video.timestamps_s[0]) + video.duration_s - start_s


def write_clip(
    video: Video, stretch: Stretch, target: Path, *, exact: bool = False, on_packet: Callable[[], None] = lambda: None
) -> How:
    """Write a stretch with its sound as an MP4 whose time 0 is the first frame of the stretch.

    Copied packets begin at the last key frame before the stretch; the edit list of the MP4 hides what is before the
    first frame and behind the last one. The copy is read again. Where it would not show just the frames of the stretch
    at their times, the frames are encoded instead. So they are where the codec cannot stand in an MP4.

    Args:
        video: what `probe` returned.
        stretch: at least one frame.
        target: the file to write.
        exact: encode in any case: the file then holds nothing but the stretch, and begins with a key frame.
        on_packet: called for each packet that is read.

    Returns:
        What was done.

    Raises:
        VideoError: it cannot be decoded or encoded. OSError: the file cannot be written.
    """
    if not exact:
        with suppress(Doubt, av.FFmpegError, VideoError):
            _copy(video, stretch, target, on_packet=on_packet)
            return "copied"
    _encode(video, stretch, target, on_packet=on_packet)
    return "encoded"


def _sound(
    video: Video, stretch: Stretch, *, on_packet: Callable[[], None]
) -> Callable[[OutputContainer], SoundTrack | None] | None:
    if not video.has_audio:
        return None
    zero_s = zero_of(video) + float(video.timestamps_s[stretch.first])
    return partial(open_sound, video.path, zero_s=zero_s, length_s=stretch.seconds_in(video), on_progress=on_packet)


def _copy(video: Video, stretch: Stretch, target: Path, *, on_packet: Callable[[], None]) -> None:
    """Raises Doubt where a copy cannot show the frames of the stretch and no others."""
    index, pts = video.packets, video.pts
    if index is None or pts is None or video.codec not in _HELD:
        raise Doubt("which packets the frames need is not known")
    run = run_for(index, [int(time) for time in pts[stretch.first : stretch.last]])
    if run is None:
        raise Doubt("a frame has no packet")
    shown_at = index.pts[run.send] - pts[stretch.first]
    sound = _sound(video, stretch, on_packet=on_packet)
    with open_video(video.path) as (source, stream), new_mp4(target) as output:
        copy = output.add_stream_from_template(stream, opaque=True)
        track = sound(output) if sound is not None else None
        reader = PacketReader(source, stream, index, on_progress=on_packet)
        reader.approach(int(run.send[0]))
        times = zip(shown_at.tolist(), _decoding_times(shown_at), strict=True)
        for packet, (shown, decoded) in zip(reader.read(run.send), times, strict=True):
            packet.pts, packet.dts, packet.stream = shown, decoded, copy
            if track is not None:
                track.write_until(float(decoded * packet.time_base))
            output.mux(packet)
        if track is not None:
            track.write_until(None)
            track.close()
    if not set_shown_seconds(target, stretch.seconds_in(video)):
        raise Doubt("the copy has no edit list")
    _compare(video, stretch, target)


def _decoding_times(shown_at: Integers) -> list[int]:
    """When each packet is decoded, early enough for all; Matroska does not say so of the first packets."""
    in_order = np.sort(shown_at)
    return [int(time) for time in in_order - np.max(in_order - shown_at)]


def _compare(video: Video, stretch: Stretch, target: Path) -> None:
    """Read a copy as any other video. Raises Doubt where it does not show the stretch."""
    times = probe(target).timestamps_s
    wanted = stretch.times_in(video)
    if len(times) != len(wanted) or np.abs(times - wanted).max() > _SAME_S:
        raise Doubt(f"the copy shows {len(times)} frames and not {len(wanted)}, or at other times")


def _encode(video: Video, stretch: Stretch, target: Path, *, on_packet: Callable[[], None]) -> None:
    frames = decode_raw(video, np.arange(stretch.first, stretch.last), on_progress=on_packet)
    first = next(frames, None)
    if first is None:
        raise VideoError("gives no picture there; the file is damaged")
    colours = colours_of(first[0])
    upright = Upright420(colours=colours)
    aspect = Fraction(video.pixel_aspect).limit_denominator(1000)
    if placement(first[0])[1] % 2:
        aspect = 1 / aspect
    start_s = float(video.timestamps_s[stretch.first])
    timing = Timing.of(video, since_s=start_s, frames=slice(stretch.first, stretch.last))
    sound = _sound(video, stretch, on_packet=on_packet)
    with Encoder(target, timing=timing, colours=colours, pixel_aspect=aspect, open_sound=sound) as encoder:
        for frame, timestamp_s in chain([first], frames):
            encoder.add(frame_of(upright(frame)), timestamp_s - start_s)
