"""Which codecs the installed FFmpeg has, of those that people's files are in or that vidrnn writes."""

import ctypes
from contextlib import suppress
from typing import Literal

import av
from av.codec.hwaccel import hwdevices_available

READ = ("h264", "hevc", "av1", "vp9", "vp8", "mpeg4", "mpeg2video", "mjpeg", "prores", "aac")
"""What most files hold."""
_DECODERS = {"av1": ("libdav1d", "libaom-av1")}  # FFmpeg's own of that name needs a GPU
WRITTEN = ("libx264", "aac")
"""What `vidrnn annotate` and `cut --exact` write."""


def codecs_there() -> dict[str, dict[str, str | None]]:
    """``read`` and ``written``: name to the decoder or encoder that does it, None where there is none."""
    return {
        "read": {name: _first(_DECODERS.get(name, (name,)), "r") for name in READ},
        "written": {name: _first((name,), "w") for name in WRITTEN},
    }


def ffmpeg_version() -> str:
    """Version of the FFmpeg that PyAV brings."""
    return str(getattr(av, "ffmpeg_version_info", "unknown"))


def has_nvdec() -> bool:
    """Whether FFmpeg can use an NVIDIA GPU and its driver brings the library that decodes."""
    if "cuda" not in hwdevices_available():
        return False
    with suppress(OSError):
        ctypes.CDLL("libnvcuvid.so.1")
        return True
    return False


def _first(names: tuple[str, ...], mode: Literal["r", "w"]) -> str | None:
    for name in names:
        with suppress(ValueError):
            return str(av.Codec(name, mode).name)
    return None
