"""One video and one answer of a model, asked again and again with parts of the video occluded."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.device import repeatable
from vidrnn.errors import ConfigError
from vidrnn.models.ensemble import combine_outputs
from vidrnn.models.model_file import TrainedModel
from vidrnn.names import listed, quoted
from vidrnn.sequences.sequence_set import Batch, SequenceSet
from vidrnn.settings.model import REGRESSION_HEADS, STEP_HEADS
from vidrnn.training.predict import predict_options, ways_of

Numbers = npt.NDArray[np.float64]
Occluded = npt.NDArray[np.bool_]
Fill = Literal["mean", "held", "cut"]
"""What stands in place of occluded moments.

``mean`` is the mean of what the video shows, ``held`` a straight line from the moment before to the one behind. ``cut``
is nothing, so that the sequence is shorter.
"""

_STEPS_AT_ONCE = 16_384


@dataclass(frozen=True)
class Question:
    """Why does the model give this answer for this video?

    A *moment* is one of the parts of the video of which the model is shown one step each. Every draw and view of the
    video has a step of it. So an occluded moment is occluded in all of them.

    Attributes:
        model: the model, whose head has one answer per video.
        ways: what it is shown of the video, in each draw and view: a batch of one.
        target: number of the output in question; 0 of a regression.
        places: (M + 1,) cached steps at which the moments begin, and behind the last one.
    """

    model: TrainedModel
    ways: tuple[Batch, ...]
    target: int
    places: npt.NDArray[np.int64]

    @property
    def num_moments(self) -> int:
        """M."""
        return len(self.places) - 1

    @cached_property
    def score(self) -> float:
        """What the model says of the whole video, see `scores`."""
        return float(self.scores(np.zeros((1, self.num_moments), bool))[0])

    def scores(self, occluded: Occluded, *, fill: Fill = "mean", stream: int | None = None) -> Numbers:
        """(N,) the answer in question, with N times other moments occluded.

        Args:
            occluded: (N, M) which moments; with ``cut`` at least one of each row stays.
            fill: what stands in place of them.
            stream: occludes only this one of several streams.

        Returns:
            For classes the log-odds, log(p / (1 - p)), of the class in question; else the number that is predicted.
        """
        at_once = max(1, _STEPS_AT_ONCE // self.num_moments)
        parts = [
            self.read(self._ask(torch.from_numpy(occluded[start : start + at_once]), fill, stream))
            for start in range(0, len(occluded), at_once)
        ]
        return np.concatenate(parts)

    def read(self, outputs: torch.Tensor) -> Numbers:
        """(N, outputs) of the model to (N,) as `scores` gives them."""
        scores: Numbers = answer_of(outputs.double(), self.target, self.model).cpu().numpy()
        return scores

    @torch.inference_mode()
    @repeatable()
    def _ask(self, occluded: torch.Tensor, fill: Fill, stream: int | None) -> torch.Tensor:
        classifier = self.model.classifier
        classifier.eval()
        answers = []
        for way in self.ways:
            shown = _cut(way, occluded) if fill == "cut" else _filled(way, occluded, fill, stream)
            answers.append(classifier(shown.features, shown.lengths, shown.present))
        settings = self.model.settings
        return combine_outputs(settings.model.head, answers, lengths=shown.lengths, scale=settings.inference.average)


def answer_of(outputs: torch.Tensor, target: int, model: TrainedModel) -> torch.Tensor:
    """(N,) log-odds of a class, or the number, of (N, outputs); gradients go through."""
    chosen, head = outputs[:, target], model.settings.model.head
    if head != "label":
        return chosen  # the logit of a sigmoid is the log-odds of its class; a number is itself
    logits = outputs / model.temperature
    others = torch.cat([logits[:, :target], logits[:, target + 1 :]], dim=1)
    if not others.shape[1]:
        return chosen
    return logits[:, target] - others.logsumexp(1)


def ask_why(model: TrainedModel, sequences: SequenceSet, position: int, *, label: str | None = None) -> Question:
    """The question why a model gives its answer, or another one, for a video.

    Args:
        model: the model.
        sequences: as the model takes them.
        position: of the video among them.
        label: the class in question; None: the likeliest one.

    Raises:
        ConfigError: the model answers at every step, or does not know the class. StoreError: see `SequenceSet.batch`.
    """
    target = _target(model, label)
    options = predict_options(model.settings)
    shown = sequences.showing(options.inference.streams)
    found = list(ways_of(shown, torch.tensor([position]), options, model.settings.model))
    total, moments = int(sequences.totals[position]), int(found[0][0].lengths[0])
    places = np.arange(moments + 1) * total // moments  # as `choose_steps` cuts a sequence into segments
    question = Question(model, tuple(batch for _, batch in found), target or 0, places)
    if target is None:
        outputs = question._ask(torch.zeros(1, moments, dtype=torch.bool), "mean", None)  # noqa: SLF001  its own maker
        question = Question(model, question.ways, int(outputs[0].argmax()), places)
    return question


def refuse_unexplainable(model: TrainedModel) -> None:
    """Raise ConfigError for a model whose head answers at every step: it says itself when something happens."""
    head = model.settings.model.head
    if head in STEP_HEADS:
        raise ConfigError(
            f"a model of head {head} answers step by step, so it has no single answer whose moments could be weighed; "
            "`vidrnn annotate` and `vidrnn segments` show what it says when, or train with model.head=label"
        )


def _target(model: TrainedModel, label: str | None) -> int | None:
    """Number of the output in question; None where the model is to say it."""
    refuse_unexplainable(model)
    names = model.label_map.names
    if model.settings.model.head in REGRESSION_HEADS:
        if label is not None:
            raise ConfigError(f"label {quoted(label)}: the model predicts a number and has no classes; leave it out")
        return 0
    if label is None:
        return None
    if label not in names:
        raise ConfigError(f"label {quoted(label)}: the model does not know this class; it knows {listed(names)}")
    return names.index(label)


def channels_of(batch: Batch, stream: int | None) -> torch.Tensor:
    """(C,) bool, which channels belong to a stream; None: all."""
    width = batch.features.shape[2]
    if stream is None:
        return torch.ones(width, dtype=torch.bool, device=batch.features.device)
    ends = np.cumsum((0, *(batch.widths or (width,))))
    places = torch.arange(width, device=batch.features.device)
    return (places >= int(ends[stream])) & (places < int(ends[stream + 1]))


def mean_of(batch: Batch) -> torch.Tensor:
    """(1, 1, C) mean of what a batch of one video shows; of several streams each over the steps at which it is there.

    The model never sees anything more usual of this video than its mean, whatever a step shows: the scene of
    ``features``, and next to nothing of ``centred`` and ``change``.
    """
    if batch.present is None:
        return batch.features.mean(1, keepdim=True)
    shown = torch.repeat_interleave(batch.present, torch.tensor(batch.widths, device=batch.present.device), dim=2)
    return (batch.features * shown).sum(1, keepdim=True) / shown.sum(1, keepdim=True).clamp(min=1)


def _filled(way: Batch, occluded: torch.Tensor, fill: Fill, stream: int | None) -> Batch:
    """N times the video (N, M, C), with what is occluded filled; which streams are there stays as it is."""
    count, moments = occluded.shape
    away = occluded.to(way.features.device).unsqueeze(2) & channels_of(way, stream)
    if way.present is not None:  # an absent stream stays empty
        widths = torch.tensor(way.widths, device=way.present.device)
        away = away & torch.repeat_interleave(way.present, widths, dim=2)
    instead = mean_of(way) if fill == "mean" else _held(way.features, occluded)
    present = None if way.present is None else way.present.expand(count, -1, -1)
    features = torch.where(away, instead, way.features)
    return Batch(features, torch.full((count,), moments), way.targets, present, way.widths)


def _held(features: torch.Tensor, occluded: torch.Tensor) -> torch.Tensor:
    """(N, M, C) of (1, M, C): occluded moments on a straight line between their neighbours that are shown."""
    count, moments = occluded.shape
    places = torch.arange(moments)
    before = torch.where(occluded, -1, places).cummax(1).values
    behind = torch.where(occluded, moments, places).flip(1).cummin(1).values.flip(1)
    before, behind = torch.where(before < 0, behind, before), torch.where(behind >= moments, before, behind)
    before, behind = before.clamp(0, moments - 1), behind.clamp(0, moments - 1)
    share = ((places - before) / (behind - before).clamp(min=1)).to(features).unsqueeze(2)
    steps = features[0]
    return torch.lerp(steps[before.to(steps.device)], steps[behind.to(steps.device)], share.expand(count, -1, 1))


def _cut(way: Batch, occluded: torch.Tensor) -> Batch:
    """N times the video without what is occluded, each shorter by that."""
    lengths = (~occluded).sum(1)
    order = occluded.to(torch.int8).argsort(dim=1, stable=True)[:, : int(lengths.max())].to(way.features.device)
    features = way.features[0][order]
    inside = (torch.arange(features.shape[1]) < lengths.unsqueeze(1)).to(features.device).unsqueeze(2)
    present = None if way.present is None else way.present[0][order] & inside
    return Batch(features * inside, lengths, way.targets, present, way.widths)


def stretches_of(moments: int, stretches: Sequence[tuple[int, int]]) -> Occluded:
    """(N, M) bool of N stretches of moments, from the first to behind the last."""
    places = np.arange(moments)
    return np.array([(places >= start) & (places < end) for start, end in stretches]).reshape(-1, moments)
