"""A pack: the features of one spec in few large files, mapped into memory instead of read. This is the reading side.

    STORE/<digest>/_pack/<16 hex digits>.shard   values of many videos, one after another
    STORE/<digest>/_pack/index                   where each video lies in the shards

Both are safetensors files. Their names do not end in ``.safetensors``, so that a folder of videos that happens to be
called ``_pack`` can be mirrored beside them. A shard never changes after it has got its name. The index is replaced
atomically and names the shards that count, so a reader sees one pack or the other, never half of one.
"""

import bisect
import hashlib
import math
import os
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from vidrnn.errors import StoreError
from vidrnn.json_text import parse_json
from vidrnn.store.mapping import DATA_START, Mapping
from vidrnn.store.reader import reader_of

FOLDER = "_pack"
INDEX = "index"
SHARD_SUFFIX = ".shard"
PACK_VERSION = 1
_DTYPES = {"F64": np.float64, "F16": np.float16, "I64": np.int64, "I32": np.int32, "U8": np.uint8}

ADVICE = (
    "run `vidrnn store gc --delete`, then `vidrnn store pack` (or `vidrnn extract` where feature files are missing)"
)

Tensors = dict[str, npt.NDArray[Any]]

ENTRY = np.dtype(
    [
        ("shard", np.int32),  # position in the index's list of shards
        ("first_row", np.int64),  # of the video in the shard
        ("rows", np.int64),  # T
        ("header_start", np.int64),  # bytes of the video's header in the shard
        ("header_end", np.int64),
        ("metadata", np.float64, 4),  # width, height, frames, seconds
        ("finite", np.uint8),  # 0 when the features hold nan or inf
        ("file_size", np.int64),  # of the feature file that was packed
        ("file_mtime_ns", np.int64),
        ("reader", np.int32),  # version of the reading that made the features; packs did not always say it
    ]
)
"""What the index holds of each video; in the file each field is a tensor of its own."""


@dataclass(frozen=True)
class Shard:
    """One file of values.

    Attributes:
        name: of the file.
        size: bytes of the whole file.
        rows: R, of all its videos.
        sha256: of what follows the file's first `DATA_START` bytes, and then of those.
    """

    name: str
    size: int
    rows: int
    sha256: str


