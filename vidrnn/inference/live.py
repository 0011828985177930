"""A trained model on pictures that still come: `push` takes one, and gives the answers that are ready."""

import math
import numbers
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vidrnn.errors import ConfigError, VideoError
from vidrnn.extraction.embedder import Embedder
from vidrnn.frames.live_drawing import LiveDrawing, LiveStep
from vidrnn.inference.as_trained import shown_streams
from vidrnn.inference.live_answers import LiveAnswer
from vidrnn.inference.live_features import LiveFeatures
from vidrnn.inference.live_models import live_model, usual_window
from vidrnn.models.model_file import TrainedModel
from vidrnn.settings.model import STEP_HEADS
from vidrnn.settings.streams import BACKBONE_STREAMS
from vidrnn.video.decode import Frame
from vidrnn.video.live_source import Arrival


class LiveStream:
    """The answers of a model about one stream of pictures, as they become ready. For one thread at a time.

    Which pictures are kept is decided by their times, as for files. A picture is decided on when the next one has come,
    and streams of motion wait for the neighbour that it is compared with.

    Args:
        model: the trained model.
        passes: over its pictures.
        delay_s: how many seconds an answer may wait, for models that read in both directions.
        window_s: how many seconds are looked at together, for models with one answer per video; None: as many as the
            median training video has.

    Raises:
        ConfigError: the model cannot answer while the video still comes; the message says what to train.
    """

    def __init__(
        self, model: TrainedModel, passes: Sequence[Embedder], *, delay_s: float | None, window_s: float | None
    ) -> None:
        streams = shown_streams(model)
        if others := [stream for stream in streams if stream not in BACKBONE_STREAMS]:
            raise ConfigError(
                f"the model is shown {' and '.join(others)}, and a live stream gives moving pictures alone; train with "
                "features.streams or inference.streams of rgb, flow and rgb_diff"
            )
        self._model = live_model(
            model, [one_pass.spec for one_pass in passes], streams, delay_s=delay_s, window_s=window_s
        )
        self._features = LiveFeatures(passes)
        clips = model.settings.model.head not in STEP_HEADS
        self._drawing_window_s = (window_s or usual_window(model)) if clips else None
        self._drawing = self.drawing()
        self._finished = False

    def drawing(self) -> LiveDrawing:
        """A drawing of what the model takes, for another thread: its steps go to `take`."""
        return LiveDrawing(self._features.drawings, window_s=self._drawing_window_s)

    def push(self, frame: npt.NDArray[np.uint8], time_s: float, *, pixel_aspect: float = 1.0) -> list[LiveAnswer]:
        """Take a picture and give the answers that have become ready.

        Args:
            frame: (H, W, 3) uint8, RGB, upright. It may be written over afterwards.
            time_s: when it is shown, in seconds; later than the picture before.
            pixel_aspect: width of a pixel over its height.

        Raises:
            VideoError: the time is no number or goes back, the size changes, or it is no such picture.
        """
        if self._finished:
            raise VideoError("the stream was finished; reset it to begin anew")
        if not (isinstance(frame, np.ndarray) and frame.ndim == 3 and frame.shape[2] == 3 and frame.dtype == np.uint8):
            given = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
            raise VideoError(f"a picture must be an array of uint8 (height, width, 3) in RGB, and this is {given}")
        if isinstance(time_s, bool) or not isinstance(time_s, numbers.Real) or not math.isfinite(time_s):
            raise VideoError(f"the time of a picture must be a number of seconds, and this is {time_s!r}")
        picture = Frame(frame.copy(), time_s, pixel_aspect)
        arrival = Arrival(time_s, (frame.shape[1], frame.shape[0]), lambda: picture)
        return self._take_all(self._drawing.push(arrival))

    def take(self, step: LiveStep) -> list[LiveAnswer]:
        """The answers that have become ready with a step of a `drawing`."""
        return self._model.take(step.timestamp_s, self._features(step))

    def finish(self) -> list[LiveAnswer]:
        """The answers that waited for more pictures; after it only `reset` goes on."""
        if self._finished:
            return []
        answers = self._take_all(self._drawing.finish())
        self._finished = True
        return answers + self._model.finish()

    def reset(self) -> None:
        """Begin anew, as if no picture had come."""
        self._drawing.reset()
        self._model.reset()
        self._finished = False

    def _take_all(self, steps: Sequence[LiveStep]) -> list[LiveAnswer]:
        return [answer for step in steps for answer in self.take(step)]
