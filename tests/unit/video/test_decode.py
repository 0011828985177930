"""The pixels of chosen frames: the same as decoding everything, upright, in true colours."""

import gc
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.media import cut, flat, pictures, plain_decode, turn_mp4, write_clip, write_flat
from vidrnn.errors import VideoError
from vidrnn.video import decode as decode_module
from vidrnn.video.decode import decode
from vidrnn.video.probe import Video, probe

CHOICES = ([0], [11], [3, 4, 9], list(range(12)), [0, 5, 10])


def decoded(path, indices=None):
    video = probe(path)
    wanted = np.arange(video.num_frames) if indices is None else np.array(indices, dtype=np.int64)
    return list(decode(video, wanted))


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("intra.mp4", "libx264", {"g": "1"}),
        ("long_gop.mp4", "libx264", {"g": "12", "bf": "3"}),
        ("open_gop.mkv", "libx264", {"g": "4", "bf": "2", "x264-params": "open-gop=1"}),
        ("h265.mp4", "libx265", {"g": "6", "x265-params": "log-level=none:pools=1"}),
        ("b_frames.avi", "mpeg4", {"g": "6", "bf": "2"}),
        ("b_frames_h264.avi", "libx264", {"g": "6", "bf": "2"}),
        ("plain.avi", "mpeg4", {"g": "5"}),
        ("vp9.webm", "libvpx-vp9", {"g": "6"}),
        ("lossless.mkv", "ffv1", {}),
        ("transport.ts", "libx264", {"g": "6", "bf": "2"}),
        ("program.mpg", "mpeg2video", {"g": "6", "bf": "2"}),
        ("raw.h264", "libx264", {"g": "6", "bf": "2"}),
    ],
)
def test_chosen_frames_are_bit_identical_to_choosing_from_all(tmp_path, name, codec, options):
    # x265 writes beyond its memory when pictures are smaller than this.
    path = write_clip(tmp_path / name, pictures(12, width=64, height=48), codec=codec, **options)
    everything, times = plain_decode(path), probe(path).timestamps_s
    assert len(everything) == len(times) == 12
    for indices in CHOICES:
        frames = decoded(path, indices)
        assert [frame.timestamp_s for frame in frames] == times[indices].tolist()
        for frame, index in zip(frames, indices, strict=True):
            np.testing.assert_array_equal(frame.rgb, everything[index])


def test_frames_of_a_variable_rate_clip_carry_their_own_times(tmp_path):
    irregular = [0, 40, 50, 400, 410, 1000]
    path = write_clip(tmp_path / "vfr.mp4", pictures(6), pts=irregular, time_base=Fraction(1, 1000), bf="2")
    frames = decoded(path, [1, 3, 5])
    assert [frame.timestamp_s for frame in frames] == pytest.approx([0.04, 0.4, 1.0])
    everything = plain_decode(path)
    for frame, index in zip(frames, (1, 3, 5), strict=True):
        np.testing.assert_array_equal(frame.rgb, everything[index])


def test_no_frame_asked_for_opens_no_file(tmp_path, monkeypatch):
    video = probe(write_clip(tmp_path / "a.mp4", pictures(3)))
    monkeypatch.setattr(decode_module, "open_video", None)
    assert list(decode(video, np.zeros(0, dtype=np.int64))) == []


def test_decoding_stops_after_the_last_frame_that_is_wanted(tmp_path, monkeypatch):
    """What lies behind it may be damaged, and costs time."""
    path, taken = write_clip(tmp_path / "a.mkv", pictures(12), codec="ffv1"), []
    video, honest = probe(path), decode_module.decode_all

    def counting(container, stream, *, on_progress):
        for frame in honest(container, stream, on_progress=on_progress):
            taken.append(frame.pts)
            yield frame

    monkeypatch.setattr(decode_module, "decode_all", counting)
    assert len(list(decode(video, np.array([0, 2])))) == 2
    assert taken == [0, 40, 80]


