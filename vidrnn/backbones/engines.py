"""How a frozen network is executed. An engine changes the speed, never the features: `similarity` holds it to that."""

import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import torch
from torch import nn

from vidrnn.backbones.networks import Network
from vidrnn.errors import ConfigError
from vidrnn.settings.features import FeatureSettings

if TYPE_CHECKING:
    from openvino import Model

EngineName = Literal["eager", "compile", "openvino"]

# Cosine to eager PyTorch, per frame; below it an engine is refused. Eight bits are another precision on purpose (it is
# in the feature spec): EfficientNet-Lite0 keeps 0.92 to 0.94 at its own size; a network that does not bear them falls
# far below.
LEAST_SIMILARITY = {"float32": 0.999, "bfloat16": 0.999, "float16": 0.999, "int8": 0.8}

_AUTOCAST = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16, "int8": None}


class Engine(Protocol):
    """Features of whole batches."""

    def __call__(self, frames: torch.Tensor) -> torch.Tensor:
        """(B, 3, S, S) uint8 on the CPU to (B, D) float32 on the CPU; B is the batch size the engine was made for."""
        ...


class EngineError(RuntimeError):
    """A network cannot be executed by this engine, or not with the same result."""


def choose_engine(settings: FeatureSettings, device: torch.device) -> EngineName:
    """Resolve ``auto``: OpenVINO is the fastest on CPU (docs/decisions.md).

    Raises:
        ConfigError: an engine, a precision and a device that do not go together.
    """
    fits = device.type == "cpu" and settings.precision in {"float32", "int8"}
    engine: EngineName = ("openvino" if fits else "eager") if settings.engine == "auto" else settings.engine
    if engine == "openvino" and not fits:
        raise ConfigError(
            f"features.engine: 'openvino' runs float32 and int8 on the CPU, but precision is {settings.precision!r} "
            f"and the device {device.type!r}; use 'auto'"
        )
    if engine != "openvino" and settings.precision == "int8":
        raise ConfigError(
            f"features.precision: 'int8' runs on the CPU in OpenVINO, but the device is {device.type!r} and the engine "
            f"{engine!r}; use device 'cpu' and engine 'auto', or another precision"
        )
    return engine


class Eager:
    """PyTorch as it is."""

    def __init__(self, network: nn.Module, *, device: torch.device, precision: str) -> None:
        self._network: Callable[[torch.Tensor], torch.Tensor] = network.to(device).to(memory_format=torch.channels_last)
        self._device = device
        self._dtype = _AUTOCAST[precision]
        self._of_thread = threading.local()

    @torch.inference_mode()
    def __call__(self, frames: torch.Tensor) -> torch.Tensor:
        """As in `Engine`. On a GPU each thread has a stream of its own, so that copies run beside kernels."""
        if self._device.type != "cuda":
            return self._run(frames)
        if not hasattr(self._of_thread, "stream"):
            self._of_thread.stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(self._of_thread.stream):
            return self._run(frames.pin_memory()).cpu()  # waits for this stream only

    def _run(self, frames: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self._device.type, self._dtype, enabled=self._dtype is not None):
            features: torch.Tensor = self._network(frames.to(self._device, non_blocking=True))
        return features


class Compiled(Eager):
    """`torch.compile` with frozen weights; on a GPU with CUDA graphs."""

    def __init__(self, network: nn.Module, *, device: torch.device, precision: str) -> None:
        super().__init__(network, device=device, precision=precision)
        if device.type == "cuda":
            self._network = torch.compile(network, mode="reduce-overhead", dynamic=False)
        else:
            self._network = torch.compile(network, options={"freezing": True}, dynamic=False)

    def __call__(self, frames: torch.Tensor) -> torch.Tensor:
        """As in `Engine`. Raises EngineError when compilation fails, for instance without a C++ compiler."""
        from torch._dynamo.exc import TorchDynamoException
        from torch._inductor.exc import InductorError

        try:
            return super().__call__(frames)
        except (TorchDynamoException, InductorError) as error:
            raise EngineError(f"torch.compile failed: {str(error).splitlines()[0]}") from error


