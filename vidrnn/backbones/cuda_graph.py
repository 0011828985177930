"""A frozen network on a GPU as a CUDA graph: captured once, then one launch for each batch, with copies beside it.

Launching the kernels of a small network one by one takes longer than running them. A graph is bound to its buffers, so
there are two *slots*, each with its graph, its stream and its memory on the GPU. While one computes, the other is
filled.
"""

import queue
from collections.abc import Callable

import torch

from vidrnn.backbones.errors import EngineError
from vidrnn.device import full_precision
from vidrnn.frames.views import Views

SLOTS = 2
_WARM_UP = 3  # passes in which the libraries choose their kernels and take their memory


class CudaGraph:
    """As `vidrnn.backbones.engines.Engine`, for any number of threads.

    Args:
        network: (B, 3, S, S) uint8 to (B, D) float32, on the device.
        device: the GPU.
        batch_size: B of every call.
        image_size: S.

    Raises:
        EngineError: the network does something that a graph cannot hold, such as looking at a value on the CPU.
        torch.cuda.OutOfMemoryError: a batch does not fit.
    """

    def __init__(
        self,
        network: Callable[[torch.Tensor], torch.Tensor],
        *,
        device: torch.device,
        batch_size: int,
        image_size: int,
    ) -> None:
        self._free: queue.SimpleQueue[_Slot] = queue.SimpleQueue()
        shape = (batch_size, 3, image_size, image_size)
        with torch.cuda.device(device), torch.no_grad(), full_precision():
            for _ in range(SLOTS):
                self._free.put(_Slot(network, shape, device))

    def __call__(self, frames: torch.Tensor, views: Views) -> torch.Tensor:
        """As in `Engine`. A third thread waits until one of two is done."""
        slot = self._free.get()
        try:
            return slot.run(frames, views)
        finally:
            self._free.put(slot)


class _Slot:
    """One captured graph with the memory that it reads and writes."""

    def __init__(
        self, network: Callable[[torch.Tensor], torch.Tensor], shape: tuple[int, ...], device: torch.device
    ) -> None:
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._graph = torch.cuda.CUDAGraph()
        self._done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(self._stream):
            self._frames = torch.zeros(shape, dtype=torch.uint8, device=device)
            self._views = Views.plain(shape[0]).to(device)
            for _ in range(_WARM_UP):
                network(self._views.of(self._frames))
        self._stream.synchronize()
        try:
            with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
                self._features = network(self._views.of(self._frames))
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise EngineError(f"cannot be captured in a CUDA graph: {str(error).splitlines()[0]}") from error
        self._result = torch.empty(self._features.shape, dtype=self._features.dtype, pin_memory=True)

    def run(self, frames: torch.Tensor, views: Views) -> torch.Tensor:
        """As in `Engine`; frames in page-locked memory are copied beside what the GPU computes."""
        with torch.no_grad(), torch.cuda.stream(self._stream):
            self._frames[: len(frames)].copy_(frames, non_blocking=True)
            self._views.source.copy_(views.source)
            self._views.turns.copy_(views.turns)
            self._graph.replay()
            self._result.copy_(self._features, non_blocking=True)
            self._done.record(self._stream)
        self._done.synchronize()
        return self._result.clone()
