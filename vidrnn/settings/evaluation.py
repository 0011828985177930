"""Settings of the sections `inference` and `evaluation`: how a model is asked, and how a number is made."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vidrnn.settings.base import Fraction, Positive, Settings
from vidrnn.settings.streams import Stream

Average = Literal["probabilities", "logits"]
ANSWER_NOTHING = 2.0
"""The threshold that no probability reaches."""


class EvaluationSettings(Settings):
    """How a number is made."""

    protocol: Literal["leave_one_group_out", "group_kfold", "folds_csv"] = "leave_one_group_out"
    """Folds of ``crossval``."""
    folds: Positive | str | None = None
    """Number of folds for ``group_kfold`` (default 5), or the CSV ``path,fold`` for ``folds_csv``."""
    seeds: Positive | tuple[int, ...] = 3
    """How many seeds, counted from ``training.seed``, or the list of seeds."""
    baselines: bool = True
    """Also fit, on the same cuts, the baselines that lack a part: recurrence, the order of time, all frames but one."""
    baseline_seeds: Positive = 1
    """With how many of the seeds `crossval` fits these baselines; one tells enough and costs a third of three."""
    bootstrap: Positive = 2000
    """Resamples of the interval of mAP (``multilabel``, ``step_multilabel``); other intervals follow from the group
    means."""

    @model_validator(mode="after")
    def _check(self) -> "EvaluationSettings":
        if self.protocol == "folds_csv" and not isinstance(self.folds, str):
            raise ValueError("protocol folds_csv needs evaluation.folds, a CSV with header path,fold")
        if self.protocol == "group_kfold" and isinstance(self.folds, str):
            raise ValueError("protocol group_kfold needs a number in evaluation.folds")
        if isinstance(self.seeds, tuple) and not self.seeds:
            raise ValueError("evaluation.seeds must name at least one seed")
        if isinstance(self.seeds, tuple) and len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"evaluation.seeds {list(self.seeds)} repeat; name each seed once")
        return self


class InferenceSettings(Settings):
    """How a trained model is asked; part of the model file."""

    draws: Positive = 1
    """Answers per video that are averaged: the first from the middle of each segment of time, the others from random
    places in them, always the same ones."""
    views: Literal["plain", "both"] = "both"
    """With ``features.mirrored``, ``both`` averages the answers for a video and its mirror image."""
    streams: Annotated[tuple[Stream, ...], Field(min_length=1)] | None = None
    """Show only these of the ``features.streams`` that the model was trained on; null shows all."""
    average: Average = "probabilities"
    """Scale on which the answers for one video (its draws and views) are averaged: ``logits`` lets a sure answer
    outweigh more unsure ones. Members of an ensemble are one model, and always averaged in probabilities."""
    decoding: Literal["argmax", "viterbi"] = "argmax"
    """How the classes of steps become segments (``step_labels``): ``argmax`` takes the likeliest class of each step.
    ``viterbi`` takes the likeliest segments, given how long each class lasts and which class follows which in the
    training videos. docs/long_videos.md has the formula."""
    decoding_weight: Annotated[float, Field(gt=0.0)] = 1.0
    """What the scores of the steps count in ``viterbi`` beside durations and order: more says more segments."""
    max_risk: Fraction | None = None
    """Largest share of wrong answers (``label``): `train` chooses the score below which `classify` answers ``unknown``.
    The share then holds, with 95 % confidence, on new videos that are like the validation videos. null answers always.
    """
