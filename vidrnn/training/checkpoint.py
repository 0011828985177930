"""The state of a fit after an epoch, as one safetensors file without pickle."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from vidrnn.atomic import write_atomically
from vidrnn.errors import TrainingError
from vidrnn.json_text import parse_json

History = list[dict[str, float]]
State = dict[str, torch.Tensor]


@dataclass
class FitState:
    """Everything that the next epoch depends on.

    Attributes:
        epoch: epochs that are done.
        history: one row per epoch, as in log.csv.
        best: weights of the epoch with the lowest validation loss, None without validation.
        best_epoch: that epoch, from 1.
        fingerprint: a digest of the settings and data; a checkpoint continues only the run that made it.
    """

    fingerprint: str
    epoch: int
    history: History
    best: State | None
    best_epoch: int


def save_checkpoint(
    path: Path,
    state: FitState,
    model: nn.Module,
    average: nn.Module | None,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
) -> None:
    """Write atomically. Raises OSError."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in (state.best or {}).items()}
    for index, values in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in values.items()}
    tensors["random.torch"] = torch.get_rng_state()
    tensors["random.steps"] = generator.get_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    header = {
        "fingerprint": state.fingerprint,
        "epoch": state.epoch,
        "history": state.history,
        "best_epoch": state.best_epoch,
    }
    copies = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_atomically(path, save(copies, metadata={"vidrnn_checkpoint": json.dumps(header)}))


def load_checkpoint(
    path: Path,
    fingerprint: str,
    model: nn.Module,
    average: nn.Module | None,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
) -> FitState:
    """Put a fit back to where it was.

    Raises:
        TrainingError: the file is damaged or belongs to other settings or data.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = parse_json((file.metadata() or {})["vidrnn_checkpoint"])
            tensors: State = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a mapping
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise TrainingError(f"checkpoint {path} cannot be read ({error}); train without --resume") from error
    if header["fingerprint"] != fingerprint:
        raise TrainingError(
            f"checkpoint {path} belongs to another configuration or other features; "
            "train without --resume or into another --output"
        )
    model.load_state_dict(_below(tensors, "model."))
    if average is not None:
        average.load_state_dict(_below(tensors, "average."))
    optimiser_state = optimiser.state_dict()
    slots: dict[int, dict[str, Any]] = {}
    for name, value in _below(tensors, "optimiser.").items():
        index, _, key = name.partition(".")
        slots.setdefault(int(index), {})[key] = value
    optimiser_state["state"] = slots
    optimiser.load_state_dict(optimiser_state)
    torch.set_rng_state(tensors["random.torch"])
    generator.set_state(tensors["random.steps"])
    if torch.cuda.is_available() and "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"])
    best = _below(tensors, "best.") or None
    return FitState(fingerprint, header["epoch"], header["history"], best, header["best_epoch"])


def _below(tensors: State, prefix: str) -> State:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
