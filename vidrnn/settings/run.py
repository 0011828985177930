"""Every setting of a run, one section per half of the work. The docstring of a field is its only description."""

from pydantic import model_validator

from vidrnn.settings.base import Settings
from vidrnn.settings.data import DataSettings
from vidrnn.settings.evaluation import EvaluationSettings, InferenceSettings
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.model import FRAMEWISE_HEADS, STEP_CLASS_HEADS, STEP_HEADS, ModelSettings
from vidrnn.settings.training import LOSSES, TrainingSettings
from vidrnn.settings.tuning import TuningSettings


class RunSettings(Settings):
    """A whole configuration file."""

    data: DataSettings
    features: FeatureSettings = FeatureSettings()
    extraction: ExtractionSettings = ExtractionSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    inference: InferenceSettings = InferenceSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    tuning: TuningSettings = TuningSettings()

    @model_validator(mode="after")
    def _check(self) -> "RunSettings":
        head, training = self.model.head, self.training
        if training.loss not in ("auto", *LOSSES[head]):
            raise ValueError(f"training.loss {training.loss!r} does not fit head {head!r}: {', '.join(LOSSES[head])}")
        if head in STEP_HEADS and training.step_loss_weight:
            raise ValueError(
                f"training.step_loss_weight {training.step_loss_weight} needs an answer per video; head {head!r} "
                "gives one per step already"
            )
        if training.mixup and head not in {"label", "multilabel", "regression"}:
            raise ValueError(f"training.mixup {training.mixup} cannot mix the answers of head {head!r}; set it to 0")
        if training.time_crop and head == "transcript":
            raise ValueError(
                f"training.time_crop {training.time_crop} would cut away what a transcript names; set it to 0"
            )
        if training.sampling == "balanced" and head != "label":
            raise ValueError(f"training.sampling 'balanced' needs one class per video, which head {head!r} has not")
        if self.inference.max_risk is not None and head != "label":
            raise ValueError(
                f"inference.max_risk {self.inference.max_risk} needs one class per video, which head {head!r} has not"
            )
        if self.data.media == "frames" and self.features.frame_rate is None:
            raise ValueError("data.media 'frames' needs features.frame_rate, the pictures per second in the folders")
        if self.data.format == "folder" and head not in {"label", "multilabel"}:
            raise ValueError(f"model.head {head!r} needs data.format csv: folders name labels only")
        return self

    @model_validator(mode="after")
    def _check_answers(self) -> "RunSettings":
        head, training = self.model.head, self.training
        if not self.model.bidirectional and head in FRAMEWISE_HEADS and training.steps is not None:
            raise ValueError(
                f"training.steps {training.steps} spreads the steps over the whole video, so with model.bidirectional "
                f"false the answers of head {head!r} would depend on what comes later; set training.steps to null"
            )
        if training.class_weight != "none" and head not in {"label", "step_labels"}:
            raise ValueError(
                f"training.class_weight {training.class_weight!r} weighs one class per video or step, which head "
                f"{head!r} has not; set it to none"
            )
        if training.class_weight == "segments" and head != "step_labels":
            raise ValueError(
                f"training.class_weight 'segments' counts segments, which head {head!r} has not; set it to balanced"
            )
        if training.smoothing_weight and head not in STEP_CLASS_HEADS:
            raise ValueError(
                f"training.smoothing_weight {training.smoothing_weight} compares the classes of neighbouring steps, "
                f"which head {head!r} has not; set it to 0"
            )
        if training.window_s is not None and (head not in FRAMEWISE_HEADS or training.steps is not None):
            raise ValueError(
                f"training.window_s {training.window_s} needs a head that is taught at each step "
                f"({', '.join(sorted(FRAMEWISE_HEADS))}) and training.steps null; got {head!r} and {training.steps}"
            )
        if self.inference.average == "logits" and head == "transcript":
            raise ValueError(
                "inference.average 'logits' has no meaning for head 'transcript', which takes the likeliest transcript "
                "of all draws and views instead of an average; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _check_decoding(self) -> "RunSettings":
        if obstacle := obstacle_to_decoding(self.model, self.inference):
            raise ValueError(obstacle)
        return self

    @model_validator(mode="after")
    def _check_streams(self) -> "RunSettings":
        streams = self.features.streams
        if unknown := set(self.inference.streams or ()) - set(streams):
            raise ValueError(
                f"inference.streams {', '.join(sorted(unknown))} is not among features.streams: {', '.join(streams)}"
            )
        dropped = self.training.stream_dropout
        if dropped and len(set(streams)) < 2:
            raise ValueError(
                f"training.stream_dropout {dropped} needs several features.streams, there is only {streams[0]}; "
                "set it to 0"
            )
        return self


def obstacle_to_decoding(model: ModelSettings, inference: InferenceSettings) -> str | None:
    """Why a model cannot be decoded as ``inference`` says, and what to set; None when it can."""
    if inference.decoding == "argmax":
        return None
    named = f"inference.decoding {inference.decoding!r}"
    if model.head != "step_labels":
        return f"{named} needs one class per step, which head {model.head!r} has not; set it to argmax"
    if not model.bidirectional:
        return (
            f"{named} looks ahead, and a model with model.bidirectional false must not; set it to argmax, or "
            "model.bidirectional to true"
        )
    return None