class Pack:
    """A pack, opened: the index and the shards are mapped, nothing is read but for the index's checksum.

    Attributes:
        folder: holds the index and the shards.
        shards: the files that the index refers to.
        table: (rows, D) float16, the rows of all shards; see `vidrnn.store.mapping`.
        columns: field of `ENTRY` to array (n, ...), entries in the order of the bytes of their paths.
        complete: (shards,) whether each shard is there with the size that it should have.
        rows_at: (n,) int64 first row of each video in ``table``, -1 when its shard is not complete.
        size: bytes of the index and of the shards.
    """

    def __init__(self, folder: Path, spec_digest: str) -> None:
        """Open the pack in ``folder``. Raises FileNotFoundError without one, StoreError when it is damaged."""
        self.folder = folder
        index = folder / INDEX
        try:
            metadata, tensors = map_tensors(index)
            facts, checksum = parse_json(metadata["vidrnn_pack"]), metadata["sha256"]
            self.shards = tuple(Shard(**shard) for shard in facts["shards"])
            known = (facts["format_version"], facts["spec"]) == (PACK_VERSION, spec_digest)
            intact = checksum == checksum_of(metadata["vidrnn_pack"], tensors)
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise StoreError(f"{index} is damaged ({error}); {ADVICE}") from error
        if not intact:
            raise StoreError(f"{index} is damaged (checksum differs); {ADVICE}")
        if not known:
            raise StoreError(f"{index} belongs to another spec or version than {spec_digest}; {ADVICE}")
        self._paths = tensors.pop("paths").data
        self._path_end = tensors.pop("path_end")
        self.columns = tensors
        self._rows = tensors["rows"]
        self.size = index.stat().st_size + sum(shard.size for shard in self.shards)
        self._files = [(folder / shard.name, shard.size) for shard in self.shards]
        self._dim = int(facts["dim"])
        self._mapping = Mapping(self._files, dim=self._dim)
        self.table = self._mapping.table
        starts = np.array(self._mapping.starts, dtype=np.int64)
        self.complete: npt.NDArray[np.bool_] = starts >= 0
        shard = tensors["shard"]
        self.rows_at: npt.NDArray[np.int64] = np.where(self.complete[shard], starts[shard] + tensors["first_row"], -1)

    def __len__(self) -> int:
        return len(self._path_end)

    def paths(self) -> list[str]:
        """Paths of all videos; position in the list is what the other methods call number."""
        return os.fsdecode(bytes(self._paths)).split("\0") if len(self) else []

    def number_of(self, video_path: str) -> int | None:
        """Number of a video, None when it is not in the pack."""
        wanted = os.fsencode(video_path)
        number = bisect.bisect_left(range(len(self)), wanted, key=self._path)
        return number if number < len(self) and self._path(number) == wanted else None

    def _path(self, number: int) -> bytes:
        start = int(self._path_end[number - 1]) + 1 if number else 0
        return bytes(self._paths[start : int(self._path_end[number])])

    def shard_of(self, number: int) -> Path:
        """The file that holds the values of a video."""
        return self.folder / self.shards[int(self.columns["shard"][number])].name

    def is_of(self, number: int, status: os.stat_result) -> bool:
        """Whether a feature file is still the one that was packed: by size and time."""
        packed = self.columns["file_size"][number], self.columns["file_mtime_ns"][number]
        return bool(packed == (status.st_size, status.st_mtime_ns))

    def table_with(self, rows: npt.NDArray[np.float16]) -> tuple[npt.NDArray[np.float16], int]:
        """A table like ``table`` with more ``rows`` (k, D) behind it, and the number of the first of them.

        Raises StoreError when the pack has been replaced and its shards removed.
        """
        mapping = Mapping(self._files, dim=self._dim, room=len(rows))
        if mapping.starts != self._mapping.starts:
            raise StoreError(f"the pack in {self.folder} was replaced meanwhile; run again")
        mapping.table[mapping.room : mapping.room + len(rows)] = rows
        return mapping.table, mapping.room

    def features(self, number: int) -> npt.NDArray[np.float16]:
        """(T, D) float16 of a video, mapped, not copied. Raises StoreError when its shard is not complete."""
        start = self.rows_at.item(number)  # a plain int: twice as fast as NumPy's, which counts for short sequences
        if start < 0:
            raise self._incomplete(number)
        return self.table[start : start + self._rows.item(number)]

    @cached_property
    def readers(self) -> npt.NDArray[np.int32]:
        """(n,) version of the reading that made the features of each video; 0 where nothing tells."""
        if "reader" in self.columns:
            return self.columns["reader"]
        return np.array([self._reader(number) for number in range(len(self))], dtype=np.int32)

    def _reader(self, number: int) -> int:
        """The same from the header of one video, where an earlier version of vidrnn wrote the index."""
        try:
            return reader_of(parse_json(self.header(number)))
        except (StoreError, KeyError, TypeError, ValueError):
            return 0

    def timestamps_s(self, number: int) -> npt.NDArray[np.float64]:
        """(T,) float64 seconds of a video's rows, mapped. Raises StoreError."""
        shard = self._shard_of(number)
        facts, first = self.shards[shard], int(self.columns["first_row"][number])
        start = facts.size + 8 * (first - facts.rows)
        return self._mapping.bytes_of(shard, start, start + 8 * int(self._rows[number])).view(np.float64)

    def header(self, number: int) -> str:
        """The JSON header of the feature file that was packed. Raises StoreError."""
        shard = self._shard_of(number)
        start = DATA_START + 2 * self._dim * self.shards[shard].rows
        place = (start + int(self.columns[name][number]) for name in ("header_start", "header_end"))
        return self._mapping.bytes_of(shard, *place).tobytes().decode()

    def _shard_of(self, number: int) -> int:
        if self.rows_at[number] < 0:
            raise self._incomplete(number)
        return int(self.columns["shard"][number])

    def _incomplete(self, number: int) -> StoreError:
        return StoreError(f"{self.shard_of(number)} is gone or cut off; {ADVICE}")

    def damage(self, shard: int) -> str:
        """Read a whole shard and compare its checksum; what is wrong with it, empty when nothing is."""
        path = self.folder / self.shards[shard].name
        if not self.complete[shard]:
            return f"{path} is gone or cut off; {ADVICE}"
        with path.open("rb") as file:
            file.seek(DATA_START)
            hasher = hashlib.file_digest(file, "sha256")
            file.seek(0)
            hasher.update(file.read(DATA_START))
        intact = hasher.hexdigest() == self.shards[shard].sha256
        return "" if intact else f"{path} is damaged (checksum differs); {ADVICE}"


def map_tensors(path: Path) -> tuple[dict[str, str], Tensors]:
    """Map a safetensors file into memory.

    Returns:
        Its metadata, and its tensors. They are private to the process: writing to one would not reach the file.

    Raises:
        OSError: the file cannot be read. SafetensorError: it is cut off or not a safetensors file.
    """
    with safe_open(path, framework="numpy") as file:  # checks sizes and offsets
        metadata = file.metadata() or {}
    mapped = np.asarray(np.memmap(path, dtype=np.uint8, mode="c"))
    start = 8 + int.from_bytes(mapped[:8].tobytes(), "little")
    tensors: Tensors = {}
    for name, facts in parse_json(mapped[8:start].tobytes()).items():
        if name != "__metadata__":
            dtype, (begin, _) = np.dtype(_DTYPES[facts["dtype"]]), facts["data_offsets"]
            count = math.prod(facts["shape"])
            flat = (
                np.frombuffer(mapped, dtype=dtype, count=count, offset=start + begin) if count else np.empty(0, dtype)
            )
            tensors[name] = flat.reshape(facts["shape"])
    return metadata, tensors


def checksum_of(facts: str, tensors: MappingType[str, npt.NDArray[Any]]) -> str:
    """sha256 of an index: its JSON, and names, types, shapes and values of its tensors."""
    hasher = hashlib.sha256(facts.encode())
    for name in sorted(tensors):
        hasher.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        hasher.update(np.ascontiguousarray(tensors[name]).reshape(-1).view(np.uint8).data)
    return hasher.hexdigest()
