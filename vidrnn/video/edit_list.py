"""The edit list of an MP4, which tells players what part of its pictures to show (ISO/IEC 14496-12, 8.6.6)."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_BOX, _LONG_BOX = struct.Struct(">I4s"), struct.Struct(">Q")
_AFTER_VERSION = 4  # bytes of version and flags


def set_shown_seconds(path: Path, seconds: float) -> bool:
    """Let the video track of an MP4 end after so many seconds, whatever its packets hold beyond.

    Returns:
        Whether that was possible: the track has an edit list of one entry, or of an empty one before it.
    """
    with path.open("r+b") as file:
        found = _find_movie(file)
        if found is None:
            return False
        start, size = found
        file.seek(start)
        data = bytearray(file.read(size))
        if changed := _shorten(data, seconds):
            file.seek(start)
            file.write(data)
    return changed


def _find_movie(file: BinaryIO) -> tuple[int, int] | None:
    """Where what is in the box ``moov`` begins, and its bytes; None where there is no such box."""
    at = 0
    while len(header := file.read(_BOX.size + _LONG_BOX.size)) >= _BOX.size:
        size, name = _BOX.unpack_from(header)
        inner = _BOX.size
        if size == 1:
            size, inner = _LONG_BOX.unpack_from(header, inner)[0], inner + _LONG_BOX.size
        if name == b"moov":
            return at + inner, size - inner
        if size < inner:
            return None
        at += size
        file.seek(at)
    return None


def _shorten(data: bytearray, seconds: float) -> bool:
    movie = 0, len(data)
    header = next((start for name, start, _ in _boxes(data, *movie) if name == b"mvhd"), None)
    tracks = [(start, end) for name, start, end in _boxes(data, *movie) if name == b"trak"]
    lists = [_edit_list(data, *track) for track in tracks if _is_video(data, *track)]
    if header is None or len(lists) != 1 or lists[0] is None:
        return False
    units = _unsigned(data, header + (20 if data[header] == 1 else 12), 4)
    return _set_last(data, lists[0], int(seconds * units))  # rounded up, the next picture would show


def _set_last(data: bytearray, start: int, duration: int) -> bool:
    version, entries = data[start], _unsigned(data, start + _AFTER_VERSION, 4)
    width = 8 if version == 1 else 4
    place = start + _AFTER_VERSION + 4
    for _ in range(entries - 1):
        if _unsigned(data, place + width, width) != (1 << 8 * width) - 1:  # -1: an empty edit, which only delays
            return False
        place += 2 * width + 4
    data[place : place + width] = duration.to_bytes(width, "big")
    return entries > 0


def _edit_list(data: bytearray, start: int, end: int) -> int | None:
    for name, first, last in _boxes(data, start, end):
        if name == b"edts":
            return next((inner for kind, inner, _ in _boxes(data, first, last) if kind == b"elst"), None)
    return None


def _is_video(data: bytearray, start: int, end: int) -> bool:
    for name, first, last in _boxes(data, start, end):
        if name == b"mdia":
            handlers = [inner for kind, inner, _ in _boxes(data, first, last) if kind == b"hdlr"]
            return any(data[inner + 8 : inner + 12] == b"vide" for inner in handlers)
    return False


def _boxes(data: bytearray, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte behind the header, and end of each box."""
    while start + _BOX.size <= end:
        size, name = _BOX.unpack_from(data, start)
        inner = start + _BOX.size
        if size == 1:
            size, inner = _LONG_BOX.unpack_from(data, inner)[0], inner + _LONG_BOX.size
        stop = end if size == 0 else start + size
        yield name, inner, stop
        start = stop


def _unsigned(data: bytearray, start: int, width: int) -> int:
    return int.from_bytes(data[start : start + width], "big")
