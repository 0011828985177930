"""Steps of a stream to features, one step at a time, as `vidrnn.extraction` makes them of whole videos."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.errors import VideoError
from vidrnn.extraction.embedder import Embedder, Executor
from vidrnn.extraction.readings import Readings
from vidrnn.frames.fitting import Drawing
from vidrnn.frames.live_drawing import LiveStep
from vidrnn.frames.views import Views
from vidrnn.sequences.long_sequence import View

StepFeatures = Mapping[View, npt.NDArray[np.float16]]
"""The features (D,) of one step in each view."""


class LiveFeatures:
    """The passes over pictures of a model, for steps that come one by one.

    Args:
        passes: of the model.
    """

    def __init__(self, passes: Sequence[Embedder]) -> None:
        self._passes, self._readings = tuple(passes), Readings.of(passes)
        self._executors: list[tuple[Executor, list[int]]] = []
        for number, embedder in enumerate(passes):
            known = next((members for executor, members in self._executors if executor is embedder.executor), None)
            if known is None:
                self._executors.append((embedder.executor, [number]))
            else:
                known.append(number)

    @property
    def drawings(self) -> Mapping[int, Drawing]:
        """What must be drawn of the pictures."""
        return self._readings.drawings

    def __call__(self, step: LiveStep) -> StepFeatures:
        """The features of a step, rounded as they are stored.

        Raises:
            VideoError: they hold nan or inf.
        """
        made: dict[View, npt.NDArray[np.float16]] = {}
        for executor, members in self._executors:
            readings = list(dict.fromkeys(self._readings.of_pass[number] for number in members))
            frames = torch.from_numpy(np.stack([step.pixels[reading] for reading in readings]))
            source = torch.tensor([readings.index(self._readings.of_pass[number]) for number in members])
            turns = torch.tensor([self._passes[number].preprocessing.turn for number in members], dtype=torch.uint8)
            rows = executor(frames, Views(source, turns)).numpy().astype(np.float16)
            for number, row in zip(members, rows, strict=True):
                spec = self._passes[number].spec
                made[spec.stream, spec.is_mirrored] = row
        if not all(np.isfinite(row).all() for row in made.values()):
            raise VideoError(
                f"the features of the picture at {step.timestamp_s:.3f} s hold nan or inf; use another "
                "features.precision"
            )
        return made
