"""What single packets say about themselves, put together bit by bit from the standards."""

import numpy as np
import pytest

from vidrnn.video.bitstream import Role, role_reader

AVC, HEVC = bytes([1, 100, 0, 31, 0xFF, 0xE1, 0]), bytes([1, *[0] * 20, 0xFF, 0])


def role(codec: str, packet: bytes, extradata: bytes = b"") -> Role | None:
    reader = role_reader(codec, extradata)
    assert reader is not None
    return reader(memoryview(packet))


def units(*contents: bytes) -> bytes:
    return b"".join(len(content).to_bytes(4, "big") + content for content in contents)


def started(*contents: bytes) -> bytes:
    return b"".join(b"\0\0\0\1" + content for content in contents)


IDR, REFERENCE, DISPENSABLE, SETS = b"\x65\x88", b"\x41\x9a", b"\x01\x9e", (b"\x67\x64", b"\x68\xee")


@pytest.mark.parametrize(("join", "extradata"), [(units, AVC), (started, b"")])
@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ([*SETS, IDR], Role(entry=True, parameters=b"\x67\x64\x68\xee")),
        ([IDR, REFERENCE], Role(entry=True)),  # two fields: the second may be predicted from the first
        ([REFERENCE], Role()),
        ([b"\x09\xf0", DISPENSABLE, DISPENSABLE], Role(droppable=True)),
        ([DISPENSABLE, REFERENCE], Role()),
        ([b"\x02\x88"], Role()),  # data partitions
        ([SETS[1]], Role(parameters=b"\x68\xee")),
        ([b"\x06\x05\x01\x00\x80", DISPENSABLE], Role(droppable=True)),  # some information on the side
        ([b"\x06\x05\x01\x00\x2f\x01\x80\x80", IDR], None),  # ... and that the display is turned
    ],
)
def test_h264(join, extradata, contents, expected):
    assert role("h264", join(*contents), extradata) == expected


def hevc(kind: int, *, level: int = 0) -> bytes:
    return bytes([kind << 1, level + 1, 0x80])


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ([hevc(19)], Role(entry=True, level=1)),
        ([hevc(21)], Role(entry=True, level=1)),
        ([hevc(1)], Role(level=1)),
        ([hevc(0, level=2)], Role(droppable=True, level=3)),
        ([hevc(9)], Role(leading=True, level=1)),
        ([hevc(8)], Role(droppable=True, leading=True, level=1)),
        ([hevc(33), hevc(20)], Role(entry=True, level=1, parameters=hevc(33))),
        ([hevc(39) + b"\x2f\x01\x80\x80", hevc(1)], Role(level=1)),  # type 128: not the one that turns
        ([hevc(39)[:2] + b"\x2f\x01\x80\x80", hevc(1)], None),
    ],
)
def test_hevc(contents, expected):
    assert role("hevc", units(*contents), HEVC) == expected
    assert role("hevc", started(*contents)) == expected


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_units_whose_lengths_do_not_add_up_are_nothing(codec):
    packet = units(IDR, IDR)
    extradata = AVC if codec == "h264" else HEVC
    assert role(codec, packet[:-1], extradata) == Role()
    assert role(codec, b"", extradata) == Role()


def mpeg2(*kinds: int, sequence: bool) -> bytes:
    pictures = b"".join(b"\0\0\1\0" + (kind << 3).to_bytes(2, "big") + b"\0\0\0\1\1\x77" for kind in kinds)
    return (b"\0\0\1\xb3\x14\0\xf0" if sequence else b"") + b"\0\0\1\xb8\0\x08" + pictures


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (mpeg2(1, sequence=True), Role(entry=True, parameters=b"\0\0\1\xb3\x14\0\xf0")),
        (mpeg2(1, 2, sequence=True), Role(entry=True, parameters=b"\0\0\1\xb3\x14\0\xf0")),
        (mpeg2(1, sequence=False), Role()),  # tables of an earlier header may hold
        (mpeg2(2, sequence=False), Role()),
        (mpeg2(3, 3, sequence=False), Role(droppable=True)),
        (b"\0\0\1\xb3\x14", Role(parameters=b"\0\0\1\xb3\x14")),
    ],
)
def test_mpeg2(packet, expected):
    assert role("mpeg2video", packet) == role("mpeg1video", packet) == expected


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (b"\0\0\1\xb6\x10", Role(entry=True)),
        (b"\0\0\1\xb6\x50", Role()),
        (b"\0\0\1\xb6\x90", Role(droppable=True)),
        (b"\0\0\1\xb6\xd0", Role()),
        (b"\0\0\1\x20\x08\0\0\1\xb3\x07\0\0\1\xb6\x10", Role(entry=True, parameters=b"\0\0\1\x20\x08")),
        (b"\0\0\1\xb6\x50\0\0\1\xb6\x90", None),  # packed
    ],
)
def test_mpeg4(packet, expected):
    assert role("mpeg4", packet) == expected


