"""The stream ``external``: a user's own arrays, one file per video, checked before they join."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt
from safetensors import safe_open

from vidrnn.errors import AbsentStreamError, VideoError
from vidrnn.names import listed
from vidrnn.store.sidecar import sidecar_of
from vidrnn.store.source import Places, Source, is_reachable
from vidrnn.store.video_features import VideoFeatures, VideoMetadata
from vidrnn.video.probe import probe

Array = npt.NDArray[Any]
_DTYPES = frozenset(("F16", "F32", "F64", *(f"{kind}{bits}" for kind in "IU" for bits in (8, 16, 32, 64)), "BOOL"))
"""What safetensors calls the types that NumPy has."""
_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class ReadArray:
    """A `ReadVideo` that gives the array of a video.

    Attributes:
        root: of the videos.
        folder: of the arrays.
        suffix, rate, layout: as in `ExternalSettings`.
        dim: what every array must have.
    """

    root: Path
    folder: Path
    suffix: str
    rate: float | None
    dim: int
    layout: Literal["TxD", "DxT"] = "TxD"

    def source(self, video: Path) -> Path:
        """Where the array of a video is, or should be. Raises VideoError when there are two."""
        return sidecar_of(video, root=self.root, folder=self.folder, suffix=self.suffix)

    def sources(self, video: Path) -> Places:
        """What the features of a video depend on: its array and, where it may give the times, the video itself."""
        path = self.source(video)
        return path if self.rate is not None or not is_reachable(video) else (path, video)

    def __call__(self, source: Path, on_progress: Callable[[], None]) -> Iterator[VideoFeatures]:
        """Read and check the array of the video at ``source``.

        Raises:
            AbsentStreamError: it has none.
            VideoError: with the shape or the place of the value that does not fit. OSError: it cannot be read.
        """
        path = self.source(source)
        if not path.exists():
            raise AbsentStreamError(f"has no array at {path}")
        if not path.is_file():
            raise VideoError(f"its array {path} is no file but a folder, a pipe or a device; give a file")
        digest = Source.of(self.sources(source), on_read=lambda _count: on_progress())
        array, times = read_array(path)
        features = in_time(array, self.layout)
        self._check(features, path)
        duration_s = 0.0
        if times is None:
            times, duration_s = self._times(len(features), source, on_progress)
        else:
            times = _checked_times(times, len(features), path)
        metadata = VideoMetadata(0, 0, 0, duration_s or float(times[-1]))
        # A file may lie in memory by columns, and what is stored is its bytes.
        yield VideoFeatures(np.ascontiguousarray(features, dtype=np.float16), times, metadata, digest)

    def change_since(self, _made: VideoFeatures, source: Path) -> str | None:
        """A `ChangeSince`: before version 1, arrays in Fortran order were stored as they lay. Raises OSError."""
        is_scrambled = self.suffix == ".npy" and _is_fortran(self.source(source))
        return "arrays in Fortran order" if is_scrambled else None

    def _check(self, features: Array, path: Path) -> None:
        turned = self.layout == "DxT"
        if features.ndim != 2 or 0 in features.shape or features.dtype.kind not in "fiu":
            raise VideoError(
                f"{path} has shape {features.shape[::-1] if turned else features.shape} of {features.dtype}; numbers "
                f"of shape {'(D, T)' if turned else '(T, D)'} or (D,) are needed"
            )
        if features.shape[1] != self.dim:
            raise VideoError(
                f"{path} has {features.shape[1]} values per step where the others have {self.dim}; make all arrays "
                "alike, or say with features.external.dim which length is right"
            )
        wrong = np.argwhere(~(np.abs(features.astype(np.float64)) <= _LARGEST))
        if len(wrong):
            step, value = wrong[0]
            raise VideoError(
                f"{path} holds {features[step, value]} in step {step} (value {value}); features are kept in float16, "
                f"so finite numbers within {_LARGEST:g} are needed"
            )

    def _times(
        self, num_steps: int, video: Path, on_progress: Callable[[], None]
    ) -> tuple[npt.NDArray[np.float64], float]:
        """Times where the file has none, and the length of the video where it was looked at."""
        if self.rate is not None:
            return np.arange(num_steps, dtype=np.float64) / self.rate, 0.0
        if num_steps == 1:
            return np.zeros(1), 0.0
        try:
            duration_s = probe(video, on_progress=on_progress).duration_s
        except VideoError as error:
            raise VideoError(
                f"its array has {num_steps} steps without times, and the video tells none ({error}); set "
                "features.external.rate or give timestamps_s"
            ) from error
        return (np.arange(num_steps, dtype=np.float64) + 0.5) * (duration_s / num_steps), duration_s


def in_time(array: Array, layout: Literal["TxD", "DxT"]) -> Array:
    """Steps first: (T, D) of an array in a layout; (D,) is a single step in either."""
    if array.ndim == 1:
        return array[None]
    return array.T if layout == "DxT" else array


def read_array(path: Path) -> tuple[Array, Array | None]:
    """The array of a file, and its times where it has some. Raises VideoError, OSError; nothing is unpickled."""
    if not path.is_file():  # a pipe would be waited for
        raise VideoError(f"{path} is no file")
    try:
        if path.suffix == ".npy":
            _refuse_short(path)
            array: Array = np.load(path, allow_pickle=False)
            if not isinstance(array, np.ndarray):  # a renamed .npz opens as something else
                raise VideoError(f"{path} is no .npy file of one array")
            return array, None
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
            if "features" not in names:
                raise VideoError(f"{path} holds {listed(sorted(names))}; an array called 'features' is needed")
            return _tensor(file, "features"), _tensor(file, "timestamps_s") if "timestamps_s" in names else None
    except (VideoError, OSError, MemoryError):
        raise
    except Exception as error:  # what a library makes of one damaged file must not stop the others
        raise VideoError(f"{path} cannot be read as an array: {error}") from error


def _tensor(file: Any, name: str) -> Array:  # noqa: ANN401  safetensors has no type for an open file
    """Raises ValueError where NumPy has no such type."""
    if (dtype := file.get_slice(name).get_dtype()) not in _DTYPES:
        raise ValueError(f"its {name} is of type {dtype}; save it as float16 or float32")
    array: Array = file.get_tensor(name)
    return array


def _refuse_short(path: Path) -> None:
    """Raise ValueError when the header of an .npy file says more values than it holds, before memory is taken."""
    with path.open("rb") as file:
        if (header := _header_of(file)) is None:
            return  # numpy says what is wrong with it
        shape, _, dtype = header
        needed, there = math.prod(shape) * dtype.itemsize, path.stat().st_size - file.tell()
    if not dtype.hasobject and there < needed:
        raise ValueError(f"its header says {shape} of {dtype}, {needed} bytes, and it holds {there}")


def _header_of(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]] | None:
    """Shape, whether in Fortran order, and type of an array at its start; None where NumPy 1 or 2 did not write it."""
    if file.read(6) != b"\x93NUMPY":
        return None
    file.seek(0)
    version, _ = np.lib.format.read_magic(file)
    read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    return read[version](file) if version in read else None


def _is_fortran(path: Path) -> bool:
    """Whether the values of an .npy file lie column after column, and not row after row as well."""
    with path.open("rb") as file:
        header = _header_of(file)
    return header is not None and header[1] and len(header[0]) == 2 and min(header[0]) > 1


def _checked_times(times: Array, num_steps: int, path: Path) -> npt.NDArray[np.float64]:
    if times.shape != (num_steps,) or times.dtype.kind not in "fiu":
        raise VideoError(
            f"{path} has timestamps_s of shape {times.shape} for {num_steps} steps; one per step is needed"
        )
    seconds = times.astype(np.float64)
    if not np.isfinite(seconds).all() or (np.diff(seconds) <= 0).any() or math.copysign(1, seconds[0]) < 0:
        raise VideoError(
            f"{path} has timestamps_s that do not increase from 0 s on; give seconds, each later than before"
        )
    return seconds
