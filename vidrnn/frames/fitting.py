"""From a probed video to what the networks take of it: one decode for all that is drawn of its pictures."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.errors import VideoError
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.frames.rendering import DifferenceRendering, FlowRendering, RowRendering
from vidrnn.video.decode import Frame
from vidrnn.video.neighbours import Pair, Pairing, on_screen
from vidrnn.video.probe import Video
from vidrnn.video.sampling import Indices, Sampling


@dataclass(frozen=True)
class Drawing:
    """What is drawn of a video: which of its frames are kept, how they are fitted, and what a stream makes of them."""

    sampling: Sampling
    preprocessing: Preprocessing


@dataclass(frozen=True)
class Step:
    """What the network takes at one time.

    Attributes:
        pixels: uint8, of the shape `Preprocessing.shape`.
        timestamp_s: seconds since the start of the file.
        size: width and height of the frame before it was fitted.
        by_gpu: whether a GPU decoded it.
    """

    pixels: npt.NDArray[np.uint8]
    timestamp_s: float
    size: tuple[int, int]
    by_gpu: bool = False


def draw(
    video: Video,
    drawings: Mapping[int, Drawing],
    *,
    gpu: int | None = None,
    on_progress: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, Step]]:
    """Decode a video once and draw all that is asked for.

    Args:
        video: what `probe` returned.
        drawings: what to draw, by a number; `refusal` must have had no objection.
        gpu: number of the GPU that decodes and fits what it can; None: the CPU.
        on_progress: called for each packet and frame.

    Yields:
        (number, step), the steps of each drawing in order of time. All drawings but rows have the times of the frames.

    Raises:
        VideoError: it cannot be decoded.
        ConfigError: the installed OpenCV does not have the method of a flow.
    """
    pairings = {number: _pairing(video, drawing) for number, drawing in drawings.items()}
    pens = {number: Pen(drawing.preprocessing) for number, drawing in drawings.items()}
    fit = fitter([drawing.preprocessing for drawing in drawings.values()])
    wanted = np.unique(np.concatenate([pairing.wanted for pairing in pairings.values()]))
    for index, picture in on_screen(video, wanted, fit=fit, gpu=gpu, on_progress=on_progress):
        for number, pairing in pairings.items():
            for pair in pairing.advance(index, picture):
                for step in pens[number].steps(pair):
                    yield number, step


def indices_of(video: Video, drawing: Drawing) -> Indices:
    """(T,) the frames that a drawing keeps."""
    return drawing.sampling.select(video.timestamps_s)


def wanted_by(video: Video, drawing: Drawing) -> Indices:
    """The frames that must be decoded for a drawing: those it keeps, and their neighbours."""
    return _pairing(video, drawing).wanted


def refusal(video: Video, drawing: Drawing) -> str | None:
    """Why a video cannot be drawn in this way, None where it can."""
    if isinstance(drawing.preprocessing.rendering, RowRendering) and video.num_frames > 1:
        return (
            f"the stream 'rows' reads still images, and this video has {video.num_frames} frames; take it out of "
            "features.streams, or list still images (data.media: pictures)"
        )
    return None


def gap_of(preprocessing: Preprocessing) -> float | None:
    """Seconds from a kept frame to the neighbour that it is compared with; None where it is looked at alone."""
    rendering = preprocessing.rendering
    return rendering.gap_s if isinstance(rendering, FlowRendering | DifferenceRendering) else None


class Square:
    """A fitted frame, as the network takes it and as OpenCV does; made when it is asked for."""

    def __init__(self, fitted: torch.Tensor, *, by_gpu: bool) -> None:
        self._fitted, self.by_gpu = fitted, by_gpu

    @property
    def channels_first(self) -> npt.NDArray[np.uint8]:
        """(3, S, S)."""
        return np.asarray(self._fitted.numpy())

    @cached_property
    def channels_last(self) -> npt.NDArray[np.uint8]:
        """(S, S, 3), contiguous."""
        return np.ascontiguousarray(self._fitted.permute(1, 2, 0).numpy())


Squares = Mapping[Preprocessing, Square]
"""A frame in every geometry that is asked for."""


def fitter(ways: Iterable[Preprocessing]) -> Callable[[Frame], Squares]:
    """A function that fits a frame once for all of these, whatever they draw of it."""
    geometries = {_geometry(preprocessing) for preprocessing in ways}

    def fit(frame: Frame) -> Squares:
        fitted = {geometry: geometry.fit(frame.rgb, pixel_aspect=frame.pixel_aspect) for geometry in geometries}
        by_gpu = isinstance(frame.rgb, torch.Tensor)
        return {geometry: Square(square, by_gpu=by_gpu) for geometry, square in fitted.items()}

    return fit


def _pairing(video: Video, drawing: Drawing) -> Pairing[Squares]:
    if cause := refusal(video, drawing):
        raise VideoError(cause)
    return Pairing(video, indices_of(video, drawing), gap_s=gap_of(drawing.preprocessing))


class Pen:
    """Draws what a network takes of pairs of frames, one after the other: of both views the plain one, but of rows."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        rendering = preprocessing.rendering
        assert not preprocessing.turn, "what was drawn is turned over where the network runs (`Preprocessing.drawn`)"
        self._geometry = _geometry(preprocessing)
        self._mirrored, self._rendering = preprocessing.mirrored, rendering
        self._render = rendering.renderer() if isinstance(rendering, FlowRendering | DifferenceRendering) else None

    def steps(self, pair: Pair[Squares]) -> Iterator[Step]:
        """One step, or of a still image that is read row by row all of them, one a second."""
        kept = pair.kept.fitted[self._geometry]
        if self._render is not None:
            first, second = (shown.fitted[self._geometry].channels_last for shown in (pair.first, pair.second))
            yield self._step(pair, self._render(first, second, pair.seconds))
        elif isinstance(self._rendering, RowRendering):
            # After the resize, so that both views show exactly the same part of the frame.
            square = kept.channels_last[:, ::-1] if self._mirrored else kept.channels_last
            for number, pixels in enumerate(self._rendering.cut(square)):
                yield Step(pixels, float(number), pair.kept.size)
        else:
            yield self._step(pair, kept.channels_first)

    def _step(self, pair: Pair[Squares], pixels: npt.NDArray[np.uint8]) -> Step:
        kept = pair.kept
        return Step(pixels, kept.timestamp_s, kept.size, kept.fitted[self._geometry].by_gpu)


def _geometry(preprocessing: Preprocessing) -> Preprocessing:
    """How frames become squares, whatever is drawn of these: equal for all drawings that can share a square."""
    return replace(preprocessing, mirrored=False, rendering=None)
