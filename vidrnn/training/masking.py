"""Predicting masked steps: what temporal layers can learn from sequences of which nothing is known.

Stretches of a sequence are hidden, and the model says from all other steps what they showed. A step that is hidden
shows the same learned vector wherever it is; the loss counts hidden steps alone (after BERT, Devlin et al. 2019, with
squared errors for features as in Masked Autoencoders, He et al. 2022).
"""

from dataclasses import dataclass

import torch
from torch import nn

from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.pooling import valid_steps
from vidrnn.sequences.sequence_set import Batch


@dataclass(frozen=True)
class Masking:
    """How much is hidden.

    Attributes:
        share: of the steps, about.
        span: steps of a stretch; a single step would be told by its neighbours.
    """

    share: float = 0.4
    span: int = 4


class MaskedSteps(nn.Module):
    """A classifier without its head, that says what hidden steps show.

    Args:
        classifier: whose layers learn; any fusion but ``late``.
        mean: (C,) of what steps show, inputs of all streams one after the other.
        deviation: (C,) of the same.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, classifier: SequenceClassifier, *, mean: torch.Tensor, deviation: torch.Tensor) -> None:
        super().__init__()
        assert classifier.branches is None, "late fusion has layers for each stream"
        self.classifier = classifier
        width = classifier.fusion.output_size if classifier.fusion is not None else classifier.settings.projection
        self.hidden = nn.Parameter(torch.zeros(width or classifier.width))
        self.decoder = nn.Linear(classifier.layers.output_size, classifier.width)
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, batch: Batch, masked: torch.Tensor) -> torch.Tensor:
        """(B, S, C) what each step shows, in deviations from the mean.

        Args:
            batch: the sequences.
            masked: (B, S) bool, which steps are hidden; each sequence has one that is not.
        """
        model = self.classifier
        shown = valid_steps(batch.lengths, batch.features) & ~masked
        features = batch.features.masked_fill(~shown.unsqueeze(2), 0.0)
        if model.fusion is not None:
            assert batch.present is not None
            steps = model.fusion(features, batch.present & shown.unsqueeze(2))
        else:
            steps = model.projection(model.norm(features))
        steps = torch.where(masked.unsqueeze(2), self.hidden.to(steps.dtype), model.dropout(steps))
        states, _ = model.layers(steps, batch.lengths)
        outputs: torch.Tensor = self.decoder(states)
        return outputs

    def targets(self, batch: Batch) -> torch.Tensor:
        """(B, S, C) what each step really shows, in deviations from the mean."""
        return (batch.features - self.mean) / self.deviation

    def counted(self, batch: Batch, masked: torch.Tensor) -> torch.Tensor:
        """(B, S, C) float, 1 where an error counts: at hidden steps, where a stream shows something."""
        counted = (masked & valid_steps(batch.lengths, batch.features)).unsqueeze(2).expand_as(batch.features)
        if batch.present is not None:
            widths = torch.tensor(batch.widths, device=batch.present.device)
            counted = counted & batch.present.repeat_interleave(widths, dim=2)
        return counted.float()

    def errors(self, batch: Batch, masked: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The sum of the squared errors that count, and how many these are."""
        counted = self.counted(batch, masked)
        squares = (self(batch, masked).float() - self.targets(batch)).square()
        return (squares * counted).sum(), counted.sum()

    def errors_of_copies(self, batch: Batch, masked: torch.Tensor) -> torch.Tensor:
        """The same sum where every hidden step is said to show what the nearest step shows that is not hidden."""
        counted, targets = self.counted(batch, masked), self.targets(batch)
        shown = valid_steps(batch.lengths, batch.features) & ~masked
        places = torch.arange(masked.shape[1], device=masked.device)
        distances = (places[:, None] - places).abs().float().masked_fill(~shown.unsqueeze(1), torch.inf)
        nearest = distances.argmin(2).unsqueeze(2).expand_as(targets)
        total: torch.Tensor = ((targets.gather(1, nearest) - targets).square() * counted).sum()
        return total


def draw_mask(lengths: torch.Tensor, steps: int, masking: Masking, *, generator: torch.Generator) -> torch.Tensor:
    """(B, steps) bool which steps are hidden: stretches anywhere, of each sequence at least one step and never all.

    Sequences of a single step have none.

    Args:
        lengths: (B,) int64 on the CPU, true steps.
        steps: padded length.
        masking: how much.
        generator: draws them, on the CPU.
    """
    rate = 1.0 - (1.0 - masking.share) ** (1.0 / masking.span)  # a step is hidden where one of `span` starts falls
    starts: torch.Tensor = torch.rand(len(lengths), steps, generator=generator) < rate
    masked: torch.Tensor = starts.clone()
    for shift in range(1, min(masking.span, steps)):
        masked[:, shift:] |= starts[:, : steps - shift]
    inside = torch.arange(steps) < lengths.unsqueeze(1)
    masked &= inside
    drawn = (torch.rand(2, len(lengths), dtype=torch.float64, generator=generator) * lengths).to(torch.int64)
    rows = torch.arange(len(lengths))
    none, everything = ~masked.any(1), (masked | ~inside).all(1)
    masked[rows[none], drawn[0][none]] = True
    masked[rows[everything], drawn[1][everything]] = False
    masked[lengths < 2] = False
    return masked
