"""Where tensors live, and what follows from it."""

import torch

from vidrnn.errors import ConfigError

_BATCH_SIZE = {"cpu": 16, "cuda": 256}


def choose_device(name: str) -> torch.device:
    """``auto`` is CUDA when there is one, else the CPU; ``cuda:1`` is the second GPU.

    Raises:
        ConfigError: there is no such GPU.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ConfigError(f"device: {name!r} was asked for, but PyTorch sees no GPU; use 'auto' or 'cpu'")
    device = torch.device("cuda" if name == "auto" else name)
    count = torch.cuda.device_count()
    if device.index is not None and device.index >= count:
        raise ConfigError(
            f"device: {name!r} was asked for, but PyTorch sees {count} GPU{'s' if count > 1 else ''}, from cuda:0 to "
            f"cuda:{count - 1}; use one of these or 'auto'"
        )
    return device


def choose_batch_size(wanted: int | None, device: str) -> int:
    """Frames per call of the backbone: as asked, else what fills the device."""
    return wanted or _BATCH_SIZE[choose_device(device).type]
