"""Which version of the reading made features, and where a later version may give others.

The reading is all that lies between a file and the numbers that no setting decides: times, colours, proportions, which
stream counts. Where it changes for some files, `READER` rises, `_CHANGED` names the streams, and
`vidrnn.extraction.changes` says for which files.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from vidrnn.settings.streams import PICTURE_STREAMS

READER = 2
"""Version of the reading of this vidrnn."""

_CHANGED: Mapping[int, frozenset[str]] = {
    1: frozenset({*PICTURE_STREAMS, "audio", "external"}),
    2: frozenset(PICTURE_STREAMS),
}
"""Streams of which a version reads some files in another way than the version before."""


def reader_of(header: Mapping[str, Any]) -> int:
    """The version that made the features, from their JSON header.

    Headers did not name it before version 2. Version 1 is known by the shape of the pixels among the facts; 0 stands
    for all before.
    """
    if isinstance(reader := header.get("reader"), int):
        return reader
    return 1 if "pixel_aspect" in header["metadata"] else 0


@cache
def may_differ(stream: str, reader: int) -> bool:
    """Whether features of a stream that this version of the reading made may be other ones today."""
    return any(version > reader and stream in streams for version, streams in _CHANGED.items())
