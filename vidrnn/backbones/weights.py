"""Reading the weights of a backbone from a file, and telling one set of weights from another."""

import hashlib
import os
import pickle  # only for the error that torch.load raises; nothing is unpickled
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from vidrnn.errors import WeightsError
from vidrnn.names import quoted

# What the two readers raise for files that are empty, cut off, of another kind, or that would run code.
_UNREADABLE = (SafetensorError, pickle.UnpicklingError, EOFError, LookupError, OSError, RuntimeError, ValueError)


def read_weights(path: Path) -> Mapping[str, torch.Tensor]:
    """Read a state dict from a safetensors or PyTorch file, never unpickling code.

    Raises:
        WeightsError: no such file, or it holds something else.
    """
    if not path.is_file():
        raise WeightsError(
            f"features.weights: {quoted(path)} does not exist; give a state dict file, 'default' or 'random'"
        )
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        cause = str(error) or type(error).__name__
        raise WeightsError(f"features.weights: {quoted(path)} is not a plain state dict file: {cause}") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"features.weights: {quoted(path)} holds no state dict of tensors")
    return state


def load_weights(model: nn.Module, state: Mapping[str, torch.Tensor], *, origin: str) -> None:
    """Fill a model. Raises WeightsError when names or shapes differ."""
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"weights {origin!r} do not fit the backbone: {str(error)[:400]}") from error


def offline_message(what: str, error: Exception) -> str:
    """What to say when ``what`` cannot be downloaded."""
    cause = str(error).splitlines()[0] if str(error) else type(error).__name__
    cache = os.environ.get("TORCH_HOME", "~/.cache/torch")
    return (
        f"could not download {what} ({cause}). Fetch that file on a machine with a network and set features.weights to "
        f"its path (downloads are cached in {cache} and in the Hugging Face cache). Or use "
        "features.backbone: efficientnet_lite0, whose weights are installed with vidrnn"
    )


def weights_digest(model: nn.Module) -> str:
    """Sha256 over names, types, shapes and values of a model's state, whatever file it came from."""
    hasher = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        hasher.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        hasher.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return hasher.hexdigest()
