"""Decoding by the circuits of an NVIDIA GPU (NVDEC): pictures stay in its memory and become RGB there.

FFmpeg decodes in the CUDA context of PyTorch, on the default stream of both, so neither waits for the other by hand.
Whatever NVDEC cannot decode comes from FFmpeg's own decoders as if nobody had asked.
"""

from typing import TYPE_CHECKING

from av.codec.hwaccel import HWAccel
from av.video.frame import VideoFrame

from vidrnn.video.probe import Video

if TYPE_CHECKING:  # the verbs that never see a GPU start without PyTorch
    import torch

# Weights of red and blue in luma by ITU-T H.273, table 4; what is not here is BT.601, as in FFmpeg's swscale.
_WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
_BT601 = 0.299, 0.114
_FULL_RANGE = 2
_FORMS = ("yuv420p", "yuvj420p", "nv12")
_EXACT = ("h264", "hevc", "vp8", "vp9", "av1")  # standards that leave a decoder no choice of rounding; MPEG-2 and -4 do


def hardware_for(video: Video, gpu: int | None) -> HWAccel | None:
    """The circuits of a GPU (its number) for a video of which they give what the CPU gives; None for all others.

    That is 4:2:0 in eight bits and an even size (of other videos swscale interpolates the colours), by a standard that
    every decoder must follow to the bit.
    """
    known = video.codec in _EXACT and video.pixel_format in _FORMS
    if gpu is None or not known or video.width % 2 or video.height % 2:
        return None
    # PyTorch's context: FFmpeg refuses to prepare the same one a second time (its errno 95).
    options: dict[str, object] = {"primary_ctx": "0", "current_ctx": "1"}
    return HWAccel("cuda", device=str(gpu), options=options, is_hw_owned=True)


def is_on_gpu(frame: VideoFrame) -> bool:
    """Whether its picture lies in the memory of a GPU."""
    return bool(frame.format.name == "cuda")


def to_rgb(frame: VideoFrame) -> "torch.Tensor":
    """(H, W, 3) uint8 on the GPU of a frame that lies there; a copy, complete when this returns."""
    import torch

    luma, chroma = (torch.utils.dlpack.from_dlpack(frame.planes[number].__dlpack__()) for number in (0, 1))
    rgb = rgb_of(luma, chroma, matrix=int(frame.colorspace), full_range=frame.color_range == _FULL_RANGE)
    torch.cuda.current_stream(rgb.device).synchronize()  # the decoder may write to the planes again
    return rgb


def rgb_of(luma: "torch.Tensor", chroma: "torch.Tensor", *, matrix: int, full_range: bool) -> "torch.Tensor":
    """Y'CbCr in 4:2:0 to RGB as FFmpeg's swscale does it: each chroma sample holds for the four pixels around it.

    Args:
        luma: (H, W) uint8.
        chroma: (H / 2, W / 2, 2) uint8.
        matrix: `VideoFrame.colorspace`.
        full_range: whether black is 0 and white 255, else 16 and 235.

    Returns:
        (H, W, 3) uint8 on the same device.
    """
    import torch

    y, c = luma.to(torch.float32), chroma.permute(2, 0, 1).to(torch.float32)
    c = c.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    red, blue = _WEIGHTS.get(matrix, _BT601)
    green = 1 - red - blue
    y, c = (y, c - 128) if full_range else ((y - 16) * (255 / 219), (c - 128) * (255 / 224))
    y, from_blue, from_red = y.floor_(), 2 * (1 - blue) * c[0], 2 * (1 - red) * c[1]
    # Each term is rounded down, as swscale does it: between it and one rounding at the end lies a grey level.
    r, b = y + from_red.floor(), y + from_blue.floor()
    g = y + (-blue / green * from_blue).floor_() + (-red / green * from_red).floor_()
    return torch.stack([r, g, b], dim=2).clamp_(0, 255).to(torch.uint8)
