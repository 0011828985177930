"""Every setting of a run, one section per half of the work. The docstring of a field is its only description."""

from collections.abc import Iterable
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from vidrnn.settings.base import Fraction, Positive, Settings
from vidrnn.settings.data import DataSettings
from vidrnn.settings.evaluation import EvaluationSettings, InferenceSettings
from vidrnn.settings.features import BACKBONE_STREAMS, Device, FeatureSettings, Stream
from vidrnn.settings.tuning import TuningSettings

StepInput = Literal["features", "centred", "change"]
ParallelLayer = Literal["mingru", "minlstm", "transformer", "tcn"]
Layer = Literal["rnn", "gru", "lstm", ParallelLayer]
Head = Literal["label", "multilabel", "step_labels", "transcript", "regression", "step_regression"]
Loss = Literal["auto", "cross_entropy", "focal", "binary_cross_entropy", "asymmetric", "ctc", "mse", "huber"]

LOSSES: dict[Head, tuple[Loss, ...]] = {
    "label": ("cross_entropy", "focal"),
    "multilabel": ("binary_cross_entropy", "asymmetric"),
    "step_labels": ("cross_entropy", "focal"),
    "transcript": ("ctc",),
    "regression": ("mse", "huber"),
    "step_regression": ("mse", "huber"),
}
"""What each head can be trained with; the first is what ``auto`` takes."""
STEP_HEADS: frozenset[Head] = frozenset({"step_labels", "transcript", "step_regression"})
"""Heads that answer at every step instead of once per video."""
PICTURE_STREAMS: frozenset[Stream] = BACKBONE_STREAMS | {"rows"}
"""Streams that are made of pixels, and so have a mirrored view."""


def in_order(streams: Iterable[str]) -> list[Stream]:
    """Streams in their one order, whatever the order in a configuration; each once."""
    wanted = set(streams)
    return [stream for stream in get_args(Stream) if stream in wanted]


