"""Settings of the streams that are made of pictures, beside the frames themselves. docs/streams.md explains them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vidrnn.settings.base import Positive, Settings

FlowMethod = Literal["dis", "farneback", "tvl1"]
Seconds = Annotated[float, Field(ge=0.0)]


class FlowSettings(Settings):
    """Dense optical flow between a kept frame and its neighbour, drawn as a picture."""

    method: FlowMethod = "dis"
    """``dis`` (dense inverse search, medium preset), ``farneback`` (polynomial expansion, slower), or ``tvl1``, which
    only an OpenCV with its contributed modules has."""
    camera: Literal["keep", "remove"] = "keep"
    """``remove`` takes the motion of the camera away: the affine motion that most of the picture follows."""
    bound: Annotated[float, Field(gt=0.0)] = 8.0
    """Motion that gives full colour, in pixels of the network's square per 1/25 s; faster motion is clipped to it."""
    gap_s: Seconds = 0.04
    """Seconds from a kept frame to its neighbour, the frame nearest to that; 0 is the next frame of the file,
    whatever its frame rate."""


class DifferenceSettings(Settings):
    """What changes between a kept frame and its neighbour, as a picture: grey where nothing does."""

    bound: Annotated[float, Field(gt=0.0, le=255.0)] = 64.0
    """Change in grey levels that gives black or white; larger changes are clipped to it."""
    gap_s: Seconds = 0.08
    """As in ``features.flow``."""


class RowSettings(Settings):
    """A still image as a sequence: its rows from the top, or its patches in reading order, without a network."""

    image_size: Positive = 32
    """Edge of the square in pixels."""
    patch: Positive | None = None
    """Edge of square patches in pixels, a divisor of ``image_size``; null: the steps are rows of pixels."""

    @model_validator(mode="after")
    def _check(self) -> "RowSettings":
        if self.patch is not None and self.image_size % self.patch:
            raise ValueError(f"features.rows.patch: {self.patch} does not divide image_size {self.image_size}")
        return self