@pytest.mark.parametrize(("clockwise", "quarter_turns"), [(0, 0), (90, -1), (180, 2), (270, 1)])
def test_rotation_metadata_is_applied(tmp_path, clockwise, quarter_turns):
    path = write_clip(tmp_path / "phone.mp4", pictures(3))
    upright = plain_decode(path)
    for frame, picture in zip(decoded(turn_mp4(path, clockwise=clockwise)), upright, strict=True):
        np.testing.assert_array_equal(frame.rgb, np.rot90(picture, quarter_turns))


def test_rotation_turns_the_right_way(tmp_path):
    """A picture whose top left is white: turned by 90 degrees clockwise, its top right is."""
    picture = flat((0, 0, 0), width=32, height=48)
    picture[:16, :16] = 255
    (frame,) = decoded(turn_mp4(write_clip(tmp_path / "phone.mp4", [picture], qp="1"), clockwise=90))
    assert frame.rgb.shape == (32, 48, 3)
    assert frame.rgb[:12, -12:].min() > 200
    assert frame.rgb[:, :24].max() < 60


def test_a_mirrored_picture_is_not_turned_upside_down(tmp_path):
    path = write_clip(tmp_path / "selfie.mp4", pictures(2))
    plain = plain_decode(path)
    for frame, picture in zip(decoded(turn_mp4(path, mirror=True)), plain, strict=True):
        np.testing.assert_array_equal(frame.rgb, picture[:, ::-1])


@pytest.mark.parametrize("colour", [(200, 30, 60), (20, 180, 40), (30, 60, 220), (128, 128, 128)])
def test_colours_of_a_bt709_file_come_out_as_they_were(tmp_path, colour):
    (frame,) = decoded(write_flat(tmp_path / "hd.mp4", colour))
    assert np.abs(frame.rgb.astype(int) - colour).max() <= 3


def test_colours_of_an_untagged_file_come_out_as_they_were(tmp_path):
    (frame,) = decoded(write_clip(tmp_path / "sd.mp4", [flat((200, 30, 60))], qp="1"))
    assert np.abs(frame.rgb.astype(int) - (200, 30, 60)).max() <= 3


@pytest.mark.parametrize(("size", "matrix"), [((1280, 32), 1), ((32, 592), 1), ((1264, 576), 6), ((32, 32), 6)])
def test_an_untagged_file_has_the_matrix_that_players_take_for_its_size(tmp_path, size, matrix):
    """BT.709 from 1280 columns or above 576 rows on (mpv, libplacebo), else BT.601."""
    (frame,) = decoded(write_flat(tmp_path / "a.mp4", (200, 30, 60), matrix=matrix, tag=2, size=size))
    assert np.abs(frame.rgb.astype(int) - (200, 30, 60)).max() <= 3


