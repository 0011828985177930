"""Files that would make a reader open something else, or wait for ever: refused, and nothing else is touched."""

import os
import resource
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media import flat, pictures, write_audio, write_clip
from tests.sounds import tone, write_sound
from vidrnn.errors import VideoError
from vidrnn.video.audio import Sound
from vidrnn.video.decode import decode
from vidrnn.video.probe import probe

NO_VIDEO = "is not in a container of video"


def refusal(path: Path, *, within_s: float = 10.0) -> str:
    """The words with which a file is refused; fails when that takes long, as opening a pipe without a writer does."""
    messages: list[str] = []

    def attempt() -> None:
        try:
            probe(path)
        except VideoError as error:
            messages.append(str(error))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(timeout=within_s)
    assert not thread.is_alive(), f"{path.name} blocks"
    assert messages, f"{path.name} was read"
    return messages[0]


@contextmanager
def listener():
    """A local server that answers nobody, and the list of connections that it saw."""
    seen: list[object] = []
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.05)
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                with suppress(TimeoutError):
                    connection, address = server.accept()
                    seen.append(address)
                    connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", seen
        stop.set()
        thread.join()


@contextmanager
def watched_pipe(path: Path):
    """A named pipe, and the list of readers that opened it: a writer waits for one."""
    os.mkfifo(path)
    readers: list[int] = []

    def wait() -> None:
        descriptor = os.open(path, os.O_WRONLY)  # returns when somebody opens the other end
        readers.append(descriptor)
        os.close(descriptor)

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield readers
    finally:
        by_test = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # lets the writer go
        thread.join()
        os.close(by_test)
        readers.pop()


# What each names is put in for {target}: a pipe beside it, or an address.
PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n{target}\n#EXT-X-ENDLIST\n",
    "hls of playlists": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1280000\n{target}\n",
    "concat script": "ffconcat version 1.0\nfile '{target}'\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet mimeType='
    '"video/mp4"><Representation id="1"><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>',
    "imf": '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"><SegmentList>'
    "<Segment><Path>{target}</Path></Segment></SegmentList></CompositionPlaylist>",
    "session description": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\na=control:{target}\n"
    "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "smil": '<smil><body><video src="{target}"/></body></smil>',
    "asx": '<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
    "ram": "{target}\n",
    "subtitles": "1\n00:00:00,000 --> 00:00:01,000\n{target}\n",
    "styled subtitles": "[Script Info]\nScriptType: v4.00+\n[Events]\nDialogue: 0,0:0:0.0,0:0:1.0,,,,0,0,0,,{target}\n",
}


