"""What a stream makes of fitted frames before they go to the network: pictures of motion, of change, or rows."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vidrnn.settings.streams import FlowMethod

Square = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.uint8]

REFERENCE_S = 1 / 25
"""Motion is given per this time, so that videos of 25 and of 60 frames per second are comparable."""


@dataclass(frozen=True)
class FlowRendering:
    """Optical flow as a picture, with the fields of `vidrnn.settings.streams.FlowSettings`."""

    method: FlowMethod
    camera: Literal["keep", "remove"]
    bound: float
    gap_s: float

    def renderer(self) -> Callable[[Square, Square, float], Pixels]:
        """A function from two (S, S, 3) uint8 squares and the seconds between them to (3, S, S) uint8.

        The channels are the motion to the right, the motion downwards, and its length. Where nothing moves the first
        two are 128, and the third is 0: dark and not grey, which measured better (docs/streams.md). A time of 0 means
        no motion. For one thread at a time.

        Raises:
            ConfigError: the installed OpenCV does not have the method.
        """
        import cv2

        from vidrnn.frames.flow import flow_estimator, without_camera

        estimate = flow_estimator(self.method)

        def render(first: Square, second: Square, seconds: float) -> Pixels:
            if seconds <= 0.0 or first is second:
                return self.draw(np.zeros((*first.shape[:2], 2), np.float32))
            greys = [np.asarray(cv2.cvtColor(square, cv2.COLOR_RGB2GRAY), np.uint8) for square in (first, second)]
            flow = estimate(greys[0], greys[1])
            if self.camera == "remove":
                flow = without_camera(flow)
            return self.draw(flow * np.float32(REFERENCE_S / seconds))

        return render

    def draw(self, flow: npt.NDArray[np.float32]) -> Pixels:
        """(S, S, 2) motion per `REFERENCE_S` to (3, S, S) uint8."""
        across, down = flow[..., 0], flow[..., 1]
        towards = np.clip(np.stack([across, down]) / np.float32(self.bound), -1.0, 1.0)
        length = np.minimum(np.hypot(across, down) / np.float32(self.bound), 1.0)
        return np.concatenate([_levels(towards), np.rint(255.0 * length[None]).astype(np.uint8)])


@dataclass(frozen=True)
class DifferenceRendering:
    """Differences of frames as a picture, with the fields of `vidrnn.settings.streams.DifferenceSettings`."""

    bound: float
    gap_s: float

    def renderer(self) -> Callable[[Square, Square, float], Pixels]:
        """As `FlowRendering.renderer`; channels are the changes of red, green and blue, 128 where nothing changes."""

        def render(first: Square, second: Square, _seconds: float) -> Pixels:
            change = second.astype(np.float32) - first.astype(np.float32)
            return _levels(np.clip(change.transpose(2, 0, 1) / np.float32(self.bound), -1.0, 1.0))

        return render


@dataclass(frozen=True)
class RowRendering:
    """A square cut into steps, with the field of `vidrnn.settings.streams.RowSettings`."""

    patch: int | None

    def shape(self, image_size: int) -> tuple[int, int, int]:
        """(3, height, width) of one step."""
        return (3, self.patch, self.patch) if self.patch else (3, 1, image_size)

    def cut(self, square: Square) -> Iterator[Pixels]:
        """(S, S, 3) to its rows from the top, or its patches in reading order, each (3, h, w)."""
        _, height, width = self.shape(square.shape[1])
        for top in range(0, square.shape[0], height):
            for left in range(0, square.shape[1], width):
                yield square[top : top + height, left : left + width].transpose(2, 0, 1)


Rendering = FlowRendering | DifferenceRendering | RowRendering

_KINDS: dict[str, type[FlowRendering] | type[DifferenceRendering] | type[RowRendering]] = {
    "flow": FlowRendering,
    "rgb_diff": DifferenceRendering,
    "rows": RowRendering,
}


def rendering_values(rendering: Rendering) -> dict[str, Any]:
    """Plain values for JSON, as `stream_specs.stream_values` gives them; `rendering_from` is the inverse."""
    name = next(name for name, kind in _KINDS.items() if isinstance(rendering, kind))
    return {"stream": name, **asdict(rendering)}


def rendering_from(values: dict[str, Any]) -> Rendering:
    """Inverse of `rendering_values`. Raises KeyError or TypeError when the values are something else."""
    kind = _KINDS[values["stream"]]
    return kind(**{name: value for name, value in values.items() if name != "stream"})


def _levels(shares: npt.NDArray[np.floating]) -> Pixels:
    """-1..1 to 1..255, 0 to 128: the level of the negative is 256 less the level, as `Turn.MIRRORED_FLOW` needs it."""
    return np.asarray(np.rint(128.0 + 127.0 * shares), np.uint8)
