"""Times that cannot be taken as they are: which frames get which, from what the packets say and what is decoded."""

import math
from fractions import Fraction

import numpy as np
import pytest

from tests.coded_fields import write_fields
from tests.media import change_clock, decoding_times_only, pictures, plain_decode, write_clip
from vidrnn.video.clock import Output, shown_times
from vidrnn.video.decode import decode
from vidrnn.video.probe import probe
from vidrnn.video.restarts import Stamp, unrolled
from vidrnn.video.sampling import Sampling

ANEW = "its clock is set anew 1 times (a step back, or of over 10 s); it goes on without a gap"
OF_DECODING = "its times say when frames are decoded (pts = dts); frames are timed in the order shown"
NO_TIME = "{} frames have no usable time of their own (missing, repeated, or stepping back); set between others"


def stamps(*times: int | None) -> list[Stamp]:
    return [Stamp(time, time) for time in times]


def outputs(*sources: int, released=()) -> list[Output]:
    """Frames of these packets, given out at once, or upon other packets."""
    return [Output(source, at) for source, at in zip(sources, released or sources, strict=True)]


def times_of(*times: int | None, sources=None, released=(), limit=250.0, **rest):
    frames = outputs(*(range(len(times)) if sources is None else sources), released=released)
    found = shown_times(stamps(*times), frames, step=1.0, limit=limit, **rest)
    return None if found is None else (found.ticks.tolist(), found.notes)


@pytest.mark.parametrize(
    ("stored", "expected", "restarts"),
    [
        ([5, 6, 7], [5, 6, 7], 0),
        ([5, 6, 0, 1], [5, 6, 7, 8], 1),
        ([5, 6, 1000, 1001], [5, 6, 7, 8], 1),
        ([5, 6, 200, 201], [5, 6, 200, 201], 0),  # a gap
        ([5, 6, 0, 1, 900, 901], [5, 6, 7, 8, 9, 10], 2),
        ([5, 6, 900, 8, 9], [5, 6, None, 8, 9], 0),  # one wrong time is no clock
        ([5, 6, 1, 8, 9], [5, 6, None, 8, 9], 0),
        ([5, 6, 80, 81, 9, 10], [5, 6, None, None, 9, 10], 0),
        ([5, 6, 7, 8, 6, 7, 8, 9, 10], [5, 6, 7, 8, 9, 10, 11, 12, 13], 1),  # two parts that overlap
        ([5, None, 7, 0, None, 2], [5, None, 7, 8, None, 10], 1),
        ([], [], 0),
        ([None], [None], 0),
    ],
)
def test_a_clock_goes_on_where_it_is_set_anew(stored, expected, restarts):
    found = unrolled(stamps(*stored), step=1.0, limit=250.0)
    assert (found.stored, found.shown, found.restarts) == (expected, expected, restarts)


def test_where_the_container_forbids_a_new_clock_a_long_step_is_a_gap():
    assert unrolled(stamps(5, 6, 10**6), step=1.0, limit=math.inf).restarts == 0


def test_a_new_clock_keeps_the_order_of_showing():
    """Frames of the old one that are shown after its last packet was decoded come before those of the new one."""
    old = [Stamp(102, 100), Stamp(105, 101), Stamp(103, 102), Stamp(104, 103)]
    new = [Stamp(2, 0), Stamp(5, 1), Stamp(3, 2), Stamp(4, 3)]
    found = shown_times(old + new, outputs(0, 2, 3, 1, 4, 6, 7, 5), step=1.0, limit=math.inf)
    assert found is not None
    assert found.ticks.tolist() == [102, 103, 104, 105, 106, 107, 108, 109]
    assert found.notes == (ANEW,)


def test_times_of_decoding_go_to_the_frames_in_the_order_of_showing():
    sources, released = [0, 2, 3, 1], [1, 2, 3, None]
    assert times_of(0, 1, 2, 3, sources=sources, released=released) == ([0, 1, 2, 3], (OF_DECODING,))
    assert times_of(0, 1, 2, 3, sources=sources, released=released, made_up=True) == ([0, 1, 2, 3], ())
    # A variable rate: x264 writes the times of showing, one packet later.
    sources, released = [0, 2, 3, 1, 4], [1, 2, 3, 4, None]
    assert times_of(-1, 0, 5, 6, 7, sources=sources, released=released) == ([-1, 4, 5, 6, 7], (OF_DECODING,))


def test_empty_packets_at_the_beginning_take_no_time_and_later_ones_are_gaps():
    """XviD writes two while it waits for the frame that its first B-frames lie between."""
    sources, released = [0, 4, 5, 3, 8, 6, 10], [3, 4, 5, 6, 8, 10, None]
    assert times_of(*range(11), sources=sources, released=released, made_up=True) == ([0, 1, 2, 3, 5, 7, 8], ())
    assert times_of(*range(11), sources=sources, released=released) == ([0, 1, 2, 3, 5, 7, 8], (OF_DECODING,))


def test_packets_that_an_edit_list_hides_take_no_time():
    packets = [Stamp(time, time, time >= 2) for time in range(6)]
    found = shown_times(packets, outputs(2, 3, 5, 4), step=1.0, limit=math.inf)
    assert found is not None and found.ticks.tolist() == [2, 3, 4, 5]


def test_frames_without_a_time_lie_between_those_that_have_one():
    assert times_of(10, None, 12, None) == ([10, 11, 12, 13], (NO_TIME.format(2),))
    assert times_of(None, None, 12, 14, 16) == ([8, 10, 12, 14, 16], (NO_TIME.format(2),))
    assert times_of(10, 11, 11, 13) == ([10, 11, 12, 13], (NO_TIME.format(1),))
    assert times_of(None, None, 12) is None
    assert times_of() == ([], ())


