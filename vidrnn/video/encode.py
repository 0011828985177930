"""Writing videos: H.264 in MP4 that browsers play, with the times of the pictures and the sound of the source.

Nothing else of vidrnn writes a video, but for the clips that it draws itself (`vidrnn.synthetic`).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidrnn.errors import VideoError
from vidrnn.processes import usable_cores
from vidrnn.video.container import cause_of, file_start_s, open_video
from vidrnn.video.packets import Integers
from vidrnn.video.planes import Colours
from vidrnn.video.probe import Video
from vidrnn.video.sound_track import SoundTrack

X264_OPTIONS = {"preset": "veryfast", "crf": "20", "g": "50"}
"""Quality and speed of what is encoded; a key frame at least every 50 pictures, so that a player can jump."""
_MP4 = {"movflags": "+faststart", "movie_timescale": "90000"}  # the latter measures edit lists
_FINEST = 1_000_000  # ticks a second; times of files that count finer are rounded to this
_USUAL = Fraction(1, 90_000)  # for folders of pictures
_SOUND_AHEAD_S = 0.5


@contextmanager
def new_mp4(target: Path) -> Iterator[OutputContainer]:
    """An empty MP4 whose index will stand in front, so that it plays while it is loaded.

    Raises:
        VideoError: FFmpeg cannot write it. OSError: the disk cannot.
    """
    try:
        with av.open(f"file:{target}", "w", format="mp4", options=_MP4) as container:
            yield container
    except av.FFmpegError as error:
        if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
            raise OSError(error.errno, error.strerror, str(target)) from error
        raise VideoError(f"cannot be written as MP4: {cause_of(error)}") from error


@dataclass(frozen=True, eq=False)
class Timing:
    """When the pictures of a new file are shown.

    Attributes:
        ticks: (N,) strictly increasing, in units of ``tick``.
        tick: seconds.
        end: tick at which the last picture is taken away; None where nobody knows.
    """

    ticks: Integers
    tick: Fraction
    end: int | None = None

    @classmethod
    def of(cls, video: Video, *, since_s: float = 0.0, frames: slice = slice(None)) -> "Timing":
        """As in a video, in the unit of its own clock, so that nothing is rounded.

        Args:
            video: what `probe` returned.
            since_s: the time of the video that is 0 in the new file.
            frames: which frames of the video are in it.

        Raises:
            VideoError: it cannot be opened.
        """
        tick = _USUAL
        if video.pictures is None:
            with open_video(video.path) as (_, stream):
                unit = stream.time_base
            tick = tick if unit is None or unit <= 0 or unit.denominator > _FINEST else unit
        bounds_s = np.append(video.timestamps_s, video.timestamps_s[0] + video.duration_s)
        ticks = np.rint((bounds_s - since_s) / float(tick)).astype(np.int64)
        first, last, _ = frames.indices(len(video.timestamps_s))
        return cls(ticks[first:last], tick, int(ticks[last]))

    def rate(self) -> Fraction:
        """Pictures a second, by the median distance; 25 where there is one picture."""
        gaps = np.diff(self.ticks if self.end is None or len(self.ticks) > 1 else [*self.ticks, self.end])
        usual_s = float(np.median(gaps)) * float(self.tick) if len(gaps) else 0.0
        return Fraction(1 / max(usual_s or 0.04, 1e-3)).limit_denominator(1001)

    def length_from(self, tick: int) -> int | None:
        """How long the picture at a tick is shown; None where that is not known."""
        place = int(np.searchsorted(self.ticks, tick, side="right"))
        following = int(self.ticks[place]) if place < len(self.ticks) else self.end
        return None if following is None or following <= tick else following - tick


def zero_of(video: Video) -> float:
    """Where the clock of the file stands at the instant that `Video.timestamps_s` calls zero, in seconds."""
    with open_video(video.path) as (container, stream):
        if video.pts is not None and stream.time_base is not None:
            return float(video.pts[0] * stream.time_base) - float(video.timestamps_s[0])
        return file_start_s(container, stream)


class Encoder:
    """Encodes pictures, each with its time, and puts the sound beside them. Context manager.

    Memory does not follow the length of the video, but for the index of an MP4: some 0.2 kB for each picture.

    Args:
        target: the file to write.
        timing: when each picture is shown.
        colours: of the pictures.
        pixel_aspect: width of a pixel over its height.
        open_sound: adds the sound to the file before its first packet; None: no sound.
        comment: a word in the file about where it is from.
    """

    def __init__(
        self,
        target: Path,
        *,
        timing: Timing,
        colours: Colours,
        pixel_aspect: Fraction = Fraction(1),
        open_sound: Callable[[OutputContainer], SoundTrack | None] | None = None,
        comment: str = "",
    ) -> None:
        self._comment = comment
        self._target, self._timing, self._colours, self._aspect = target, timing, colours, pixel_aspect
        self._open_sound = open_sound
        self._stack = ExitStack()
        self._output: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._sound: SoundTrack | None = None

    def __enter__(self) -> "Encoder":
        self._output = self._stack.enter_context(new_mp4(self._target))
        if self._comment:
            self._output.metadata["comment"] = self._comment
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        with self._stack:
            if error is None:
                self._finish()

    @property
    def notes(self) -> tuple[str, ...]:
        """What became of the sound, where it is not as it was."""
        return self._sound.notes if self._sound is not None else ()

    def add(self, frame: VideoFrame, timestamp_s: float) -> None:
        """Encode a picture in yuv420p that is shown from one of the announced times on."""
        if self._stream is None:
            self._begin(frame.width, frame.height)
        assert self._stream is not None
        frame.pts, frame.time_base = round(timestamp_s / float(self._timing.tick)), self._timing.tick
        self._put(frame)

    def _begin(self, width: int, height: int) -> None:
        assert self._output is not None
        stream = self._output.add_stream("libx264", rate=self._timing.rate(), options=dict(X264_OPTIONS))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base, context.thread_count = self._timing.tick, usable_cores()
        context.sample_aspect_ratio = self._aspect
        context.colorspace, context.color_range = self._colours.matrix, 1
        context.color_primaries, context.color_trc = self._colours.primaries, self._colours.transfer
        self._stream = stream
        if self._open_sound is not None:
            self._sound = self._open_sound(self._output)

    def _put(self, frame: VideoFrame | None) -> None:
        assert self._output is not None and self._stream is not None
        for packet in self._stream.encode(frame):
            if packet.pts is not None:
                if (length := self._timing.length_from(packet.pts)) is not None:
                    packet.duration = length
                if self._sound is not None:
                    self._sound.write_until(packet.pts * float(self._timing.tick) + _SOUND_AHEAD_S)
            self._output.mux(packet)

    def _finish(self) -> None:
        if self._stream is None:
            raise VideoError("no picture to write")
        self._put(None)
        if self._sound is not None:
            self._sound.write_until(None)
            self._sound.close()
