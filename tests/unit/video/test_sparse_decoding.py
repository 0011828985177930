"""Decoding only what the wanted frames need gives, to the bit, what decoding everything gives."""

from dataclasses import replace

import av
import numpy as np
import pytest

from tests.media import Image, write_clip
from vidrnn.errors import VideoError
from vidrnn.video import decode as decode_module
from vidrnn.video import sparse
from vidrnn.video.decode import decode
from vidrnn.video.packets import PacketIndex
from vidrnn.video.plan import plan
from vidrnn.video.probe import Video, probe
from vidrnn.video.sampling import Sampling

SAMPLINGS = [
    *(Sampling(kind="uniform", count=count) for count in (1, 3, 8)),
    Sampling(kind="fps", rate=1.0),
    Sampling(kind="every", stride=7),
]
X264 = "x264-params"
X265, QUIET = "x265-params", "log-level=none:pools=1"
FAST = {"deadline": "realtime", "cpu-used": "8"}
CLIPS = [
    *(
        (f"{g}_{bf}.mp4", "libx264", {"g": g, "bf": bf, "sc_threshold": "0"})
        for g in ("1", "12", "50", "250")
        for bf in ("0", "3")
    ),
    ("h264.mkv", "libx264", {"g": "12", "bf": "3"}),
    ("h264.ts", "libx264", {"g": "12", "bf": "3"}),
    ("h264.flv", "libx264", {"g": "12", "bf": "3"}),
    ("open_gop.mp4", "libx264", {"g": "12", "bf": "5", X264: "open-gop=1:b-adapt=0"}),
    ("refresh.mp4", "libx264", {"g": "12", "bf": "0", X264: "intra-refresh=1:scenecut=0"}),
    ("references.mp4", "libx264", {"g": "20", "bf": "4", X264: "ref=6:b-pyramid=strict"}),
    ("interlaced.mp4", "libx264", {"g": "12", "bf": "2", X264: "interlaced=1"}),
    ("open.mp4", "libx265", {"g": "12", X265: f"{QUIET}:open-gop=1:bframes=4"}),
    ("closed.mkv", "libx265", {"g": "12", X265: f"{QUIET}:open-gop=0"}),
    ("headers.ts", "libx265", {"g": "12", X265: f"{QUIET}:repeat-headers=1"}),
    ("levels.mkv", "libx265", {"g": "24", X265: f"{QUIET}:temporal-layers=2:bframes=3"}),
    ("radl.mp4", "libx265", {"g": "24", X265: f"{QUIET}:radl=2:bframes=3"}),
    ("no_b.avi", "mpeg4", {"g": "12"}),
    ("b.avi", "mpeg4", {"g": "12", "bf": "2"}),
    ("b.mp4", "mpeg4", {"g": "12", "bf": "2", "flags": "+qpel+mv4"}),
    ("fields.mp4", "mpeg4", {"g": "12", "bf": "2", "flags": "+ildct+ilme"}),
    *((f"b.{ext}", "mpeg2video", {"g": "12", "bf": "2"}) for ext in ("mpg", "ts", "mp4", "mkv")),
    ("fields.mkv", "mpeg2video", {"g": "12", "bf": "2", "flags": "+ildct+ilme"}),
    ("b1.mpg", "mpeg1video", {"g": "12", "bf": "2"}),
    ("eight.webm", "libvpx", {"g": "12", **FAST}),
    ("eight_hidden.webm", "libvpx", {"g": "30", "auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "5"}),
    ("nine.webm", "libvpx-vp9", {"g": "12", **FAST}),
    ("nine_hidden.webm", "libvpx-vp9", {"g": "30", "auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "5"}),
    ("one.mkv", "libsvtav1", {"g": "12", "preset": "12"}),
    ("forward.mp4", "libsvtav1", {"g": "16", "preset": "12", "svtav1-params": "irefresh-type=1"}),
    *((f"jpeg.{ext}", "mjpeg", {"pix_fmt": "yuvj420p"}) for ext in ("avi", "mov", "mkv")),
    ("best_tables.mov", "mjpeg", {"pix_fmt": "yuvj420p", "huffman": "optimal"}),
    ("prores.mov", "prores", {"pix_fmt": "yuv422p10le"}),
    ("huffyuv.avi", "huffyuv", {"pix_fmt": "yuv422p"}),
    ("raw.mov", "rawvideo", {"pix_fmt": "rgb24"}),
    ("lossless.mkv", "ffv1", {}),
    ("palette.gif", "gif", {"pix_fmt": "rgb8"}),
]
FROM_THE_START = {
    *("b.avi", "lossless.mkv", "palette.gif"),  # no times of their own, or nothing known about the codec
    *("250_0.mp4", "forward.mp4", "refresh.mp4"),  # one entry and every frame needed by the next: nothing to save
    "fields.mp4",  # MPEG-4 in fields
}


def moving(count: int, *, width: int = 64, height: int = 48) -> list[Image]:
    """A texture that moves, so that predicted frames hold real references, with a mark that tells frames apart."""
    texture = np.random.default_rng(0).integers(60, 190, (height, 3 * width, 3), dtype=np.uint8)
    frames = [texture[:, 2 * (number % width) :][:, :width].copy() for number in range(count)]
    for number, frame in enumerate(frames):
        frame[:6, :6] = 7 * number % 256
        frame[number % height] = 255
    return frames


def reference(path) -> dict[int | None, Image]:
    """Every frame of the file by its time, decoded from the start by PyAV at its simplest."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_count = 1  # how holes are filled depends on which thread comes first
        return {frame.pts: frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)}


def choices(video: Video) -> list[np.ndarray]:
    """The samplings, each frame alone, and some frames at random."""
    rng, total = np.random.default_rng(1), video.num_frames
    at_random = [np.sort(rng.choice(total, size=min(4, total), replace=False)) for _ in range(8)]
    sampled = [sampling.select(video.timestamps_s) for sampling in SAMPLINGS]
    return [*sampled, *(np.array([index]) for index in range(0, total, 3)), *at_random]


def assert_equal_to_plain(path, video: Video) -> None:
    if video.pts is None:
        everything = list(decode(replace(video, packets=None), np.arange(video.num_frames)))
        expected = [frame.rgb for frame in everything]
    else:
        by_time = reference(path)
        expected = [by_time[int(time)] for time in video.pts]
    for indices in choices(video):
        frames = list(decode(video, indices))
        assert [frame.timestamp_s for frame in frames] == video.timestamps_s[indices].tolist()
        for frame, index in zip(frames, indices, strict=True):
            np.testing.assert_array_equal(frame.rgb, expected[index], err_msg=f"frame {index} of {indices}")


@pytest.mark.parametrize("seek", [False, True], ids=["read on", "seek"])
@pytest.mark.parametrize(("name", "codec", "options"), CLIPS, ids=[f"{codec}-{name}" for name, codec, _ in CLIPS])
def test_the_same_pictures_at_the_same_times(tmp_path, monkeypatch, name, codec, options, seek):
    path = write_clip(tmp_path / name, moving(64), codec=codec, **options)
    monkeypatch.setattr(sparse, "_SEEK_PACKETS", 2 if seek else 10**6)
    video, plain = probe(path), []
    assert_equal_to_plain(path, video)
    honest = decode_module._from_the_start
    monkeypatch.setattr(
        decode_module, "_from_the_start", lambda *args, **rest: plain.append(1) or honest(*args, **rest)
    )
    assert len(list(decode(video, SAMPLINGS[1].select(video.timestamps_s)))) == 3
    assert bool(plain) == (name in FROM_THE_START), "decoded from the start, or not, against expectation"


def copied(source, target, change):
    """Write the packets of a file into another one after ``change(number, packet)``."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for number, packet in enumerate(packet for packet in old.demux(video=0) if packet.size):
            change(number, packet)
            packet.stream = stream
            new.mux(packet)
    return target


@pytest.mark.parametrize(("codec", "options"), [("mpeg4", {}), ("libx265", {X265: QUIET})])
def test_key_frames_that_are_only_claimed_are_not_believed(tmp_path, codec, options):
    """A container can call any packet a key frame; the coded picture says otherwise."""

    def claim(_number, packet):
        packet.is_keyframe = True

    honest = write_clip(tmp_path / "a.mp4", moving(48), codec=codec, g="24", **options)
    lying = copied(honest, tmp_path / "lying.mp4", claim)
    with av.open(str(lying)) as container:
        assert all(packet.is_keyframe for packet in container.demux(video=0) if packet.size)
    video = probe(lying)
    assert video.packets.entry.sum() == probe(honest).packets.entry.sum() < 8
    assert_equal_to_plain(lying, video)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video", "mpeg4"])
def test_dispensable_frames_are_those_that_the_decoder_says_are_b_frames(tmp_path, codec):
    """With B-frames that are no references (the encoders' choice here), the two are the same."""
    options = {X264: "b-pyramid=none"} if codec == "libx264" else {}
    options |= {X265: f"{QUIET}:b-pyramid=0:bframes=2"} if codec == "libx265" else {}
    path = write_clip(tmp_path / "a.mp4", moving(40), codec=codec, g="12", bf="2", **options)
    packets = probe(path).packets
    with av.open(str(path)) as container:
        kinds = {frame.pts: frame.pict_type for frame in container.decode(video=0)}
    b_frames = [kinds[int(time)] == av.video.frame.PictureType.B for time in packets.pts]
    assert packets.droppable.tolist() == b_frames
    assert 10 < sum(b_frames) < 30


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_what_lies_between_far_apart_frames_is_not_even_read(tmp_path, name):
    path = write_clip(tmp_path / name, moving(600, width=32, height=24), codec="mpeg4", g="10")
    read = []
    frames = decode(probe(path), np.array([5, 305, 595]), on_progress=lambda: read.append(1))
    assert len(list(frames)) == 3
    assert len(read) < 40


def test_a_file_that_is_another_one_by_now_is_decoded_from_the_start(tmp_path):
    """The index of the old file says nothing about it."""
    path = write_clip(tmp_path / "a.mp4", moving(48), g="6", bf="2")
    video = probe(path)
    write_clip(path, moving(48)[::-1], g="17", bf="0")
    new = reference(path)
    for indices in choices(video):
        for frame, index in zip(decode(video, indices), indices, strict=True):
            np.testing.assert_array_equal(frame.rgb, new[int(video.pts[index])])


def damaged(path, *, number: int, start: int) -> None:
    """Overwrite a packet from one of its bytes on."""
    with av.open(str(path)) as container:
        packet = bytes([packet for packet in container.demux(video=0) if packet.size][number])
    assert path.read_bytes().count(packet) == 1
    path.write_bytes(path.read_bytes().replace(packet, packet[:start] + b"\xff" * (len(packet) - start)))


def test_damage_that_no_wanted_frame_needs_does_no_harm(tmp_path):
    """Frames that hang on other key frames come out right; those that need the damaged part fail as they did."""
    path = write_clip(tmp_path / "a.mkv", moving(60), g="20", bf="0", sc_threshold="0")
    intact = reference(path)
    damaged(path, number=25, start=0)
    with pytest.raises(av.error.InvalidDataError):
        reference(path)
    video = probe(path)
    for frame, index in zip(decode(video, np.array([3, 45, 59])), (3, 45, 59), strict=True):
        np.testing.assert_array_equal(frame.rgb, intact[int(video.pts[index])])
    with pytest.raises(VideoError, match=r"decoding stopped after 0\.12 s of 2\.36 s: Invalid data .*is damaged"):
        list(decode(video, np.array([3, 30, 59])))


@pytest.mark.parametrize("number", [0, 20, 25])
def test_damage_that_the_decoder_hides_looks_the_same(tmp_path, number):
    """FFmpeg fills the hole from what it decoded before, so what was decoded before must be the same."""
    path = write_clip(tmp_path / "a.mkv", moving(60), g="20", bf="0", sc_threshold="0")
    intact = reference(path)
    damaged(path, number=number, start=800 if number == 0 else 60)
    patched = reference(path)
    assert any(not np.array_equal(patched[time], intact[time]) for time in patched)
    assert_equal_to_plain(path, probe(path))


def stream_of(rng) -> PacketIndex:
    """A made-up stream: groups that start with an entry, some led up to by frames that need the group before."""
    times, entries, droppable = [], [], []
    latest = 0
    for group in range(int(rng.integers(1, 6))):
        references = int(rng.integers(1, 12))
        for number in range(references):
            between = int(rng.integers(0, 3)) if group or number else 0
            latest += between + 1
            times += [latest, *range(latest - between, latest)]
            entries += [number == 0, *[False] * between]
            droppable += [False, *[True] * between]
    count = len(times)
    return PacketIndex(
        pts=np.array(times),
        size=np.ones(count, np.int64),
        shown=np.ones(count, bool),
        entry=np.array(entries),
        droppable=np.array(droppable),
        reorder_depth=2,
    )


def test_a_plan_sends_what_is_needed_and_hardly_more():
    """Against the definition: a frame needs all between its last entry and itself that is not droppable."""
    rng, planned = np.random.default_rng(0), 0
    for _ in range(500):
        index = stream_of(rng)
        wanted = np.sort(rng.choice(index.pts, size=min(len(index), int(rng.integers(1, 6))), replace=False)).tolist()
        runs = plan(index, wanted)
        if runs is None:
            continue
        planned += 1
        assert [time for run in runs for time in run.wanted] == wanted
        minimum: set[int] = set()
        for run in runs:
            for time in run.wanted:
                place, first = index.pts.tolist().index(time), int(run.send[0])
                assert first == 0 or (index.entry[first] and index.pts[first] <= time)
                needed = [each for each in range(first, place) if not index.droppable[each]]
                assert {*needed, place} <= set(run.send.tolist())
                own = max(
                    (each for each in range(place + 1) if index.entry[each] and index.pts[each] <= time), default=0
                )
                minimum |= {each for each in needed if each >= own} | {place}
        sent = [int(each) for run in runs for each in run.send]
        assert sent == sorted(set(sent))
        assert len(sent) <= len(minimum) + len(runs) * 2 + len(wanted)
    assert planned > 200


def test_a_single_frame_that_nobody_needs_is_not_sent():
    """Between entries, where a decoder may start afresh: so every frame of intra-coded video that is not wanted."""
    count = 12
    index = PacketIndex(
        pts=np.arange(count),
        size=np.ones(count, np.int64),
        shown=np.ones(count, bool),
        entry=np.ones(count, bool),
        droppable=np.zeros(count, bool),
        reorder_depth=0,
    )
    wanted = [0, 1, 3, 4, 6, 7, 9, 10]
    runs = plan(index, wanted)
    assert [int(place) for run in runs for place in run.send] == wanted


def test_a_plan_is_made_only_where_it_saves_something_and_knows_every_frame():
    index = stream_of(np.random.default_rng(1))
    assert plan(index, sorted(index.pts.tolist())) is None
    assert plan(index, []) is None
    assert plan(index, [int(index.pts.max()) + 1]) is None
