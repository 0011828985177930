"""Settings of the section `extraction`: where and how fast videos become features, never which features."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from vidrnn.settings.base import Device, PathSetting, Positive, Settings


class ExtractionSettings(Settings):
    """Where and how fast videos become features. Nothing here is part of a feature spec."""

    store: PathSetting = Path("features")
    """Folder of the feature store."""
    device: Device = "auto"
    """Where the backbone runs: ``cpu``, ``cuda``, or one of several GPUs as ``cuda:1``; ``auto`` takes a GPU when there
    is one."""
    engine: Literal["auto", "eager", "graph", "compile", "openvino"] = "auto"
    """How the backbone is executed: ``eager`` PyTorch, ``graph`` (a captured CUDA graph), ``compile`` (torch.compile;
    needs a C++ compiler), ``openvino`` (CPU); ``auto`` is openvino on a CPU in float32 or int8, graph on a GPU, else
    eager. Each is compared with eager on real frames."""
    decoder: Literal["cpu", "nvdec"] = "cpu"
    """What decodes: FFmpeg on the cores of the CPU, or the circuits of an NVIDIA GPU, which also fits the frames there,
    alike within one grey level (two at hard edges). What it cannot decode alike goes to the CPU, with a note."""
    batch_size: Positive | None = None
    """Frames per backbone call, filled across videos; null: 16 on a CPU, 256 on a GPU."""
    workers: Positive | None = None
    """Videos decoded at the same time, one process with one decoder thread each; null: one per core."""
    time_limit_s: Annotated[float, Field(gt=0.0)] = 3600.0
    """Seconds that one video may keep its decoder busy; then it is ended and recorded as a failure."""
    stall_limit_s: Annotated[float, Field(gt=0.0)] = 60.0
    """Seconds that a decoder may go without reading or decoding anything; then it is ended as hung."""
    memory_limit_mb: Positive = 4096
    """Memory that a decoder process may take on top of what it starts with (Linux)."""
