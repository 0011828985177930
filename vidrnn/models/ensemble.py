"""Several answers to one question, averaged: from members of an ensemble, views of a video, or draws of its steps."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from vidrnn.models.classifier import SequenceClassifier
from vidrnn.settings.evaluation import Average
from vidrnn.settings.model import Head, ModelSettings


def average_outputs(head: Head, outputs: Sequence[torch.Tensor], *, scale: Average = "probabilities") -> torch.Tensor:
    """Average outputs of one shape: numbers as they are, classes on a scale, given back as logits.

    Args:
        head: what they answer.
        outputs: tensors (..., outputs).
        scale: ``logits`` takes their mean, ``probabilities`` the logits of the mean probabilities.

    Returns:
        (..., outputs), float32; the only one unchanged when there is one.
    """
    if len(outputs) == 1:
        return outputs[0]
    stacked = torch.stack([each.float() for each in outputs])
    if scale == "logits" or head in {"regression", "step_regression"}:
        return stacked.mean(0)
    if head == "multilabel":
        # logit(mean of p) from logarithms of p and 1 - p, which are finite where p rounds to 0 or 1.
        said, unsaid = nn.functional.logsigmoid(stacked), nn.functional.logsigmoid(-stacked)
        return said.logsumexp(0) - unsaid.logsumexp(0)
    log_p = nn.functional.log_softmax(stacked, dim=-1)
    return log_p.logsumexp(0) - torch.log(torch.tensor(float(len(outputs))))


class Ensemble(nn.Module):
    """Classifiers that were fitted alike but for their seeds, behind the interface of one.

    Args:
        members: at least one, with the same settings.
    """

    def __init__(self, members: Sequence[SequenceClassifier]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @classmethod
    def create(
        cls, settings: ModelSettings, *, dim: int | Mapping[str, int], num_classes: int, members: int
    ) -> "Ensemble":
        """Members with fresh weights; arguments as of `SequenceClassifier`."""
        return cls([SequenceClassifier(settings, dim=dim, num_classes=num_classes) for _ in range(members)])

    @property
    def settings(self) -> ModelSettings:
        """Of each member."""
        first = self.members[0]
        assert isinstance(first, SequenceClassifier)
        return first.settings

    @property
    def per_step(self) -> bool:
        """Whether there is an answer for every step."""
        first = self.members[0]
        assert isinstance(first, SequenceClassifier)
        return first.per_step

    def forward(
        self, features: torch.Tensor, lengths: torch.Tensor, present: torch.Tensor | None = None
    ) -> torch.Tensor:
        """See `SequenceClassifier.forward`."""
        return average_outputs(self.settings.head, [member(features, lengths, present) for member in self.members])


Model = SequenceClassifier | Ensemble