def test_frames_of_one_packet_are_told_apart():
    assert times_of(0, 2, 4, 6, sources=[0, 1, 1, 3], released=[0, 1, 2, 3]) == ([0, 2, 4, 6], (OF_DECODING,))


def check(path, reference, *, notes, first_s=0.0):
    """All pictures of the reference in its order, at 25 per second, each at its time; chosen ones too."""
    video = probe(path)
    assert video.notes == notes
    assert video.timestamps_s == pytest.approx(first_s + np.arange(len(reference)) / 25, abs=1.1e-3)
    chosen = Sampling(kind="fps", rate=10.0).select(video.timestamps_s)
    assert chosen.tolist()[:5] == [0, 2, 5, 7, 10]
    for indices in (np.arange(video.num_frames), chosen):
        frames = list(decode(video, indices))
        assert [frame.timestamp_s for frame in frames] == video.timestamps_s[indices].tolist()
        for frame, index in zip(frames, indices, strict=True):
            np.testing.assert_array_equal(frame.rgb, reference[index])


@pytest.mark.parametrize(("codec", "bf"), [("libx264", "3"), ("mpeg4", "2"), ("libx265", "3")])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_b_frames_whose_times_are_those_of_decoding(tmp_path, codec, bf, suffix):
    options = {"bf": bf, "g": "10"} | ({"x265-params": "log-level=none"} if codec == "libx265" else {})
    honest = write_clip(tmp_path / "honest.mp4", pictures(24), codec=codec, **options)
    check(decoding_times_only(honest, tmp_path / f"copy{suffix}"), plain_decode(honest), notes=(OF_DECODING,))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_stream_that_may_have_b_frames_and_has_none_keeps_its_times_and_short_ways(tmp_path, suffix):
    # The encoder announces B-frames, and has too few pictures to use one.
    video = probe(write_clip(tmp_path / f"a{suffix}", pictures(3), bf="2", g="1"))
    assert (video.notes, video.timestamps_s.tolist()) == ((), pytest.approx([0.0, 0.04, 0.08]))
    assert video.packets is not None


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", ".ts"), ("mpeg2video", ".ts"), ("mpeg2video", ".mpg")])
def test_files_that_were_joined_byte_by_byte_go_on(tmp_path, codec, suffix):
    one = write_clip(tmp_path / f"one{suffix}", pictures(24), codec=codec, bf="2", g="12")
    joined = tmp_path / f"joined{suffix}"
    joined.write_bytes(one.read_bytes() * 2)
    check(joined, plain_decode(one) * 2, notes=(ANEW,))


def test_a_clock_that_is_set_anew_where_times_of_decoding_are_guessed(tmp_path):
    """Matroska stores none."""
    one = write_clip(tmp_path / "one.mkv", pictures(24), bf="2", g="12")
    (tmp_path / "joined.mkv").write_bytes(one.read_bytes() * 2)
    check(tmp_path / "joined.mkv", plain_decode(one) * 2, notes=(ANEW,))


def test_one_picture_in_fifteen_seconds_is_no_new_clock_each_time(tmp_path):
    path = write_clip(tmp_path / "a.ts", pictures(30), pts=range(0, 450, 15), time_base=Fraction(1, 1), bf="0")
    video = probe(path)
    assert video.timestamps_s == pytest.approx(np.arange(0, 450, 15), abs=1e-3)
    assert video.notes == ()


def test_a_stream_that_was_cut_starts_at_zero(tmp_path):
    """Packets before the first key frame give no picture, and FFmpeg's start of the file leaves some of them out."""
    path = write_clip(tmp_path / "a.ts", pictures(48), bf="3", g="12", **{"x264-params": "open-gop=1"})
    data = path.read_bytes()
    path.write_bytes(data[188 * (len(data) // 188 // 4) :])
    assert probe(path).timestamps_s[0] >= 0


@pytest.mark.parametrize("order", ["back", "forward"])
def test_a_clock_that_is_set_anew_on_the_way(tmp_path, order):
    early = write_clip(tmp_path / "early.ts", pictures(24), bf="2", g="12")
    late = write_clip(tmp_path / "late.ts", pictures(24), pts=range(500, 524), bf="2", g="12")
    parts = [late, early] if order == "back" else [early, late]
    (tmp_path / "both.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    check(tmp_path / "both.ts", [image for part in parts for image in plain_decode(part)], notes=(ANEW,))


@pytest.mark.parametrize(
    ("change", "notes"),
    [
        ({5: None}, (NO_TIME.format(1),)),
        ({5: 4 * 3600}, (NO_TIME.format(1),)),  # the same as the one before
        ({5: 0}, (NO_TIME.format(1),)),
        ({5: 39 * 3600}, (NO_TIME.format(1),)),
        ({5: 90000 * 3600}, (NO_TIME.format(1),)),
    ],
)
def test_one_wrong_time_moves_no_other(tmp_path, change, notes):
    path = write_clip(tmp_path / "a.ts", pictures(24), bf="0", g="12")
    check(change_clock(path, change), plain_decode(path), notes=notes)


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_avi_with_b_frames_starts_at_zero(tmp_path, codec, suffix):
    path = write_clip(tmp_path / f"a{suffix}", pictures(20), codec=codec, bf="2", g="10")
    check(path, plain_decode(path), notes=())


@pytest.mark.parametrize("suffix", [".ts", ".mp4", ".mkv"])
def test_two_fields_are_one_frame(tmp_path, suffix):
    path = write_fields(tmp_path / f"a{suffix}", 30)
    check(path, plain_decode(path), notes=())
    assert len(plain_decode(path)) == 30
