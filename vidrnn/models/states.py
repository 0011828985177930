"""What a one-direction model carries from step to step: plain trees of tensors, the batch first in each of them.

`advance` of a layer takes S more steps and the state before them. It gives what `forward` over the whole sequence gives
at these steps, and the state after them. S is 1 in a live stream and a window's length in training.
"""

from collections.abc import Callable

import torch

from vidrnn.settings.model import STEP_HEADS, ModelSettings

State = torch.Tensor | tuple["State", ...]
"""A tensor (B, ...), or any number of states. `torch.save` takes it, `map_state` moves or detaches it."""


def map_state(function: Callable[[torch.Tensor], torch.Tensor], state: State) -> State:
    """The tree with a function of every tensor in it, such as ``torch.Tensor.detach`` between two windows."""
    return function(state) if isinstance(state, torch.Tensor) else tuple(map_state(function, part) for part in state)


def tensors_of(state: State) -> tuple[torch.Tensor, ...]:
    """The tensors of a state that has no deeper parts."""
    parts = (state,) if isinstance(state, torch.Tensor) else state
    assert all(isinstance(part, torch.Tensor) for part in parts), "the state of another layer?"
    return tuple(part for part in parts if isinstance(part, torch.Tensor))


def parts_of(state: State | None, count: int) -> tuple[State | None, ...]:
    """The states of the parts of a layer, and None for each before the first step."""
    if state is None:
        return (None,) * count
    assert isinstance(state, tuple) and len(state) == count, "the state of another model?"
    return state


def trailing(steps: torch.Tensor, lengths: torch.Tensor | None, size: int) -> torch.Tensor:
    """The newest entries of each sequence, to be carried.

    Args:
        steps: (B, size + S, ...), the entries that were carried so far and S new ones.
        lengths: (B,) int64 on the CPU, how many of the new ones are true, 0 to S; None when all are.
        size: how many are carried.

    Returns:
        (B, size, ...), those before the end of the true ones.
    """
    if lengths is None:
        return steps[:, steps.shape[1] - size :]
    rows = (lengths.unsqueeze(1) + torch.arange(size)).to(steps.device)
    return steps[torch.arange(len(steps), device=steps.device).unsqueeze(1), rows]


def obstacle_to_steps(settings: ModelSettings, *, members: int = 1) -> str | None:
    """Why a model cannot answer step by step as the steps come, and what to train instead; None when it can.

    Args:
        settings: of the model.
        members: of an ensemble.
    """
    if settings.head not in STEP_HEADS:
        return f"head {settings.head!r} answers once for a whole video; train one that answers at every step"
    if settings.bidirectional:
        return (
            "the model reads the video in both directions, so its answers change until the end is known; "
            "train with model.bidirectional: false"
        )
    names = ["transformer layers"] if "transformer" in settings.layer_names else []
    names += ["cross_attention fusion"] if settings.fusion == "cross_attention" else []
    if names and settings.attention_window is None:
        return (
            f"its {' and '.join(names)} would have to remember everything since the start; "
            "train with model.attention_window, such as 128 steps"
        )
    if settings.head == "transcript" and members > 1:
        return "an ensemble chooses among transcripts of whole videos; train with training.members: 1"
    return None
