"""How much each moment of a video counts for an answer: by occluding it, by attention, or by integrated gradients."""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import torch
from torch import nn

from vidrnn.errors import ConfigError
from vidrnn.explanation.question import Fill, Numbers, Question, answer_of, mean_of, stretches_of
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.ensemble import Ensemble, combine_outputs
from vidrnn.models.pooling import AttentionPooling
from vidrnn.names import quoted
from vidrnn.sequences.sequence_set import Batch
from vidrnn.settings.model import REGRESSION_HEADS

Method = Literal["occlusion", "attention", "gradients"]
MOMENTS_PER_WINDOW = 8
"""A window occludes one part in so many of the video."""
_MOST_WINDOWS = 64
_PATH = 32  # points of the integral of gradients
_AT_ONCE = 4096  # steps of these points that are in memory together


def as_method(name: str) -> Method:
    """A way of explaining by its name. Raises ConfigError."""
    for method in get_args(Method):
        if name == method:
            found: Method = method
            return found
    raise ConfigError(f"method {quoted(name)}: allowed are {', '.join(get_args(Method))}")


def by_occlusion(
    question: Question, *, window: int | None = None, fill: Fill = "mean", stream: int | None = None
) -> Numbers:
    """(M,) how far the answer falls when a window around a moment is occluded (Zeiler & Fergus 2014, over time).

    Windows of neighbouring moments slide over the video. A single moment changes little, because its neighbours show
    nearly the same. Each moment has the mean over the windows that occlude it, in log-odds of the class; of a
    regression it is how far the number moves, up or down.

    Args:
        question: the video and the answer.
        window: moments of a window; None: an eighth of the video.
        fill: what stands in place of what is occluded.
        stream: occludes only this one of several streams.
    """
    moments = question.num_moments
    width = min(window or max(1, round(moments / MOMENTS_PER_WINDOW)), moments)
    last = moments - width
    starts = np.unique(np.linspace(0, last, min(last + 1, _MOST_WINDOWS)).round().astype(int))
    occluded = stretches_of(moments, [(start, start + width) for start in starts.tolist()])
    if not last and fill == "cut":  # the only window is the whole video
        return np.zeros(moments)
    falls = fallen(question, question.scores(occluded, fill=fill, stream=stream))
    weights = occluded.sum(0)
    values: Numbers = (falls[:, None] * occluded).sum(0) / np.maximum(weights, 1)
    if (bare := weights == 0).any():  # between windows that are further apart than they are wide
        values[bare] = np.interp(np.flatnonzero(bare), np.flatnonzero(~bare), values[~bare])
    return values


def fallen(question: Question, scores: Numbers) -> Numbers:
    """How far scores lie below the score of the whole video; for a regression how far away from it, on either side."""
    falls: Numbers = question.score - scores
    return np.abs(falls) if question.model.settings.model.head in REGRESSION_HEADS else falls


def by_attention(question: Question) -> Numbers | None:
    """(M,) weights with which an attention pooling averages the moments; their sum is 1.

    The mean over draws, views, members and heads. None where the model has no such pooling, or one for each of several
    streams (late fusion), whose steps are not the moments.
    """
    members = _members(question)
    poolings = [member.pooling.attention for member in members if member.branches is None]
    if not poolings or poolings[0] is None:
        return None
    found: list[torch.Tensor] = []

    def keep(pooling: nn.Module, inputs: tuple[torch.Tensor, torch.Tensor]) -> None:
        assert isinstance(pooling, AttentionPooling)
        found.append(pooling.weights(*inputs).mean(2)[0])

    handles = [pooling.register_forward_pre_hook(keep) for pooling in poolings if pooling is not None]
    try:
        question.scores(np.zeros((1, question.num_moments), bool))
    finally:
        for handle in handles:
            handle.remove()
    weights: Numbers = torch.stack(found).double().mean(0).cpu().numpy()
    return weights


def by_gradients(question: Question) -> Numbers:
    """(M,) integrated gradients (Sundararajan et al. 2017) of the answer, summed over the channels of each moment.

    The path goes from the mean of the video, at every moment, to the video itself. So the values add up to what the
    moments together change, but for the error of 32 points of the integral.

    Raises:
        ConfigError: Captum is not installed.
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError:
        raise ConfigError(
            "method 'gradients' needs Captum, which is not installed: pip install 'vidrnn[explain]'; or take occlusion"
        ) from None
    totals = []
    # RNN layers of cuDNN have no backward pass in eval mode.
    with torch.backends.cudnn.flags(enabled=False):
        for number, way in enumerate(question.ways):
            method = IntegratedGradients(_asked_through(question, number))
            given = method.attribute(
                way.features.detach().clone(),
                baselines=mean_of(way).expand_as(way.features).contiguous(),
                n_steps=_PATH,
                internal_batch_size=max(1, _AT_ONCE // question.num_moments),
            )
            totals.append(given.sum(2)[0].detach().double().cpu().numpy())
    values: Numbers = np.sum(totals, axis=0)
    return np.abs(values) if question.model.settings.model.head in REGRESSION_HEADS else values


def _asked_through(question: Question, number: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """The answer as a function of what one way shows, (N, M, C) to (N,); the other ways stay as they are."""
    model, settings = question.model, question.model.settings
    with torch.no_grad():
        others = [_outputs(question, way, way.features) for way in question.ways]

    def answer(features: torch.Tensor) -> torch.Tensor:
        given = [row.expand(len(features), -1) for row in others]
        given[number] = _outputs(question, question.ways[number], features)
        lengths = torch.full((len(features),), features.shape[1])
        combined = combine_outputs(settings.model.head, given, lengths=lengths, scale=settings.inference.average)
        return answer_of(combined, question.target, model)

    return answer


def _outputs(question: Question, way: Batch, features: torch.Tensor) -> torch.Tensor:
    lengths = torch.full((len(features),), features.shape[1])
    present = None if way.present is None else way.present.expand(len(features), -1, -1)
    outputs: torch.Tensor = question.model.classifier.eval()(features, lengths, present)
    return outputs


def _members(question: Question) -> list[SequenceClassifier]:
    classifier = question.model.classifier
    members = classifier.members if isinstance(classifier, Ensemble) else [classifier]
    return [member for member in members if isinstance(member, SequenceClassifier)]
