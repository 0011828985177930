"""What a configuration says of each stream: the parts of feature specs that need no network."""

from typing import Any

from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.streams import AudioSettings, ExternalSettings, Stream, TextSettings

LOG_MEL: dict[str, Any] = {"rate": 16000, "window": 400, "hop": 160, "fft": 512, "hz": [125.0, 7500.0], "offset": 0.01}
"""Samples per second, window, step and FFT in samples, range of the bands, and what is added below the logarithm."""


def identity_of(settings: FeatureSettings, stream: Stream) -> dict[str, Any] | None:
    """Fields of the `FeatureSpec` of a stream, all but its length and the digest of its weights; None for pictures."""
    if stream == "audio":
        return _audio(settings.audio)
    if stream == "text":
        return _text(settings.text)
    if stream == "external":
        return _external(settings.external)
    return None


def _audio(settings: AudioSettings) -> dict[str, Any]:
    return {
        "backbone": "log_mel",
        "weights": "none",
        "node": "mean,deviation",
        "preprocessing": {**LOG_MEL, "bands": settings.bands},
        "sampling": {"kind": "around", "rate": settings.rate},
        "precision": "float64",
    }


def _text(settings: TextSettings) -> dict[str, Any]:
    return {
        "backbone": settings.encoder,
        "weights": "default",
        "node": "sentence",
        "preprocessing": {"source": settings.source} | ({"name": settings.chosen_name} if settings.chosen_name else {}),
        "sampling": {"kind": "cues" if settings.source in {"srt", "vtt"} else "whole"},
        "precision": "float32",
    }


def _external(settings: ExternalSettings) -> dict[str, Any]:
    """Nothing of the contents: the state of each file is in its feature file."""
    return {
        "backbone": settings.chosen_name,
        "weights": "none",
        "node": "given",
        "preprocessing": {"suffix": settings.suffix}
        | ({"layout": settings.layout} if settings.layout != "TxD" else {}),
        "sampling": {"kind": "given"} | ({"rate": settings.rate} if settings.rate is not None else {}),
        "precision": "float16",
    }


def stream_values(settings: FeatureSettings, stream: Stream) -> dict[str, Any] | None:
    """What decides how the pictures of a stream are made of frames; None where they are the frames themselves."""
    if stream == "flow":
        return {"stream": stream, **settings.flow.model_dump()}
    if stream == "rgb_diff":
        return {"stream": stream, **settings.rgb_diff.model_dump()}
    return {"stream": stream, "patch": settings.rows.patch} if stream == "rows" else None
