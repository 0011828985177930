"""Which cached steps of a sequence the model sees: pure arithmetic on whole batches."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class StepChoice:
    """Chosen steps of a batch of sequences.

    Attributes:
        indices: (B, S) int64 positions within each sequence; beyond ``lengths`` they repeat the last valid one.
        lengths: (B,) int64 true number of steps.
    """

    indices: torch.Tensor
    lengths: torch.Tensor


def choose_steps(totals: torch.Tensor, steps: int | None, *, generator: torch.Generator | None = None) -> StepChoice:
    """Cut each sequence into ``steps`` equal segments and take one step of each (Wang et al. 2016, TSN).

    Args:
        totals: (B,) int64 cached steps per sequence, on the CPU.
        steps: S. A shorter sequence gives all it has, none twice. None: every sequence gives all it has.
        generator: draws the position inside each segment; None takes the middle.

    Returns:
        Increasing steps for each sequence.
    """
    lengths = totals if steps is None else totals.clamp(max=steps)
    width = int(lengths.max()) if len(lengths) else 0
    slot, total, parts = torch.arange(width), totals.unsqueeze(1), lengths.clamp(min=1).unsqueeze(1)
    if generator is None:
        indices = (2 * slot + 1) * total // (2 * parts)
    else:  # segments begin and end at whole steps, so that no step is drawn twice
        start, end = slot * total // parts, (slot + 1) * total // parts
        inside = torch.rand(len(totals), width, dtype=torch.float64, generator=generator)
        indices = start + (inside * (end - start)).to(torch.int64)
    return StepChoice(torch.minimum(indices, (totals - 1).clamp(min=0).unsqueeze(1)), lengths)


def shuffle_steps(choice: StepChoice, *, generator: torch.Generator) -> StepChoice:
    """Put the steps of each sequence into random order: what is left when time is taken away."""
    width = choice.indices.shape[1]
    keys = torch.rand(choice.indices.shape, generator=generator)
    keys[torch.arange(width) >= choice.lengths.unsqueeze(1)] = 2.0  # padding stays at the end
    return StepChoice(choice.indices.gather(1, keys.argsort(dim=1)), choice.lengths)


def nearest_chosen(chosen: torch.Tensor, total: int) -> torch.Tensor:
    """For each of ``total`` cached steps (total,) the number of the chosen one (S,) nearest to it, the earlier of two.

    Args:
        chosen: (S,) int64, increasing.
        total: T.
    """
    middles = (chosen[:-1] + chosen[1:]) / 2
    return torch.bucketize(torch.arange(total, dtype=middles.dtype), middles)


def similar_lengths(lengths: torch.Tensor) -> list[torch.Tensor]:
    """Cut a batch into parts that are padded to at most twice the steps that there are.

    Args:
        lengths: (B,) int64 steps of each sequence, at least 1.

    Returns:
        Positions in the batch of each part, the longest first; all in their order where one part is enough.
    """
    order = lengths.argsort(descending=True, stable=True)
    ends, start, true = [], 0, 0
    for number, length in enumerate(lengths[order].tolist()):
        longest = int(lengths[order[start]])
        if (number + 1 - start) * longest > 2 * (true + length):
            ends.append(number)
            start, true = number, 0
        true += length
    return list(torch.tensor_split(order, ends)) if ends else [torch.arange(len(lengths))]


def full_batches(lengths: torch.Tensor, *, most_steps: int) -> list[torch.Tensor]:
    """Neighbouring positions of a set in batches that, padded, have at most so many steps, or one sequence.

    Args:
        lengths: (n,) int64 steps of each sequence.
        most_steps: the most steps of a batch, padding included.
    """
    ends, start, longest = [], 0, 0
    for number, length in enumerate(lengths.tolist()):
        longest = max(longest, length)
        if number > start and (number + 1 - start) * longest > most_steps:
            ends.append(number)
            start, longest = number, length
    return list(torch.tensor_split(torch.arange(len(lengths)), ends))
