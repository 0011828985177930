"""What a model sees of a step: the cached features, or what can be computed from their neighbours in time."""

from collections.abc import Callable

import torch
from torch.nn import functional

from vidrnn.sequences.host_rows import Rows
from vidrnn.sequences.steps import StepChoice
from vidrnn.settings.model import ModelSettings, StepInput

_ROWS_AT_ONCE = 1 << 14
InputState = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""What is carried from step to step, see `advance_inputs`."""


_ROWS_SUMMED = 4096


def gather_inputs(
    features: Rows,
    *,
    offsets: torch.Tensor,
    totals: torch.Tensor,
    means: torch.Tensor | None,
    choice: StepChoice,
    model: ModelSettings,
    parts: tuple[int, ...] = (),
) -> torch.Tensor:
    """Gather the chosen steps of B videos out of one table that holds the features of many.

    Args:
        features: (rows, D) float16 on any device.
        offsets: (B,) int64 first row of each video, on the CPU.
        totals: (B,) int64 rows of each video, on the CPU.
        means: float32 mean of each video, needed for ``centred``: (B, D) of all of it, see `mean_features`, or, for
            causal models, (B, S, D) of what came until each chosen step, see `running_means`.
        choice: which steps of each.
        model: its ``inputs`` say what a step shows; without ``bidirectional`` it sees the past alone.
        parts: lengths of the features of several nodes, which follow each other in D; empty for one node.
            Several inputs or nodes are each brought to mean 0 and deviation 1 over their values of a step, so that the
            largest does not drown the others.

    Returns:
        (B, S, inputs times D) float32 on the device of ``features``, zero beyond the lengths.
    """
    first = offsets.unsqueeze(1)
    last = first + totals.unsqueeze(1) - 1
    rows = first + choice.indices

    def at(positions: torch.Tensor) -> torch.Tensor:
        chosen = features.index_select(0, positions.flatten().to(features.device))
        return chosen.view(*positions.shape, -1).float()

    shown: list[torch.Tensor] = []
    for name in model.inputs:
        if name == "change":
            later, earlier = rows + model.change_steps * model.bidirectional, rows - model.change_steps
            shown.append(at(torch.minimum(later, last)) - at(torch.maximum(earlier, first)))
        elif name == "centred":
            assert means is not None
            shown.append(at(rows) - (means if means.ndim == 3 else means.unsqueeze(1)))
        else:
            shown.append(at(rows))
    steps = _side_by_side(shown, parts)
    valid = torch.arange(rows.shape[1]) < choice.lengths.unsqueeze(1)
    return steps.mul_(valid.to(steps.device).unsqueeze(2))


def _side_by_side(shown: list[torch.Tensor], parts: tuple[int, ...]) -> torch.Tensor:
    """Inputs (B, S, D) one after the other, (B, S, inputs times D), see ``parts`` of `gather_inputs`."""
    if parts:
        shown = [part for input_steps in shown for part in torch.split(input_steps, list(parts), dim=2)]
    if len(shown) > 1:
        shown = [functional.layer_norm(part, part.shape[-1:]) for part in shown]
    return torch.cat(shown, dim=2) if len(shown) > 1 else shown[0]


def advance_inputs(
    features: torch.Tensor,
    state: InputState | None = None,
    *,
    model: ModelSettings,
    parts: tuple[int, ...] = (),
) -> tuple[torch.Tensor, InputState]:
    """What a one-direction model sees of S more steps, as `gather_inputs` shows it of all steps since the start.

    Args:
        features: (B, S, D) as they are stored.
        state: after the steps before; None at the start.
        model: its ``inputs`` say what a step shows.
        parts: see `gather_inputs`.

    Returns:
        (B, S, inputs times D) float32, and the state: (B, ``change_steps``, D) of the last steps, (B, D) the sum of all
        steps so far in float64, and their number (B,).
    """
    assert not model.bidirectional, "obstacle_to_steps says so before"
    batch, steps, dim = features.shape
    now = features.float()
    if state is None:  # before the start stands the first step
        recent = now[:, :1].expand(-1, model.change_steps, -1)
        state = recent, now.new_zeros(batch, dim, dtype=torch.float64), now.new_zeros(batch, dtype=torch.int64)
    recent, total, count = state
    seen = torch.cat([recent, now], dim=1)
    totals = total.unsqueeze(1) + now.double().cumsum(1)  # float32 would lose digits over long videos
    counts = count.unsqueeze(1) + torch.arange(1, steps + 1, device=count.device)
    shown: dict[StepInput, Callable[[], torch.Tensor]] = {
        "features": lambda: now,
        "centred": lambda: now - (totals / counts.unsqueeze(2)).float(),
        "change": lambda: now - seen[:, :steps],
    }
    after = seen[:, steps:], totals[:, -1], counts[:, -1]
    return _side_by_side([shown[name]() for name in model.inputs], parts), after


def mean_features(features: Rows, offsets: torch.Tensor, totals: torch.Tensor) -> torch.Tensor:
    """(n, D) float32 mean over all cached steps of each of n videos; arguments as in `gather_inputs`."""
    ranges = zip(offsets.tolist(), totals.tolist(), strict=True)
    return torch.stack([_mean(features, start, total) for start, total in ranges])


def _mean(features: Rows, start: int, total: int) -> torch.Tensor:
    """(D,) of neighbouring rows, of which a long video has more than fit into memory."""
    if total <= _ROWS_AT_ONCE:
        return features.narrow(0, start, total).float().mean(0)
    places = range(start, start + total, _ROWS_AT_ONCE)
    parts = [features.narrow(0, at, min(_ROWS_AT_ONCE, start + total - at)).double().sum(0) for at in places]
    return (torch.stack(parts).sum(0) / total).float()


def running_means(features: Rows, offsets: torch.Tensor, choice: StepChoice) -> torch.Tensor:
    """(B, S, D) float32 mean over all cached steps of a video until a chosen one, itself included.

    Args:
        features: as in `gather_inputs`.
        offsets: (B,) int64 first row of each video.
        choice: which steps; beyond the lengths the means are any.
    """
    means = []
    for start, chosen in zip(offsets.tolist(), choice.indices, strict=True):
        first, until = int(chosen.min()), int(chosen.max()) + 1
        # In float64: float32 would lose digits over long videos.
        sums = features.narrow(0, start + first, until - first).double().cumsum(0)
        for begin in range(0, first, _ROWS_SUMMED):  # a window of a long video needs no more memory than itself
            sums += features.narrow(0, start + begin, min(_ROWS_SUMMED, first - begin)).double().sum(0)
        picked = chosen.to(sums.device)
        means.append((sums[picked - first] / (picked + 1).unsqueeze(1)).float())
    return torch.stack(means)
