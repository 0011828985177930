"""What is in a file and when its frames are shown; a file that gives nothing says why."""

from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

from tests.media import cut, pictures, plain_decode, write_audio, write_clip
from vidrnn.errors import VideoError
from vidrnn.video import probe as probe_module
from vidrnn.video.decode import decode
from vidrnn.video.probe import probe

MILLISECONDS = Fraction(1, 1000)


def refusal(path) -> str:
    with pytest.raises(VideoError) as caught:
        probe(path)
    return str(caught.value)


def noise(count: int):
    """Pictures that do not compress, so that cutting a file cuts pictures."""
    return list(np.random.default_rng(0).integers(0, 256, (count, 24, 32, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "ffv1"), ("a.webm", "libvpx-vp9"), ("a.ts", "libx264"), ("a.mpg", "mpeg2video")],
)
def test_times_are_presentation_times_in_every_container(tmp_path, name, codec):
    video = probe(write_clip(tmp_path / name, pictures(12), codec=codec, g="6"))
    assert video.timestamps_s == pytest.approx(np.arange(12) / 25, abs=1e-3)
    assert (video.width, video.height, video.num_frames, video.notes) == (32, 24, 12, ())
    assert video.duration_s == pytest.approx(12 / 25, abs=2e-3)


@pytest.mark.parametrize("name", ["vfr.mp4", "vfr.mkv"])
def test_variable_frame_rate_keeps_each_frames_own_time(tmp_path, name):
    irregular = [0, 40, 50, 400, 410, 1000]
    video = probe(write_clip(tmp_path / name, pictures(6), pts=irregular, time_base=MILLISECONDS))
    assert video.timestamps_s.tolist() == pytest.approx([time / 1000 for time in irregular], abs=1e-9)


@pytest.mark.parametrize("name", ["late.mkv", "late.mp4"])
def test_video_that_starts_after_the_sound_starts_late(tmp_path, name):
    pts = [500, 540, 580]
    video = probe(write_clip(tmp_path / name, pictures(3), pts=pts, time_base=MILLISECONDS, audio_from_s=0.0))
    assert video.has_audio
    assert video.timestamps_s.tolist() == pytest.approx([0.5, 0.54, 0.58], abs=1e-3)


@pytest.mark.parametrize("name", ["offset.mkv", "offset.ts"])
def test_a_container_that_starts_late_as_a_whole_starts_at_exactly_zero(tmp_path, name):
    pts = [5007, 5040, 5080, 5110, 5150, 5190, 5230, 5270]
    video = probe(write_clip(tmp_path / name, pictures(8), pts=pts, time_base=MILLISECONDS))
    assert video.timestamps_s[0] == 0.0
    assert video.timestamps_s.tolist() == pytest.approx([(each - 5007) / 1000 for each in pts], abs=1e-4)


@pytest.mark.parametrize(("codec", "depth"), [("mpeg4", "0"), ("mpeg4", "2"), ("libx264", "0"), ("libx264", "2")])
def test_avi_which_stores_no_presentation_times_has_all_frames_in_order(tmp_path, codec, depth):
    path = write_clip(tmp_path / "b_frames.avi", pictures(20), codec=codec, bf=depth, g="10")
    video = probe(path)
    assert video.num_frames == len(plain_decode(path)) == 20
    assert np.diff(video.timestamps_s) == pytest.approx(np.full(19, 0.04))


def test_a_raw_stream_without_times_is_counted_by_its_rate_and_says_so(tmp_path):
    video = probe(write_clip(tmp_path / "raw.h264", pictures(9), bf="2"))
    assert video.timestamps_s.tolist() == pytest.approx([number / 25 for number in range(9)])
    assert video.notes == ("frames carry no usable times; taken as 25 per second",)
    assert video.pts is None


@pytest.mark.parametrize("broken", [[None, 1, 2, 3, 4], [0, 1, 1, 2, 3], [-(2**62), 1, 2, 3, 2**62]])
def test_packets_without_a_time_or_with_the_same_time_are_not_believed(tmp_path, monkeypatch, broken):
    """Nor are times centuries apart. Then the frames are counted by decoding, which asks nothing of the packets."""
    path = write_clip(tmp_path / "a.mkv", pictures(5), codec="ffv1")

    class Packets:
        """A container whose packets claim other times."""

        def __init__(self, container):
            self.format = container.format

        def demux(self, _stream):
            plain = {"size": 1, "is_discard": False, "pos": None, "iter_sidedata": lambda: iter(())}
            return [SimpleNamespace(pts=pts, dts=pts, **plain) for pts in broken]

    honest = probe_module.list_packets
    monkeypatch.setattr(
        probe_module, "list_packets", lambda container, stream, **rest: honest(Packets(container), stream, **rest)
    )
    video = probe(path)
    assert video.timestamps_s.tolist() == pytest.approx([0.0, 0.04, 0.08, 0.12, 0.16])
    assert video.packets is None


def test_one_frame_lasts_one_period(tmp_path):
    video = probe(write_clip(tmp_path / "one.mp4", pictures(1)))
    assert (video.num_frames, video.timestamps_s.tolist(), video.duration_s) == (1, [0.0], pytest.approx(0.04))


def test_odd_sizes_are_reported_as_they_are(tmp_path):
    video = probe(write_clip(tmp_path / "odd.mkv", pictures(2, width=33, height=25), codec="ffv1", pix_fmt="yuv444p"))
    assert (video.width, video.height) == (33, 25)


