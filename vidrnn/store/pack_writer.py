"""Writing packs, which `vidrnn.store.pack_reader` reads: shards first, then the index that makes them count."""

import hashlib
import json
import os
import secrets
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from vidrnn.atomic import replacing, write_atomically
from vidrnn.errors import StoreError
from vidrnn.names import quoted
from vidrnn.store import feature_file, pack_reader
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.mapping import DATA_START
from vidrnn.store.pack_reader import ENTRY, Pack, Shard, Tensors
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.video_features import VideoFeatures

_Error = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


class PackWriter:
    """Fills shards; used as a context, it removes them again when it is left before `commit`."""

    def __init__(self, folder: FeatureFolder, shard_bytes: int) -> None:
        self._folder = folder
        self._directory = folder.path / pack_reader.FOLDER
        self._shard_bytes = shard_bytes
        self._records = bytearray()
        self._current: _OpenShard | None = None
        self.videos: list[str] = []
        self._shards: list[Shard] = []
        self._committed = False

    def __enter__(self) -> "PackWriter":
        return self

    def __exit__(self, *error: *_Error) -> None:
        try:
            if self._current is not None:
                self._current.abandon(*error)
        finally:
            if not self._committed:
                for shard in self._shards:
                    (self._directory / shard.name).unlink(missing_ok=True)

    def add(self, path: str, video: VideoFeatures, file_size: int, file_mtime_ns: int) -> None:
        """Append a video. Raises OSError, and StoreError when its dimension is not the spec's."""
        dim = self._folder.spec.dim
        if video.features.shape[1] != dim:
            raise StoreError(
                f"features of {quoted(path)} have {video.features.shape[1]} values per step, the spec says {dim}"
            )
        if self._current is None:
            self._current = _OpenShard(self._directory, dim)
        facts = video.metadata
        place = self._current.add(video, self._folder.header(path, video).encode())
        entry = (
            len(self._shards),
            *place,
            (facts.width, facts.height, facts.num_frames, facts.duration_s),
            np.isfinite(video.features).all(),
            file_size,
            file_mtime_ns,
            video.reader,
        )
        self._records += np.array(entry, dtype=ENTRY).tobytes()
        self.videos.append(path)
        if self._current.size >= self._shard_bytes:
            self._close_shard()

    def _close_shard(self) -> None:
        if self._current is not None:
            self._shards.append(self._current.close())
            self._current = None

    def commit(self, old: Pack | None, kept: npt.NDArray[np.bool_]) -> None:
        """Replace the index by one of the new videos and of the entries of the old pack that are ``kept`` (n,).

        Raises OSError (disk full, read-only): the old pack counts as before.
        """
        self._close_shard()
        entries = np.frombuffer(bytes(self._records), dtype=ENTRY).copy()
        names, shards = [os.fsencode(video) for video in self.videos], list(self._shards)
        if old is not None:
            before = np.empty(int(kept.sum()), dtype=ENTRY)
            columns = {**old.columns, "reader": old.readers}
            for field in ENTRY.names or ():
                before[field] = columns[field][kept]
            used, before["shard"] = np.unique(before["shard"], return_inverse=True)
            entries["shard"] += len(used)
            entries = np.concatenate([before, entries])
            names = [os.fsencode(path) for path, keep in zip(old.paths(), kept.tolist(), strict=True) if keep] + names
            shards = [*(old.shards[shard] for shard in used.tolist()), *shards]
        if names:
            order = sorted(range(len(names)), key=names.__getitem__)
            _write_index(self._directory, self._folder.spec, [names[i] for i in order], entries[order], shards)
        else:
            (self._directory / pack_reader.INDEX).unlink(missing_ok=True)
        self._committed = True


class _OpenShard:
    """A shard that is being written: features go to the file, headers and times wait in memory for the end."""

    def __init__(self, folder: Path, dim: int) -> None:
        self._path = folder / f"{secrets.token_hex(8)}{pack_reader.SHARD_SUFFIX}"
        self._stack = ExitStack()
        self._file = self._stack.enter_context(replacing(self._path))
        self._file.seek(DATA_START)
        self._hasher = hashlib.sha256()
        self._dim, self._rows = dim, 0
        self._headers, self._times = bytearray(), bytearray()

    @property
    def size(self) -> int:
        """Bytes that the file would have now."""
        return DATA_START + 2 * self._dim * self._rows + len(self._headers) + len(self._times)

    def add(self, video: VideoFeatures, header: bytes) -> tuple[int, int, int, int]:
        """Append a video; first row, number of rows, start and end of the header. Raises OSError."""
        place = self._rows, len(video.features), len(self._headers), len(self._headers) + len(header)
        self._append(feature_file.bytes_of(video.features))
        self._times += video.timestamps_s.tobytes()
        self._headers += header + b"\n"
        self._rows += len(video.features)
        return place

    def _append(self, data: bytes | bytearray | memoryview) -> None:
        self._hasher.update(data)
        self._file.write(data)

    def close(self) -> Shard:
        """Add what waits, put the description of the tensors before it all, flush and rename. Raises OSError."""
        values = 2 * self._dim * self._rows
        self._headers += b"\n" * (-(values + len(self._headers)) % 8)  # so that the times can be mapped as float64
        self._append(self._headers)
        self._append(self._times)
        shapes = {"features": ("F16", [self._rows, self._dim], values)}
        shapes["headers"] = ("U8", [len(self._headers)], len(self._headers))
        shapes["timestamps_s"] = ("F64", [self._rows], len(self._times))
        description: dict[str, Any] = {}
        start = 0
        for name, (dtype, shape, length) in shapes.items():
            description[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, start + length]}
            start += length
        room = DATA_START - 8
        start_block = room.to_bytes(8, "little") + json.dumps(description).encode().ljust(room)
        self._hasher.update(start_block)
        self._file.seek(0)
        self._file.write(start_block)
        size = self.size
        self._stack.close()
        return Shard(self._path.name, size, self._rows, self._hasher.hexdigest())

    def abandon(self, *error: *_Error) -> None:
        """Leave nothing behind; ``error`` is what went wrong, as in ``__exit__``."""
        self._stack.__exit__(*error)


def _write_index(
    directory: Path, spec: FeatureSpec, names: list[bytes], entries: npt.NDArray[Any], shards: list[Shard]
) -> None:
    tensors: Tensors = {field: np.ascontiguousarray(entries[field]) for field in ENTRY.names or ()}
    tensors["path_end"] = np.cumsum([len(name) + 1 for name in names], dtype=np.int64) - 1
    tensors["paths"] = np.frombuffer(b"\0".join(names), dtype=np.uint8)
    facts = json.dumps(
        {
            "format_version": pack_reader.PACK_VERSION,
            "spec": spec.digest,
            "dim": spec.dim,
            "shards": [asdict(shard) for shard in shards],
        }
    )
    metadata = {"vidrnn_pack": facts, "sha256": pack_reader.checksum_of(facts, tensors)}
    write_atomically(directory / pack_reader.INDEX, save(tensors, metadata=metadata))
