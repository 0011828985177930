"""The sequence classifier: LayerNorm, projection, recurrent layers, pooling over time, linear output."""

import torch
from torch import nn

from vidrnn.models.pooling import AttentionPooling, last_step, max_over_time, mean_over_time
from vidrnn.models.recurrent import RecurrentLayers
from vidrnn.settings import ModelSettings


class SequenceClassifier(nn.Module):
    """Frame features in time order to class logits.

    The logits of a sequence are the same alone, padded, or in any batch.

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
        self.recurrent = (
            None
            if settings.cell == "none"
            else RecurrentLayers(
                width,
                cell=settings.cell,
                hidden_size=settings.hidden_size,
                layers=settings.layers,
                bidirectional=settings.bidirectional,
                dropout=settings.dropout,
                nonlinearity=settings.nonlinearity,
            )
        )
        channels = self.recurrent.output_size if self.recurrent else width
        self.attention = AttentionPooling(channels) if settings.pooling == "attention" else None
        self.output = nn.Linear(channels, num_classes)

    def forward(self, features: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Classify a padded batch.

        Args:
            features: (B, S, inputs times D); what lies beyond ``lengths`` has no influence.
            lengths: (B,) int64 on the CPU, each between 1 and S.

        Returns:
            (B, num_classes) logits.

        Raises:
            ValueError: a length is 0 or beyond S, or the last dimension is not the model's.
        """
        self._check(features, lengths)
        steps = self.dropout(self.projection(self.norm(features)))
        end = None
        if self.recurrent is not None:
            steps, end = self.recurrent(steps, lengths)
        output: torch.Tensor = self.output(self.dropout(self._pool(steps, end, lengths)))
        return output

    def _pool(self, steps: torch.Tensor, end: torch.Tensor | None, lengths: torch.Tensor) -> torch.Tensor:
        if self.attention is not None:
            pooled: torch.Tensor = self.attention(steps, lengths)
            return pooled
        if self.settings.pooling == "last":
            return last_step(steps, lengths) if end is None else end
        return {"mean": mean_over_time, "max": max_over_time}[self.settings.pooling](steps, lengths)

    def _check(self, features: torch.Tensor, lengths: torch.Tensor) -> None:
        if features.ndim != 3 or features.shape[2] != self.width:
            raise ValueError(f"features have shape {tuple(features.shape)}, expected (batch, steps, {self.width})")
        if lengths.shape != features.shape[:1] or lengths.min() < 1 or lengths.max() > features.shape[1]:
            raise ValueError(
                f"lengths {lengths.tolist()} must be {features.shape[0]} numbers from 1 to {features.shape[1]}; "
                "a video without frames cannot be classified"
            )
