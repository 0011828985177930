"""Which of several streams is the video: the default one, else the largest; and pictures that are only a part."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from tests.media import pictures
from tests.tiled_pictures import write_tiles
from vidrnn.errors import VideoError
from vidrnn.video.decode import decode
from vidrnn.video.probe import probe

NOTE = "holds 2 video streams; number {} ({}) is used, the default one or the largest"
SMALL, LARGE = (32, 24), (64, 48)


def write_streams(path, *streams):
    """Streams of ten frames: (size, whether it is the default one)."""
    with av.open(str(path), "w") as container:
        made = []
        for (width, height), is_default in streams:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt, stream.thread_count = width, height, "yuv420p", 1
            stream.disposition = Disposition.default if is_default else Disposition(0)
            made.append(stream)
        for stream in made:
            for number, image in enumerate(pictures(10, width=stream.width, height=stream.height)):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize(
    ("streams", "number", "size"),
    [
        ([(SMALL, False), (LARGE, True)], 2, "64x48"),
        ([(LARGE, False), (SMALL, True)], 2, "32x24"),
        ([(SMALL, True), (LARGE, True)], 2, "64x48"),
        ([(LARGE, True), (SMALL, True)], 1, "64x48"),
    ],
)
def test_the_default_stream_else_the_largest(tmp_path, suffix, streams, number, size):
    video = probe(write_streams(tmp_path / f"two{suffix}", *streams))
    assert video.notes == (NOTE.format(number, size),)
    (frame,) = decode(video, np.array([5]))
    assert f"{frame.rgb.shape[1]}x{frame.rgb.shape[0]}" == size == f"{video.width}x{video.height}"


def test_where_nothing_is_default_the_largest_counts(tmp_path):
    """Transport streams have no such mark."""
    video = probe(write_streams(tmp_path / "two.ts", (SMALL, False), (LARGE, False)))
    assert video.notes == (NOTE.format(2, "64x48"),)


def test_of_a_moving_avif_the_frames_are_used_and_not_its_still_picture(tmp_path):
    images = [Image.fromarray(image) for image in pictures(5)]
    images[0].save(tmp_path / "a.avif", save_all=True, append_images=images[1:], duration=100)
    video = probe(tmp_path / "a.avif")
    assert video.timestamps_s == pytest.approx(np.arange(5) / 10)
    for frame, image in zip(decode(video, np.arange(5)), pictures(5), strict=True):
        assert np.abs(frame.rgb.astype(int) - image).mean() < 12


def test_a_picture_in_tiles_is_refused_by_name(tmp_path):
    path = write_tiles(tmp_path / "a.avif")
    with Image.open(path) as whole:  # a reader that puts tiles together sees both
        grey = np.asarray(whole.convert("L"))
    assert grey.shape == (64, 128) and grey[:, :60].mean() < 80 and grey[:, 70:].mean() > 170
    with pytest.raises(VideoError, match=r"^is one picture in 2 tiles \(HEIC or AVIF.*convert it to JPEG or PNG$"):
        probe(path)
