"""Settings of the section `training`: how the temporal model is fitted."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vidrnn.settings.base import Device, Fraction, PathSetting, Positive, Settings
from vidrnn.settings.model import Head

Loss = Literal["auto", "cross_entropy", "focal", "binary_cross_entropy", "asymmetric", "ctc", "mse", "huber"]
LOSSES: dict[Head, tuple[Loss, ...]] = {
    "label": ("cross_entropy", "focal"),
    "multilabel": ("binary_cross_entropy", "asymmetric"),
    "step_labels": ("cross_entropy", "focal"),
    "step_multilabel": ("binary_cross_entropy", "asymmetric"),
    "transcript": ("ctc",),
    "regression": ("mse", "huber"),
    "step_regression": ("mse", "huber"),
}
"""What each head can be trained with; the first is what ``auto`` takes."""


class TrainingSettings(Settings):
    """How the temporal model is fitted."""

    steps: Positive | None = 24
    """Time steps per sequence, drawn from the cached features; shorter videos give all they have. null: all of them,
    which long videos with an answer for every step want."""
    jitter: bool = True
    """Draw each step at random inside its segment while training, instead of at the segment's middle."""
    epochs: Positive = 40
    """Passes over the training set; ``min_updates`` may ask for more."""
    min_updates: Annotated[int, Field(ge=0)] = 0
    """Smallest number of optimiser steps of a fit. Few videos may make fewer in all ``epochs``: then whole epochs are
    added, and the learning rate takes its course over all of them."""
    window_s: Annotated[float, Field(gt=0.0)] | None = None
    """Train on windows of this many seconds, one after the other, with an update after each. Memory then follows
    the window and not the video. null reads whole videos. docs/long_videos.md says what is carried from one to the
    next."""
    batch_size: Positive = 32
    """Sequences per optimiser step."""
    learning_rate: Annotated[float, Field(gt=0.0)] = 1e-3
    """Peak learning rate of AdamW."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    """Decoupled weight decay, on weight matrices only."""
    loss: Loss = "auto"
    """What is minimised: the cross-entropy of the head or the squared error, unless it is named: ``focal`` (label,
    step_labels), ``asymmetric`` (multilabel, step_multilabel), ``huber`` (regressions)."""
    focal_gamma: Annotated[float, Field(ge=0.0)] = 2.0
    """How much ``focal`` turns from easy examples to hard ones; 0 is cross-entropy."""
    label_smoothing: Fraction = 0.1
    """Share of the target spread over all classes (``label`` and ``step_labels``)."""
    class_weight: Literal["none", "balanced", "segments"] = "none"
    """``balanced`` weighs each example by n / (classes that occur * n_class) (``label`` and ``step_labels``), so that
    all classes weigh the same. ``segments`` (``step_labels``) weighs each step by n * segments_class / (segments *
    n_class), so that all segments weigh the same on average, however long segments of their class are."""
    smoothing_weight: Annotated[float, Field(ge=0.0)] = 0.0
    """Weight of a second loss on the change between neighbouring steps (``step_labels``, ``step_multilabel``), against
    answers that flicker; 0.15 is usual, 0 leaves it out. docs/long_videos.md has the formula."""
    smoothing_limit: Annotated[float, Field(gt=0.0)] = 4.0
    """Changes of a log-probability beyond this cost no more, so that true borders may stay sharp."""
    step_loss_weight: Annotated[float, Field(ge=0.0)] = 0.0
    """Weight of a second loss that asks every single step for the video's answer; 0 leaves it out."""
    time_crop: Fraction = 0.0
    """Train on a random stretch of each video, at least 1 - ``time_crop`` of it. docs/training_options.md measures this
    and what follows."""
    time_warp: Fraction = 0.0
    """Train at a speed that varies within a video, by up to this share."""
    stream_dropout: Fraction = 0.0
    """Probability that training hides a whole stream of a video, never all of them, so that the model learns to do
    with any subset of its ``features.streams``."""
    step_dropout: Fraction = 0.0
    """Share of the steps that training sets to zero."""
    feature_noise: Annotated[float, Field(ge=0.0)] = 0.0
    """Gaussian noise on each step in training, in units of the step's own deviation."""
    mixup: Annotated[float, Field(ge=0.0)] = 0.0
    """Alpha of mixup, which trains on weighted sums of two videos and their answers; 0 leaves it out."""
    sampling: Literal["uniform", "balanced"] = "uniform"
    """``balanced`` draws the videos of an epoch so that all classes come equally often (``label``)."""
    ema_decay: Fraction = 0.0
    """Keep a running average of the weights and use it in their place; 0.99 averages the last hundred batches."""
    members: Positive = 1
    """Fit this many models, alike but for their seeds, and average their answers."""
    schedule: Literal["one_cycle", "cosine"] = "one_cycle"
    """Learning rate per step: one cycle, or linear warm-up and cosine to zero."""
    warmup_fraction: Fraction = 0.1
    """Share of the steps that warms up in ``cosine``."""
    clip_norm: Annotated[float, Field(gt=0.0)] = 1.0
    """Largest gradient norm; the norm before clipping is in log.csv."""
    patience: Positive | None = None
    """Stop after this many epochs without a better validation loss; null never stops early."""
    select: Literal["best", "last"] = "best"
    """Which weights become model.safetensors: lowest validation loss, or the last epoch."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the fit; bfloat16 is autocast and meant for GPUs."""
    seed: int = 0
    """Seed of initialisation, order, jitter and dropout."""
    device: Device = "auto"
    """Where the temporal model runs; ``auto`` takes CUDA when there is one."""
    init: PathSetting | None = None
    """Start from the weights in a pretrained.safetensors, which `vidrnn pretrain` writes; settings and features must be
    the same. null starts from random weights. docs/label_less.md says what it is worth."""
    frozen: bool = False
    """Leave the weights of ``init`` as they are: the pooling and the output layer alone are fitted."""
    tensorboard: bool = False
    """Also write the curves of every fit for TensorBoard, into the folder ``tensorboard`` of the run; needs
    ``pip install 'vidrnn[tensorboard]'``. docs/training_options.md says what they show."""

    @model_validator(mode="after")
    def _check(self) -> "TrainingSettings":
        if self.frozen and self.init is None:
            raise ValueError("frozen true needs the weights of init; name a pretrained.safetensors, or set it to false")
        return self

    def epochs_of(self, videos: int) -> int:
        """Passes over a training set of this many videos: ``epochs``, or more until ``min_updates`` are reached."""
        updates_per_epoch = math.ceil(videos / self.batch_size)
        return max(self.epochs, math.ceil(self.min_updates / updates_per_epoch))
