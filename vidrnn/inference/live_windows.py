"""Models that look at many steps together: the last seconds of a stream are to them a video of its own."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidrnn.inference.live_answers import LiveAnswer, Status, step_answer
from vidrnn.inference.live_features import StepFeatures
from vidrnn.inference.one_sequence import sequence_of
from vidrnn.inference.prediction_rows import Clock, Outputs, probabilities_of, rows_of
from vidrnn.models.model_file import TrainedModel
from vidrnn.settings.streams import Stream
from vidrnn.store.source import Source
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.video_features import VideoFeatures, VideoMetadata
from vidrnn.training.predict import predict, predict_options

_HOPS = 4  # answers in the time of a window
CONTEXT_S = 30.0
"""How far a model that reads in both directions looks back beyond its delay."""


@dataclass(frozen=True)
class _Step:
    time_s: float
    features: StepFeatures


class _Windowed:
    """Models that look at many steps at once, as at a video of its own."""

    def __init__(self, model: TrainedModel, specs: Sequence[FeatureSpec], streams: Sequence[Stream]) -> None:
        self._model, self._specs, self._streams = model, tuple(specs), tuple(streams)
        self._steps: deque[_Step] = deque()

    def _times_s(self) -> npt.NDArray[np.float64]:
        return np.array([step.time_s for step in self._steps])

    def _outputs(self) -> Outputs:
        """As from `predict` for a video of these steps."""
        times_s = self._times_s()
        metadata = VideoMetadata(0, 0, len(times_s), float(times_s[-1] - times_s[0]))
        made = {
            view: VideoFeatures(
                np.stack([step.features[view] for step in self._steps]), times_s, metadata, Source(0, 0, "")
            )
            for view in self._steps[0].features
        }
        sequences = sequence_of(self._model, self._specs, made, streams=self._streams)
        (outputs,) = predict(self._model.classifier, sequences, predict_options(self._model.settings))
        values: Outputs = outputs.numpy()
        return values


class SlidingWindow(_Windowed):
    """One answer per video: the last seconds are the video. Provisional until they are full."""

    def __init__(
        self, model: TrainedModel, specs: Sequence[FeatureSpec], streams: Sequence[Stream], *, window_s: float
    ) -> None:
        super().__init__(model, specs, streams)
        self._window_s = window_s
        self.reset()

    def reset(self) -> None:
        """Forget all steps."""
        self._steps.clear()
        self._due_s: float | None = None
        self._is_full, self._waits = False, False

    def take(self, time_s: float, features: StepFeatures) -> list[LiveAnswer]:
        """An answer several times in a window's length."""
        self._steps.append(_Step(time_s, features))
        while time_s - self._steps[0].time_s >= self._window_s:
            self._steps.popleft()
            self._is_full = True
        hop_s = self._window_s / _HOPS
        if self._due_s is None:
            self._due_s = time_s + hop_s
        self._waits = True
        if time_s < self._due_s:
            return []
        self._due_s = time_s + hop_s
        self._waits = not self._is_full
        return [self._answer("final" if self._is_full else "provisional")]

    def finish(self) -> list[LiveAnswer]:
        """The last window, where its answer is not final yet."""
        waits, self._waits = self._waits, False
        return [self._answer("final")] if waits else []

    def _answer(self, status: Status) -> LiveAnswer:
        model, outputs, times_s = self._model, self._outputs(), self._times_s()
        head = model.settings.model.head
        (row,) = rows_of(
            head,
            outputs,
            labels=model.label_map.names,
            clock=Clock(times_s, float(times_s[-1] - times_s[0])),
            thresholds=model.thresholds,
            temperature=model.temperature,
            unknown_below=model.unknown_below,
        )
        scores = probabilities_of(head, outputs, temperature=model.temperature)
        window = (float(times_s[0]), float(times_s[-1]))
        return LiveAnswer(
            window[1], status, row, scores if scores.size else None, model.label_map.names, window_s=window
        )


class Delayed(_Windowed):
    """A model of both directions that answers per step, anew over the last seconds, and finally after the delay."""

    def __init__(
        self, model: TrainedModel, specs: Sequence[FeatureSpec], streams: Sequence[Stream], *, delay_s: float
    ) -> None:
        super().__init__(model, specs, streams)
        self._delay_s = delay_s
        self.reset()

    def reset(self) -> None:
        """Forget all steps."""
        self._steps.clear()
        self._done = 0  # of these steps the first so many have their final answer
        self._before: Outputs | None = None

    def take(self, time_s: float, features: StepFeatures) -> list[LiveAnswer]:
        """Final answers about steps that are as old as the delay, and a provisional one about this step."""
        self._steps.append(_Step(time_s, features))
        while self._done and self._steps[0].time_s < time_s - self._delay_s - CONTEXT_S:
            self._steps.popleft()
            self._done -= 1
        outputs, times_s = self._outputs(), self._times_s()
        # A millisecond: steps are rarely apart by exactly the delay.
        answers = self._final(outputs, until=int((times_s <= time_s - self._delay_s + 1e-3).sum()))
        if self._done < len(times_s):
            before = outputs[-2] if len(outputs) > 1 else None
            answers.append(step_answer(self._model, outputs[-1], time_s=time_s, status="provisional", before=before))
        return answers

    def finish(self) -> list[LiveAnswer]:
        """The final answers about the last steps."""
        return self._final(self._outputs(), until=len(self._steps)) if self._done < len(self._steps) else []

    def _final(self, outputs: Outputs, *, until: int) -> list[LiveAnswer]:
        answers, times_s = [], self._times_s()
        for number in range(self._done, until):
            answers.append(
                step_answer(
                    self._model,
                    outputs[number],
                    time_s=float(times_s[number]),
                    status="final",
                    before=self._before,
                )
            )
            self._before = outputs[number]
        self._done = max(self._done, until)
        return answers
