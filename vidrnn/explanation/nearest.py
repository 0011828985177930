"""Training videos that are most alike to a model: neighbours of a video where the model decides."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vidrnn.annotations import Annotation
from vidrnn.device import repeatable
from vidrnn.explanation.question import Question
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.ensemble import Ensemble, Model
from vidrnn.models.model_file import TrainedModel
from vidrnn.sequences.sequence_set import Batch, SequenceSet
from vidrnn.sequences.steps import full_batches
from vidrnn.settings.evaluation import InferenceSettings
from vidrnn.training.predict import PredictOptions, ways_of

Vectors = npt.NDArray[np.float32]
_STEPS_AT_ONCE = 8192


@dataclass(frozen=True)
class Neighbour:
    """A training video.

    Attributes:
        path: of it.
        known: its label, labels or number.
        similarity: cosine between the two vectors, 1 for the same.
    """

    path: str
    known: str
    similarity: float


@dataclass(frozen=True)
class TrainingVideos:
    """The videos that a model learned from, as it sees them.

    Attributes:
        annotations: of the n videos.
        vectors: (n, F) of length 1, see `vectors_of`.
    """

    annotations: tuple[Annotation, ...]
    vectors: Vectors

    @classmethod
    def of(cls, model: TrainedModel, sequences: SequenceSet) -> "TrainingVideos":
        """All videos of a set, from the middle steps of the plain view."""
        return cls(sequences.annotations, vectors_of(model, sequences))

    def nearest(self, question: Question, *, path: str, count: int) -> tuple[Neighbour, ...]:
        """The videos that are most alike, the nearest first; not the video itself.

        Args:
            question: about a video.
            path: of that video.
            count: most of them.
        """
        similar = self.vectors @ _unit(_ask(question.model.classifier, question.ways[0]))[0]
        order = [
            number for number in np.argsort(-similar, kind="stable").tolist() if self.annotations[number].path != path
        ]
        return tuple(
            Neighbour(self.annotations[number].path, known_of(self.annotations[number]), float(similar[number]))
            for number in order[:count]
        )


def known_of(annotation: Annotation) -> str:
    """What is known of a video, in words; empty where that is nothing."""
    return "|".join(annotation.names) or ("" if annotation.target is None else f"{annotation.target:g}")


def vectors_of(model: TrainedModel, sequences: SequenceSet) -> Vectors:
    """(n, F) what the output layer is given of each video, scaled to length 1: two videos are alike where these are.

    That is the pooled state of the temporal layers. An ensemble has the states of all members, late fusion the states
    of all streams, one after the other.
    """
    steps = model.settings.training.steps
    options = PredictOptions(steps, InferenceSettings(draws=1, views="plain"))
    shown = sequences.showing(model.settings.inference.streams)
    lengths = shown.totals if steps is None else torch.full_like(shown.totals, steps)
    parts = []
    for positions in full_batches(lengths, most_steps=_STEPS_AT_ONCE):
        ((_, batch),) = ways_of(shown, positions, options, model.settings.model)
        parts.append(_unit(_ask(model.classifier, batch)))
    return np.concatenate(parts)


@repeatable()
@torch.inference_mode()
def _ask(classifier: Model, batch: Batch) -> torch.Tensor:
    """(B, F) the inputs of all output layers."""
    found: list[torch.Tensor] = []

    def keep(_layer: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        found.append(inputs[0])

    handles = [layer.register_forward_pre_hook(keep) for layer in _output_layers(classifier.eval())]
    try:
        classifier(batch.features, batch.lengths, batch.present)
    finally:
        for handle in handles:
            handle.remove()
    return torch.cat(found, dim=1)


def _output_layers(classifier: nn.Module) -> Iterable[nn.Module]:
    members: Sequence[nn.Module] = list(classifier.members) if isinstance(classifier, Ensemble) else [classifier]
    for member in members:
        assert isinstance(member, SequenceClassifier)
        yield from (
            [member.output]
            if member.branches is None
            else (branch.output for branch in member.branches.values() if isinstance(branch, SequenceClassifier))
        )


def _unit(vectors: torch.Tensor) -> Vectors:
    scaled: Vectors = nn.functional.normalize(vectors.float(), dim=1).cpu().numpy()
    return scaled
