"""From a probed video to what the network takes of it, step by step: frames, pictures of motion, or rows of one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidrnn.errors import VideoError
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.frames.rendering import DifferenceRendering, FlowRendering, RowRendering
from vidrnn.video.decode import decode
from vidrnn.video.neighbours import decode_pairs
from vidrnn.video.probe import Video
from vidrnn.video.sampling import Indices


@dataclass(frozen=True)
class Step:
    """What the network takes at one time.

    Attributes:
        pixels: uint8, of the shape `Preprocessing.shape`.
        timestamp_s: seconds since the start of the file.
        size: width and height of the frame before it was fitted.
    """

    pixels: npt.NDArray[np.uint8]
    timestamp_s: float
    size: tuple[int, int]


def fitted_steps(
    video: Video, indices: Indices, preprocessing: Preprocessing, *, on_progress: Callable[[], None] = lambda: None
) -> Iterator[Step]:
    """Decode the kept frames and bring them to what the network takes; all streams but rows have the same times.

    Args:
        video: what `probe` returned.
        indices: (T,) kept frames.
        preprocessing: how frames are fitted, and what the stream makes of them.
        on_progress: called for each packet and frame.

    Raises:
        VideoError: it cannot be decoded, or rows are asked of more than one picture.
    """
    rendering = preprocessing.rendering
    if rendering is None:
        for frame in decode(video, indices, on_progress=on_progress):
            height, width = frame.rgb.shape[:2]
            yield Step(preprocessing.fit(frame.rgb).numpy(), frame.timestamp_s, (width, height))
    elif isinstance(rendering, RowRendering):
        yield from _rows(video, indices, preprocessing, rendering, on_progress=on_progress)
    else:
        yield from _motion(video, indices, preprocessing, rendering, on_progress=on_progress)


def _motion(
    video: Video,
    indices: Indices,
    preprocessing: Preprocessing,
    rendering: FlowRendering | DifferenceRendering,
    *,
    on_progress: Callable[[], None],
) -> Iterator[Step]:
    """Motion is computed between fitted, and for the other view mirrored, squares: its own mirror image shows it."""
    render = rendering.renderer()

    def fit(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return np.ascontiguousarray(preprocessing.fit(rgb).permute(1, 2, 0).numpy())

    for pair in decode_pairs(video, indices, gap_s=rendering.gap_s, fit=fit, on_progress=on_progress):
        pixels = render(pair.first.fitted, pair.second.fitted, pair.seconds)
        yield Step(pixels, pair.kept.timestamp_s, pair.kept.size)


def _rows(
    video: Video,
    indices: Indices,
    preprocessing: Preprocessing,
    rendering: RowRendering,
    *,
    on_progress: Callable[[], None],
) -> Iterator[Step]:
    """The picture's rows or patches, one a second, which is as good as any other time for them."""
    if video.num_frames > 1:
        raise VideoError(
            f"the stream 'rows' reads still images, and this video has {video.num_frames} frames; take it out of "
            "features.streams, or list still images (data.media: pictures)"
        )
    for frame in decode(video, indices, on_progress=on_progress):
        height, width = frame.rgb.shape[:2]
        square = preprocessing.fit(frame.rgb).permute(1, 2, 0).numpy()
        for number, pixels in enumerate(rendering.cut(square)):
            yield Step(pixels, float(number), (width, height))
