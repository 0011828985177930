"""What a packet says about itself: can decoding start here, and does any other frame need it?

Flags of containers are claims, as header frame counts are: an MP4 or an AVI can call any frame a key frame. So the few
bits that decide are read from the coded picture itself, for the codecs whose standards give a promise to rely on.
For all others every packet is taken to need all packets before it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vidrnn.video.h264_fields import Field, FieldReader


@dataclass(frozen=True, slots=True)  # one for every packet of a video
class Role:
    """What one packet is to the other packets of its stream.

    Attributes:
        entry: no frame that is shown at this one's time or later needs anything that is stored before it.
        droppable: no other frame of its own temporal level, or of a lower one, needs it.
        leading: stored after an entry but shown before it; no frame that is shown after the entry needs it.
        level: temporal level (H.265), 0 elsewhere.
        parameters: what it carries that holds for later packets too (parameter sets, headers, which tables).
        field: the field that it is, where it is no whole frame (H.264).
    """

    entry: bool = False
    droppable: bool = False
    leading: bool = False
    level: int = 0
    parameters: bytes = b""
    field: Field | None = None


Units = list[bytes | memoryview]
RoleOf = Callable[[memoryview], Role | None]  # None: this stream follows rules of its own, so trust none of its packets

_UNKNOWN = Role()  # a damaged or unusual packet: decoding starts elsewhere and does not leave it out
_START_CODE = b"\0\0\1"
# One packet, one picture, nothing kept between pictures.
_INDEPENDENT = frozenset({"dnxhd", "ffvhuff", "huffyuv", "prores", "rawvideo", "v210"})


def role_reader(codec: str, extradata: bytes) -> RoleOf | None:
    """The reader for a codec (FFmpeg's canonical name); None when nothing is known about it."""
    if codec == "h264":
        length_size = _avc_length_size(extradata)
        fields = FieldReader(_avc_parameter_sets(extradata) if length_size else _nal_units(memoryview(extradata), None))
        return lambda data: _h264(_nal_units(data, length_size), fields)
    readers: dict[str, RoleOf] = {
        "av1": lambda data: _av1(bytes(data)),
        "hevc": lambda data: _hevc(_nal_units(data, _hevc_length_size(extradata))),
        "mjpeg": lambda data: _mjpeg(bytes(data)),
        "mpeg1video": lambda data: _mpeg12(bytes(data)),
        "mpeg2video": lambda data: _mpeg12(bytes(data)),
        "mpeg4": lambda data: _mpeg4(bytes(data)),
        "vp8": lambda data: _vp8(bytes(data[:16])),
        "vp9": lambda data: _vp9(bytes(data[:1])),
        **dict.fromkeys(_INDEPENDENT, lambda _data: Role(entry=True, droppable=True)),
    }
    return readers.get(codec)


def _h264(units: Units | None, fields: FieldReader) -> Role | None:
    """ITU-T H.264, 7.4.1: an IDR picture (type 5) ends all dependence; nal_ref_idc 0 is no reference for anyone."""
    if units is None:
        return _UNKNOWN
    if any(unit[0] & 31 == 6 and _turns_the_display(unit[1:]) for unit in units):
        return None
    parameters = b"".join(unit for unit in units if unit[0] & 31 in {7, 8, 13, 15})
    field = fields.field_of(units)
    slices = [unit[0] for unit in units if 1 <= unit[0] & 31 <= 5]
    if not slices:
        return Role(parameters=parameters)
    return Role(
        entry=slices[0] & 31 == 5,
        droppable=all(header & 31 == 1 and header >> 5 == 0 for header in slices),
        parameters=parameters,
        field=field,
    )


def _hevc(units: Units | None) -> Role | None:
    """ITU-T H.265, 7.4.2.2: types 16 to 21 are random access points, 6 to 9 the pictures that lead up to one.

    Even types below 16 are no reference within their own temporal level.
    """
    if units is None or any(len(unit) < 2 for unit in units):
        return _UNKNOWN
    kinds = [unit[0] >> 1 & 63 for unit in units]
    if any(kind in {39, 40} and _turns_the_display(unit[2:]) for kind, unit in zip(kinds, units, strict=True)):
        return None
    parameters = b"".join(unit for kind, unit in zip(kinds, units, strict=True) if 32 <= kind <= 34)
    slices = [(kind, unit[1] & 7) for kind, unit in zip(kinds, units, strict=True) if kind < 32]
    if not slices:
        return Role(parameters=parameters)
    return Role(
        entry=16 <= slices[0][0] <= 21,
        droppable=all(kind < 16 and kind % 2 == 0 for kind, _ in slices),
        leading=all(6 <= kind <= 9 for kind, _ in slices),
        level=max(level for _, level in slices),
        parameters=parameters,
    )


def _mpeg12(data: bytes) -> Role:
    """ISO/IEC 13818-2, 6.2: a sequence header and an I picture reset everything; B pictures are never references."""
    first_picture = data.find(_START_CODE + b"\0")
    headers = [(code, header) for code, header in _segments(data, before=first_picture) if code in {0xB3, 0xB5}]
    parameters = b"".join(header for _, header in headers)
    kinds: list[int] = []
    position = first_picture
    while 0 <= position < len(data) - 5:
        kinds.append(data[position + 5] >> 3 & 7)
        position = data.find(_START_CODE + b"\0", position + 4)
    if not kinds:
        return Role(parameters=parameters)
    # The second field of an I picture may be a P field, which needs the first one only.
    entry = kinds[0] == 1 and any(code == 0xB3 for code, _ in headers)
    return Role(entry=entry, droppable=all(kind == 3 for kind in kinds), parameters=parameters)


def _mpeg4(data: bytes) -> Role | None:
    """ISO/IEC 14496-2, 6.2: I-VOPs need nothing and end all prediction across them; B-VOPs are never references."""
    pictures = data.count(_START_CODE + b"\xb6")
    if pictures > 1:  # "packed" B-frames of old AVI files: the decoder takes them apart with rules of its own
        return None
    first_picture = data.find(_START_CODE + b"\xb6")
    # The group header (B3) holds a running time, so it differs from one to the next.
    parameters = b"".join(segment for code, segment in _segments(data, before=first_picture) if code != 0xB3)
    if pictures == 0 or first_picture + 4 >= len(data):
        return Role(parameters=parameters)
    kind = data[first_picture + 4] >> 6
    return Role(entry=kind == 0, droppable=kind == 2, parameters=parameters)


def _vp8(data: bytes) -> Role:
    """RFC 6386, 9.1 to 9.3: a key frame resets all but the segment map, which must come with it if it is used."""
    if len(data) < 14 or data[0] & 1 or not data[0] >> 4 & 1:
        return _UNKNOWN
    _colour, _clamp, segmented, new_map = _even_odds_bits(data[10:], 4)
    return Role(entry=not segmented or bool(new_map))


def _vp9(data: bytes) -> Role:
    """VP9 bitstream specification, 6.2 and 7.2: a shown key frame replaces all reference frames and contexts."""
    if not data or data[0] >> 6 != 2:
        return _UNKNOWN
    profile = data[0] >> 5 & 1 | data[0] >> 3 & 2
    # show_existing_frame, frame_type (0 is a key frame), show_frame; profile 3 has a reserved bit before them.
    return Role(entry=data[0] >> (0 if profile == 3 else 1) & 7 == 0b001)


def _av1(data: bytes) -> Role:
    """AV1 bitstream specification, 5.3 to 5.9: a sequence header and a key frame that is shown reset everything."""
    has_sequence = False
    position = 0
    while position < len(data):
        header = data[position]
        kind, extended, sized = header >> 3 & 15, header >> 2 & 1, header >> 1 & 1
        position += 1 + extended
        size, position = _leb128(data, position) if sized else (len(data) - position, position)
        if position + size > len(data):
            return _UNKNOWN
        has_sequence |= kind == 1
        if kind in {3, 6}:  # a frame header, alone or with its frame: show_existing_frame, frame_type (2), show_frame
            return Role(entry=has_sequence and size > 0 and data[position] >> 4 == 0b0001)
        position += size
    return _UNKNOWN


def _mjpeg(data: bytes) -> Role | None:
    """ITU-T T.81, B.2: a picture of its own, but tables that it leaves out stay as an earlier one has set them.

    So ``parameters`` is the list of what is set: where all packets set the same, none needs another.
    """
    listed = bytearray()
    position = 2
    while data[:2] == b"\xff\xd8" and position + 4 <= len(data) and data[position] == 0xFF:
        code, size = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        segment = data[position + 4 : position + 2 + size]
        if code == 0xDA:
            return Role(entry=True, droppable=True, parameters=bytes(listed))
        if code in {0xFF, 0x01} or 0xC1 <= code <= 0xC3 or 0xC5 <= code <= 0xCF or size < 2:
            break  # fill bytes, or not sequential with Huffman codes
        listed.append(code)
        if code == 0xDB:
            listed += _table_ids(segment, lambda table: 64 * (1 + (table[0] >> 4)))
        elif code == 0xC4:
            listed += _table_ids(segment, lambda table: 16 + sum(table[1:17]))
        elif 0xE0 <= code <= 0xEF:
            listed += segment[:5]
        position += 2 + size
    return None


def _table_ids(segment: bytes, size_of: Callable[[bytes], int]) -> bytes:
    """The first byte of each of the tables that one segment defines; the rest of a table has the given size."""
    ids = bytearray()
    while segment:
        ids.append(segment[0])
        segment = segment[1 + size_of(segment) :]
    return bytes(ids)


def _avc_length_size(extradata: bytes) -> int | None:
    """Bytes before each NAL unit that say its length (ISO/IEC 14496-15, 5.3.3); None: start codes separate them."""
    return (extradata[4] & 3) + 1 if len(extradata) > 6 and extradata[0] == 1 else None


def _avc_parameter_sets(extradata: bytes) -> Units:
    """The sequence parameter sets of such a stream, each behind two bytes that say its length."""
    units: Units = []
    position = 6
    for _ in range(extradata[5] & 31):
        size = int.from_bytes(extradata[position : position + 2], "big")
        units += [extradata[position + 2 : position + 2 + size]] if size else []
        position += 2 + size
    return units


def _hevc_length_size(extradata: bytes) -> int | None:
    """The same for H.265 (ISO/IEC 14496-15, 8.3.3)."""
    return (extradata[21] & 3) + 1 if len(extradata) > 22 and extradata[:3] not in {b"\0\0\0", b"\0\0\1"} else None


def _nal_units(view: memoryview, length_size: int | None) -> Units | None:
    """The NAL units of one packet; None when their lengths do not add up."""
    units: Units = []
    if length_size is None:
        data = bytes(view)
        position = data.find(_START_CODE)
        while position >= 0:
            end = data.find(_START_CODE, position + 3)
            units.append(data[position + 3 : end if end >= 0 else len(data)].rstrip(b"\0"))
            position = end
    else:
        position = 0
        while position < len(view):
            size = int.from_bytes(view[position : position + length_size], "big")
            position += length_size
            if position + size > len(view):
                return None
            units.append(view[position : position + size])
            position += size
    return [unit for unit in units if len(unit)] or None


def _turns_the_display(message: bytes | memoryview) -> bool:
    """Whether supplemental information (H.264 and H.265, annex D) turns the picture, for as long as it likes."""
    data = bytes(message).replace(b"\0\0\3", b"\0\0")
    position = 0
    while position + 2 < len(data):  # the last byte ends the unit
        values = []
        for _ in ("type", "size"):
            value = 0
            while position < len(data) and data[position] == 255:
                value, position = value + 255, position + 1
            values.append(value + (data[position] if position < len(data) else 0))
            position += 1
        if values[0] == 47:
            return True
        position += values[1]
    return False


def _segments(data: bytes, *, before: int) -> Iterator[tuple[int, bytes]]:
    """What follows each start code, up to the next one: (code, bytes); only those that begin before a position."""
    end_of_all = before if before >= 0 else len(data)
    position = data.find(_START_CODE, 0, end_of_all)
    while 0 <= position < end_of_all - 3:
        end = data.find(_START_CODE, position + 3, end_of_all)
        yield data[position + 3], data[position : end if end >= 0 else end_of_all]
        position = end


def _leb128(data: bytes, position: int) -> tuple[int, int]:
    """A number in groups of seven bits, lowest first, and the position behind it."""
    value = 0
    for count, byte in enumerate(data[position : position + 8]):
        value |= (byte & 127) << 7 * count
        if byte < 128:
            return value, position + count + 1
    return len(data), position  # no such number: larger than what is there


def _even_odds_bits(data: bytes, count: int) -> list[int]:
    """The first bits of a VP8 partition that are coded with probability 128 (RFC 6386, 7.3)."""
    value, span, shifted, following = int.from_bytes(data[:2], "big"), 255, 0, 2
    bits: list[int] = []
    for _ in range(count):
        split = 1 + ((span - 1) * 128 >> 8)
        bits.append(int(value >= split << 8))
        value, span = (value - (split << 8), span - split) if bits[-1] else (value, split)
        while span < 128:
            value, span, shifted = value << 1, span << 1, shifted + 1
            if shifted == 8:
                value, shifted, following = value | data[following], 0, following + 1
    return bits
