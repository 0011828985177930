"""How a frozen network is executed. An engine changes the speed, never the features: `similarity` holds it to that."""

import importlib.util
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import torch

from vidrnn.backbones.errors import EngineError
from vidrnn.backbones.network import Network
from vidrnn.device import full_precision
from vidrnn.errors import ConfigError
from vidrnn.frames.views import Views
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings

if TYPE_CHECKING:
    from openvino import Model

EngineName = Literal["eager", "graph", "compile", "openvino"]

# Similarity to eager PyTorch, per frame; below it an engine is refused. Eight bits are another precision on purpose (it
# is in the feature spec): EfficientNet-Lite0 keeps 0.92 to 0.94 at its own size; a network that does not bear them
# falls far below.
LEAST_SIMILARITY = {"float32": 0.999, "bfloat16": 0.999, "float16": 0.999, "int8": 0.8}

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "int8": torch.float32}


class Engine(Protocol):
    """Features of whole batches."""

    def __call__(self, frames: torch.Tensor, views: Views) -> torch.Tensor:
        """Features of B views, the batch size that the engine was made for.

        Args:
            frames: (N, 3, S, S) uint8 on the CPU, at most B.
            views: B of them.

        Returns:
            (B, D) float32 on the CPU.
        """
        ...


def choose_precision(settings: FeatureSettings, device: torch.device) -> str:
    """Resolve ``auto``: a GPU is two to four times as fast in short floats, and most CPUs are slower.

    float16 keeps the features: EfficientNet-Lite0 has a similarity to float32 of 0.9998 with it on real frames, and of
    0.992 with bfloat16, whose 8 bits are too few (docs/decisions.md).
    """
    if settings.precision != "auto":
        return settings.precision
    return "float16" if device.type == "cuda" else "float32"


def choose_engine(settings: ExtractionSettings, device: torch.device, *, precision: str) -> EngineName:
    """Resolve ``auto``: OpenVINO is the fastest on a CPU, and on a GPU a graph is there without compiling.

    Args:
        settings: which engine is asked for.
        device: where the network runs.
        precision: as `choose_precision` gives it.

    Raises:
        ConfigError: an engine, a precision and a device that do not go together.
    """
    on_gpu, fits = device.type == "cuda", device.type == "cpu" and precision in {"float32", "int8"}
    has_openvino = importlib.util.find_spec("openvino") is not None
    best: EngineName = "graph" if on_gpu else "openvino" if fits and (has_openvino or precision == "int8") else "eager"
    engine: EngineName = best if settings.engine == "auto" else settings.engine
    if engine == "openvino" and not fits:
        raise ConfigError(
            f"extraction.engine: 'openvino' runs float32 and int8 on the CPU, but precision is {precision!r} "
            f"and the device {device.type!r}; use 'auto'"
        )
    if engine == "openvino" and not has_openvino:
        raise ConfigError("extraction.engine: 'openvino' is not installed; run `pip install openvino`, or use 'eager'")
    if engine == "graph" and not on_gpu:
        raise ConfigError(f"extraction.engine: 'graph' runs on a GPU, but the device is {device.type!r}; use 'auto'")
    if engine != "openvino" and precision == "int8":
        raise ConfigError(
            f"features.precision: 'int8' runs on the CPU in OpenVINO, but the device is {device.type!r} and the engine "
            f"{engine!r}; use device 'cpu' and engine 'auto', or another precision"
        )
    return engine


class Eager:
    """PyTorch as it is, for any number of threads."""

    def __init__(self, network: Network, *, device: torch.device, precision: str) -> None:
        dtype, self._device = _DTYPES[precision], device
        # On a GPU the weights themselves are short. On a CPU that would be slow: autocast knows which layers gain.
        self._autocast = dtype if device.type == "cpu" and dtype != torch.float32 else None
        self._network = network.to(device).to(memory_format=torch.channels_last)
        if device.type == "cuda":
            self._network.to_precision(dtype)
        self._of_thread = threading.local()

    @torch.inference_mode()
    def __call__(self, frames: torch.Tensor, views: Views) -> torch.Tensor:
        """As in `Engine`. On a GPU each thread has a stream, so that copies run beside kernels."""
        if self._device.type != "cuda":
            with torch.autocast("cpu", self._autocast, enabled=self._autocast is not None):
                features: torch.Tensor = self._network(views.of(frames))
            return features
        if not hasattr(self._of_thread, "stream"):
            self._of_thread.stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        with torch.cuda.device(self._device), torch.cuda.stream(self._of_thread.stream), full_precision():
            on_device = views.of(frames).pin_memory().to(self._device, non_blocking=True)
            return self._network(on_device).cpu()  # type: ignore[no-any-return]  # waits for this stream only


