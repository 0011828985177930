"""The feature store: one safetensors file per video and spec, mirrored below a folder that the spec's digest names.

    STORE/<digest>/spec.json
    STORE/<digest>/<path of the video>.safetensors     features (T, D) float16, timestamps_s (T,) float64

A reader never sees half a file: files are written beside their place, flushed to disk and renamed over it.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from vidrnn.errors import MissingPathError, StoreError
from vidrnn.features.spec import FORMAT_VERSION, FeatureSpec
from vidrnn.settings import FeatureSettings

_SUFFIX = ".safetensors"
_ABSOLUTE = "_absolute"  # where videos that were given by an absolute path are mirrored
_HASH_CHUNK = 1 << 20

Health = Literal["ok", "damaged", "stale", "orphaned"]


@dataclass(frozen=True)
class Source:
    """The video file that features came from."""

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Source":
        """Read the whole file once for its hash. Raises OSError."""
        hasher = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_HASH_CHUNK):
                hasher.update(chunk)
            status = os.fstat(file.fileno())
        return cls(status.st_size, status.st_mtime_ns, hasher.hexdigest())

    def is_still(self, path: Path) -> bool:
        """Whether ``path`` is the same file: by size and time, and by content when only the time differs."""
        status = path.stat()
        if status.st_size != self.size:
            return False
        return status.st_mtime_ns == self.mtime_ns or Source.of(path).sha256 == self.sha256


@dataclass(frozen=True)
class VideoMetadata:
    """Facts about the video that need no pixels; the metadata-only baseline sees just these."""

    width: int
    height: int
    num_frames: int
    duration_s: float


@dataclass(frozen=True)
class VideoFeatures:
    """Features of one video.

    Attributes:
        features: (T, D) float16.
        timestamps_s: (T,) float64 seconds since the start of the file, strictly increasing.
    """

    features: npt.NDArray[np.float16]
    timestamps_s: npt.NDArray[np.float64]
    metadata: VideoMetadata
    source: Source
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Shapes and types are a contract of the file format."""
        assert self.features.ndim == 2 and self.features.dtype == np.float16, (
            self.features.shape,
            self.features.dtype,
        )
        assert self.timestamps_s.shape == self.features.shape[:1], (
            self.timestamps_s.shape,
            self.features.shape,
        )
        assert self.timestamps_s.dtype == np.float64, self.timestamps_s.dtype


