"""Every frame of a video in a very small size, for networks that look at all of them."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter

from vidrnn.video.decode import decode_raw
from vidrnn.video.probe import Video


def small_frames(
    video: Video, *, width: int, height: int, on_packet: Callable[[], None] = lambda: None
) -> Iterator[tuple[npt.NDArray[np.uint8], float]]:
    """All frames, squeezed to one size and not turned.

    Yields:
        (height, width, 3) uint8 RGB and the time in seconds, in order.

    Raises:
        VideoError: the video cannot be decoded.
    """
    reformatter = VideoReformatter()
    for frame, timestamp_s in decode_raw(video, np.arange(video.num_frames), on_progress=on_packet):
        small = reformatter.reformat(frame, width, height, "rgb24", interpolation=Interpolation.BICUBIC, threads=1)
        yield np.asarray(small.to_ndarray(), np.uint8), timestamp_s
