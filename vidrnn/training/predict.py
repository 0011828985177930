"""The answers of a model for a set of sequences."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from vidrnn.device import repeatable
from vidrnn.evaluation.metrics import Output
from vidrnn.models.ensemble import Model, combine_outputs
from vidrnn.sequences.sequence_set import Batch, SequenceSet
from vidrnn.sequences.steps import StepChoice, choose_steps, full_batches, nearest_chosen, shuffle_steps
from vidrnn.settings.evaluation import InferenceSettings
from vidrnn.settings.model import ModelSettings
from vidrnn.settings.run import RunSettings
from vidrnn.settings.streams import in_order
from vidrnn.stages import stage

_STEPS_PER_BATCH = 8192
_SHUFFLE_SEED = 0  # the shuffled-time baseline meets each video in one fixed wrong order at evaluation


@dataclass(frozen=True)
class PredictOptions:
    """How a model predicts the sequences of a set.

    Attributes:
        steps: per sequence, None for all cached ones; as in training.
        inference: which draws and views are averaged, and how.
        shuffled_time: give the steps of each sequence in one fixed random order.
    """

    steps: int | None
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    shuffled_time: bool = False


def predict_options(settings: RunSettings) -> PredictOptions:
    """The options that a configuration names."""
    return PredictOptions(settings.training.steps, settings.inference)


def describe_answers(settings: RunSettings) -> str:
    """The part of a protocol string that says what stands behind the answer for a video."""
    draws, members = settings.inference.draws, settings.training.members
    combined = "likeliest" if settings.model.head == "transcript" else "averaged"
    text = "from the middle steps" if draws == 1 else f"{combined} over {draws} draws of steps"
    if settings.features.mirrored and settings.inference.views == "both":
        text += ", over both views"
        text += " where the mirror was chosen" if settings.features.mirrored == "auto" else ""
    if settings.inference.average == "logits" and text != "from the middle steps":
        text += ", in logits"
    if settings.inference.streams is not None:
        text += f", shown {' and '.join(in_order(settings.inference.streams))} only"
    if settings.inference.decoding == "viterbi":
        text += f", read as the likeliest segments (viterbi, weight {settings.inference.decoding_weight:g})"
    return f"one answer per video {text}" + (f", over {members} members" if members > 1 else "")


@dataclass(frozen=True)
class Answers:
    """What a model says of n videos.

    Attributes:
        averaged: n arrays, the answer for each video; see `predict`.
        single: the n answers of each draw of steps and each view by itself, which were averaged.
    """

    averaged: list[Output]
    single: tuple[list[Output], ...]


@repeatable()
def predict(model: Model, sequences: SequenceSet, options: PredictOptions) -> list[torch.Tensor]:
    """Outputs of all sequences, over draws of their steps and over views as ``options`` says.

    Returns:
        n tensors on the CPU, float32, of numbers float64, in the order of the set, (outputs,) each. From a head that
        answers at every step (T, outputs): each of the T cached steps has the answer of the chosen step nearest to it.
        From ``transcript`` (S, outputs) of the chosen steps of one draw and view, see `combine_outputs`.
    """
    rows: list[torch.Tensor] = []
    for answers in _in_batches(model, sequences, options):
        rows += _average(model, answers, options)
    return rows


@stage("answer for the sequences")
@repeatable()
def answer(model: Model, sequences: SequenceSet, options: PredictOptions) -> Answers:
    """The outputs of `predict`, and beside them the single ones that they are made of, all of them in memory."""
    batches = list(_in_batches(model, sequences, options))
    averaged = [output.numpy() for answers in batches for output in _average(model, answers, options)]
    ways = zip(*batches, strict=True)  # a way is one draw in one view
    return Answers(averaged, tuple([output.numpy() for batch in way for output in batch] for way in ways))


def _average(model: Model, answers: list[list[torch.Tensor]], options: PredictOptions) -> list[torch.Tensor]:
    head, scale = model.settings.head, options.inference.average
    return [
        combine_outputs(head, [output[None] for output in video], lengths=torch.tensor([len(video[0])]), scale=scale)[0]
        for video in zip(*answers, strict=True)
    ]


def _in_batches(model: Model, sequences: SequenceSet, options: PredictOptions) -> Iterator[list[list[torch.Tensor]]]:
    """The outputs of every draw and view, for each batch of videos."""
    model.eval()
    sequences = sequences.showing(options.inference.streams)
    shuffle = torch.Generator().manual_seed(_SHUFFLE_SEED) if options.shuffled_time else None
    # With a fixed number of steps all batches have the same size, however short some videos are.
    lengths = sequences.totals if options.steps is None else torch.full_like(sequences.totals, options.steps)
    for positions in full_batches(lengths, most_steps=_STEPS_PER_BATCH):
        ways = ways_of(sequences, positions, options, model.settings, shuffle=shuffle)
        yield [_ask(model, sequences.totals[positions], choice, batch) for choice, batch in ways]


def ways_of(
    sequences: SequenceSet,
    positions: torch.Tensor,
    options: PredictOptions,
    model: ModelSettings,
    *,
    shuffle: torch.Generator | None = None,
) -> Iterator[tuple[StepChoice, Batch]]:
    """What a model is shown of some videos (B,), in each draw of their steps and each view of them.

    Args:
        sequences: with the streams that are shown.
        positions: (B,) int64 videos.
        options: which draws and views there are.
        model: what a step shows.
        shuffle: puts the steps of each draw into random order.
    """
    views = (False, True) if sequences.has_both_views and options.inference.views == "both" else (False,)
    for draw in range(options.inference.draws):
        choice = _choose(sequences, positions, options.steps, draw=draw, shuffle=shuffle)
        for mirrored in views:
            view = torch.full((len(positions),), mirrored)
            yield choice, sequences.batch(positions, choice, model, mirrored=view if mirrored else None)


def _choose(
    sequences: SequenceSet,
    positions: torch.Tensor,
    steps: int | None,
    *,
    draw: int,
    shuffle: torch.Generator | None,
) -> StepChoice:
    # A video draws the same places whatever stands beside it: one generator each.
    totals = sequences.totals[positions]
    choice = choose_steps(totals, steps)
    if draw:
        for row, total in enumerate(totals.tolist()):
            generator = torch.Generator().manual_seed(draw)
            (indices,) = choose_steps(torch.tensor([total]), steps, generator=generator).indices
            choice.indices[row, : len(indices)] = indices
    return choice if shuffle is None else shuffle_steps(choice, generator=shuffle)


@torch.inference_mode()
def _ask(model: Model, totals: torch.Tensor, choice: StepChoice, batch: Batch) -> list[torch.Tensor]:
    outputs: torch.Tensor = model(batch.features, batch.lengths, batch.present).cpu()
    if not model.per_step:
        return list(outputs.unbind())
    rows: list[torch.Tensor] = []
    for number, total in enumerate(totals.tolist()):
        length = int(choice.lengths[number])
        steps = outputs[number, :length]
        if model.settings.head != "transcript":  # that says in which order it saw things, shuffled or not
            indices, in_order = choice.indices[number, :length].sort()
            steps = steps[in_order][nearest_chosen(indices, total)]
        rows.append(steps)
    return rows
