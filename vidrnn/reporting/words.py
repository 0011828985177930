"""The figures of a run in plain sentences: how good, and compared with what."""

import math
from dataclasses import dataclass

from vidrnn.evaluation.baselines import constant_name
from vidrnn.evaluation.metrics import Headline
from vidrnn.evaluation.verdict import WITHOUT_RECURRENCE, no_better_than
from vidrnn.reporting.run_folder import Run

SHARES = ("top1", "mean_average_precision", "frame_accuracy", "label_error_rate")
"""Headlines that are shares, from 0 to 1; the label error rate may be above."""
_RECURRENT = ("rnn", "gru", "lstm", "mingru", "minlstm")
_WITHOUT = {
    "own_inputs_mean": "the same inputs without it, averaged over time, reach",
    "own_inputs_max": "the same inputs without it, pooled by the maximum, reach",
    "own_inputs_step": "the same inputs without it, each step alone, reach",
    "mean_pool": "the features without it, averaged over time, reach",
    "single_step": "the features without it, each step alone, reach",
}
_TITLES = {
    "own_inputs_mean": "the same inputs, averaged",
    "own_inputs_max": "the same inputs, their maximum",
    "own_inputs_step": "the same inputs, each step alone",
    "mean_pool": "average of the frames",
    "single_step": "each step alone",
    "shuffled_time": "steps in random order",
    "single_frame": "one frame",
    "metadata_only": "no pixels at all",
    "majority": "always the commonest answer",
    "median": "always the median",
}


@dataclass(frozen=True)
class Comparison:
    """The model beside one baseline.

    Attributes:
        name: of the baseline, as in the files.
        title: for people.
        value: its headline.
        sentence: what the distance says.
        is_beaten: whether the model is better.
    """

    name: str
    title: str
    value: float
    sentence: str
    is_beaten: bool


def points(difference: float, headline: Headline) -> str:
    """The size of a difference: points of a hundred for shares, else the number in its unit."""
    if headline.name not in SHARES:
        return f"{abs(difference):.3g}"
    size = f"{100 * abs(difference):.1f}".removesuffix(".0")
    return f"{size} point{'' if size == '1' else 's'}"


def figure(value: float) -> str:
    """Three digits behind the point, or a dash."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def meaning(run: Run) -> str:
    """What the headline is, in a sentence."""
    n = run.figures.get("n")
    videos = f"{n} video{'s' * (n != 1)}" if isinstance(n, int) else "the videos"
    better = "" if run.headline.higher_is_better else " Lower is better."
    return {
        "top1": f"the share of {videos} whose class is right.",
        "mean_average_precision": f"how well each class is ranked over {videos}, averaged over the classes.",
        "frame_accuracy": f"the share of the labelled steps of {videos} that are right.",
        "label_error_rate": f"edits that turn the answer into the truth, for each true label of {videos}.",
        "mae": f"the mean distance from the true number over {videos}.",
    }[run.headline.name] + better


@dataclass(frozen=True)
class Worth:
    """What the temporal layers are worth.

    Attributes:
        sentence: the finding; empty where nothing tells.
        is_gain: whether they help.
    """

    sentence: str
    is_gain: bool


def worth_of_recurrence(run: Run) -> Worth:
    """The model against the best of what sees the same without its temporal layers."""
    if not run.is_recurrent:
        return Worth("This model has no temporal layers, so it says nothing about the course of time.", is_gain=True)
    without = {name: run.baselines[name] for name in WITHOUT_RECURRENCE if name in run.baselines}
    if not without or math.isnan(run.value):
        return Worth("", is_gain=True)
    pick = max if run.headline.higher_is_better else min
    name = pick(without, key=lambda name: without[name])
    difference = run.value - without[name]
    is_gain = difference != 0 and (difference > 0) == run.headline.higher_is_better
    size = points(difference, run.headline) if difference else "nothing"
    return Worth(
        f"{_subject(run)} {'is worth' if is_gain or not difference else 'costs'} {size} here: {_WITHOUT[name]} "
        f"{figure(without[name])}, the model {figure(run.value)}.",
        is_gain,
    )


def _subject(run: Run) -> str:
    if run.settings is None or all(name in _RECURRENT for name in run.settings.model.layer_names):
        return "Recurrence"
    return "The course of time"


def compared(run: Run) -> list[Comparison]:
    """All baselines, the best first."""
    higher = run.headline.higher_is_better
    ordered = sorted(run.baselines.items(), key=lambda item: -item[1] if higher else item[1])
    return [_comparison(name, value, run) for name, value in ordered]


def _comparison(name: str, value: float, run: Run) -> Comparison:
    difference = run.value - value
    is_beaten = difference != 0 and (difference > 0) == run.headline.higher_is_better
    size = points(difference, run.headline)
    amount = f"{size} {'worse' if is_beaten else 'better'}" if difference else "exactly as good"
    return Comparison(
        name, _TITLES.get(name, name), value, _SENTENCES.get(name, "{amount}.").format(amount=amount), is_beaten
    )


_SENTENCES = {
    "own_inputs_mean": "What the model is shown, averaged over time without its temporal layers: {amount}.",
    "own_inputs_max": "What the model is shown, pooled by the maximum without its temporal layers: {amount}.",
    "own_inputs_step": "What the model is shown, without its temporal layers: {amount}.",
    "mean_pool": "The features averaged over time, without order and without temporal layers: {amount}.",
    "single_step": "The features of each step by itself: {amount}.",
    "shuffled_time": "The same network on steps in random order: {amount}. That is what order adds or takes.",
    "single_frame": "One frame from the middle: {amount}.",
    "metadata_only": "Size, length and frame rate of the file alone: {amount}. A good figure here means a leak.",
    "majority": "The same answer for everything: {amount}.",
    "median": "The same number for everything: {amount}.",
}


def nothing_learned(run: Run) -> str:
    """A warning where a constant answer is as good as the model; empty where it is not."""
    name = constant_name(run.head)
    if math.isnan(run.value) or name not in no_better_than(run.head, run.value, run.baselines, recurrent=False):
        return ""
    return f"Nothing was learned: {_TITLES[name]} has {figure(run.baselines[name])}, and the model is no better."