def compiled(network: Network) -> Callable[[torch.Tensor], torch.Tensor]:
    """`torch.compile`, for `Compiled` or, on a GPU, for a graph.

    Raises:
        EngineError: at the first call, when compilation fails, for instance without a C++ compiler.
    """
    from torch._dynamo.exc import TorchDynamoException
    from torch._inductor.exc import InductorError

    # Freezing folds constants; on a GPU it was no faster and takes longer.
    options: dict[str, str | int | bool | Callable[..., Any]] | None
    options = {"freezing": True} if next(network.parameters()).device.type == "cpu" else None
    compiled_network = torch.compile(network, options=options, dynamic=False)

    def run(frames: torch.Tensor) -> torch.Tensor:
        try:
            features: torch.Tensor = compiled_network(frames)
        except (TorchDynamoException, InductorError) as error:
            raise EngineError(f"torch.compile failed: {str(error).splitlines()[0]}") from error
        return features

    return run


class Compiled:
    """`torch.compile` on a CPU, with frozen weights."""

    def __init__(self, network: Network, *, precision: str) -> None:
        dtype = _DTYPES[precision]
        self._network, self._autocast = compiled(network), dtype if dtype != torch.float32 else None

    @torch.inference_mode()
    def __call__(self, frames: torch.Tensor, views: Views) -> torch.Tensor:
        """As in `Engine`. Raises EngineError when compilation fails."""
        with torch.autocast("cpu", self._autocast, enabled=self._autocast is not None):
            return self._network(views.of(frames))


class OpenVino:
    """OpenVINO on the CPU: a batch is cut into equal parts of one or two frames, which PyTorch's threads take in turn.

    OpenVINO's threads need not wait for each other at every layer. On two cores that decoders share, this was 1.3 times
    as fast as all threads on one batch (docs/decisions.md). What a layer makes of two frames stays in the cache for the
    next one. For any number of threads of Python: a batch takes all cores, so the next one waits.
    """

    def __init__(self, model: "Model", *, batch_size: int, image_size: int) -> None:
        import openvino

        threads = torch.get_num_threads()
        streams = max(count for count in range(1, threads + 1) if batch_size % count == 0)
        self._part = 1 if (batch_size // streams) % 2 else 2
        model.reshape([self._part, 3, image_size, image_size])
        options = {
            "PERFORMANCE_HINT": "THROUGHPUT" if streams > 1 else "LATENCY",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",  # on newer CPUs the default would round to bfloat16
        }
        try:
            compiled = openvino.Core().compile_model(model, "CPU", options)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot compile it: {_end_of(error)}") from error
        self._requests = [compiled.create_infer_request() for _ in range(batch_size // self._part)]
        self._running = threading.Lock()

    def __call__(self, frames: torch.Tensor, views: Views) -> torch.Tensor:
        """As in `Engine`. A second thread waits until the first is done."""
        parts = views.of(frames).numpy().reshape(len(self._requests), self._part, *frames.shape[1:])
        with self._running:
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
    """How alike two sets of features are in direction and size: the smallest of 2 a.b / (a.a + b.b) over the rows.

    For rows of equal length this is the cosine of the angle between them. For a row that is r times as long, the cosine
    is multiplied by 2r/(1+r^2), which is 0.9988 for 5 %. The result is 1 where both are zero, and -1 for another shape
    or values that are no numbers.

    Args:
        features: (B, D).
        reference: (B, D).
    """
    if features.shape != reference.shape:
        return -1.0
    here, there = features.double(), reference.double()
    sizes = (here * here).sum(1) + (there * there).sum(1)
    alike = 2.0 * (here * there).sum(1) / sizes.clamp(min=1e-300)
    return float(torch.where(sizes == 0.0, 1.0, alike.nan_to_num(-1.0, -1.0, -1.0)).min())
