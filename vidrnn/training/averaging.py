"""A running average of a model's weights."""

import copy

import torch

from vidrnn.models.classifier import SequenceClassifier


class AveragedWeights:
    """Exponential moving average of the weights of a model (Polyak & Juditsky 1992; with the start of TensorFlow's).

    After update n, from 1, the average is d_n times the one before plus (1 - d_n) times the weights. Here
    d_n = min(decay, (1 + n) / (10 + n)): young averages forget their beginning faster.

    Args:
        model: whose weights are averaged.
        decay: between 0 and 1, not included.
    """

    def __init__(self, model: SequenceClassifier, *, decay: float) -> None:
        self.model, self._decay = copy.deepcopy(model).eval(), decay

    @torch.no_grad()
    def update(self, model: SequenceClassifier, *, number: int) -> None:
        """Take in the weights after optimiser step ``number``, from 1; buffers are copied."""
        decay = min(self._decay, (1 + number) / (10 + number))
        for average, weight in zip(self.model.parameters(), model.parameters(), strict=True):
            average.lerp_(weight, 1.0 - decay)
        for kept, value in zip(self.model.buffers(), model.buffers(), strict=True):
            kept.copy_(value)
