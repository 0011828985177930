"""How a frozen network is executed: one engine for all views and streams, settled with the first real frames."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from vidrnn.backbones.cuda_graph import SLOTS, CudaGraph
from vidrnn.backbones.engine_cache import Converted, EngineCache, Proof
from vidrnn.backbones.engines import (
    LEAST_SIMILARITY,
    Compiled,
    Eager,
    Engine,
    OpenVino,
    choose_engine,
    choose_precision,
    compiled,
    similarity,
)
from vidrnn.backbones.errors import EngineError
from vidrnn.backbones.network import Network
from vidrnn.backbones.networks import build_network
from vidrnn.backbones.quantization import quantize, quantizer
from vidrnn.backbones.weights import weights_digest
from vidrnn.device import choose_batch_size, choose_device
from vidrnn.errors import ConfigError
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.frames.rendering import FlowRendering, rendering_from
from vidrnn.frames.views import Views
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import LAST_NODE, SHORT_FLOATS, FeatureSettings
from vidrnn.settings.streams import Stream
from vidrnn.store.spec import FeatureSpec, sampling_values
from vidrnn.store.stream_specs import stream_values

if TYPE_CHECKING:
    from openvino import Model

_PROOF_FRAMES = 8
_HALVED = "batches of"


class Executor:
    """The loaded network and its engine, shared by the views of the frames.

    Which engine executes it is settled with the first real frames, because each is compared with eager PyTorch on them.
    These frames may be of either view; ``spec``, and with it the cache and the calibration, belong to the plain view.
    """

    def __init__(self, settings: FeatureSettings, extraction: ExtractionSettings) -> None:
        self.device = choose_device(extraction.device)
        self.notes: tuple[str, ...] = ()
        self._preparing = threading.Lock()
        precision = choose_precision(settings, self.device)
        self._settings = settings = settings.model_copy(update={"precision": precision})
        self._size = choose_batch_size(extraction.batch_size, extraction.device)
        self._least = LEAST_SIMILARITY[precision]
        self._engine: Engine | None = None
        self._engine_is_asked_for = extraction.engine != "auto"
        self._engine_name = choose_engine(extraction, self.device, precision=precision)
        # On a GPU one batch is copied while the other is computed; on a CPU one batch takes all cores.
        self.page_locked = self.device.type == "cuda"
        self.lanes = SLOTS if self.page_locked else 1
        self._network: Network | None = None
        converted = self._read_converted(EngineCache.of(settings)) if self._engine_name == "openvino" else None
        self.spec = converted.spec if converted else self._build()

    def __call__(self, frames: torch.Tensor, views: Views) -> torch.Tensor:
        """Features of views of (N, 3, S, S) uint8 frames, (R, D) float32 on the CPU; see `Backbone.embed`."""
        if not len(views):
            return torch.zeros(0, self.spec.dim)
        while True:
            with self._preparing:
                self._engine = engine = self._engine or self._make(frames)
                size = self._size
            try:
                parts = [_run(engine, frames, views, at, size) for at in range(0, len(views), size)]
                return parts[0] if len(parts) == 1 else torch.cat(parts)
            except torch.cuda.OutOfMemoryError as error:
                del engine  # its memory is needed for the next one
                with self._preparing:
                    if self._size == size:  # no other thread has done it yet
                        self._halve(error)

    def _make(self, frames: torch.Tensor) -> Engine:
        """An engine for the largest batches that the memory holds."""
        while True:
            try:
                return self._prepare(_filled(frames[: self._size], self._size), real=min(len(frames), self._size))
            except torch.cuda.OutOfMemoryError as error:
                self._halve(error)

    def _halve(self, error: Exception) -> None:
        """Go on with batches of half the size; what was there is thrown away."""
        if self._size == 1:
            raise ConfigError(
                f"extraction.device: {self.device} has no memory for a single frame of {self._settings.backbone} "
                f"({str(error).splitlines()[0]}); use a smaller network or device 'cpu'"
            ) from error
        self._size, self._engine = self._size // 2, None
        self.notes = (
            *(note for note in self.notes if not note.startswith(_HALVED)),
            f"{_HALVED} {self._size}: {self.device} has no memory for more",
        )

    def spec_of(self, stream: Stream) -> FeatureSpec:
        """The spec of a stream of pictures, not mirrored."""
        values = stream_values(self._settings, stream)
        if values is None:
            return self.spec
        rendering = rendering_from(values)
        if isinstance(rendering, FlowRendering):
            rendering.renderer()  # what is not installed is better said here than by every video
        preprocessing = {**self.spec.preprocessing, "rendering": values}
        return replace(self.spec, stream=stream, preprocessing=preprocessing)

    def _build(self) -> FeatureSpec:
        settings = self._settings
        self._network = network = build_network(settings)
        dims, alone = _feature_lengths(network, settings), set(settings.chosen_nodes) == {LAST_NODE}
        return FeatureSpec(
            stream="rgb",
            backbone=settings.backbone,
            weights=settings.weights if settings.weights in {"default", "random"} else Path(settings.weights).name,
            weights_digest=weights_digest(network.model),
            node=network.node,
            dim=sum(dims),
            grid=settings.chosen_nodes[LAST_NODE] if alone else 1,
            preprocessing=network.preprocessing.as_dict(),
            sampling=sampling_values(settings),
            precision=_precision_name(settings),
            parts=() if alone else tuple(dims),
        )

    def _prepare(self, frames: torch.Tensor, *, real: int) -> Engine:
        """Make the engine for the first batch: ``real`` frames, and then filling."""
        network = self._network
        if network is None:  # an engine was read from the cache and has been refused since
            network = build_network(self._settings)
        self._network = None  # the engine keeps what it needs
        self._look_at_short_floats(network, frames[: min(real, _PROOF_FRAMES)])
        eager = Eager(network, device=self.device, precision=self._settings.precision)
        if self._engine_name == "eager":
            return eager
        reference = eager(frames, Views.plain(len(frames)))
        count = min(real, _PROOF_FRAMES)
        proof = Proof(frames[:count].clone(), reference[:count].clone())
        try:
            return self._prepare_other(network, frames, proof)
        except EngineError as error:
            if self._settings.precision == "int8":  # float32 features under this name would be a lie
                raise ConfigError(
                    f"features.precision: 'int8' for {self.spec.backbone}: {error}; use 'float32'"
                ) from error
            if self._engine_is_asked_for:
                raise ConfigError(f"extraction.engine: {self._engine_name!r} {error}; use 'eager'") from error
            self.notes += (f"engine eager, because {error}",)
            return eager

    def _look_at_short_floats(self, network: Network, frames: torch.Tensor) -> None:
        """Say so where a short float changes the features of the first real frames."""
        precision, least = self._settings.precision, LEAST_SIMILARITY["float32"]
        if precision not in SHORT_FLOATS:
            return
        views = Views.plain(len(frames))
        exact = Eager(network, device=self.device, precision="float32")(frames, views)
        alike = similarity(Eager(network, device=self.device, precision=precision)(frames, views), exact)
        if alike < least:
            better = "float16 or float32" if precision == "bfloat16" else "float32"
            change = f"{precision} changes the features (similarity to float32 {alike:.4f}, below {least})"
            self.notes += (f"{change}; features.precision: {better} keeps them",)

    def _prepare_other(self, network: Network, frames: torch.Tensor, proof: Proof) -> Engine:
        if self._engine_name != "openvino":
            engine = self._captured(network) if self.device.type == "cuda" else self._compiled(network)
            _hold_to(proof, engine(frames, Views.plain(len(frames))), self._least)
            return engine
        cache = EngineCache.of(self._settings) or EngineCache.of(
            self._settings, weights_digest=self.spec.weights_digest
        )
        if kept := self._read_converted(cache):
            assert self._engine is not None
            assert kept.spec == self.spec, (kept.spec, self.spec)
            return self._engine
        model = OpenVino.convert(network, frames)
        if self._settings.precision == "int8":
            model = quantize(model, Preprocessing.from_dict(self.spec.preprocessing))
        model = OpenVino.settle(model)
        engine = self._openvino(model)
        _hold_to(proof, engine(frames, Views.plain(len(frames))), self._least)
        if cache:
            cache.write(Converted(model, self.spec, proof))
        return engine

    def _captured(self, network: Network) -> Engine:
        run = compiled(network) if self._engine_name == "compile" else network
        image_size = network.preprocessing.image_size
        return CudaGraph(run, device=self.device, batch_size=self._size, image_size=image_size)

    def _compiled(self, network: Network) -> Engine:
        return Compiled(network, precision=self._settings.precision)

    def _read_converted(self, cache: EngineCache | None) -> Converted | None:
        """Take the engine from the cache when it still gives what eager PyTorch gave."""
        converted = cache.read() if cache else None
        if converted is None:
            return None
        try:
            self._engine = self._openvino(converted.model, converted.spec)
            frames = converted.proof.frames[: self._size]
            views = Views.plain(len(frames)).filled(self._size)
            _hold_to(converted.proof, self._engine(frames, views), self._least)
        except EngineError:  # another machine's or a damaged cache: made anew
            self._engine = None
            return None
        return converted

    def _openvino(self, model: "Model", spec: FeatureSpec | None = None) -> OpenVino:
        size = (spec or self.spec).preprocessing["image_size"]
        return OpenVino(model, batch_size=self._size, image_size=size)


def _run(engine: Engine, frames: torch.Tensor, views: Views, start: int, size: int) -> torch.Tensor:
    shown, part = views.part(frames, start, start + size)
    return engine(shown, part.filled(size))[: len(part)]


def _filled(frames: torch.Tensor, size: int) -> torch.Tensor:
    return functional.pad(frames, (0, 0, 0, 0, 0, 0, 0, size - len(frames))) if len(frames) < size else frames


def _hold_to(proof: Proof, features: torch.Tensor, least: float) -> None:
    """Raise EngineError when the first features differ from what eager PyTorch gave."""
    count = min(len(proof.features), len(features))
    alike = similarity(features[:count], proof.features[:count])
    if alike < least:
        raise EngineError(f"gives other features than eager PyTorch (similarity {alike:.4f}, least {least})")


def _precision_name(settings: FeatureSettings) -> str:
    """The precision, and what made it where that changes the numbers."""
    return f"int8/{quantizer()}" if settings.precision == "int8" else settings.precision


def _feature_lengths(network: Network, settings: FeatureSettings) -> list[int]:
    try:
        return network.dims()
    except (AssertionError, RuntimeError) as error:
        if settings.image_size is None:
            raise
        raise ConfigError(
            f"features.image_size: {settings.backbone} cannot take {settings.image_size} "
            f"({str(error).splitlines()[0]}); use null for the size that belongs to the weights"
        ) from error
