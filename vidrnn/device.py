"""Where tensors live."""

import torch

from vidrnn.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """``auto`` is CUDA when there is one, else the CPU. Raises ConfigError for ``cuda`` without a GPU."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device: 'cuda' was asked for, but PyTorch sees no GPU; use 'auto' or 'cpu'")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
