"""What is believed of a list of packets, and what makes all of it doubtful."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.media import pictures, write_clip
from vidrnn.video import packets
from vidrnn.video.bitstream import Role
from vidrnn.video.container import open_video

KEY, REF, FREE = Role(entry=True), Role(), Role(droppable=True)


def index(*shown: tuple[int, Role], depth: int = 1):
    """The index of packets given in the order of decoding: when each is shown, and what it is."""
    return packets._index([packets._Row(pts, 1, True, role) for pts, role in shown], reorder_depth=depth)


def test_entries_and_droppable_packets_are_taken_over_where_all_agrees():
    found = index((0, KEY), (3, REF), (1, FREE), (2, FREE), (6, KEY), (4, FREE), (5, FREE))
    assert found.entry.tolist() == [True, False, False, False, True, False, False]
    assert found.droppable.tolist() == [False, False, True, True, False, True, True]


@pytest.mark.parametrize(
    ("shown", "entries"),
    [
        (
            [(0, KEY), (1, REF), (5, KEY), (3, REF), (6, REF)],
            [0],
        ),  # something that others may need is shown before the entry
        ([(0, KEY), (1, REF), (5, KEY), (3, Role(leading=True)), (6, REF)], [0, 2]),
        ([(0, KEY), (6, REF), (5, KEY), (7, REF)], [0]),  # a frame of the group before is shown after the entry
        ([(0, KEY), (1, REF), (2, KEY), (3, REF), (4, KEY)], [0, 2, 4]),
    ],
)
def test_an_entry_parts_the_times_or_is_none(shown, entries):
    assert np.flatnonzero(index(*shown, depth=4).entry).tolist() == entries


def test_a_frame_of_a_lower_temporal_level_may_be_needed_by_a_higher_one():
    low, high = Role(droppable=True, level=1), Role(droppable=True, level=2)
    assert index((0, Role(entry=True, level=1)), (1, low), (2, high)).droppable.tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("order", "depth", "known"),
    [
        ([0, 3, 1, 2], 1, True),
        ([0, 3, 1, 2], 0, False),
        ([0, 4, 2, 1, 3], 2, True),
        ([0, 4, 2, 1, 3], 1, False),
        ([0, 1, 2, 3], 0, True),
    ],
)
def test_frames_must_come_in_an_order_that_the_decoder_can_restore(order, depth, known):
    assert (index(*((pts, REF) for pts in order), depth=depth) is not None) == known


def carrying(parameters: bytes) -> Role:
    return Role(entry=True, parameters=parameters)


@pytest.mark.parametrize(
    ("roles", "known"),
    [
        ([KEY, REF, KEY], True),
        ([carrying(b"a"), REF, carrying(b"a")], True),
        ([carrying(b"a"), REF, KEY], True),
        ([carrying(b"a"), REF, carrying(b"b")], False),
        ([KEY, REF, carrying(b"a")], False),  # who starts there knows what who comes from before does not
        ([KEY, None, KEY], False),
        ([], False),
    ],
)
def test_what_packets_carry_for_later_ones_must_be_the_same_throughout(roles, known):
    rows = [packets._Row(pts, 1, True, role) for pts, role in enumerate(roles)]
    assert (packets._index(rows, reorder_depth=1) is not None) == known


def packet(pts, *, size=3, discard=False, side_data=()):
    class Packet(bytes):
        pass

    made = Packet(b"\x10\0\0"[:size])
    made.pts, made.dts, made.pos, made.size, made.is_discard = pts, pts, None, size, discard
    made.buffer_ptr = size  # FFmpeg reserves nothing for the packet that tells the decoder to end
    made.iter_sidedata = lambda: [SimpleNamespace(data_type=kind) for kind in side_data]
    return made


@pytest.mark.parametrize(
    ("listed", "times", "known"),
    [
        ([packet(0), packet(1)], [0, 1], True),
        ([packet(0), packet(1, discard=True), packet(2)], [0, 2], True),
        ([packet(0, side_data=["new_extradata"]), packet(1)], [0, 1], True),
        ([packet(0), packet(1, side_data=["new_extradata"])], [0, 1], False),
        ([packet(0), packet(1, side_data=["param_change"])], [0, 1], False),
        ([packet(0, side_data=["palette"]), packet(1)], [0, 1], False),
        ([packet(0), packet(1, side_data=["skip_samples"])], [0, 1], True),
        ([packet(0), packet(1, size=0), packet(2)], [0, 2], False),  # an empty one tells the decoder to end
        ([packet(0), packet(None, discard=True), packet(2)], [0, 2], False),
        ([packet(0), packet(None)], None, False),
        ([packet(0), packet(0)], None, False),
    ],
)
def test_what_stands_beside_the_pictures(tmp_path, listed, times, known):
    with open_video(write_clip(tmp_path / "a.mov", pictures(1), codec="rawvideo", pix_fmt="rgb24")) as (honest, stream):
        ending = [*listed, packet(None, size=0)]
        container = SimpleNamespace(format=honest.format, demux=lambda _stream: iter(ending))
        found = packets.list_packets(container, stream, on_progress=lambda: None)
    assert (None if found.pts is None else found.pts.tolist()) == times
    assert (found.index is not None) == known
