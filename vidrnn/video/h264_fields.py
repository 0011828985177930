"""H.264 coded in fields (camcorders): two packets may make one frame. ITU-T H.264, 7.3.2.1.1 and 7.3.3."""

from collections.abc import Iterable
from dataclasses import dataclass

_HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})


@dataclass(frozen=True)
class Field:
    """One field: the number of its frame (frame_num), and whether it is the lower one."""

    frame: int
    is_bottom: bool


@dataclass(frozen=True)
class _Sequence:
    """What a sequence parameter set says that a slice header needs."""

    frame_bits: int
    colour_planes: bool
    only_frames: bool


class FieldReader:
    """Tells from the NAL units of a packet whether it is a single field. One object per stream."""

    def __init__(self, units: Iterable[bytes | memoryview] | None) -> None:
        """Take the parameter sets that stand before the first packet."""
        self._sequence: _Sequence | None = None
        self.field_of(units or ())

    def field_of(self, units: Iterable[bytes | memoryview]) -> Field | None:
        """The field that a packet holds; None where it holds a frame, both fields, or what cannot be read."""
        fields: set[Field] = set()
        for unit in units:
            kind = unit[0] & 31
            try:
                if kind == 7:
                    self._sequence = _sequence(_Bits(bytes(unit[4:])), profile=unit[1])
                elif kind in {1, 2, 5} and self._sequence is not None and not self._sequence.only_frames:
                    field = _field(_Bits(bytes(unit[1:65])), self._sequence)
                    if field is None:
                        return None
                    fields.add(field)
            except IndexError:  # damaged
                return None
        return fields.pop() if len(fields) == 1 else None


class FieldPairs:
    """Counts the packets of a stream to frames.

    Attributes:
        found: whether any packet was a field.
    """

    def __init__(self) -> None:
        self.found = False
        self._open: Field | None = None

    def completes(self, field: Field | None) -> bool:
        """Whether the next packet of the stream is the second field of the frame that the one before began."""
        self.found |= field is not None
        first = self._open
        if field is None or first is None or first.frame != field.frame or first.is_bottom == field.is_bottom:
            self._open = field
            return False
        self._open = None
        return True


class _Bits:
    """Reads the bits of a NAL unit. Raises IndexError behind its end."""

    def __init__(self, data: bytes) -> None:
        data = data.replace(b"\0\0\3", b"\0\0")
        self._text, self._at = "".join(f"{byte:08b}" for byte in data), 0

    def take(self, count: int) -> int:
        if self._at + count > len(self._text):
            raise IndexError
        self._at += count
        return int(self._text[self._at - count : self._at] or "0", 2)

    def unsigned(self) -> int:
        """Exponential Golomb code (9.1)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def _sequence(bits: _Bits, *, profile: int) -> _Sequence:
    bits.unsigned()  # seq_parameter_set_id
    colour_planes = False
    if profile in _HIGH_PROFILES:
        chroma = bits.unsigned()
        colour_planes = chroma == 3 and bool(bits.take(1))
        bits.unsigned()  # bit_depth_luma_minus8
        bits.unsigned()  # bit_depth_chroma_minus8
        bits.take(1)  # qpprime_y_zero_transform_bypass_flag
        if bits.take(1):  # seq_scaling_matrix_present_flag
            for number in range(8 if chroma != 3 else 12):
                if bits.take(1):
                    _skip_scaling_list(bits, 16 if number < 6 else 64)
    frame_bits = bits.unsigned() + 4
    order_type = bits.unsigned()
    if order_type == 0:
        bits.unsigned()  # log2_max_pic_order_cnt_lsb_minus4
    elif order_type == 1:
        bits.take(1)
        bits.signed()
        bits.signed()
        for _ in range(bits.unsigned()):
            bits.signed()
    bits.unsigned()  # max_num_ref_frames
    bits.take(1)  # gaps_in_frame_num_value_allowed_flag
    bits.unsigned()  # width and height in macroblocks
    bits.unsigned()
    return _Sequence(frame_bits, colour_planes, only_frames=bool(bits.take(1)))


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last, following = 8, 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


def _field(bits: _Bits, sequence: _Sequence) -> Field | None:
    """The field that a slice belongs to; None where it belongs to a frame."""
    bits.unsigned()  # first_mb_in_slice
    bits.unsigned()  # slice_type
    bits.unsigned()  # pic_parameter_set_id
    if sequence.colour_planes:
        bits.take(2)
    frame = bits.take(sequence.frame_bits)
    return Field(frame, bool(bits.take(1))) if bits.take(1) else None