class OpenVino:
    """OpenVINO on the CPU: a batch is cut into equal parts, each for one of PyTorch's threads.

    Threads that need not wait for each other at every layer were 1.3 times as fast as all threads on one batch on two
    cores that decoders share (docs/decisions.md).
    """

    def __init__(self, model: "Model", *, batch_size: int, image_size: int) -> None:
        import openvino

        threads = torch.get_num_threads()
        parts = max(count for count in range(1, threads + 1) if batch_size % count == 0)
        self._part = batch_size // parts
        model.reshape([self._part, 3, image_size, image_size])
        options = {
            "PERFORMANCE_HINT": "THROUGHPUT" if parts > 1 else "LATENCY",
            "NUM_STREAMS": parts,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",  # on newer CPUs the default would round to bfloat16
        }
        try:
            compiled = openvino.Core().compile_model(model, "CPU", options)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot compile it: {_end_of(error)}") from error
        self._requests = [compiled.create_infer_request() for _ in range(parts)]

    def __call__(self, frames: torch.Tensor) -> torch.Tensor:
        """As in `Engine`."""
        parts = frames.numpy().reshape(len(self._requests), self._part, *frames.shape[1:])
        for request, part in zip(self._requests, parts, strict=True):
            request.start_async({0: part}, share_inputs=True)
        for request in self._requests:
            request.wait()
        return torch.from_numpy(np.concatenate([request.get_output_tensor(0).data for request in self._requests]))

    @staticmethod
    def convert(network: Network, frames: torch.Tensor) -> "Model":
        """Turn a network on the CPU into an OpenVINO model, by way of a trace.

        OpenVINO's own `convert_model` reports each call to its maker over the network; its parts do not.

        Raises:
            EngineError: the network holds something that OpenVINO does not know.
        """
        from openvino import frontend as frontends
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        failures = (
            RuntimeError,
            frontends.GeneralFailure,
            frontends.InitializationFailure,
            frontends.NotImplementedFailure,
            frontends.OpConversionFailure,
            frontends.OpValidationFailure,
        )
        try:
            with torch.no_grad(), warnings.catch_warnings():
                # The trace is deprecated, and warns of each branch that it fixes; the first real batch is compared.
                warnings.simplefilter("ignore")
                decoder = TorchScriptPythonDecoder(network, example_input=(frames[:1],))
                frontend = frontends.FrontEndManager().load_by_framework("pytorch")
                return frontend.convert(frontend.load(decoder))
        except failures as error:
            raise EngineError(f"OpenVINO cannot convert it: {_end_of(error)}") from error

    @staticmethod
    def settle(model: "Model") -> "Model":
        """Write and read back: what comes from a file computes in another order than what was just converted.

        The first run and all later ones must give the same bits.
        """
        with tempfile.TemporaryDirectory() as folder:
            OpenVino.save(model, Path(folder) / "network.xml")
            return OpenVino.read(Path(folder) / "network.xml")

    @staticmethod
    def read(path: Path) -> "Model":
        """Read a converted model. Raises EngineError when the files are not whole."""
        import openvino

        try:
            return openvino.Core().read_model(path)
        except RuntimeError as error:
            raise EngineError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error

    @staticmethod
    def save(model: "Model", path: Path) -> None:
        """Write ``path`` (.xml) and the weights beside it (.bin), in float32."""
        import openvino

        openvino.save_model(model, path, compress_to_fp16=False)


def _end_of(error: Exception) -> str:
    """What OpenVINO has to say stands below where in its sources it says it."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines[-2:]) or type(error).__name__


def similarity(features: torch.Tensor, reference: torch.Tensor) -> float:
    """Smallest cosine of the angle between the (B, D) rows of two sets of features.

    1 where both are zero, -1 when they do not even have the same shape.
    """
    if features.shape != reference.shape:
        return -1.0
    here, there = features.double(), reference.double()
    both_zero = (here == 0).all(1) & (there == 0).all(1)
    cosines = nn.functional.cosine_similarity(here, there, dim=1, eps=1e-30)
    return float(torch.where(both_zero, 1.0, cosines.nan_to_num(-1.0)).min())
