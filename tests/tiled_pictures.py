"""A picture in tiles, as phones write it: AVIF with a grid (ISO/IEC 23008-12, 6.6.2.3.2), written box by box."""

import struct
from pathlib import Path

import numpy as np
from PIL import Image

TILE = 64


def _box(kind: bytes, *parts: bytes, version: int | None = None, flags: int = 0) -> bytes:
    head = b"" if version is None else struct.pack(">I", version << 24 | flags)
    body = head + b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _coded(path: Path, grey: int) -> tuple[bytes, bytes]:
    """The configuration box and the coded picture of one grey tile."""
    Image.fromarray(np.full((TILE, TILE, 3), grey, np.uint8)).save(path)
    data = path.read_bytes()
    start = data.index(b"av1C") - 4
    configuration = data[start : start + int.from_bytes(data[start : start + 4], "big")]
    return configuration, data[data.index(b"mdat") + 4 :]


def write_tiles(path: Path) -> Path:
    """Two tiles, one beside the other, and the item that says so."""
    tiles = [_coded(path.with_suffix(f".{grey}.avif"), grey) for grey in (60, 190)]
    grid = struct.pack(">4B2H", 0, 0, 0, 1, 2 * TILE, TILE)  # one row, two columns, size of the whole
    contents = [*(coded for _, coded in tiles), grid]
    kinds = [b"av01", b"av01", b"grid"]
    entries = [
        _box(b"infe", struct.pack(">HH", number, 0), kind, b"\0", version=2, flags=int(kind == b"av01"))
        for number, kind in enumerate(kinds, 1)
    ]
    size_of = [struct.pack(">II", TILE, TILE), struct.pack(">II", 2 * TILE, TILE)]
    properties = _box(b"ipco", tiles[0][0], *(_box(b"ispe", size, version=0) for size in size_of))
    belongs = struct.pack(">I", 3) + b"".join(
        struct.pack(">HB", number, len(own)) + bytes(own) for number, own in ((1, [0x81, 2]), (2, [0x81, 2]), (3, [3]))
    )
    handler = _box(b"hdlr", bytes(4), b"pict", bytes(13), version=0)

    def meta(offset: int) -> bytes:
        locations = b"\x44\0" + struct.pack(">H", 3)
        for number, content in enumerate(contents, 1):
            locations += struct.pack(">HHHII", number, 0, 1, offset, len(content))
            offset += len(content)
        return _box(
            b"meta",
            handler,
            _box(b"pitm", struct.pack(">H", 3), version=0),
            _box(b"iloc", locations, version=0),
            _box(b"iinf", struct.pack(">H", 3), *entries, version=0),
            _box(b"iref", _box(b"dimg", struct.pack(">4H", 3, 2, 1, 2)), version=0),
            _box(b"iprp", properties, _box(b"ipma", belongs, version=0)),
            version=0,
        )

    brand = _box(b"ftyp", b"avif", bytes(4), b"avifmif1")
    begin = len(brand) + len(meta(0)) + 8
    path.write_bytes(brand + meta(begin) + _box(b"mdat", *contents))
    return path