@pytest.mark.parametrize(
    "name", ["http:x.mp4", "concat:a|b.mp4", 'it\'s a "clip" ünï 100%20 #1?.mp4', "frame%03d.mp4", "-i.mp4"]
)
def test_a_strange_name_is_only_a_local_file(tmp_path, monkeypatch, name):
    path = write_clip(tmp_path / name, pictures(2))
    assert probe(path).num_frames == 2
    monkeypatch.chdir(tmp_path)
    assert probe(type(path)(name)).num_frames == 2


@pytest.mark.parametrize(("name", "codec", "claim"), [("a.mkv", "libx264", 0), ("a.ts", "libx264", 0)])
def test_a_file_that_was_cut_off_gives_the_frames_that_it_holds(tmp_path, name, codec, claim):
    video = probe(cut(write_clip(tmp_path / name, noise(40), codec=codec, g="5"), 0.5))
    assert 10 <= video.num_frames <= 25
    assert video.num_frames_from_header == claim


def test_a_header_that_claims_more_frames_is_noted(tmp_path):
    video = probe(cut(write_clip(tmp_path / "a.avi", noise(40), codec="mpeg4", g="5"), 0.5))
    assert video.num_frames < 36
    assert video.notes == (f"header claims 40 frames, the file holds {video.num_frames}",)


def test_a_cut_off_mp4_has_no_index_and_cannot_be_opened(tmp_path):
    path = cut(write_clip(tmp_path / "a.mp4", pictures(10)), 0.5)
    size = path.stat().st_size
    assert refusal(path) == f"cannot be opened as a video ({size} bytes): Invalid data found when processing input"


def test_audio_only(tmp_path):
    assert refusal(write_audio(tmp_path / "a.mp4")) == "has no video stream (it holds: audio)"


def test_the_cover_picture_of_a_music_file_is_no_video(tmp_path):
    message = refusal(write_audio(tmp_path / "a.mp4", cover=True))
    assert message == "has no video stream (it holds: a cover picture, audio)"


def test_an_empty_file_and_a_text_file(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("these are not the frames you are looking for\n" * 9)
    assert refusal(tmp_path / "empty.mp4") == "cannot be opened as a video (0 bytes): the file is empty; replace it"
    invalid = "Invalid data found when processing input"
    assert refusal(tmp_path / "text.mp4") == f"cannot be opened as a video (405 bytes): {invalid}"


def test_a_missing_file(tmp_path):
    assert refusal(tmp_path / "gone.mp4") == "does not exist; correct its path, or put the file there"


def test_no_frames_at_all(tmp_path):
    path = tmp_path / "none.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        container.start_encoding()
    assert refusal(path) == "holds no frame; the file is empty or was cut off before its first picture"


def test_an_unknown_codec(tmp_path):
    path = write_clip(tmp_path / "a.mkv", pictures(2))
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/XXX"))
    expected = "is in a codec that this build of FFmpeg cannot decode; re-encode it, for example to H.264"
    assert refusal(path) == expected


def test_a_stream_that_appears_on_the_way_does_no_harm(tmp_path, monkeypatch):
    """PyAV looks for its last packets in a list that was made before: an IndexError, or not, as memory has it."""
    silent = write_clip(tmp_path / "silent.ts", pictures(6)).read_bytes()
    loud = write_clip(tmp_path / "loud.ts", pictures(6), pts=range(10, 16), audio_from_s=0.4).read_bytes()
    (tmp_path / "both.ts").write_bytes(silent + loud)
    assert probe(tmp_path / "both.ts").num_frames == 12

    class Late:
        """A container that ends as PyAV's does then."""

        def __init__(self, container):
            self.format, self.packets = container.format, container.demux(video=0)

        def demux(self, _stream):
            yield from self.packets
            raise IndexError("list index out of range")

    honest = probe_module.list_packets
    monkeypatch.setattr(
        probe_module, "list_packets", lambda container, stream, **rest: honest(Late(container), stream, **rest)
    )
    assert probe(tmp_path / "silent.ts").num_frames == 6


def test_times_that_count_from_1970_are_as_exact_as_those_from_zero():
    """In nanoseconds they are larger than what float64 holds exactly."""
    since_1970 = 1_700_000_000 * 10**9 + 12_345_678
    pts = since_1970 + np.array([0, 40, 80, 120], dtype=np.int64) * 10**6
    times = probe_module._seconds(pts, unit_s=1e-9, start_s=since_1970 * 1e-9)
    assert times.tolist() == pytest.approx([0.0, 0.04, 0.08, 0.12], abs=1e-12)


def test_times_that_floats_cannot_tell_apart_are_not_used():
    assert probe_module._seconds(np.array([0, 1, 2]), unit_s=1e-9, start_s=-1e12) is None
    assert probe_module._seconds(np.zeros(0, np.int64), unit_s=1e-9, start_s=0.0).tolist() == []


@pytest.mark.parametrize("claim", [None, Fraction(0), Fraction(-25), float("nan"), float("inf"), float("-inf")])
def test_nonsense_rates_and_units_count_as_none(claim):
    assert probe_module._positive(claim) == 0.0
    assert probe_module._positive(Fraction(30000, 1001)) == 30000 / 1001


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("b.avi", "mpeg4")])
def test_progress_is_told_for_every_packet(tmp_path, name, codec):
    """Times from packets, or from decoding: who waits for a long video hears of it."""
    path, heard = write_clip(tmp_path / name, pictures(12), codec=codec, bf="2"), []
    video = probe(path, on_progress=lambda: heard.append(1))
    assert len(heard) >= 12
    before = len(heard)
    list(decode(video, np.arange(12), on_progress=lambda: heard.append(1)))
    assert len(heard) >= before + 12
