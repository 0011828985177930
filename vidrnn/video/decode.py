"""The pixels of chosen frames of a probed video."""

from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from vidrnn.errors import VideoError
from vidrnn.video.probe import Video, cause_of, open_video
from vidrnn.video.sampling import Indices
from vidrnn.video.upright import Upright


@dataclass(frozen=True)
class Frame:
    """One decoded picture.

    Attributes:
        rgb: (H, W, 3) uint8, upright (rotation metadata applied).
        timestamp_s: when it is shown, in seconds since the start of the file.
    """

    rgb: npt.NDArray[np.uint8]
    timestamp_s: float

    def __post_init__(self) -> None:
        """Check the layout once, where it is made."""
        assert self.rgb.ndim == 3 and self.rgb.shape[2] == 3 and self.rgb.dtype == np.uint8, self.rgb.shape


def decode(video: Video, indices: Indices) -> Iterator[Frame]:
    """Decode chosen frames of a probed video, in order, from its start; stops after the last one wanted.

    A packet may hold no picture of its own (a frame that the encoder dropped). Then the picture that is on the screen
    at that time counts, once: the caller gets fewer frames, never the same one twice.

    Args:
        video: what `probe` returned.
        indices: (T,) strictly increasing positions in ``video.timestamps_s``.

    Yields:
        At most T frames with strictly increasing times. Only one is held at a time.

    Raises:
        VideoError: the decoder stops with an error, or fewer than half of the wanted frames come out.
    """
    frames, num_frames, latest_s = _pictures(video, indices), 0, 0.0
    upright = Upright()
    try:
        for decoded, timestamp_s in frames:
            num_frames, latest_s = num_frames + 1, timestamp_s
            yield Frame(upright(decoded), timestamp_s)
    except (av.FFmpegError, OSError) as error:
        raise VideoError(
            f"decoding stopped after {latest_s:.2f} s of {video.timestamps_s[-1]:.2f} s: {cause_of(error)}; "
            "the file is damaged, re-encode or replace it"
        ) from error
    if num_frames < len(indices) / 2:
        raise VideoError(
            f"only {num_frames} of {len(indices)} wanted frames came out of the decoder; "
            "the file is damaged, re-encode or replace it"
        )


def _pictures(video: Video, indices: Indices) -> Iterator[tuple[VideoFrame, float]]:
    """The picture that is shown at each wanted time, each once, with the time at which it appeared."""
    pts = video.pts
    keys = pts if pts is not None else np.arange(video.num_frames)
    wanted = iter(int(keys[index]) for index in indices)
    next_wanted = next(wanted, None)
    if next_wanted is None:
        return
    shown: tuple[VideoFrame, int] | None = None
    with open_video(video.path) as (container, stream):
        for ordinal, decoded in enumerate(container.decode(stream)):
            key = ordinal if pts is None else decoded.pts
            if key is None:
                continue
            missed = False
            while next_wanted is not None and next_wanted < key:
                missed, next_wanted = True, next(wanted, None)
            if missed and shown is not None:
                yield shown[0], _time_of(video, shown[1])
            shown = (decoded, key)
            if key == next_wanted:
                yield decoded, _time_of(video, key)
                shown, next_wanted = None, next(wanted, None)
            if next_wanted is None:  # what follows may be damaged, and nobody asked for it
                return
        if next_wanted is not None and shown is not None:
            yield shown[0], _time_of(video, shown[1])


def _time_of(video: Video, key: int) -> float:
    pts = video.pts
    position = key if pts is None else min(int(np.searchsorted(pts, key)), video.num_frames - 1)
    return float(video.timestamps_s[position])
