"""The sequence classifier: LayerNorm, projection, temporal layers, pooling over time, linear output.

Heads with an answer at every step have no pooling: their output layer stands on the states of the steps.
"""

import torch
from torch import nn

from vidrnn.models.layer_stack import LayerStack
from vidrnn.models.pooling import Pooling, valid_steps
from vidrnn.settings import STEP_HEADS, Head, ModelSettings

_REGRESSIONS = {"regression", "step_regression"}


def num_outputs(head: Head, num_classes: int) -> int:
    """Numbers that a head gives: logits of the classes, for transcripts and of the blank after them; or one number."""
    return 1 if head in _REGRESSIONS else num_classes + (head == "transcript")


class SequenceClassifier(nn.Module):
    """Frame features in time order to the outputs of a head, which are logits or, for regressions, numbers.

    The outputs of a sequence are the same alone, padded, or in any batch. A feature that is nan makes every step that
    sees it nan, and with it the outputs of that sequence, never those of another.

    Args:
        settings: the model.
        dim: length D of a feature vector.
        num_classes: classes that the head tells apart; 0 for regressions.
    """

    scale: torch.Tensor | None

    def __init__(self, settings: ModelSettings, *, dim: int, num_classes: int) -> None:
        super().__init__()
        self.settings = settings
        self.per_step = settings.head in STEP_HEADS
        self.width = dim * len(settings.inputs)
        self.norm = nn.LayerNorm(self.width) if settings.input_norm else nn.Identity()
        width = settings.projection or self.width
        self.projection = nn.Linear(self.width, width) if settings.projection else nn.Identity()
        self.dropout = nn.Dropout(settings.dropout)
        self.layers = LayerStack(width, settings=settings)
        channels = self.layers.output_size
        if not self.per_step:
            self.pooling = Pooling(settings.pooling, channels=channels, heads=settings.pooling_heads)
        self.output = nn.Linear(channels, num_outputs(settings.head, num_classes))
        # Mean and deviation of the numbers that were learned from.
        self.register_buffer("scale", torch.tensor([0.0, 1.0]) if settings.head in _REGRESSIONS else None)

    def forward(self, features: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Classify a padded batch.

        Args:
            features: (B, S, inputs times D); what lies beyond ``lengths`` has no influence.
            lengths: (B,) int64 on the CPU, each between 1 and S.

        Returns:
            (B, outputs), or (B, S, outputs) for heads that answer at every step, where those beyond ``lengths`` mean
            nothing.

        Raises:
            ValueError: there is no sequence, a length is 0 or beyond S, the last dimension is not the model's, or
                there are more steps than learned positions.
        """
        steps, end = self._encode(features, lengths)
        return self._answer(steps if self.per_step else self.pooling(steps, end, lengths))

    def with_step_logits(self, features: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As `forward` for heads with one answer per video, and the output layer on every step too.

        Returns:
            (B, outputs) and (B, S, outputs) of single steps; those beyond ``lengths`` mean nothing.
        """
        steps, end = self._encode(features, lengths)
        return self._answer(self.pooling(steps, end, lengths)), self._answer(steps)

    def _encode(self, features: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self._check(features, lengths)
        if int(lengths.min()) < features.shape[1]:  # nan in the padding would become nan in the gradients
            features = features.masked_fill(~valid_steps(lengths, features).unsqueeze(2), 0.0)
        steps, end = self.layers(self.dropout(self.projection(self.norm(features))), lengths)
        return steps, end

    def _answer(self, states: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.output(self.dropout(states))
        return outputs if self.scale is None else outputs * self.scale[1] + self.scale[0]

    def _check(self, features: torch.Tensor, lengths: torch.Tensor) -> None:
        if features.ndim != 3 or features.shape[2] != self.width:
            raise ValueError(f"features have shape {tuple(features.shape)}, expected (batch, steps, {self.width})")
        if not len(features):
            raise ValueError(f"features have shape {tuple(features.shape)}: a batch needs at least one sequence")
        if lengths.shape != features.shape[:1] or lengths.min() < 1 or lengths.max() > features.shape[1]:
            raise ValueError(
                f"lengths {lengths.tolist()} must be {features.shape[0]} numbers from 1 to {features.shape[1]}; "
                "a video without frames cannot be classified"
            )
