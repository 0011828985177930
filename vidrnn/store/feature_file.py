"""One feature file: where it lies in the folder of its spec, and what is in it."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from vidrnn.atomic import replacing
from vidrnn.json_text import parse_json

SUFFIX = ".safetensors"
NO_FEATURES = (SafetensorError, KeyError, TypeError, ValueError)
"""What `read` raises when a file is damaged or something else, besides OSError."""

_ABSOLUTE = "_absolute"  # where videos that were given by an absolute path are mirrored
_NAME_BYTES = 255  # what usual file systems allow
_SHORTENED = re.compile(r".~[0-9a-f]{32}$")

Content = tuple[dict[str, Any], npt.NDArray[np.float16], npt.NDArray[np.float64]]


def place_of(video_path: str) -> str:
    """Feature file of a video, relative to the folder of the spec.

    The video's own suffix stays, so a.avi and a.mp4 do not collide. A name that would be too long for the file system
    keeps its start and gets a digest of the whole path; which video it is stands in the file.
    """
    relative = PurePosixPath(video_path)
    if relative.is_absolute():
        relative = PurePosixPath(_ABSOLUTE, *relative.parts[1:])
    name = os.fsencode(relative.name)
    if len(name) + len(SUFFIX) > _NAME_BYTES:
        digest = hashlib.sha256(os.fsencode(relative)).hexdigest()[:32]
        start = name[: _NAME_BYTES - len(SUFFIX) - len(digest) - 1].decode(errors="ignore")
        relative = relative.with_name(f"{start}~{digest}")
    return f"{relative}{SUFFIX}"


def video_of(place: str, file: str) -> str:
    """Inverse of `place_of`; reads ``file``, which lies there, only when its name was shortened."""
    relative = place.removesuffix(SUFFIX)
    if _SHORTENED.search(relative):
        try:
            path = str(read(Path(file))[0]["path"])
        except (OSError, *NO_FEATURES):
            return relative  # reading it by this name says what is wrong
        if place_of(path) == place:
            return path
    return relative.removeprefix(_ABSOLUTE) if relative.startswith(f"{_ABSOLUTE}/") else relative


def read(path: Path) -> Content:
    """Header, features (T, D) and timestamps_s (T,). Raises OSError or one of `NO_FEATURES`."""
    with safe_open(path, framework="numpy") as file:
        return header_of(file.metadata()), file.get_tensor("features"), file.get_tensor("timestamps_s")


def read_header(path: Path) -> dict[str, Any]:
    """The header alone, without the values. Raises OSError or one of `NO_FEATURES`."""
    with safe_open(path, framework="numpy") as file:
        return header_of(file.metadata())


def header_of(metadata: dict[str, str] | None) -> dict[str, Any]:
    """The header in the metadata of a feature file. Raises one of `NO_FEATURES`."""
    header = parse_json((metadata or {})["vidrnn"])
    if not isinstance(header, dict) or not isinstance(header.get("path"), str):
        raise TypeError("its header names no video")
    return header


def checksum_of(features: npt.NDArray[Any], timestamps_s: npt.NDArray[Any]) -> str:
    """sha256 of the values, as in the header."""
    hasher = hashlib.sha256()
    for values in (features, timestamps_s):
        hasher.update(bytes_of(values))
    return hasher.hexdigest()


def write(path: Path, features: npt.NDArray[np.float16], timestamps_s: npt.NDArray[np.float64], header: str) -> None:
    """Write a feature file atomically, straight from the memory of the values, which may be as much as there is.

    The bytes are those that ``safetensors.numpy.save`` gives, which holds them twice more.

    Raises:
        OSError: disk full, read-only.
    """
    # In the order of safetensors: by falling alignment.
    tensors: dict[str, tuple[str, npt.NDArray[Any]]] = {
        "timestamps_s": ("F64", timestamps_s),
        "features": ("F16", features),
    }
    description: dict[str, Any] = {"__metadata__": {"vidrnn": header}}
    end = 0
    for name, (dtype, values) in tensors.items():
        begin, end = end, end + values.nbytes
        description[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [begin, end]}
    text = json.dumps(description, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, values in tensors.values():
            file.write(bytes_of(values))


def bytes_of(values: npt.NDArray[Any]) -> memoryview:
    """The bytes of an array, one row after the other: its own memory, where that is their order."""
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data


def walk(folder: str) -> Iterator["os.DirEntry[str]"]:
    """All files below a folder; links to folders are not followed."""
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except FileNotFoundError:  # removed a moment ago
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from walk(entry.path)
        elif entry.is_file(follow_symlinks=False) or Path(entry.path).is_file():  # a link to itself is not a file
            yield entry