class ModelSettings(Settings):
    """The temporal model: LayerNorm, projection, temporal layers, pooling over time, linear output."""

    head: Head = "label"
    """What is answered: one ``label`` per video; any number of them (``multilabel``); one for every step
    (``step_labels``); which ones in which order (``transcript``); a number per video or step (``regression``,
    ``step_regression``). docs/heads.md says what each needs and measures."""
    inputs: Annotated[tuple[StepInput, ...], Field(min_length=1)] = ("centred", "change")
    """What a step shows, one after the other: ``features`` as they are cached, ``centred`` (minus the video's mean,
    which takes the scene away), ``change`` (difference of its neighbours in the cache, which shows motion). Add
    ``features`` where places or things tell the classes apart, and for single pictures, of which the others show
    nothing."""
    stream_inputs: dict[Stream, Annotated[tuple[StepInput, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """What a step of a stream shows instead of ``inputs``. Where it is not said, ``text`` and ``external`` show
    ``features``, because they often have a single step."""
    fusion: Literal["concat", "late", "gated", "cross_attention"] = "concat"
    """How several ``features.streams`` become one answer. docs/fusion.md explains the four."""
    late: Literal["average", "learned"] = "learned"
    """Weights of the streams in ``late`` fusion: all the same, or one learned number each."""
    change_steps: Positive = 2
    """Distance of the neighbours of ``change``, in cached steps."""
    cell: Literal[Layer, "none"] = "mingru"
    """Type of the temporal layers; ``none`` is the baseline without any. docs/temporal_models.md compares them."""
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    """Of ``rnn`` layers only."""
    hidden_size: Positive = 256
    """Units of each direction of each layer; ``transformer`` and ``tcn`` layers that see both have twice as many."""
    layers: Positive | Annotated[tuple[Layer, ...], Field(min_length=1)] = 1
    """How many layers of type ``cell``, or the type of each, such as ``[gru, transformer]``, which then stand in place
    of ``cell`` unless it is ``none``."""
    bidirectional: bool = True
    """See the sequence in both directions; false makes every type causal: a step depends on none that come later."""
    attention_heads: Positive = 4
    """Of ``transformer`` layers."""
    positions: Literal["rotary", "learned"] = "rotary"
    """How ``transformer`` layers know the index of a step: ``rotary`` works for any length, ``learned`` up to 1024."""
    kernel_size: Annotated[int, Field(ge=2)] = 3
    """Taps of ``tcn`` layers; layer i of a run (from 0) has them 2^i steps apart."""
    projection: Annotated[int, Field(ge=0)] = 256
    """Width of the linear layer before the temporal layers; 0 leaves it out."""
    input_norm: bool = True
    """LayerNorm over each feature vector."""
    pooling: Literal["mean", "max", "last", "attention", "mixture"] = "mean"
    """Steps to one vector; ``last`` is the end state of each direction, ``mixture`` weighs the four others per channel
    with weights that are learned."""
    pooling_heads: Positive = 1
    """Of ``attention`` and ``mixture``: each head weighs the steps for its own share of the channels."""
    dropout: Fraction = 0.3
    """On the projection, between layers, on what a residual layer adds, and before the classifier."""

    @model_validator(mode="after")
    def _check(self) -> "ModelSettings":
        if "transformer" in self.layer_names and self.width % (2 * self.attention_heads):
            raise ValueError(
                f"a transformer of width {self.width} (hidden_size times directions) does not split into "
                f"{self.attention_heads} heads of even width; make it a multiple of {2 * self.attention_heads} or "
                "change model.attention_heads"
            )
        if self.fusion in {"gated", "cross_attention"} and not self.projection:
            raise ValueError(f"model.fusion {self.fusion!r} needs streams of one width; set model.projection above 0")
        if self.fusion == "cross_attention" and self.projection % (2 * self.attention_heads):
            raise ValueError(
                f"model.fusion 'cross_attention' cannot split model.projection {self.projection} into "
                f"{self.attention_heads} heads of even width; make it a multiple of {2 * self.attention_heads} or "
                "change model.attention_heads"
            )
        return self

    def of_stream(self, stream: str) -> "ModelSettings":
        """The same with ``inputs`` as they are for a stream."""
        named = {str(name): inputs for name, inputs in self.stream_inputs.items()}
        default: tuple[StepInput, ...] = ("features",) if stream in {"text", "external"} else self.inputs
        inputs = named.get(stream, default)
        return self if inputs == self.inputs else self.model_copy(update={"inputs": inputs})

    @property
    def layer_names(self) -> tuple[Layer, ...]:
        """Type of each temporal layer, in order."""
        if self.cell == "none":
            return ()
        return self.layers if isinstance(self.layers, tuple) else (self.cell,) * self.layers

    @property
    def width(self) -> int:
        """Channels of a temporal layer's output."""
        return self.hidden_size * (2 if self.bidirectional else 1)


class TrainingSettings(Settings):
    """How the temporal model is fitted."""

    steps: Positive | None = 24
    """Time steps per sequence, drawn from the cached features; shorter videos give all they have. null: all of them,
    which long videos with an answer for every step want."""
    jitter: bool = True
    """Draw each step at random inside its segment while training, instead of at the segment's middle."""
    epochs: Positive = 40
    """Passes over the training set."""
    batch_size: Positive = 32
    """Sequences per optimiser step."""
    learning_rate: Annotated[float, Field(gt=0.0)] = 1e-3
    """Peak learning rate of AdamW."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    """Decoupled weight decay, on weight matrices only."""
    loss: Loss = "auto"
    """What is minimised: the cross-entropy of the head or the squared error, unless it is named: ``focal`` (label,
    step_labels), ``asymmetric`` (multilabel), ``huber`` (regressions)."""
    focal_gamma: Annotated[float, Field(ge=0.0)] = 2.0
    """How much ``focal`` turns from easy examples to hard ones; 0 is cross-entropy."""
    label_smoothing: Fraction = 0.1
    """Share of the target spread over all classes (``label`` and ``step_labels``)."""
    class_weight: Literal["none", "balanced"] = "none"
    """``balanced`` weighs each class by n / (classes * n_class) (``label`` and ``step_labels``)."""
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


class RunSettings(Settings):
    """A whole configuration file."""

    data: DataSettings
    features: FeatureSettings = FeatureSettings()
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
    def _check_streams(self) -> "RunSettings":
        own = self.features.streams
        if unknown := set(self.inference.streams or ()) - set(own):
            raise ValueError(
                f"inference.streams {', '.join(sorted(unknown))} is not among features.streams: {', '.join(own)}"
            )
        dropped = self.training.stream_dropout
        if dropped and len(set(own)) < 2:
            raise ValueError(
                f"training.stream_dropout {dropped} needs several features.streams, there is only {own[0]}; set it to 0"
            )
        return self
