"""What a file says of its video before a packet is read: cheap, and enough to tell how its pictures are shown."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.stream import Disposition
from av.video.format import VideoFormat
from av.video.stream import VideoStream

from vidrnn.video.colours import LIMITED, UNTAGGED, is_grey, is_hd
from vidrnn.video.container import open_video, pixel_aspect

_WIDEST_PIXEL = 4  # anamorphic film has 2
_ROUNDED = 0.01  # tools that write 16:9 for 200x112 call square pixels 224:225
_HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics of ITU-T H.273, table 3
_FEWEST_COLOURS = 3  # components of a pixel whose colour takes a matrix


@dataclass(frozen=True)
class Header:
    """How the pictures of a file are shown.

    Attributes:
        container: FFmpeg's name of its kind.
        pixel_aspect: width of a pixel over its height, before rotation.
        is_first_stream: whether the video is the first stream of pictures that is no cover.
        guesses_matrix: whether the colours are Y'CbCr in HD of a matrix that nothing names.
        is_limited_grey: whether the pictures are grey, with black at 16 and white at 235.
    """

    container: str
    pixel_aspect: float
    is_first_stream: bool
    guesses_matrix: bool
    is_limited_grey: bool


def read_header(path: Path) -> Header:
    """Open a video file and read no packet. Raises VideoError."""
    with open_video(path) as (container, stream):
        context = stream.codec_context
        name = context.pix_fmt or ""
        untagged = context.colorspace == UNTAGGED and is_hd(context.width, context.height)
        return Header(
            container=container.format.name,
            pixel_aspect=float(pixels_of(stream)[0]),
            is_first_stream=stream.index == _first_stream(container).index,
            guesses_matrix=untagged and context.name != "webp" and (not name or _takes_a_matrix(name)),
            is_limited_grey=context.color_range == LIMITED and is_grey(name),
        )


def pixels_of(stream: VideoStream) -> tuple[Fraction, list[str]]:
    """The shape of the pixels, and what a reader of the report should know of their shape and colours."""
    claim, aspect, notes = pixel_aspect(stream), Fraction(1), list[str]()
    name = f"{claim.numerator}:{claim.denominator}"
    if not 1 / _WIDEST_PIXEL <= claim <= _WIDEST_PIXEL:
        notes.append(f"claims pixels of {name}, which no camera has; taken as square")
    elif abs(claim - 1) > _ROUNDED:
        aspect = claim
        notes.append(f"its pixels are {name} and not square; shown in the proportions of players")
    if (curve := _HDR.get(stream.codec_context.color_trc)) is not None:
        notes.append(
            f"is HDR ({curve}) and read without tone mapping: paler than players show it; convert it to SDR where "
            "other videos are SDR"
        )
    return aspect, notes


def _first_stream(container: InputContainer) -> VideoStream:
    return next(one for one in container.streams.video if not one.disposition & Disposition.attached_pic)


def _takes_a_matrix(pixel_format: str) -> bool:
    colours = VideoFormat(pixel_format)
    return not colours.is_rgb and not colours.has_palette and len(colours.components) >= _FEWEST_COLOURS
