"""H.264 in fields, as camcorders write it and no encoder of FFmpeg does: written bit by bit, without compression."""

from fractions import Fraction
from pathlib import Path

import av

_START = b"\0\0\0\1"


class _Bits:
    def __init__(self, text: str = "") -> None:
        self.text = text

    def fixed(self, value: int, count: int) -> "_Bits":
        self.text += f"{value:0{count}b}" if count else ""
        return self

    def golomb(self, *values: int) -> "_Bits":
        for value in values:
            binary = f"{value + 1:b}"
            self.text += "0" * (len(binary) - 1) + binary
        return self

    def whole(self, stop: str = "1") -> bytes:
        """The bits, the one that ends them, and zeros up to a byte."""
        text = self.text + stop
        text += "0" * (-len(text) % 8)
        return bytes(int(text[place : place + 8], 2) for place in range(0, len(text), 8))


def _sequence() -> bytes:
    """Main profile, 16 x 32 pixels, frames of two fields, order of decoding is order of showing."""
    bits = _Bits().golomb(0, 0, 2, 1).fixed(0, 1).golomb(0, 0)  # id, 4 bits of frame_num, order type 2, one reference
    return b"\x67\x4d\0\x1e" + bits.fixed(0b001, 3).fixed(0b00, 2).whole()  # fields allowed, no MBAFF, direct 8x8


def _parameters() -> bytes:
    return b"\x68" + _Bits().golomb(0, 0).fixed(0, 2).golomb(0, 0, 0).fixed(0, 3).golomb(0, 0, 0).fixed(0, 3).whole()


def _field(frame: int, grey: int, *, is_bottom: bool) -> bytes:
    starts_all = frame == 0 and not is_bottom
    bits = _Bits().golomb(0, 7, 0).fixed(frame % 16, 4).fixed(0b11 if is_bottom else 0b10, 2)
    bits = bits.golomb(0).fixed(0, 2) if starts_all else bits.fixed(0, 1)
    header = bits.golomb(0, 25).whole(stop="")  # a macroblock of plain samples
    return (b"\x65" if starts_all else b"\x21") + header + bytes([grey] * 256 + [128] * 128) + b"\x80"


def write_fields(path: Path, frames: int) -> Path:
    """Frames of 16 x 32 pixels at 25 per second, each brighter than the one before, one packet per field."""
    raw = path.with_suffix(".h264")
    packets = [
        b"".join(_START + unit for unit in ([_sequence(), _parameters()] if number == 0 else []))
        + _START
        + _field(number // 2, 20 + 6 * (number // 2), is_bottom=bool(number % 2))
        for number in range(2 * frames)
    ]
    raw.write_bytes(b"".join(packets))
    with av.open(str(raw)) as source, av.open(str(path), "w") as target:
        template = source.streams.video[0]
        stream = target.add_stream_from_template(template)
        for number, content in enumerate(packets):
            packet = av.Packet(content)
            packet.pts = packet.dts = 1800 * number
            packet.duration, packet.time_base, packet.stream = 1800, Fraction(1, 90000), stream
            packet.is_keyframe = number == 0
            target.mux(packet)
    return path