@pytest.mark.parametrize(("transfer", "curve"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_named(tmp_path, transfer, curve):
    note = (
        f"is HDR ({curve}) and read without tone mapping: paler than players show it; convert it to SDR where other "
        "videos are SDR"
    )
    assert probe(write_flat(tmp_path / "a.mp4", (200, 30, 60), transfer=transfer)).notes == (note,)
    assert probe(write_flat(tmp_path / "b.mp4", (200, 30, 60))).notes == ()


def test_odd_sizes_and_one_frame(tmp_path):
    picture = pictures(1, width=33, height=25)
    (frame,) = decoded(write_clip(tmp_path / "odd.mkv", picture, codec="ffv1", pix_fmt="bgr0"))
    np.testing.assert_array_equal(frame.rgb, picture[0])
    assert frame.timestamp_s == 0.0


def test_deep_colour_is_reduced_to_eight_bits(tmp_path):
    (frame,) = decoded(write_clip(tmp_path / "deep.mp4", [flat((90, 120, 30))], pix_fmt="yuv420p10le", qp="1"))
    assert frame.rgb.dtype == np.uint8
    assert np.abs(frame.rgb.astype(int) - (90, 120, 30)).max() <= 3


def test_a_file_damaged_since_it_was_probed_names_how_far_it_came(tmp_path):
    noise = list(np.random.default_rng(0).integers(0, 256, (20, 24, 32, 3), dtype=np.uint8))
    path = write_clip(tmp_path / "a.mkv", noise, codec="ffv1")
    video = probe(path)
    cut(path, 0.3)
    with pytest.raises(VideoError) as caught:
        list(decode(video, np.arange(20)))
    assert str(caught.value) == (
        "only 5 of 20 wanted frames came out of the decoder; the file is damaged, re-encode or replace it"
    )


def test_a_decoder_error_is_a_video_error_with_its_cause_and_time(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "a.mkv", pictures(10), codec="ffv1")
    honest = decode_module._from_file

    def breaking(video, indices, **how):
        for number, item in enumerate(honest(video, indices, **how)):
            if number == 4:
                raise av.error.InvalidDataError(1094995529, "Invalid data found when processing input")
            yield item

    monkeypatch.setattr(decode_module, "_from_file", breaking)
    with pytest.raises(VideoError) as caught:
        decoded(path)
    assert str(caught.value) == (
        "decoding stopped after 0.12 s of 0.36 s: Invalid data found when processing input; "
        "the file is damaged, re-encode or replace it"
    )


def test_frames_are_gone_when_nobody_holds_them(tmp_path):
    """A frame that waits for the garbage collector keeps its pixels; beside many objects that may be for long."""
    path = turn_mp4(write_clip(tmp_path / "a.mp4", pictures(5)), clockwise=90)
    video = probe(path)
    gc.collect()
    gc.disable()
    try:
        before = sum(type(each) is av.VideoFrame for each in gc.get_objects())
        assert sum(1 for _ in decode(video, np.arange(5))) == 5
        assert sum(type(each) is av.VideoFrame for each in gc.get_objects()) == before
    finally:
        gc.enable()


def claimed(path, pts: list[int]) -> Video:
    """A video of 25 fps in milliseconds whose probe saw other packets than the decoder gives pictures."""
    real = probe(path)
    values = {**vars(real), "pts": np.array(pts), "timestamps_s": np.array(pts) / 1000}
    return Video(**values)


@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        ([0, 1, 2, 3, 4], [0, 1, 3, 4]),  # 60 shows what was shown at 40, which is there already
        ([2], [1]),  # what is on the screen at 60 appeared at 40
        ([0, 2, 4], [0, 1, 4]),
        ([1, 2], [1]),
        ([5], [4]),  # behind the last picture, the last picture stays
    ],
)
def test_a_packet_without_a_picture_shows_the_one_before_once(tmp_path, indices, expected):
    """Pictures at 0, 40, 80, 120 ms and packets at 60 and 140 that hold none: never a frame twice."""
    path = write_clip(tmp_path / "a.mkv", pictures(4), codec="ffv1")
    pts = [0, 40, 60, 80, 120, 140]
    frames = list(decode(claimed(path, pts), np.array(indices)))
    shown = {0: 0, 1: 40, 3: 80, 4: 120}
    assert [round(frame.timestamp_s * 1000) for frame in frames] == [shown[position] for position in expected]
    everything = plain_decode(path)
    for frame, position in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(frame.rgb, everything[shown[position] // 40])


def test_frames_that_come_out_late_are_not_shown_before_those_that_came_first(tmp_path, monkeypatch):
    """Damaged streams do that: times must increase all the same."""
    path = write_clip(tmp_path / "a.mkv", pictures(6), codec="ffv1")
    video, honest = probe(path), decode_module.decode_all

    def shuffled(container, stream, *, on_progress):
        frames = list(honest(container, stream, on_progress=on_progress))
        return [frames[number] for number in (1, 2, 0, 5, 3, 4)]

    monkeypatch.setattr(decode_module, "decode_all", shuffled)
    frames = list(decode(video, np.arange(6)))
    assert [round(frame.timestamp_s * 1000) for frame in frames] == [40, 80, 200]
    everything = plain_decode(path)
    for frame, position in zip(frames, (1, 2, 5), strict=True):
        np.testing.assert_array_equal(frame.rgb, everything[position])
