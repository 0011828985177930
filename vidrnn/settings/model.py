"""Settings of the section `model`: the temporal model."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vidrnn.settings.base import Fraction, Positive, Settings
from vidrnn.settings.streams import Stream

StepInput = Literal["features", "centred", "change"]
ParallelLayer = Literal["mingru", "minlstm", "transformer", "tcn"]
Layer = Literal["rnn", "gru", "lstm", ParallelLayer]
Head = Literal["label", "multilabel", "step_labels", "step_multilabel", "transcript", "regression", "step_regression"]
STEP_HEADS: frozenset[Head] = frozenset({"step_labels", "step_multilabel", "transcript", "step_regression"})
"""Heads that answer at every step instead of once per video."""
FRAMEWISE_HEADS: frozenset[Head] = frozenset({"step_labels", "step_multilabel", "step_regression"})
"""Those that are taught at each step what its segment says."""
MULTILABEL_HEADS: frozenset[Head] = frozenset({"multilabel", "step_multilabel"})
"""Heads that decide about each class by itself, from a threshold of its own."""
STEP_CLASS_HEADS: frozenset[Head] = frozenset({"step_labels", "step_multilabel"})
"""Heads that answer with classes at every step, of which segments are made."""
REGRESSION_HEADS: frozenset[Head] = frozenset({"regression", "step_regression"})
"""Heads that answer with a number instead of classes."""


class ModelSettings(Settings):
    """The temporal model: LayerNorm, projection, temporal layers, pooling over time, linear output."""

    head: Head = "label"
    """What is answered. ``label``: one class per video; ``multilabel``: any number of classes; ``step_labels``: a class
    for every step; ``step_multilabel``: any number of classes for every step; ``transcript``: classes in their order;
    ``regression`` and ``step_regression``: a number per video or step. docs/heads.md says what each needs and
    measures."""
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
    late_weights: Literal["average", "learned"] = "learned"
    """Weights of the streams in ``late`` fusion: all the same, or one learned number each."""
    change_steps: Positive = 2
    """Distance of the neighbours of ``change``, in cached steps."""
    cell: Literal[Layer, "none"] = "mingru"
    """Type of the temporal layers; ``none`` is the baseline without them. docs/temporal_models.md compares them."""
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    """What ``rnn`` layers squash their state with; other layers have functions of their own."""
    hidden_size: Positive = 256
    """Units of each direction of each layer; ``transformer`` and ``tcn`` layers that see both have twice as many."""
    layers: Positive | Annotated[tuple[Layer, ...], Field(min_length=1)] = 1
    """How many layers of type ``cell``, or the type of each, such as ``[gru, transformer]``, which then stand in place
    of ``cell`` unless it is ``none``."""
    stages: Positive = 1
    """How many models stand one behind the other (``step_labels``, ``step_multilabel``). Each later one reads what the
    one before it says of the classes, through temporal layers of its own, and says it better. docs/long_videos.md
    explains it."""
    bidirectional: bool = True
    """See the sequence in both directions. false makes the whole model causal, inputs, alignment and fusion included:
    what it says at a step depends on no later one. ``step_labels``, ``step_multilabel`` and ``step_regression`` then
    need all cached steps (``training.steps: null``), because to choose some the end must be known."""
    attention_heads: Positive = 4
    """Heads of each ``transformer`` layer and of ``cross_attention``; each sees its own share of the channels."""
    attention_window: Positive | None = None
    """How many steps a ``transformer`` layer and ``cross_attention`` look back in one-direction models, the step itself
    included; null for all since the start. A live stream needs one, and long videos are cheaper with it."""
    positions: Literal["rotary", "learned"] = "rotary"
    """How ``transformer`` layers know the index of a step: ``rotary`` works for any length, ``learned`` up to 1024."""
    kernel_size: Annotated[int, Field(ge=2)] = 3
    """Taps of ``tcn`` layers; layer i of a run (from 0) has them 2^i steps apart."""
    projection: Annotated[int, Field(ge=0)] = 256
    """Width of the linear layer before the temporal layers; 0 leaves it out."""
    input_norm: bool = True
    """LayerNorm over each feature vector."""
    pooling: Literal["mean", "max", "last", "attention", "log_sum_exp", "mixture"] = "max"
    """How all steps become one vector. ``last`` is the end state of each direction. ``log_sum_exp`` lies between mean
    and max; how far is learned per channel. ``mixture`` learns for each channel how to weigh mean, max, last and
    attention."""
    pooling_heads: Positive = 1
    """Heads of the poolings ``attention`` and ``mixture``: each weighs the steps for its own share of the channels."""
    dropout: Fraction = 0.3
    """Share of the values that training sets to zero on the projection, between layers, on what a residual layer adds,
    and before the classifier."""

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
        if self.stages > 1 and self.head not in STEP_CLASS_HEADS:
            raise ValueError(
                f"model.stages {self.stages} refines classes of steps, which head {self.head!r} has not; set it to 1"
            )
        if self.stages > 1 and not self.layer_names:
            raise ValueError(f"model.stages {self.stages} needs temporal layers; set it to 1, or model.cell to a layer")
        if self.attention_window is not None and self.bidirectional:
            raise ValueError(
                f"model.attention_window {self.attention_window} is for one-direction models; "
                "set model.bidirectional: false, or leave the window out"
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