@pytest.mark.parametrize("suffix", ["mp4", "m3u8", "mkv", "ts"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_file_that_names_another_is_refused_and_the_other_is_never_opened(tmp_path, kind, suffix):
    with watched_pipe(tmp_path / "other.ts") as readers:
        for number, target in enumerate(("other.ts", str(tmp_path / "other.ts"), f"file:{tmp_path}/other.ts")):
            path = tmp_path / f"{number}.{suffix}"
            path.write_text(PLAYLISTS[kind].format(target=target))
            assert refusal(path).startswith((NO_VIDEO, "cannot be opened as a video"))
        assert not readers


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_file_that_names_an_address_is_refused_and_nobody_calls_there(tmp_path, kind):
    with listener() as (address, seen):
        for scheme in ("http", "tcp", "rtsp", "ftp"):
            path = tmp_path / f"{scheme}.mp4"
            path.write_text(PLAYLISTS[kind].format(target=f"{scheme}://{address}/a.ts"))
            assert refusal(path).startswith((NO_VIDEO, "cannot be opened as a video"))
        assert seen == []


def test_the_traps_of_these_tests_work(tmp_path):
    """A plain PyAV opens what the playlist names: without refusal the tests above would fail."""
    (tmp_path / "list.mp4").write_text(PLAYLISTS["concat script"].format(target="other.ts"))
    with watched_pipe(tmp_path / "other.ts") as readers:
        with pytest.raises(av.error.FFmpegError):
            av.open(str(tmp_path / "list.mp4"))
        assert len(readers) == 1
    with listener() as (address, seen):
        with pytest.raises(av.error.FFmpegError):
            av.open(f"http://{address}/a.ts")
        assert seen


def test_subtitles_whose_pictures_are_in_a_second_file_are_refused(tmp_path):
    (tmp_path / "a.idx").write_text(
        "# VobSub index file, v7 (do not modify this line!)\nsize: 720x576\nid: en, index: 0\n"
        "timestamp: 00:00:01:000, filepos: 000000000\n"
    )
    with watched_pipe(tmp_path / "a.sub") as readers:
        assert refusal(tmp_path / "a.idx").startswith(NO_VIDEO)
        assert not readers


def test_an_mp4_whose_pictures_are_in_another_file_opens_no_other_file(tmp_path):
    """A data reference (ISO/IEC 14496-12, 8.7.2; QuickTime's alias): the track says that its samples lie elsewhere."""
    path = write_clip(tmp_path / "a.mov", pictures(5), codec="mjpeg", pix_fmt="yuvj420p")
    data = path.read_bytes()
    place, name = data.index(b"url \0\0\0\1") - 4, b"others.mov"
    levels = struct.pack(">HH", 1, 1)  # up from this file, down to the other
    record = struct.pack(">HH", 2, len(name)) + name + struct.pack(">HH", 0xFFFF, 0)  # 2: a path
    alias = b"alis" + bytes(4) + bytes(10 + 28 + 12 + 64 + 16) + levels + bytes(16) + record
    path.write_bytes(_with_box_replaced(data, place, 12, struct.pack(">I", len(alias) + 4) + alias))
    with watched_pipe(tmp_path / "others.mov") as readers:
        with suppress(VideoError):
            video = probe(path)
            list(decode(video, np.arange(video.num_frames)))
        assert not readers
        with suppress(av.error.FFmpegError):  # the trap works: FFmpeg would go there if it were let
            av.open(str(path), options={"enable_drefs": "1"})
        assert len(readers) == 1


def _with_box_replaced(data: bytes, place: int, size: int, new: bytes) -> bytes:
    """Swap one box for a longer one and enlarge all boxes around it (the movie lies behind the pictures)."""
    changed = bytearray(data[:place] + new + data[place + size :])
    growth = len(new) - size
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        start = changed.rindex(name, 0, place) - 4
        changed[start : start + 4] = struct.pack(">I", struct.unpack(">I", changed[start : start + 4])[0] + growth)
    return bytes(changed)


@pytest.mark.parametrize("name", ["img%03d.png", "img%03d.jpg", "img%03d.webp", "img*.png"])
def test_a_pattern_names_no_other_pictures(tmp_path, name):
    for number in range(3):
        other = tmp_path / name.replace("%03d", f"{number:03d}").replace("*", str(number))
        write_clip(other, [flat((9, 9, 9))], codec="png", pix_fmt="rgb24", container="image2")
    assert refusal(tmp_path / name) == "does not exist; correct its path, or put the file there"
    write_clip(tmp_path / "one.mp4", pictures(2)).rename(tmp_path / name)
    with suppress(VideoError):
        assert probe(tmp_path / name).num_frames == 2
    still = write_clip(tmp_path / "one.png", [flat((0, 0, 200))], codec="png", pix_fmt="rgb24", container="image2")
    still.rename(tmp_path / name)
    with suppress(VideoError):  # a WebP by its name
        (frame,) = decode(probe(tmp_path / name), np.zeros(1, np.int64))
        assert frame.rgb[0, 0].tolist() == [0, 0, 200]


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), [("a.png", "png", "rgb24"), ("a.jpg", "mjpeg", "yuvj420p")])
def test_a_single_picture_with_the_name_of_a_video_is_no_video(tmp_path, name, codec, pix_fmt):
    path = write_clip(tmp_path / name, [flat((9, 9, 9))], codec=codec, pix_fmt=pix_fmt, container="image2")
    assert probe(path).container == "still image"
    assert refusal(path.rename(tmp_path / "picture.mp4")).startswith(NO_VIDEO)


@pytest.mark.parametrize("cover", [False, True])
def test_sound_is_no_video(tmp_path, cover):
    assert refusal(write_audio(tmp_path / "a.mp3", cover=cover)).startswith(NO_VIDEO)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "pipe.mp4")
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.mp4"))
        assert refusal(tmp_path / "folder.mp4").startswith("is a folder without numbered pictures")
        kinds = {
            "pipe.mp4": "a named pipe",
            "link.mp4": "a named pipe",
            "zero.mp4": "a device",
            "socket.mp4": "a socket",
        }
        for name, kind in kinds.items():
            assert refusal(tmp_path / name) == f"is not a regular file but {kind}; only local files are read"
    assert refusal(Path("/dev/null")) == "is not a regular file but a device; only local files are read"


