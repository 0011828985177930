"""The sequence classifier: LayerNorm, projection, temporal layers, pooling over time, linear output."""

import torch
from torch import nn

from vidrnn.models.layer_stack import LayerStack
from vidrnn.models.pooling import Pooling, valid_steps
from vidrnn.settings import ModelSettings


class SequenceClassifier(nn.Module):
    """Frame features in time order to class logits.

    The logits of a sequence are the same alone, padded, or in any batch. A feature that is nan makes every step that
    sees it nan, and with it the logits of that sequence, never those of another.

    Args:
        settings: the model.
        dim: length D of a feature vector.
        num_classes: length of the logits.
    """

    def __init__(self, settings: ModelSettings, *, dim: int, num_classes: int) -> None:
        super().__init__()
        self.settings, self.num_classes = settings, num_classes
        self.width = dim * len(settings.inputs)
        self.norm = nn.LayerNorm(self.width) if settings.input_norm else nn.Identity()
        width = settings.projection or self.width
        self.projection = nn.Linear(self.width, width) if settings.projection else nn.Identity()
        self.dropout = nn.Dropout(settings.dropout)
        self.layers = LayerStack(width, settings=settings)
        channels = self.layers.output_size
        self.pooling = Pooling(settings.pooling, channels=channels, heads=settings.pooling_heads)
        self.output = nn.Linear(channels, num_classes)

    def forward(self, features: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Classify a padded batch.

        Args:
            features: (B, S, inputs times D); what lies beyond ``lengths`` has no influence.
            lengths: (B,) int64 on the CPU, each between 1 and S.

        Returns:
            (B, num_classes) logits.

        Raises:
            ValueError: there is no sequence, a length is 0 or beyond S, the last dimension is not the model's, or
                there are more steps than learned positions.
        """
        steps, end = self._encode(features, lengths)
        return self._classify(steps, end, lengths)

    def with_step_logits(self, features: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As `forward`, and the output layer on every step too.

        Returns:
            (B, num_classes) logits and (B, S, num_classes) logits of single steps; those beyond ``lengths`` mean
            nothing.
        """
        steps, end = self._encode(features, lengths)
        return self._classify(steps, end, lengths), self.output(self.dropout(steps))

    def _encode(self, features: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self._check(features, lengths)
        if int(lengths.min()) < features.shape[1]:  # nan in the padding would become nan in the gradients
            features = features.masked_fill(~valid_steps(lengths, features).unsqueeze(2), 0.0)
        steps, end = self.layers(self.dropout(self.projection(self.norm(features))), lengths)
        return steps, end

    def _classify(self, steps: torch.Tensor, end: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.output(self.dropout(self.pooling(steps, end, lengths)))
        return logits

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
