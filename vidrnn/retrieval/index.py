"""An index of moments on disk: their vectors for FAISS, and beside them whose moments they are.

    INDEX/index.safetensors       videos, moments, the space of the vectors, and what they were made of
    INDEX/vectors-<...>.faiss     16 bits for each of at most some hundred values of a vector

All vectors are compared: a million of 256 values are 512 MB, and one pass over them takes a fraction of a second. So
nothing is missed, and moments can be added and taken out. A reader never sees half an index: the first file is
written last and names the second.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from vidrnn.atomic import replacing_path, write_atomically
from vidrnn.errors import StoreError
from vidrnn.names import quoted
from vidrnn.sequences.descriptors import Floats, Scale, Space

if TYPE_CHECKING:
    import faiss

FORMAT_VERSION = 1
_FILE = "index.safetensors"
_HEADER = "vidrnn_index"


@dataclass(frozen=True)
class Origin:
    """What vectors are made of; vectors of different origins cannot be compared.

    Attributes:
        specs: stream to digest of its feature spec.
        model: sha256 of the model file that gives the vectors; empty for descriptors of the features.
        window_s: length of the windows in long videos.
    """

    specs: Mapping[str, str]
    model: str
    window_s: float

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {"specs": dict(sorted(self.specs.items())), "model": self.model, "window_s": self.window_s}


@dataclass(frozen=True)
class Moment:
    """A moment that was found.

    Attributes:
        path: of the video, as in the store.
        start_s: where it begins.
        end_s: where it ends.
        similarity: cosine of the two vectors, 1 for the same.
    """

    path: str
    start_s: float
    end_s: float
    similarity: float

    def overlaps(self, path: str, start_s: float, end_s: float) -> bool:
        """Whether the two share some time of one video."""
        return self.path == path and self.start_s < end_s and start_s < self.end_s


def _no_moments() -> npt.NDArray[np.float64]:
    return np.zeros((0, 3))


@dataclass
class MomentIndex:
    """Moments of the videos of a store.

    Attributes:
        origin: what the vectors are made of.
        space: of the vectors; None where a model gives them.
        fitted: videos that the space was fitted to.
        paths: of the videos.
        states: (videos, streams * 3) of the files that hold their features, by which a change is noticed.
        moments: (n, 3) number of the video, start and end in seconds.
        vectors: the index that FAISS searches; None while it is empty.
        is_mapped: the vectors lie in their file, and cannot be added to.
    """

    origin: Origin
    space: Space | None
    fitted: int
    paths: list[str] = field(default_factory=list)
    states: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    moments: npt.NDArray[np.float64] = field(default_factory=_no_moments)
    vectors: "faiss.IndexScalarQuantizer | None" = None
    is_mapped: bool = False

    def keep(self, wanted: npt.NDArray[np.bool_]) -> None:
        """Take out the videos that are not ``wanted``, and their moments."""
        if wanted.all():
            return
        videos = self.moments[:, 0].astype(np.int64)
        rows = wanted[videos]
        self._take(rows)
        self.moments = self.moments[rows]
        self.moments[:, 0] = (np.cumsum(wanted) - 1)[videos[rows]]
        self.paths = [path for path, is_wanted in zip(self.paths, wanted.tolist(), strict=True) if is_wanted]
        self.states = self.states[wanted]

    def _take(self, rows: npt.NDArray[np.bool_]) -> None:
        """Some of the vectors, in memory."""
        import faiss

        if self.vectors is not None:
            codes = faiss.vector_to_array(self.vectors.codes).reshape(len(rows), -1)[rows]
            dim, self.vectors, self.is_mapped = self.vectors.d, None, False
            if len(codes):
                self.vectors = _empty(dim)
                self.vectors.add_sa_codes(np.ascontiguousarray(codes))

    def add(
        self,
        paths: Sequence[str],
        states: npt.NDArray[np.int64],
        moments: npt.NDArray[np.float64],
        vectors: Floats,
    ) -> None:
        """Add videos.

        Args:
            paths: of them.
            states: (videos, streams * 3).
            moments: (n, 3); the first column counts the added videos from 0.
            vectors: (n, d) of length 1.
        """
        if self.is_mapped:
            self._take(np.ones(len(self.moments), dtype=bool))
        moments = moments.copy()
        moments[:, 0] += len(self.paths)
        self.states = np.concatenate([self.states, states]) if self.paths else states
        self.paths.extend(paths)
        self.moments = np.concatenate([self.moments, moments])
        if self.vectors is None:
            self.vectors = _empty(vectors.shape[1])
        self.vectors.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def search(self, vector: Floats, *, count: int, without: tuple[str, float, float] | None = None) -> list[Moment]:
        """The moments most alike to a vector (d,), the nearest first; of moments that overlap the nearest alone.

        Args:
            vector: of length 1.
            count: most of them.
            without: path, start and end of what is looked for, if it is in the index: no moment of it is given.
        """
        if self.vectors is None or not len(self.moments):
            return []
        found: list[Moment] = []
        asked, total = min(max(8 * count, 64), len(self.moments)), len(self.moments)
        while True:
            cosines, rows = self.vectors.search(np.ascontiguousarray(vector[None], dtype=np.float32), asked)
            found = self._apart(cosines[0], rows[0], count, without)
            if len(found) == count or asked == total:
                return found
            asked = min(4 * asked, total)

    def _apart(
        self, cosines: Floats, rows: npt.NDArray[np.int64], count: int, without: tuple[str, float, float] | None
    ) -> list[Moment]:
        found: list[Moment] = []
        for cosine, row in zip(cosines.tolist(), rows.tolist(), strict=True):
            video, start_s, end_s = self.moments[row].tolist()
            path = self.paths[int(video)]
            others = [(other.path, other.start_s, other.end_s) for other in found] + ([without] if without else [])
            moment = Moment(path, start_s, end_s, cosine)
            if not any(moment.overlaps(*other) for other in others):
                found.append(moment)
                if len(found) == count:
                    break
        return found

    def write(self, folder: Path) -> None:
        """Write it whole, and remove the vectors of the one before. Raises OSError."""
        import faiss

        folder.mkdir(parents=True, exist_ok=True)
        name = f"vectors-{secrets.token_hex(8)}.faiss"
        with replacing_path(folder / name) as temporary:
            faiss.write_index(self.vectors if self.vectors is not None else _empty(1), str(temporary))
        blob = [path.encode(errors="surrogateescape") for path in self.paths]
        tensors = {
            "paths": np.frombuffer(b"".join(blob), np.uint8),
            "ends": np.cumsum([len(path) for path in blob], dtype=np.int64),
            "states": self.states,
            "moments": self.moments,
            **_tensors_of(self.space),
        }
        header = {
            "format_version": FORMAT_VERSION, **self.origin.as_dict(), "fitted": self.fitted, "vectors": name,
        }  # fmt: skip
        kept = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
        write_atomically(folder / _FILE, save(kept, metadata={_HEADER: json.dumps(header)}))
        for old in folder.glob("vectors-*.faiss"):
            if old.name != name:
                old.unlink(missing_ok=True)


def read_index(folder: Path, origin: Origin) -> MomentIndex | None:
    """The index in a folder; None where there is none.

    Raises:
        StoreError: it is damaged, of a later version, or made of something else.
    """
    import faiss

    try:
        with safe_open(folder / _FILE, framework="numpy") as file:
            header = json.loads((file.metadata() or {})[_HEADER])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a mapping
        if header["format_version"] != FORMAT_VERSION:
            raise StoreError(
                f"the index {quoted(folder)} has format {header['format_version']}, this vidrnn reads "
                f"{FORMAT_VERSION}; delete it, and it is made anew"
            )
        wanted = origin.as_dict()
        if other := [
            f"{key} {header[key]!r}, asked {value!r}" for key, value in wanted.items() if header[key] != value
        ]:
            raise StoreError(
                f"the index {quoted(folder)} is made of something else ({'; '.join(other)}); name another --index, or "
                "leave it out"
            )
        vectors: Any = faiss.read_index(str(folder / header["vectors"]), faiss.IO_FLAG_MMAP_IFC)
        index = MomentIndex(origin, _space_of(tensors), int(header["fitted"]))
        index.paths, index.states, index.moments = _paths_of(tensors), tensors["states"], tensors["moments"]
        if vectors.ntotal != len(index.moments):
            raise ValueError(f"{vectors.ntotal} vectors for {len(index.moments)} moments")
        index.vectors, index.is_mapped = (vectors, True) if vectors.ntotal else (None, False)
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise StoreError(f"the index {quoted(folder)} is damaged ({error}); delete it, and it is made anew") from error
    return index


def _empty(dim: int) -> "faiss.IndexScalarQuantizer":
    import faiss

    return faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)


def _paths_of(tensors: Mapping[str, npt.NDArray[Any]]) -> list[str]:
    blob, ends = tensors["paths"].tobytes(), [0, *tensors["ends"].tolist()]
    return [blob[start:end].decode(errors="surrogateescape") for start, end in pairwise(ends)]


def _tensors_of(space: Space | None) -> dict[str, npt.NDArray[Any]]:
    if space is None:
        return {}
    scale, found = space.scale, {"axes": space.axes}
    for stream in scale.means:
        found[f"mean.{stream}"], found[f"deviation.{stream}"] = scale.means[stream], scale.deviations[stream]
        found[f"usual.{stream}"] = np.asarray(scale.lengths[stream])
    return found


def _space_of(tensors: Mapping[str, npt.NDArray[Any]]) -> Space | None:
    if "axes" not in tensors:
        return None
    streams = sorted(name.removeprefix("mean.") for name in tensors if name.startswith("mean."))
    usual = {stream: tensors[f"usual.{stream}"].tolist() for stream in streams}
    scale = Scale(
        {stream: tensors[f"mean.{stream}"] for stream in streams},
        {stream: tensors[f"deviation.{stream}"] for stream in streams},
        {stream: (shown, course) for stream, (shown, course) in usual.items()},
    )
    return Space(scale, tensors["axes"])