def encoded(bits: list[int]) -> bytes:
    """RFC 6386, 7.3: the encoder's side of bits of even odds, with exact fractions for its bottom and range."""
    bottom, span, unit = 0, 255, 1 << 64
    for bit in bits:
        split = 1 + ((span - 1) * 128 >> 8)
        bottom, span = (bottom + split * unit, span - split) if bit else (bottom, split)
        while span < 128:
            span, unit = span * 2, unit // 2
    return (bottom + span * unit // 2).to_bytes(9, "big")


@pytest.mark.parametrize(
    ("flags", "entry"), [([0, 0, 0, 0], True), ([1, 1, 0, 1], True), ([0, 0, 1, 1], True), ([0, 1, 1, 0], False)]
)
def test_vp8_key_frames_bring_the_segment_map_that_they_use(flags, entry):
    assert role("vp8", bytes([0x10, 0, 0, 0x9D, 1, 0x2A, 64, 0, 48, 0]) + encoded(flags)) == Role(entry=entry)


@pytest.mark.parametrize("first_byte", [0x11, 0x00])
def test_vp8_frames_that_are_predicted_or_hidden_are_no_entries(first_byte):
    assert role("vp8", bytes([first_byte]) + bytes(20)) == Role()


@pytest.mark.parametrize(
    ("bits", "entry"),
    [
        ("10000010", True),
        ("10000110", False),
        ("10001010", False),
        ("10000000", False),
        ("10110001", True),
        ("0", False),
    ],
)
def test_vp9(bits, entry):
    assert role("vp9", bytes([int(bits.ljust(8, "0"), 2)])) == Role(entry=entry)


def obu(kind: int, content: bytes) -> bytes:
    return bytes([kind << 3 | 2, len(content)]) + content


@pytest.mark.parametrize(
    ("packet", "entry"),
    [
        (obu(2, b"") + obu(1, b"\0\0") + obu(6, b"\x10"), True),
        (obu(2, b"") + obu(6, b"\x10"), False),  # no sequence header
        (obu(1, b"\0") + obu(6, b"\x30"), False),  # predicted
        (obu(1, b"\0") + obu(3, b"\0"), False),  # hidden
        (obu(1, b"\0") + obu(3, b"\x80"), False),  # shown once more
        (obu(1, b"\0") + b"\x32\xff\xff\xff\x7f", False),
        (b"\x32", False),
        (b"", False),
    ],
)
def test_av1(packet, entry):
    assert role("av1", packet) == Role(entry=entry)


def segment(code: int, content: bytes) -> bytes:
    return bytes([0xFF, code]) + (len(content) + 2).to_bytes(2, "big") + content


def test_jpeg_lists_the_tables_that_it_sets():
    tables = segment(0xDB, b"\0" + bytes(64) + b"\x11" + bytes(128)) + segment(
        0xC4, b"\x10" + b"\1" + bytes(15) + b"\7"
    )
    start, scan = b"\xff\xd8" + segment(0xE0, b"AVI1\0\0"), segment(0xDA, b"\1")
    listed = b"\xe0AVI1\0"
    assert role("mjpeg", start + tables + segment(0xC0, b"\x08") + scan) == Role(
        entry=True, droppable=True, parameters=listed + b"\xdb\0\x11\xc4\x10\xc0"
    )
    assert role("mjpeg", start + segment(0xC0, b"\x08") + scan) == Role(
        entry=True, droppable=True, parameters=listed + b"\xc0"
    )
    assert role("mjpeg", start + segment(0xC2, b"\x08") + scan) is None  # progressive
    assert role("mjpeg", start + tables) is None
    assert role("mjpeg", b"") is None


def test_what_is_not_understood_has_no_reader():
    assert role_reader("ffv1", b"") is None
    assert role("prores", b"") == Role(entry=True, droppable=True)


@pytest.mark.parametrize("codec", ["av1", "h264", "hevc", "mjpeg", "mpeg2video", "mpeg4", "vp8", "vp9"])
def test_any_bytes_have_an_answer(codec):
    rng = np.random.default_rng(0)
    for _ in range(2000):
        packet = rng.bytes(int(rng.integers(0, 60)))
        extradata = rng.choice([b"", AVC, HEVC]) if codec in {"h264", "hevc"} else b""
        assert isinstance(
            role(codec, b"\0\0\1" + packet if rng.random() < 0.5 else packet, bytes(extradata)), Role | None
        )
