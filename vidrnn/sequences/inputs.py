"""What a model sees of a step: the cached features, or what can be computed from their neighbours in time."""

import torch
from torch.nn import functional

from vidrnn.sequences.host_rows import HostRows
from vidrnn.sequences.steps import StepChoice
from vidrnn.settings.model import ModelSettings


def gather_inputs(
    features: torch.Tensor | HostRows,
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
        model: its ``inputs`` say what a step shows; without ``bidirectional`` nothing that comes after the step.
        parts: lengths of the features of several nodes, which follow each other in D; empty for one node.
            Of several inputs or nodes each is brought to mean 0 and deviation 1 over its values of a step, so that the
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
    if parts:
        shown = [part for input_steps in shown for part in torch.split(input_steps, list(parts), dim=2)]
    if len(shown) > 1:
        shown = [functional.layer_norm(part, part.shape[-1:]) for part in shown]
    steps = torch.cat(shown, dim=2) if len(shown) > 1 else shown[0]
    valid = torch.arange(rows.shape[1]) < choice.lengths.unsqueeze(1)
    return steps.mul_(valid.to(steps.device).unsqueeze(2))


def mean_features(features: torch.Tensor | HostRows, offsets: torch.Tensor, totals: torch.Tensor) -> torch.Tensor:
    """(n, D) float32 mean over all cached steps of each of n videos; arguments as in `gather_inputs`."""
    ranges = zip(offsets.tolist(), totals.tolist(), strict=True)
    return torch.stack([features.narrow(0, start, total).float().mean(0) for start, total in ranges])


def running_means(features: torch.Tensor | HostRows, offsets: torch.Tensor, choice: StepChoice) -> torch.Tensor:
    """(B, S, D) float32 mean over all cached steps of a video until a chosen one, itself included.

    Args:
        features: as in `gather_inputs`.
        offsets: (B,) int64 first row of each video.
        choice: which steps; beyond the lengths the means are any.
    """
    means = []
    for start, chosen in zip(offsets.tolist(), choice.indices, strict=True):
        until = int(chosen.max()) + 1
        sums = features.narrow(0, start, until).double().cumsum(0)  # float32 would lose digits over long videos
        picked = chosen.to(sums.device)
        means.append((sums[picked] / (picked + 1).unsqueeze(1)).float())
    return torch.stack(means)
