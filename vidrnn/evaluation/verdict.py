"""Was anything learned? A warning where a constant answer, or a model without recurrence, is as good."""

import math
from collections.abc import Mapping

from vidrnn.evaluation.baselines import constant_name
from vidrnn.evaluation.metrics import HEADLINES
from vidrnn.settings.model import Head

WITHOUT_RECURRENCE = ("mean_pool", "single_step", "own_inputs_mean", "own_inputs_max", "own_inputs_step")
"""Baselines that see single steps and no course of time."""


def no_better_than(head: Head, value: float, baselines: Mapping[str, float], *, recurrent: bool) -> dict[str, float]:
    """The baselines that a model should have beaten and did not, best first.

    Args:
        head: what was answered.
        value: headline of the model.
        baselines: name to headline, on the same videos; nan is passed over.
        recurrent: whether the model has temporal layers; without any it is such a baseline itself.
    """
    wanted = {constant_name(head), *(WITHOUT_RECURRENCE if recurrent else ())}
    sign = 1.0 if HEADLINES[head].higher_is_better else -1.0
    found = {name: figure for name, figure in baselines.items() if name in wanted and not math.isnan(figure)}
    not_beaten = [name for name, figure in found.items() if sign * figure >= sign * value]
    return {name: found[name] for name in sorted(not_beaten, key=lambda name: -sign * found[name])}


def describe_verdict(head: Head, value: float, not_beaten: Mapping[str, float]) -> str:
    """What to tell people; empty when all was beaten."""
    if not not_beaten:
        return ""
    beside = ", ".join(f"{name} {figure:.3f}" for name, figure in not_beaten.items())
    what = (
        "nothing was learned beyond a constant answer"
        if constant_name(head) in not_beaten
        else "the course of time added nothing to the model's own inputs"
    )
    return f"WARNING: {HEADLINES[head].title} {value:.3f} is no better than {beside}: {what}"
