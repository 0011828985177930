"""The pixels of chosen frames of a probed video."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from vidrnn.errors import VideoError
from vidrnn.video.container import damage_of, decode_all, open_video
from vidrnn.video.nvdec import hardware_for
from vidrnn.video.pictures import read_picture
from vidrnn.video.plan import plan
from vidrnn.video.probe import Video
from vidrnn.video.sampling import Indices, Seconds
from vidrnn.video.sparse import Doubt, decode_runs
from vidrnn.video.upright import Upright

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Frame:
    """One decoded picture.

    Attributes:
        rgb: (H, W, 3) uint8, upright (rotation metadata applied); a tensor on the GPU that decoded it.
        timestamp_s: when it is shown, in seconds since the start of the file.
        pixel_aspect: width of a pixel over its height, upright.
    """

    rgb: "npt.NDArray[np.uint8] | torch.Tensor"
    timestamp_s: float
    pixel_aspect: float = 1.0

    def __post_init__(self) -> None:
        """Check the layout once, where it is made."""
        assert self.rgb.ndim == 3 and self.rgb.shape[2] == 3 and self.rgb.itemsize == 1, self.rgb.shape


def decode(
    video: Video, indices: Indices, *, gpu: int | None = None, on_progress: Callable[[], None] = lambda: None
) -> Iterator[Frame]:
    """Decode chosen frames of a probed video, in order; stops after the last one wanted.

    Where it is known beyond doubt which packets the wanted frames need, only those are decoded; the result is the same
    to the bit. Otherwise decoding goes through all frames from the start.

    A packet may hold no picture of its own (a frame that the encoder dropped). Then the picture that is on the screen
    at that time counts, once: the caller gets fewer frames, never the same one twice.

    Args:
        video: what `probe` returned.
        indices: (T,) strictly increasing positions in ``video.timestamps_s``.
        gpu: number of the GPU whose circuits decode what they can, see `vidrnn.video.nvdec`; None: the CPU.
        on_progress: called for each packet or picture that is read, so that whoever waits can tell slow from hung.

    Yields:
        At most T frames with strictly increasing times. Only one is held at a time.

    Raises:
        VideoError: the decoder stops with an error, or fewer than half of the wanted frames come out.
    """
    upright = Upright(pixel_aspect=video.pixel_aspect, guess_matrix=video.pictures is None and video.codec != "webp")
    for decoded, timestamp_s in decode_raw(video, indices, gpu=gpu, on_progress=on_progress):
        yield _frame_of(video, decoded, timestamp_s, upright)


def decode_raw(
    video: Video, indices: Indices, *, gpu: int | None = None, on_progress: Callable[[], None] = lambda: None
) -> Iterator[tuple[VideoFrame, float]]:
    """As `decode`, but the pictures as FFmpeg gives them: not turned, in the pixel format of the file.

    Yields:
        Pictures with their times in seconds.
    """
    if video.pictures is not None:
        yield from _from_pictures(video.pictures, video.timestamps_s, indices, on_progress=on_progress)
        return
    num_frames, latest_s = 0, 0.0
    try:
        for decoded, timestamp_s in _from_file(video, indices, gpu=gpu, on_progress=on_progress):
            num_frames, latest_s = num_frames + 1, timestamp_s
            yield decoded, timestamp_s
    except (av.FFmpegError, OSError) as error:
        raise _stopped(video, latest_s, error) from error
    if num_frames < len(indices) / 2:
        raise VideoError(
            f"only {num_frames} of {len(indices)} wanted frames came out of the decoder; "
            "the file is damaged, re-encode or replace it"
        )


def _frame_of(video: Video, decoded: VideoFrame, timestamp_s: float, upright: Upright) -> Frame:
    """A frame that only the caller holds: its pixels are gone before the pixels of the next one are made.

    Two large frames at a time would make the C library fetch their memory from the system anew for each one, which
    takes longer than to fill it.
    """
    try:
        rgb, pixel_aspect = upright(decoded)
    except (av.FFmpegError, OSError) as error:
        raise _stopped(video, timestamp_s, error) from error
    return Frame(rgb, timestamp_s, pixel_aspect)


def _stopped(video: Video, latest_s: float, error: Exception) -> VideoError:
    return VideoError(
        f"decoding stopped after {latest_s:.2f} s of {video.timestamps_s[-1]:.2f} s: "
        f"{damage_of(error, width=video.width)}"
    )


def _from_pictures(
    files: Sequence[Path], timestamps_s: Seconds, indices: Indices, *, on_progress: Callable[[], None]
) -> Iterator[tuple[VideoFrame, float]]:
    """Open the wanted pictures and no other; each has its own size and turn."""
    for index in indices:
        on_progress()
        yield read_picture(files[index]), float(timestamps_s[index])


def _from_file(
    video: Video, indices: Indices, *, gpu: int | None, on_progress: Callable[[], None]
) -> Iterator[tuple[VideoFrame, float]]:
    """The picture that is shown at each wanted time, each once, with the time at which it appeared."""
    keys = video.pts if video.pts is not None else np.arange(video.num_frames)
    wanted = deque(int(keys[index]) for index in indices)
    latest: int | None = None
    if video.packets is not None and (runs := plan(video.packets, wanted)) is not None:
        # A failure may be the fault of the shorter way: only decoding from the start tells.
        opened = open_video(video.path, hardware=hardware_for(video, gpu))
        with suppress(Doubt, av.FFmpegError, OSError), opened as (container, stream):
            for frame in decode_runs(container, stream, video.packets, runs, on_progress=on_progress):
                latest = wanted.popleft()
                yield frame, _time_of(video, latest)
    if wanted:
        yield from _from_the_start(video, wanted, latest=latest, gpu=gpu, on_progress=on_progress)


def _from_the_start(
    video: Video, wanted: deque[int], *, latest: int | None, gpu: int | None, on_progress: Callable[[], None]
) -> Iterator[tuple[VideoFrame, float]]:
    """The same by decoding every frame; pictures up to the ``latest`` one that was handed out do not count again."""
    shown: tuple[VideoFrame, int] | None = None
    with open_video(video.path, hardware=hardware_for(video, gpu)) as (container, stream):
        for ordinal, decoded in enumerate(decode_all(container, stream, on_progress=on_progress)):
            key = ordinal if video.pts is None else decoded.pts
            if key is None or (latest is not None and key <= latest):
                continue
            missed = False
            while wanted and wanted[0] < key:
                missed = True
                wanted.popleft()
            if missed and shown is not None:
                latest = shown[1]
                yield shown[0], _time_of(video, latest)
                shown = None
            if wanted and wanted[0] == key:
                latest = wanted.popleft()
                yield decoded, _time_of(video, latest)
                shown = None
            elif shown is None or shown[1] < key:  # a damaged video may show its frames out of order
                shown = decoded, key
            if not wanted:  # what follows may be damaged, and nobody asked for it
                return
        if shown is not None:
            yield shown[0], _time_of(video, shown[1])


def _time_of(video: Video, key: int) -> float:
    pts = video.pts
    position = key if pts is None else min(int(np.searchsorted(pts, key)), video.num_frames - 1)
    return float(video.timestamps_s[position])
