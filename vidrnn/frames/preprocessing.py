"""From an upright RGB frame to what a backbone takes. One object serves extraction, classification and export."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from vidrnn.frames.rendering import FlowRendering, Rendering, RowRendering, rendering_from, rendering_values
from vidrnn.frames.views import Turn

Square = Literal["center_crop", "pad", "warp"]


@dataclass(frozen=True)
class Preprocessing:
    """Frame to network input.

    Attributes:
        image_size: edge S of the square in pixels.
        resize_size: edge that the shorter side is resized to before a centre crop, in pixels.
        square: ``center_crop`` cuts the sides off, ``pad`` adds bars of the mean colour, ``warp`` squeezes.
        interpolation: filter of the resize, antialiased as in Pillow.
        mean, std: per RGB channel, on the 0..1 scale.
        mirrored: whether the view is the one in a mirror, left to right.
        rendering: what the stream makes of the squares; None for the frames themselves.
    """

    image_size: int
    resize_size: int
    square: Square
    interpolation: Literal["bilinear", "bicubic"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    mirrored: bool = False
    rendering: Rendering | None = None

    def __post_init__(self) -> None:
        """A crop cannot be larger than the picture it is cut from."""
        if self.resize_size < self.image_size:
            raise ValueError(f"resize_size {self.resize_size} must be at least image_size {self.image_size}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """What goes to the network for one step: (3, S, S); for rows and patches the size of one."""
        size = self.image_size
        return self.rendering.shape(size) if isinstance(self.rendering, RowRendering) else (3, size, size)

    @property
    def turn(self) -> Turn:
        """How what was drawn of the frames is turned over, where the network runs.

        Rows and patches are cut from a mirrored square: what is left of the one comes after the other.
        """
        if not self.mirrored or isinstance(self.rendering, RowRendering):
            return Turn.PLAIN
        return Turn.MIRRORED_FLOW if isinstance(self.rendering, FlowRendering) else Turn.MIRRORED

    @property
    def drawn(self) -> "Preprocessing":
        """What is drawn of the frames, before that turn: the same for both views, but of rows."""
        return replace(self, mirrored=False) if self.turn else self

    def fit(self, rgb: npt.NDArray[np.uint8] | torch.Tensor, *, pixel_aspect: float = 1.0) -> torch.Tensor:
        """Bring one frame to the network's square where it lies, in uint8: a quarter of the bytes to move.

        Args:
            rgb: (H, W, 3) uint8; a tensor may lie on a GPU.
            pixel_aspect: width of a pixel over its height. Things have the proportions that players show; a square
                that is squeezed (``warp``) has none to keep.

        Returns:
            (3, S, S) uint8 in the memory of the CPU.
        """
        frame = torch.from_numpy(rgb) if isinstance(rgb, np.ndarray) else rgb
        square = self._fit_plain(frame.permute(2, 0, 1), pixel_aspect).cpu()
        # After the resize, so that both views show exactly the same part of the frame, also where a crop leaves out
        # an odd number of columns.
        return square.flip(2) if self.mirrored else square

    def scales(self) -> tuple[torch.Tensor, torch.Tensor]:
        """`mean` and `std` on the scale of pixels, (3, 1, 1) float32 each."""
        mean, std = (torch.tensor([255.0 * value for value in values]) for values in (self.mean, self.std))
        return mean[:, None, None], std[:, None, None]

    def normalise(self, batch: torch.Tensor, scales: tuple[torch.Tensor, torch.Tensor] | None = None) -> torch.Tensor:
        """Scale pixels as the weights expect, on whatever device the batch lies.

        Args:
            batch: (B, 3, S, S) uint8.
            scales: what `scales` gives, on the device of the batch; None makes them anew, which on a GPU waits for it.

        Returns:
            (B, 3, S, S) float32.
        """
        mean, std = scales or (scale.to(batch.device) for scale in self.scales())
        return (batch.to(torch.float32) - mean) / std  # nothing in place: traces hold constants

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse.

        ``mirrored`` and ``rendering`` are named only where they say something, so that the specs of plain frames stay
        what they always were.
        """
        values = asdict(self)
        if not self.mirrored:
            del values["mirrored"]
        del values["rendering"]
        return values | ({"rendering": rendering_values(self.rendering)} if self.rendering else {})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Preprocessing":
        """Rebuild from `as_dict`, also after a trip through JSON, or from a spec, which adds its `mirrored_version`."""
        rendering = rendering_from(values["rendering"]) if "rendering" in values else None
        numbers = {"mean": tuple(values["mean"]), "std": tuple(values["std"])}
        rest = {name: value for name, value in values.items() if name != "mirrored_version"}
        return cls(**{**rest, **numbers, "rendering": rendering})

    def _fit_plain(self, frame: torch.Tensor, pixel_aspect: float) -> torch.Tensor:
        """(3, H, W) to (3, S, S)."""
        _, height, width = frame.shape
        if pixel_aspect > 1:  # one resize does both
            width = round(width * pixel_aspect)
        elif pixel_aspect < 1:
            height = round(height / pixel_aspect)
        size = self.image_size
        if self.square == "warp":
            return self._resize(frame, size, size)
        if self.square == "center_crop":
            # Truncated as torchvision and timm do it, so that their published numbers apply. In whole numbers:
            # 49 * (256 / 49) is less than 256 in floating point.
            short = min(height, width)
            frame = self._resize(frame, self.resize_size * height // short, self.resize_size * width // short)
            top, left = round((frame.shape[1] - size) / 2), round((frame.shape[2] - size) / 2)
            return frame[:, top : top + size, left : left + size]
        scale = size / max(height, width)
        inner = self._resize(frame, max(round(height * scale), 1), max(round(width * scale), 1))
        padded = torch.tensor(self.mean).mul(255).round().to(inner)[:, None, None].repeat(1, size, size)
        top, left = (size - inner.shape[1]) // 2, (size - inner.shape[2]) // 2
        padded[:, top : top + inner.shape[1], left : left + inner.shape[2]] = inner
        return padded

    def _resize(self, frame: torch.Tensor, height: int, width: int) -> torch.Tensor:
        if frame.shape[1:] == (height, width):
            return frame
        if frame.is_cuda:
            return resize_in_floats(frame, height, width, self.interpolation)
        return functional.interpolate(frame[None], (height, width), mode=self.interpolation, antialias=True)[0]


def resize_in_floats(frame: torch.Tensor, height: int, width: int, interpolation: str) -> torch.Tensor:
    """Resize (3, H, W) uint8 as PyTorch does it on a CPU, within one grey level, where it has no whole numbers (GPU).

    As there, columns come first and are rounded before the rows.
    """
    for size in ((frame.shape[1], width), (height, width)):
        resized = functional.interpolate(frame[None].float(), size, mode=interpolation, antialias=True)[0]
        frame = resized.round_().clamp_(0, 255).to(torch.uint8)
    return frame
