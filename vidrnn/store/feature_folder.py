"""All features of one spec: a safetensors file per video, mirrored below a folder that the spec's digest names.

    STORE/<digest>/spec.json
    STORE/<digest>/<path of the video>.safetensors     features (T, D) float16, timestamps_s (T,) float64
    STORE/<digest>/absent.csv                          videos that do not have this stream
    STORE/<digest>/weights.json                        sha256 of the weights files that it was made with, if from a file
    STORE/<digest>/_pack/                              many videos in few files, see `vidrnn.store.pack_reader`

A reader never sees half a file: files are written beside their place, flushed to disk and renamed over it. Where a
video has both, its feature file counts.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from vidrnn.atomic import write_atomically
from vidrnn.errors import MissingPathError, StoreError
from vidrnn.json_text import parse_json
from vidrnn.names import quoted
from vidrnn.store import feature_file, pack_reader
from vidrnn.store.not_made import ABSENT_LIST, FAILURE_LIST, NotMade, read_list
from vidrnn.store.pack_reader import Pack
from vidrnn.store.reader import reader_of
from vidrnn.store.source import Places, Source
from vidrnn.store.spec import FORMAT_VERSION, FeatureSpec
from vidrnn.store.video_features import VideoFeatures, VideoMetadata

WEIGHTS_LIST = "weights.json"
"""In the folder of a spec: the sha256 of each file that its weights came from, by which another file is recognised."""
_ADVICE = "delete it and run `vidrnn extract` again"


class FeatureFolder:
    """All features of one spec."""

    def __init__(self, path: Path, spec: FeatureSpec) -> None:
        self.path = path
        self.spec = spec
        self._pack: tuple[tuple[int, int, int], Pack] | None = None

    def file_of(self, video_path: str) -> Path:
        """Where the features of a video lie."""
        return self.path / feature_file.place_of(video_path)

    def files(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Video path and feature file of every video that has one, in no order; links to folders are not followed."""
        prefix = len(str(self.path)) + 1
        for entry in feature_file.walk(str(self.path)):
            if entry.name.endswith(feature_file.SUFFIX):
                yield feature_file.video_of(entry.path[prefix:], entry.path), entry

    def not_made(self) -> dict[str, NotMade]:
        """Videos of which the last extraction that looked at them made no features: failed, or without this stream."""
        return read_list(self.path / FAILURE_LIST) | read_list(self.path / ABSENT_LIST)

    def source_of(self, video_path: str) -> Source | None:
        """What the stored features of a video came from; None where there are none, or they are damaged."""
        try:
            try:
                header = feature_file.read_header(self.file_of(video_path))
            except FileNotFoundError:
                if (place := self._in_pack(video_path)) is None:
                    return None
                header = parse_json(place[0].header(place[1]))
            return _source_in(header)
        except (OSError, StoreError, *feature_file.NO_FEATURES):
            return None

    def weights_files(self) -> frozenset[str]:
        """The sha256 of the weights files that gave these features; empty when they came from no file."""
        try:
            found = parse_json((self.path / WEIGHTS_LIST).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return frozenset()
        return frozenset(found) if isinstance(found, list) else frozenset()

    def add_weights_file(self, weights: str) -> None:
        """Remember the weights file, if ``features.weights`` names one, that features are made with. Raises OSError."""
        digest, known = digest_of_weights(weights), self.weights_files()
        if digest is not None and digest not in known:
            write_atomically(self.path / WEIGHTS_LIST, json.dumps(sorted({*known, digest})).encode())

    def pack(self) -> Pack | None:
        """The pack as it is now, None without one. Raises StoreError when its index is damaged."""
        index = self.path / pack_reader.FOLDER / pack_reader.INDEX
        while True:
            try:
                state = _state(index.stat())
                if self._pack is None or self._pack[0] != state:
                    self._pack = state, Pack(index.parent, self.spec.digest)
                pack = self._pack[1]
                if pack.complete.all() or _state(index.stat()) == state:
                    return pack  # else it was replaced, and its shards removed, while it was opened
            except FileNotFoundError:
                return None

    def packed(self) -> tuple[Pack | None, dict[str, int]]:
        """The pack, and the numbers in it of the videos whose packed features are what `read` gives.

        Such a video has no feature file, or its feature file is still the one that was packed.
        Raises StoreError when the index is damaged.
        """
        pack = self.pack()
        if pack is None:
            return None, {}
        numbers = {path: number for number, path in enumerate(pack.paths())}
        for video, entry in self.files():
            if video in numbers and not pack.is_of(numbers[video], entry.stat()):
                del numbers[video]
        if not pack.complete.all():
            shards = pack.columns["shard"]
            numbers = {path: number for path, number in numbers.items() if pack.complete[shards[number]]}
        return pack, numbers

    def videos(self) -> Iterator[str]:
        """Paths of all videos with features, sorted. Raises StoreError when the index of the pack is damaged."""
        pack = self.pack()
        yield from sorted({video for video, _ in self.files()} | set(pack.paths() if pack else ()))

    def header(self, video_path: str, video: VideoFeatures) -> str:
        """The JSON that goes with the features of a video, in its feature file and in the pack."""
        source = video.source
        header = {
            "format_version": FORMAT_VERSION,
            "spec": self.spec.digest,
            "path": video_path,
            "reader": video.reader,
            "source": {"size": source.size, "mtime_ns": source.mtime_ns, "sha256": source.sha256},
            "witness": source.witness,
            "metadata": asdict(video.metadata),
            "notes": video.notes,
            "sha256": feature_file.checksum_of(video.features, video.timestamps_s),
        }
        return json.dumps(header)

    def write(self, video_path: str, video: VideoFeatures) -> None:
        """Write one feature file atomically. Raises OSError (disk full, read-only)."""
        header = self.header(video_path, video)
        feature_file.write(self.file_of(video_path), video.features, video.timestamps_s, header)

    def read(self, video_path: str, *, check: bool = False) -> VideoFeatures:
        """Read the features of one video, from its feature file or else from the pack.

        Args:
            video_path: as in the annotations.
            check: also compare the checksum of the values.

        Raises:
            MissingPathError: these features were never extracted.
            StoreError: the file is damaged, of another spec or of another video.
        """
        path = self.file_of(video_path)
        try:
            content = feature_file.read(path)
        except FileNotFoundError:
            if (place := self._in_pack(video_path)) is None:
                raise MissingPathError(
                    f"no features of {quoted(video_path)} in {self.path}; run `vidrnn extract`"
                ) from None
            return self.read_packed(*place, check=check)
        except (OSError, *feature_file.NO_FEATURES) as error:
            raise StoreError(f"{path} is damaged ({error}); {_ADVICE}") from error
        video = self._decode(content, path, advice=_ADVICE, check=check)
        owner = content[0]["path"]
        if self.file_of(owner) != path:
            raise StoreError(f"{path} holds the features of {quoted(owner)}; it was moved here by hand; {_ADVICE}")
        return video

    def mapped(self, video_path: str) -> VideoFeatures | None:
        """As `read`, but the features are mapped from their file and not read yet; None where there are none.

        Raises:
            StoreError: the file is damaged.
        """
        path = self.file_of(video_path)
        try:
            metadata, tensors = pack_reader.map_tensors(path)
            content = feature_file.header_of(metadata), tensors["features"], tensors["timestamps_s"]
        except FileNotFoundError:
            if (place := self._in_pack(video_path)) is None:
                return None
            pack, number = place
            path = pack.shard_of(number)
            content = parse_json(pack.header(number)), pack.features(number), pack.timestamps_s(number)
        except (OSError, *feature_file.NO_FEATURES) as error:
            raise StoreError(f"{path} is damaged ({error}); {_ADVICE}") from error
        return self._decode(content, path, advice=_ADVICE, check=False)

    def _in_pack(self, video_path: str) -> tuple[Pack, int] | None:
        """The pack and the number of a video in it; None where it is in no pack. Raises StoreError."""
        pack = self.pack()
        number = pack.number_of(str(PurePosixPath(video_path))) if pack else None
        return None if pack is None or number is None else (pack, number)

    def read_packed(self, pack: Pack, number: int, *, check: bool = False) -> VideoFeatures:
        """Read the features of a video in a pack, whether it has a feature file or not. Raises StoreError."""
        path = pack.shard_of(number)
        try:
            content = parse_json(pack.header(number)), pack.features(number).copy(), pack.timestamps_s(number).copy()
        except ValueError as error:
            raise StoreError(f"{path} is damaged ({error}); {pack_reader.ADVICE}") from error
        return self._decode(content, path, advice=pack_reader.ADVICE, check=check)

    def _decode(self, content: feature_file.Content, path: Path, *, advice: str, check: bool) -> VideoFeatures:
        header, features, timestamps_s = content
        try:
            spec, checksum, notes = header["spec"], header["sha256"], tuple(header["notes"])
            facts = {name: value for name, value in header["metadata"].items() if name != "pixel_aspect"}
            metadata, source, reader = VideoMetadata(**facts), _source_in(header), reader_of(header)
        except (KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{path} is damaged ({error}); {advice}") from error
        if spec != self.spec.digest:
            raise StoreError(f"{path} belongs to spec {spec}, not {self.spec.digest}; it was moved here by hand")
        if check and feature_file.checksum_of(features, timestamps_s) != checksum:
            raise StoreError(f"{path} is damaged (checksum differs); {advice}")
        return VideoFeatures(features, timestamps_s, metadata, source, notes, reader)

    def checksum(self, video_path: str) -> str | None:
        """The sha256 of a video's stored values as its header has it; None without features. Reads no values.

        Raises StoreError when the file is damaged.
        """
        path = self.file_of(video_path)
        try:
            try:
                return str(feature_file.read_header(path)["sha256"])
            except FileNotFoundError:
                place = self._in_pack(video_path)
                return None if place is None else str(parse_json(place[0].header(place[1]))["sha256"])
        except (OSError, *feature_file.NO_FEATURES) as error:
            raise StoreError(f"{path} is damaged ({error}); {_ADVICE}") from error

    def state_of(self, video_path: str) -> tuple[int, int, int] | None:
        """Inode, size and time of the file that holds the features of a video, None without features."""
        try:
            return _state(self.file_of(video_path).stat())
        except FileNotFoundError:
            pass
        try:
            place = self._in_pack(video_path)
            return None if place is None else _state(place[0].shard_of(place[1]).stat())
        except (FileNotFoundError, StoreError):
            return None

    def current(
        self, video_path: str, source: Places, *, sha256: str | None = None, in_doubt: bool = False
    ) -> VideoFeatures | None:
        """The features of exactly this source, None where nothing can be read.

        Args:
            video_path: as in the annotations.
            source: what decides its features. OSError where it is missing.
            sha256: its hash, where that is known; None: it is computed where size, time and witness do not tell.
            in_doubt: compute it in any case where it is not known.
        """
        try:
            video = self.read(video_path, check=True)
        except (StoreError, MissingPathError):
            return None
        same = video.source.is_still(source, in_doubt=in_doubt) if sha256 is None else video.source.sha256 == sha256
        return video if same else None


def digest_of_weights(weights: str) -> str | None:
    """The sha256 of the file in ``features.weights``; None when it names none, or the file is not on this machine."""
    if weights in {"default", "random"}:
        return None
    try:
        with Path(weights).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _source_in(header: dict[str, Any]) -> Source:
    """Raises KeyError or TypeError where a header is damaged."""
    return Source(**header["source"], witness=str(header.get("witness", "")))


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns
