"""Several answers to one question, made one: from members of an ensemble, views of a video, or draws of its steps."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.states import State, obstacle_to_steps, parts_of
from vidrnn.settings.evaluation import Average
from vidrnn.settings.model import MULTILABEL_HEADS, REGRESSION_HEADS, Head, ModelSettings


def combine_outputs(
    head: Head, outputs: Sequence[torch.Tensor], *, lengths: torch.Tensor, scale: Average = "probabilities"
) -> torch.Tensor:
    """One answer out of several: transcripts by `choose_transcripts`, all else by `average_outputs`.

    Args:
        head: what they answer.
        outputs: tensors of one shape, (B, outputs) or (B, S, outputs).
        lengths: (B,) true steps, which only transcripts need.
        scale: see `average_outputs`.
    """
    if head == "transcript" and len(outputs) > 1:
        return choose_transcripts(outputs, lengths)
    return average_outputs(head, outputs, scale=scale)


def choose_transcripts(outputs: Sequence[torch.Tensor], lengths: torch.Tensor) -> torch.Tensor:
    """The outputs, for each video, whose transcript all of them together find likeliest.

    Each answer reads a transcript off its likeliest path, and every other answer rescores it. The score is the sum of
    log p(transcript) over all ways to place it in time (Graves et al. 2006). Averaging step by step, as for classes,
    would be wrong: models put the same label on different steps with blanks around it, and the mean has it nowhere.

    Args:
        outputs: tensors (B, S, classes + 1), the blank last.
        lengths: (B,) true steps.

    Returns:
        (B, S, classes + 1) float32: for each video the outputs of one answer, the first of equally likely ones.
    """
    stacked = torch.stack([candidate.float() for candidate in outputs])
    beyond = torch.arange(stacked.shape[2]) >= lengths.cpu().unsqueeze(1)
    log_p = nn.functional.log_softmax(stacked.masked_fill(beyond.to(stacked.device).unsqueeze(2), 0.0), dim=3)
    steps = lengths.to(stacked.device)
    costs = []
    for candidate in log_p:
        labels, counts = _likeliest_path(candidate, beyond)
        losses = [
            nn.functional.ctc_loss(
                judge.transpose(0, 1), labels, steps, counts, blank=judge.shape[2] - 1, reduction="none"
            )
            for judge in log_p
        ]
        costs.append(torch.stack(losses).sum(0))
    chosen = torch.stack(costs).argmin(0)
    return stacked[chosen, torch.arange(len(chosen), device=stacked.device)]


def _likeliest_path(log_p: torch.Tensor, beyond: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Transcripts as (B, L) classes, filled up with 0, and their (B,) lengths; the likeliest output of each step."""
    path, blank = log_p.argmax(2), log_p.shape[2] - 1
    starts = (path != blank) & ~beyond.to(path.device)
    starts[:, 1:] &= path[:, 1:] != path[:, :-1]
    rows = [row[begun] for row, begun in zip(path, starts, strict=True)]
    labels = nn.utils.rnn.pad_sequence([*rows, path.new_zeros(1)], batch_first=True)[:-1]
    return labels, starts.sum(1)


def average_outputs(head: Head, outputs: Sequence[torch.Tensor], *, scale: Average = "probabilities") -> torch.Tensor:
    """Average outputs of one shape: numbers as they are, classes on a scale, given back as logits.

    Args:
        head: what they answer, no transcripts.
        outputs: tensors (..., outputs).
        scale: ``logits`` takes their mean, ``probabilities`` the logits of the mean probabilities.

    Returns:
        (..., outputs), at least float32; the only one unchanged when there is one.
    """
    if len(outputs) == 1:
        return outputs[0]
    assert head != "transcript", "transcripts are chosen, not averaged"
    dtype = torch.promote_types(outputs[0].dtype, torch.float32)
    stacked = torch.stack([single.to(dtype) for single in outputs])
    if scale == "logits" or head in REGRESSION_HEADS:
        return stacked.mean(0)
    if head in MULTILABEL_HEADS:
        # logit(mean of p) from logarithms of p and 1 - p, which are finite where p rounds to 0 or 1.
        log_p, log_not_p = nn.functional.logsigmoid(stacked), nn.functional.logsigmoid(-stacked)
        return log_p.logsumexp(0) - log_not_p.logsumexp(0)
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
        """The settings that all members share."""
        first = self.members[0]
        assert isinstance(first, SequenceClassifier)
        return first.settings

    @property
    def per_step(self) -> bool:
        """Whether there is an answer for every step."""
        first = self.members[0]
        assert isinstance(first, SequenceClassifier)
        return first.per_step

    @property
    def scale(self) -> torch.Tensor | None:
        """The scale of the first member; all were fitted to the same numbers."""
        first = self.members[0]
        assert isinstance(first, SequenceClassifier)
        return first.scale

    def forward(
        self, features: torch.Tensor, lengths: torch.Tensor, present: torch.Tensor | None = None
    ) -> torch.Tensor:
        """See `SequenceClassifier.forward`."""
        outputs = [member(features, lengths, present) for member in self.members]
        return combine_outputs(self.settings.head, outputs, lengths=lengths)

    def advance(
        self,
        features: torch.Tensor,
        state: State | None = None,
        *,
        present: torch.Tensor | None = None,
        lengths: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, State]:
        """See `SequenceClassifier.advance`; the state holds the state of each member."""
        if obstacle := obstacle_to_steps(self.settings, members=len(self.members)):
            raise ValueError(obstacle)
        outputs, states = [], []
        for member, before in zip(self.members, parts_of(state, len(self.members)), strict=True):
            assert isinstance(member, SequenceClassifier)
            output, after = member.advance(features, before, present=present, lengths=lengths)
            outputs.append(output)
            states.append(after)
        return average_outputs(self.settings.head, outputs), tuple(states)


Model = SequenceClassifier | Ensemble