def test_links_that_lead_nowhere_or_in_a_circle_and_names_that_are_none(tmp_path):
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nothing")
    (tmp_path / "circle.mp4").symlink_to(tmp_path / "circle.mp4")
    assert refusal(tmp_path / "gone.mp4") == (
        "is a link to a file that does not exist; put the file there, or correct the link"
    )
    assert refusal(tmp_path / "circle.mp4") == "cannot be looked at: Too many levels of symbolic links"
    assert refusal(tmp_path / ("a" * 300 + ".mp4")) == "cannot be looked at: File name too long"
    assert refusal(Path("a\0b.mp4")) == "cannot be looked at: embedded null byte"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = write_clip(tmp_path / "a.mp4", pictures(2))
    path.chmod(0)
    assert "Permission denied" in refusal(path)


def enlarged(path: Path, *, codec_too: bool) -> Path:
    """Let a JPEG video claim pictures of 30000x30000: in the first picture, or in the container's header as well."""
    write_clip(path, pictures(2), codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(path.read_bytes())
    place = -1
    while (place := data.find(b"\xff\xc0\0\x11\x08", place + 1)) >= 0:
        data[place + 5 : place + 9] = struct.pack(">HH", 30000, 30000)
    if codec_too:
        place = data.index(b"strf") + 12
        data[place : place + 8] = struct.pack("<ii", 30000, 30000)
    path.write_bytes(data)
    return path


DAMAGED = "the file is damaged, re-encode or replace it"
TOO_LARGE = (
    "its pictures have no known size (FFmpeg cannot decode them, as moving WebP), or more than the 67108864 pixels "
    "(8192x8192) that are decoded: re-encode or replace it"
)


@pytest.mark.parametrize(("codec_too", "advice"), [(False, DAMAGED), (True, TOO_LARGE)])
def test_a_claim_of_giant_pictures_takes_no_memory(tmp_path, codec_too, advice):
    """30000x30000 pixels would be 2.7 GB as RGB."""
    path = enlarged(tmp_path / "a.avi", codec_too=codec_too)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    video = probe(path)
    with pytest.raises(VideoError) as caught:
        list(decode(video, np.arange(video.num_frames)))
    invalid = "Invalid data found when processing input"
    assert str(caught.value) == f"decoding stopped after 0.00 s of 0.04 s: {invalid}; {advice}"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_a_container_that_claims_giant_pictures_is_refused(tmp_path):
    path = write_clip(tmp_path / "a.mov", pictures(2), codec="prores", pix_fmt="yuv422p10le")
    path.write_bytes(path.read_bytes().replace(struct.pack(">HH", 32, 24), struct.pack(">HH", 30000, 3000)))
    assert (
        refusal(path) == "claims pictures of 30000x3000; at most 67108864 pixels (8192x8192) are decoded, scale it down"
    )


ENCRYPTED = "is encrypted (DRM), and nothing here has its key; take a copy without encryption"
ENCRYPTION = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
    "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
}


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4"])
def test_an_encrypted_video_says_so(tmp_path, codec):
    """Common Encryption (ISO/IEC 23001-7): the pictures look like damage to a decoder."""
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    assert refusal(write_clip(tmp_path / "a.mp4", pictures(4), codec=codec, muxer=ENCRYPTION, **quiet)) == ENCRYPTED


def test_encrypted_sound_says_so(tmp_path):
    path = write_sound(tmp_path / "a.mp4", tone(200, 0.5), codec="aac", muxer=ENCRYPTION)
    with pytest.raises(VideoError) as caught:
        list(Sound(path, rate=16000).blocks())
    assert str(caught.value) == ENCRYPTED


def test_a_moving_webp_which_ffmpeg_cannot_decode_says_so(tmp_path):
    path = write_clip(tmp_path / "a.webp", pictures(3), codec="libwebp_anim")
    video = probe(path)
    with pytest.raises(VideoError, match=r"decoding stopped .* its pictures have no known size \(FFmpeg cannot decode"):
        list(decode(video, np.arange(video.num_frames)))
