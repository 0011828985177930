"""How a model answers while steps still come: step by step, over a sliding window, or with a delay."""

import math
from collections.abc import Sequence
from typing import Protocol

from vidrnn.errors import ConfigError
from vidrnn.inference.live_answers import LiveAnswer
from vidrnn.inference.live_features import StepFeatures
from vidrnn.inference.live_steps import StepByStep
from vidrnn.inference.live_windows import Delayed, SlidingWindow
from vidrnn.models.ensemble import Ensemble
from vidrnn.models.model_file import TrainedModel
from vidrnn.models.states import obstacle_to_steps
from vidrnn.settings.model import STEP_HEADS
from vidrnn.settings.run import RunSettings
from vidrnn.settings.streams import Stream
from vidrnn.store.spec import FeatureSpec

_WINDOW_S = 4.0
"""What models with one answer per video look at together, where nothing says how long the training videos were."""


def usual_window(model: TrainedModel) -> float:
    """Seconds that a model with one answer per video looks at together: as in the median training video, or a step."""
    return max(model.clip_s or _WINDOW_S, _step_s(model))


def _step_s(model: TrainedModel) -> float:
    """How long a step of the model is, below which a window holds none; 0 where its sampling does not tell."""
    rates = [float(spec.sampling["rate"]) for spec in model.specs if spec.sampling.get("kind") == "fps"]
    return 1 / max(rates) if rates else 0.0


def note_usual_window(model: TrainedModel, window_s: float | None) -> str | None:
    """What people should know of a window that nobody chose; None where there is nothing."""
    if window_s is not None or model.clip_s is not None or model.settings.model.head in STEP_HEADS:
        return None
    return (
        f"the model file does not say how long the training videos were, so windows are of {_WINDOW_S:g} s; give "
        "--window, as long as these were, or train again"
    )


def check_window(model: TrainedModel, window_s: float) -> None:
    """Raise ConfigError for a window that is no length, or shorter than a step."""
    if not 0 < window_s < math.inf:
        raise ConfigError(f"a window of {window_s} s: give a number of seconds above 0")
    if window_s < _step_s(model) * (1 - 1e-6):
        raise ConfigError(
            f"a window of {window_s} s is shorter than a step of the model, {_step_s(model):.3g} s; give a number of "
            "seconds above that, best as many as the training videos had"
        )


class LiveModel(Protocol):
    """Takes the features of steps in order of time and gives the answers that are ready."""

    def take(self, time_s: float, features: StepFeatures) -> list[LiveAnswer]:
        """One more step."""

    def finish(self) -> list[LiveAnswer]:
        """The answers that waited for more."""

    def reset(self) -> None:
        """Forget all steps."""


def live_model(
    model: TrainedModel,
    specs: Sequence[FeatureSpec],
    streams: Sequence[Stream],
    *,
    delay_s: float | None,
    window_s: float | None,
) -> LiveModel:
    """The way in which a model can answer.

    Args:
        model: what answers.
        specs: of the views that it is shown.
        streams: that it is shown.
        delay_s: how long an answer may wait, for models that read in both directions.
        window_s: how much is looked at together, for models with one answer per video; None: see `usual_window`.

    Raises:
        ConfigError: the model cannot answer while the video still comes, or a number is for models of another kind.
    """
    settings = model.settings
    _check_numbers(model, delay_s=delay_s, window_s=window_s)
    if settings.model.head not in STEP_HEADS:
        return SlidingWindow(model, specs, streams, window_s=window_s or usual_window(model))
    if settings.training.steps is not None:
        raise ConfigError(
            f"the model chooses {settings.training.steps} steps of the whole video (training.steps), and a stream has "
            "no end; train with training.steps: null"
        )
    if settings.model.bidirectional:
        _refuse_centred(settings, streams)
        if delay_s is None:
            raise ConfigError(
                "the model reads in both directions: say how many seconds an answer may wait for what comes after "
                "(a delay, such as 2), or train with model.bidirectional: false for answers at once"
            )
        return Delayed(model, specs, streams, delay_s=delay_s)
    views = len({spec.is_mirrored for spec in specs})
    members = len(model.classifier.members) if isinstance(model.classifier, Ensemble) else 1
    if obstacle := obstacle_to_steps(settings.model, members=members * views):
        raise ConfigError(f"the model cannot answer step by step: {obstacle}")
    return StepByStep(model, specs)


def _check_numbers(model: TrainedModel, *, delay_s: float | None, window_s: float | None) -> None:
    settings = model.settings
    head, one_direction = settings.model.head, not settings.model.bidirectional
    if delay_s is not None and not 0 <= delay_s < math.inf:
        raise ConfigError(f"a delay of {delay_s} s: give a number of seconds, 0 or more")
    if window_s is not None:
        check_window(model, window_s)
    if head not in STEP_HEADS and delay_s is not None:
        raise ConfigError(f"a delay is for heads that answer at every step, and this head is {head!r}; give a window")
    if head in STEP_HEADS and window_s is not None:
        raise ConfigError(f"a window is for heads with one answer per video, and this head is {head!r}; leave it out")
    if head in STEP_HEADS and one_direction and delay_s:
        raise ConfigError("the model reads in one direction and answers at once; leave the delay out")


def _refuse_centred(settings: RunSettings, streams: Sequence[Stream]) -> None:
    centred = [name for name in streams if "centred" in settings.model.of_stream(name).inputs]
    if centred:
        raise ConfigError(
            f"the model reads in both directions and centres {' and '.join(centred)} by the mean of the whole video "
            "(model.inputs: centred), which a stream does not know; train with model.bidirectional: false, or with "
            "model.inputs: [features, change]"
        )
