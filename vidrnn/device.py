"""Where tensors live, and what follows from it."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vidrnn.errors import ConfigError

_one_at_a_time = threading.RLock()
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
    # Without it cuBLAS may add in another order each time; it is read when the GPU is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    device = torch.device("cuda" if name == "auto" else name)
    count = torch.cuda.device_count()
    if device.index is not None and device.index >= count:
        there = f"{count} GPUs, from cuda:0 to cuda:{count - 1}; use one of these" if count > 1 else "1 GPU; use 'cuda'"
        raise ConfigError(f"device: {name!r} was asked for, but PyTorch sees {there} or 'auto'")
    return device


def choose_batch_size(wanted: int | None, device: str) -> int:
    """Frames per call of the backbone: as asked, else what fills the device."""
    return wanted or _BATCH_SIZE[choose_device(device).type]


@contextmanager
def full_precision() -> Iterator[None]:
    """In float32 a GPU computes in float32: TensorFloat-32, which keeps 10 bits, is PyTorch's own choice for some.

    Also a decorator. Changes nothing on a CPU.
    """
    kept = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = kept


@contextmanager
def repeatable() -> Iterator[None]:
    """The same seed gives the same numbers on a GPU too; PyTorch warns where it has no such algorithm (CTC's loss).

    Also a decorator. Changes nothing where there is no GPU.
    """
    if not torch.cuda.is_available():
        yield
        return
    kept = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic  # has no types; filling new memory would only cost time
    filled = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    memory.fill_uninitialized_memory = False
    try:
        with full_precision():
            yield
    finally:
        torch.use_deterministic_algorithms(kept[0], warn_only=kept[1])
        memory.fill_uninitialized_memory = filled


@contextmanager
def alone() -> Iterator[None]:
    """One thread at a time, and PyTorch's random numbers go on afterwards as if none had been drawn. Also a decorator.

    Random numbers belong to the whole process. Two threads that fit at the same time would change what the other draws,
    and the caller's seed would be gone.
    """
    in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # asking an unused GPU would start it
    gpus = range(torch.cuda.device_count() if in_use else 0)
    with _one_at_a_time, torch.random.fork_rng(devices=gpus):
        yield


class FixedRandom(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Context manager: this thread draws on the CPU from a generator of its own, and no other thread notices.

    The numbers are those that follow ``torch.manual_seed(seed)``.
    """

    def __init__(self, *, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._generator = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(self, func: Any, _types: object, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        """Called by PyTorch for each operation."""
        named = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded in func.tags:
            if all(argument.name != "generator" for argument in func._schema.arguments):  # noqa: SLF001
                func = func.overloadpacket.generator  # `torch.rand` has its generator in another overload
            named["generator"] = self._generator
        return func(*args, **named)


def _renew() -> None:
    global _one_at_a_time  # noqa: PLW0603  in a fork: whoever held it does not live here
    _one_at_a_time = threading.RLock()


os.register_at_fork(after_in_child=_renew)
