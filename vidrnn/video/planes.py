"""Pictures as an encoder takes them: three planes of Y'CbCr in 8 bits at half the colour resolution, upright.

A picture that is stored so already keeps its very samples. Everything that is drawn is brought to the same colours.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from vidrnn.video.colours import BT601, BT709, UNTAGGED, is_hd
from vidrnn.video.upright import placement

Plane = npt.NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]
"""(H, W) brightness and two of (H / 2, W / 2) colour; H and W are even."""

_RGB = 0
_LIMITED, _FULL = int(ColorRange.MPEG), int(ColorRange.JPEG)
_NO_COLOUR = 128
_FORMAT = "yuv420p"


@dataclass(frozen=True)
class Colours:
    """What the numbers of a picture mean, by ITU-T H.273; always in limited range, where black is 16 and white 235."""

    matrix: int
    primaries: int
    transfer: int


def colours_of(frame: VideoFrame) -> Colours:
    """The tags of a frame; where it names no matrix, the rule of players for its size."""
    matrix = int(frame.colorspace)
    if matrix in {_RGB, UNTAGGED}:
        matrix = BT709 if is_hd(frame.width, frame.height) else BT601
    return Colours(matrix, int(frame.color_primaries), int(frame.color_trc))


class Upright420:
    """Turns the pictures of one video into `Planes` of one size. One object per video.

    The first picture decides the size; later ones of another size are scaled to it.

    Args:
        colours: what the planes shall mean.
        pixel_aspect: width of a pixel over its height, as stored; the planes have square pixels.
        scale: how many times as large.
    """

    def __init__(self, *, colours: Colours, pixel_aspect: float = 1.0, scale: int = 1) -> None:
        self._colours, self._pixel_aspect, self._scale = colours, pixel_aspect, scale
        self._reformatter = VideoReformatter()
        self._size: tuple[int, int] | None = None  # width and height upright, before they are made even

    def __call__(self, frame: VideoFrame) -> Planes:
        """The planes of one picture; of an odd size the last column or row stands twice."""
        mirrored, quarter_turns = placement(frame)
        width, height = self._stored_size(frame, on_its_side=quarter_turns % 2 == 1)
        planes = self._converted(frame, width, height)
        if mirrored or quarter_turns:
            return _turned(planes, mirrored=mirrored, quarter_turns=quarter_turns)
        return planes

    def _stored_size(self, frame: VideoFrame, *, on_its_side: bool) -> tuple[int, int]:
        if self._size is None:
            width = round(frame.width * max(self._pixel_aspect, 1.0)) * self._scale
            height = round(frame.height / min(self._pixel_aspect, 1.0)) * self._scale
            self._size = (height, width) if on_its_side else (width, height)
        width, height = self._size
        return (height, width) if on_its_side else (width, height)

    def _converted(self, frame: VideoFrame, width: int, height: int) -> Planes:
        as_it_is = (frame.width, frame.height) == (width, height)
        if frame.format.name.startswith("gray") and frame.color_range == _LIMITED:
            # FFmpeg takes frames without colour as full range, whatever they say.
            grey = self._reformatter.reformat(frame, width, height, "gray", interpolation=Interpolation.BICUBIC)
            brightness = _samples(grey, 0)
            colour = np.full(((height + 1) // 2, (width + 1) // 2), _NO_COLOUR, np.uint8)
            return _even(brightness, 2), _even(colour, 1), _even(colour, 1)
        if frame.format.name != _FORMAT or not as_it_is or frame.color_range == _FULL:
            if frame.colorspace == UNTAGGED:
                frame.colorspace = self._colours.matrix
            frame = self._reformatter.reformat(
                frame,
                width,
                height,
                _FORMAT,
                dst_colorspace=self._colours.matrix,
                dst_color_range=_LIMITED,
                interpolation=Interpolation.BICUBIC,
            )
        return _even(_samples(frame, 0), 2), _even(_samples(frame, 1), 1), _even(_samples(frame, 2), 1)


def planes_of_rgb(rgb: Plane, colours: Colours) -> Planes:
    """What is drawn, (H, W, 3) with even sizes, in the colours of a picture."""
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    made = frame.reformat(format=_FORMAT, dst_colorspace=colours.matrix, dst_color_range=_LIMITED)
    return tuple(_samples(made, number).copy() for number in range(3))  # type: ignore[return-value]  # three planes


def frame_of(planes: Planes, *, below: int = 0) -> VideoFrame:
    """A frame for an encoder that begins with these samples and has more rows below, which are to be written."""
    height, width = planes[0].shape
    frame = VideoFrame(width, height + below, _FORMAT)
    write_planes(frame, planes, top=0)
    return frame


def write_planes(frame: VideoFrame, planes: Planes, *, top: int, left: int = 0) -> None:
    """Copy planes into a frame, from an even row and an even column on."""
    for number, plane in enumerate(planes):
        first, start = (top, left) if number == 0 else (top // 2, left // 2)
        _samples(frame, number)[first : first + plane.shape[0], start : start + plane.shape[1]] = plane


def _samples(frame: VideoFrame, number: int) -> Plane:
    """A view of one plane of a frame, without the bytes that fill up its rows."""
    plane = frame.planes[number]
    samples: Plane = np.frombuffer(memoryview(plane), np.uint8)
    return samples.reshape(-1, plane.line_size)[: plane.height, : plane.width]


def _even(plane: Plane, step: int) -> Plane:
    """With the last row and column twice where the picture's size is odd; colour planes are rounded up already."""
    height, width = plane.shape
    if step == 1 or (height % 2 == 0 and width % 2 == 0):
        return plane
    return np.pad(plane, ((0, height % 2), (0, width % 2)), mode="edge")


def _turned(planes: Planes, *, mirrored: bool, quarter_turns: int) -> Planes:
    first, second, third = (np.rot90(plane[:, ::-1] if mirrored else plane, quarter_turns) for plane in planes)
    return first, second, third
