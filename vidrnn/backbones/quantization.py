"""Eight-bit weights and activations for CPUs (``features.precision: int8``), by NNCF's post-training quantization.

Ranges are taken from drawn scenes, not from the user's videos. So the same network gives the same features for
everyone, and a model can be used on other machines than the one it was trained on.
"""

import importlib.util
import os
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from vidrnn.errors import ConfigError
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.synthetic.clips import ACTIONS, render_clip
from vidrnn.video.decode import decode
from vidrnn.video.probe import probe

if TYPE_CHECKING:
    from openvino import Model

_CLIPS, _FRAMES_PER_CLIP, _FIRST_SEED = 60, 5, 1000


def quantizer() -> str:
    """What quantizes, as it stands in a feature spec.

    Raises:
        ConfigError: it is not installed.
    """
    if importlib.util.find_spec("nncf") is None:
        raise ConfigError("features.precision: 'int8' needs NNCF; run `pip install 'vidrnn[int8]'`, or use 'float32'")
    return f"nncf-{version('nncf')}"


def quantize(model: "Model", preprocessing: Preprocessing) -> "Model":
    """Quantize a converted network; convolutions and matrix products then run in eight bits."""
    os.environ.setdefault("NNCF_CI", "1")  # its maker's switch that keeps it from reporting each call over the network
    import nncf

    frames = calibration_frames(preprocessing)
    model.reshape([1, *frames.shape[1:]])
    dataset = nncf.Dataset([frame[None].numpy() for frame in frames])
    return nncf.quantize(model, dataset, preset=nncf.QuantizationPreset.MIXED, subset_size=len(frames))


def calibration_frames(preprocessing: Preprocessing) -> torch.Tensor:
    """Frames of many drawn actors and rooms, as a network takes them: (n, 3, S, S) uint8."""
    fitted = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(_CLIPS):
            clip = Path(folder) / f"{number}.mp4"
            action = sorted(ACTIONS)[number % len(ACTIONS)]
            render_clip(clip, action=action, group_seed=_FIRST_SEED + number, clip_seed=number, width=320, height=240)
            video = probe(clip)
            indices = np.unique(np.linspace(0, video.num_frames - 1, _FRAMES_PER_CLIP).astype(np.int64))
            fitted += [preprocessing.fit(frame.rgb) for frame in decode(video, indices)]
    return torch.stack(fitted)