class FeatureFolder:
    """All features of one spec."""

    def __init__(self, path: Path, spec: FeatureSpec) -> None:
        self.path = path
        self.spec = spec

    def file_of(self, video_path: str) -> Path:
        """Where the features of a video lie; the video's own suffix stays, so a.avi and a.mp4 do not collide."""
        relative = PurePosixPath(video_path)
        if relative.is_absolute():
            relative = PurePosixPath(_ABSOLUTE, *relative.parts[1:])
        return self.path / f"{relative}{_SUFFIX}"

    def videos(self) -> Iterator[str]:
        """Paths of all videos with features, sorted."""
        for file in sorted(self.path.rglob(f"*{_SUFFIX}")):
            relative = file.relative_to(self.path).as_posix().removesuffix(_SUFFIX)
            yield relative.removeprefix(_ABSOLUTE) if relative.startswith(f"{_ABSOLUTE}/") else relative

    def write(self, video_path: str, video: VideoFeatures) -> None:
        """Write one feature file atomically. Raises OSError (disk full, read-only)."""
        checksum = _checksum(video.features, video.timestamps_s)
        header = {
            "format_version": FORMAT_VERSION,
            "spec": self.spec.digest,
            "path": video_path,
            "source": asdict(video.source),
            "metadata": asdict(video.metadata),
            "notes": video.notes,
            "sha256": checksum,
        }
        tensors: dict[str, npt.NDArray[Any]] = {"features": video.features, "timestamps_s": video.timestamps_s}
        write_atomically(self.file_of(video_path), save(tensors, metadata={"vidrnn": json.dumps(header)}))

    def read(self, video_path: str, *, check: bool = False) -> VideoFeatures:
        """Read one feature file.

        Args:
            video_path: as in the annotations.
            check: also compare the checksum of the values.

        Raises:
            MissingPathError: these features were never extracted.
            StoreError: the file is damaged or of another spec.
        """
        path = self.file_of(video_path)
        try:
            with safe_open(path, framework="numpy") as file:
                header = json.loads((file.metadata() or {})["vidrnn"])
                features, timestamps_s = file.get_tensor("features"), file.get_tensor("timestamps_s")
            spec, checksum, notes = header["spec"], header["sha256"], tuple(header["notes"])
            metadata, source = VideoMetadata(**header["metadata"]), Source(**header["source"])
        except FileNotFoundError:
            raise MissingPathError(f"no features of {video_path!r} in {self.path}; run `vidrnn extract`") from None
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise StoreError(f"{path} is damaged ({error}); delete it and run `vidrnn extract` again") from error
        if spec != self.spec.digest:
            raise StoreError(f"{path} belongs to spec {spec}, not {self.spec.digest}; it was moved here by hand")
        if check and _checksum(features, timestamps_s) != checksum:
            raise StoreError(f"{path} is damaged (checksum differs); delete it and run `vidrnn extract` again")
        return VideoFeatures(features, timestamps_s, metadata, source, notes)

    def is_current(self, video_path: str, source: Path) -> bool:
        """Whether readable features of exactly this source file exist."""
        try:
            return self.read(video_path, check=True).source.is_still(source)
        except (StoreError, MissingPathError):
            return False

    def health(self, video_path: str, root: Path | None) -> tuple[Health, str]:
        """Examine one feature file; with a data root also compare it with its source video."""
        try:
            video = self.read(video_path, check=True)
        except StoreError as error:
            return "damaged", str(error)
        if root is not None:
            source = root / video_path
            if not source.is_file():
                return "orphaned", f"{source} is gone"
            if not video.source.is_still(source):
                return "stale", f"{source} has changed since it was extracted; run `vidrnn extract`"
        return "ok", ""


class FeatureStore:
    """A folder of specs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folders(self) -> list[FeatureFolder]:
        """One per spec. Raises MissingPathError when there is no store, StoreError when a spec is unreadable."""
        if not self.root.is_dir():
            raise MissingPathError(f"feature store {str(self.root)!r} does not exist; run `vidrnn extract` first")
        folders = []
        for path in sorted(self.root.glob("*/spec.json")):
            try:
                spec = FeatureSpec.from_json(path.read_text(encoding="utf-8"))
            except (ValueError, TypeError) as error:
                raise StoreError(f"{path} is not a feature spec of this version: {error}") from error
            if spec.digest != path.parent.name:
                raise StoreError(f"{path} was changed by hand: its digest is {spec.digest}; extract again")
            folders.append(FeatureFolder(path.parent, spec))
        return folders

    def create(self, spec: FeatureSpec) -> FeatureFolder:
        """The folder of a spec, made when it is not there. Raises OSError."""
        folder = FeatureFolder(self.root / spec.digest, spec)
        if not (folder.path / "spec.json").exists():
            write_atomically(folder.path / "spec.json", spec.to_json().encode())
        return folder

    def find(self, settings: FeatureSettings) -> FeatureFolder:
        """The one folder that fits a configuration, without loading a backbone.

        Raises:
            MissingPathError: there is no store.
            StoreError: no spec fits (with the differences), or several do.
        """
        folders = self.folders()
        fitting = [folder for folder in folders if not folder.spec.differences(settings)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            digests = ", ".join(folder.spec.digest for folder in fitting)
            raise StoreError(
                f"several specs in {self.root} fit the configuration; set features.spec to one of {digests}"
            )
        others = "; ".join(f"{each.spec.digest} has {', '.join(each.spec.differences(settings))}" for each in folders)
        raise StoreError(
            f"no spec in {self.root} fits the configuration ({others or 'it is empty'}); run `vidrnn extract`"
        )


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside ``path``, flush to disk, rename over it. Raises OSError and leaves no part behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _checksum(features: npt.NDArray[Any], timestamps_s: npt.NDArray[Any]) -> str:
    hasher = hashlib.sha256(np.ascontiguousarray(features).tobytes())
    hasher.update(np.ascontiguousarray(timestamps_s).tobytes())
    return hasher.hexdigest()
