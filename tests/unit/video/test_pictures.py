"""Folders of frames and still images: the same pixels and times as the video, and a named failure for each damage."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from tests.media import cut, flat, picture, pictures, write_clip, write_pictures
from vidrnn.errors import VideoError
from vidrnn.video.decode import Frame, decode
from vidrnn.video.probe import probe
from vidrnn.video.sampling import Sampling

TURNS = {  # what EXIF orientation 1 to 8 asks to do with the stored pixels (CIPA DC-008, 4.6.4)
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: np.rot90(np.fliplr(stored), 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(np.fliplr(stored), -1),
    8: lambda stored: np.rot90(stored, 1),
}


def frames_of(path: Path, indices=None, **options) -> list[Frame]:
    video = probe(path, **options)
    return list(decode(video, np.arange(video.num_frames) if indices is None else np.asarray(indices)))


def refusal(path: Path, **options) -> str:
    with pytest.raises(VideoError) as caught:
        frames_of(path, **options)
    return str(caught.value)


def oriented(path: Path, orientation: int) -> Path:
    """Put an EXIF block with an orientation (and a maker, as cameras do) into a PNG or JPEG."""
    entries = struct.pack("<HHI4s", 0x10F, 2, 4, b"abc\0") + struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0)
    block = b"II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4)
    data = path.read_bytes()
    if path.suffix == ".png":
        chunk = b"eXIf" + block
        data = data[:33] + struct.pack(">I", len(block)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
    else:
        data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block + data[2:]
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), [("clip.mkv", "ffv1", "bgr0"), ("clip.mov", "png", "rgb24")])
@pytest.mark.parametrize(
    "sampling", [Sampling("every", stride=1), Sampling("fps", rate=10.0), Sampling("uniform", count=4)]
)
def test_a_folder_gives_the_frames_and_times_of_the_same_lossless_video(tmp_path, name, codec, pix_fmt, sampling):
    images = pictures(12)
    folder = write_pictures(tmp_path / "clip", images)
    clip = write_clip(tmp_path / name, images, codec=codec, pix_fmt=pix_fmt)
    wanted = sampling.select(probe(clip).timestamps_s)
    from_folder, from_clip = frames_of(folder, wanted, frame_rate=25.0), frames_of(clip, wanted)
    assert [each.timestamp_s for each in from_folder] == pytest.approx([each.timestamp_s for each in from_clip])
    assert sampling.select(probe(folder, frame_rate=25.0).timestamps_s).tolist() == wanted.tolist()
    for here, there in zip(from_folder, from_clip, strict=True):
        np.testing.assert_array_equal(here.rgb, there.rgb)


def test_what_probing_a_folder_says(tmp_path):
    video = probe(write_pictures(tmp_path / "clip", pictures(6), template="frame-{}.jpg"), frame_rate=30.0)
    assert (video.container, video.codec, video.width, video.height) == ("frame folder", "mjpeg", 32, 24)
    assert (video.num_frames, video.rate_from_header, video.notes) == (6, 30.0, ())
    assert video.timestamps_s.tolist() == pytest.approx([number / 30 for number in range(6)], abs=1e-12)
    assert video.duration_s == pytest.approx(6 / 30)


def test_the_order_is_that_of_the_numbers_and_not_of_the_text(tmp_path):
    images = pictures(12)
    frames = frames_of(write_pictures(tmp_path / "clip", images, template="frame_{}.png"), frame_rate=25.0)
    for frame, image in zip(frames, images, strict=True):
        np.testing.assert_array_equal(frame.rgb, image)


def test_the_rate_decides_the_times_and_so_the_chosen_frames(tmp_path):
    folder, sampling = write_pictures(tmp_path / "clip", pictures(12)), Sampling("fps", rate=10.0)
    assert sampling.select(probe(folder, frame_rate=10.0).timestamps_s).tolist() == list(range(12))
    assert sampling.select(probe(folder, frame_rate=30.0).timestamps_s).tolist() == [0, 3, 6, 9]


def test_a_missing_number_is_a_moment_without_a_frame(tmp_path):
    folder = write_pictures(tmp_path / "clip", pictures(4), numbers=(7, 8, 10, 14))
    assert [each.timestamp_s for each in frames_of(folder, frame_rate=10.0)] == pytest.approx([0.0, 0.1, 0.3, 0.7])
    (tmp_path / "clip" / "cover.png").write_bytes(b"")
    assert probe(folder, frame_rate=10.0).notes == (
        "4 numbers between the first and the last picture are missing: gaps in time",
        "1 other pictures in the folder are left out",
    )


def test_without_a_rate_a_folder_is_refused_by_the_name_of_the_setting(tmp_path):
    assert refusal(write_pictures(tmp_path / "clip", pictures(3))) == (
        "is a folder of 3 numbered pictures, whose times nothing tells; set features.frame_rate to the pictures per "
        "second (classify: --frame-rate)"
    )


def test_only_the_wanted_pictures_are_opened(tmp_path):
    folder, images = write_pictures(tmp_path / "clip", pictures(10)), pictures(10)
    for number in range(2, 11):
        if number != 6:
            (folder / f"img_{number:05}.png").write_bytes(b"no picture")
    frames = frames_of(folder, [0, 5], frame_rate=10.0)
    np.testing.assert_array_equal([each.rgb for each in frames], [images[0], images[5]])
    with pytest.raises(VideoError, match=r"^picture img_00002\.png: "):
        frames_of(folder, [0, 1], frame_rate=10.0)


def test_pictures_of_different_sizes_keep_their_own(tmp_path):
    folder = write_pictures(tmp_path / "clip", [picture(0), picture(1, width=48, height=16), picture(2)])
    frames = frames_of(folder, frame_rate=10.0)
    assert [each.rgb.shape for each in frames] == [(24, 32, 3), (16, 48, 3), (24, 32, 3)]
    np.testing.assert_array_equal(frames[1].rgb, picture(1, width=48, height=16))
    np.testing.assert_array_equal(frames[2].rgb, picture(2))


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp", "tif"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
def test_a_picture_that_is_cut_off_fails_by_its_name(tmp_path, suffix, share):
    noise = [np.random.default_rng(number).integers(0, 255, (48, 64, 3), dtype=np.uint8) for number in range(3)]
    folder = write_pictures(tmp_path / "clip", noise, template=f"img_{{:05}}.{suffix}")
    assert len(frames_of(folder, frame_rate=10.0)) == 3
    cut(folder / f"img_00002.{suffix}", share)
    message = refusal(folder, frame_rate=10.0)
    assert message.startswith(f"picture img_00002.{suffix}: ")
    assert message.endswith("; replace it, or remove it")
    assert ("the file is empty (0 bytes)" in message) == (share == 0.0)


def test_a_picture_that_is_something_else_fails_and_opens_nothing(tmp_path):
    folder = write_pictures(tmp_path / "clip", pictures(2), template="img_{}.jpg")
    (folder / "img_2.jpg").write_text(f"#EXTM3U\n#EXTINF:1,\n{folder / 'img_1.jpg'}\n")
    assert refusal(folder, frame_rate=10.0) == (
        "picture img_2.jpg: neither JPEG, PNG, WebP, BMP, TIFF nor PNM by its content; replace it, or remove it"
    )


def test_the_content_and_not_the_suffix_says_what_a_picture_is(tmp_path):
    folder = write_pictures(tmp_path / "clip", pictures(2))
    for path in list(folder.iterdir()):
        path.rename(path.with_suffix(".jpg"))
    np.testing.assert_array_equal([each.rgb for each in frames_of(folder, frame_rate=10.0)], pictures(2))


def test_a_claim_of_giant_pictures_is_refused_before_memory_is_taken(tmp_path):
    path = write_pictures(tmp_path, [picture(0)], template="a{}.png") / "a1.png"
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 30000, 30000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)
    message = refusal(path)
    assert message.startswith("picture a1.png: ")


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_pictures_are_turned_upright_as_exif_says(tmp_path, orientation, suffix):
    folder = write_pictures(tmp_path / "clip", [picture(3)], template=f"{{}}.{suffix}")
    (stored,) = frames_of(folder, frame_rate=10.0)
    oriented(folder / f"1.{suffix}", orientation)
    (turned,) = frames_of(folder, frame_rate=10.0)
    np.testing.assert_array_equal(turned.rgb, TURNS[orientation](stored.rgb))


@pytest.mark.parametrize("orientation", TURNS)
def test_a_still_webp_is_turned_too(tmp_path, orientation):
    exif = Pillow.Exif()
    exif[0x112] = orientation
    Pillow.fromarray(picture(3)).save(tmp_path / "a.webp", lossless=True, exif=exif)
    (turned,) = frames_of(tmp_path / "a.webp")
    np.testing.assert_array_equal(turned.rgb, TURNS[orientation](picture(3)))


def test_grey_deep_and_transparent_pictures_become_rgb(tmp_path):
    grey = picture(4)[..., 0]
    colour = picture(4)
    write = {
        "grey8": grey,
        "grey16": grey.astype(np.uint16) * 257,
        "deep": colour[..., ::-1].astype(np.uint16) * 257,
        "alpha": np.dstack([colour[..., ::-1], np.zeros_like(grey)]),
    }
    for name, pixels in write.items():
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), pixels)
    read = {name: frames_of(tmp_path / f"{name}.png")[0].rgb.astype(int) for name in write}
    np.testing.assert_array_equal(read["grey8"], np.dstack([grey] * 3))
    np.testing.assert_array_equal(read["alpha"], colour)  # the colours stay where they are transparent
    assert abs(read["grey16"] - np.dstack([grey] * 3)).max() <= 1
    assert abs(read["deep"] - colour).max() <= 1


def test_palettes_and_cmyk_become_rgb(tmp_path):
    image = Pillow.fromarray(flat((200, 30, 30)))
    image.convert("P", palette=Pillow.Palette.ADAPTIVE).save(tmp_path / "palette.png")
    image.convert("CMYK").save(tmp_path / "ink.jpg", quality=95)
    for name in ("palette.png", "ink.jpg"):
        (frame,) = frames_of(tmp_path / name)
        assert abs(frame.rgb.astype(int) - flat((200, 30, 30))).max() <= 3, name


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "jpg", "jpeg", "webp"])
def test_a_still_image_is_a_video_of_one_frame_at_zero(tmp_path, suffix):
    path = write_pictures(tmp_path, [flat((200, 30, 60))], template=f"still{{}}.{suffix}") / f"still1.{suffix}"
    video = probe(path)
    (frame,) = frames_of(path)
    assert (video.num_frames, video.width, video.height, frame.timestamp_s) == (1, 32, 32, 0.0)
    assert abs(frame.rgb.astype(int) - flat((200, 30, 60))).max() <= 4


def test_an_animated_png_stays_a_video_and_a_video_called_jpg_too(tmp_path):
    moving = write_clip(tmp_path / "moving.png", pictures(3), codec="apng", pix_fmt="rgb24", container="apng")
    assert probe(moving).num_frames == 3
    clip = write_clip(tmp_path / "clip.mp4", pictures(5))
    assert probe(clip.rename(tmp_path / "clip.jpg")).num_frames == 5


def test_a_still_image_that_is_empty_or_cut_fails(tmp_path):
    path = write_pictures(tmp_path, [picture(0)], template="{}.jpg") / "1.jpg"
    cut(path, 0.6)
    assert refusal(path).startswith("picture 1.jpg: ")
    path.write_bytes(b"")
    assert refusal(path) == "cannot be opened as a video (0 bytes): the file is empty; replace it"


def tiled_tiff(path: Path, rgb: np.ndarray, *, edge: int = 16) -> Path:
    """TIFF 6.0, section 15: tiles without compression, as scanners and microscopes write them."""
    height, width = rgb.shape[:2]
    tiles = [rgb[y : y + edge, x : x + edge].tobytes() for y in range(0, height, edge) for x in range(0, width, edge)]
    size, count = len(tiles[0]), len(tiles)
    offsets = struct.pack(f"<{count}I", *(8 + size * number for number in range(count)))
    sizes, bits = struct.pack(f"<{count}I", *[size] * count), struct.pack("<4H", 8, 8, 8, 0)
    end = 8 + size * count
    places = end, end + len(offsets), end + len(offsets) + len(sizes)
    entries = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, places[2]), (259, 3, 1, 1), (262, 3, 1, 2)]
    entries += [
        (277, 3, 1, 3),
        (322, 3, 1, edge),
        (323, 3, 1, edge),
        (324, 4, count, places[0]),
        (325, 4, count, places[1]),
    ]
    listed = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    head = b"II*\0" + struct.pack("<I", places[2] + len(bits))
    path.write_bytes(head + b"".join(tiles) + offsets + sizes + bits + listed)
    return path


@pytest.mark.parametrize("kind", ["RGB", "L", "CMYK"])
def test_tiff_with_jpeg_inside_is_the_picture_and_not_black(tmp_path, kind):
    image = picture(3, width=64, height=48)
    Pillow.fromarray(image).convert(kind).save(tmp_path / "a.tif", compression="jpeg", quality=95)
    (frame,) = frames_of(tmp_path / "a.tif")
    expected = np.asarray(Pillow.fromarray(image).convert(kind).convert("RGB")).astype(int)
    assert np.abs(frame.rgb - expected).mean() < 8
    assert probe(tmp_path / "a.tif").codec == "tiff"


def test_tiff_in_tiles_is_the_picture_and_not_black(tmp_path):
    image = picture(3, width=64, height=48)
    (frame,) = frames_of(tiled_tiff(tmp_path / "a.tif", image))
    np.testing.assert_array_equal(frame.rgb, image)


def test_tiff_of_brightness_and_colour_has_its_colours(tmp_path):
    image = np.asarray(Pillow.fromarray(picture(3, width=64, height=48)).convert("YCbCr").convert("RGB"))
    Pillow.fromarray(image).convert("YCbCr").save(tmp_path / "a.tif")
    (frame,) = frames_of(tmp_path / "a.tif")
    assert np.abs(frame.rgb.astype(int) - image).max() <= 3


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK"])
def test_tiff_of_any_kind_is_what_libtiff_reads(tmp_path, compression, mode):
    Pillow.fromarray(picture(3, width=64, height=48)).convert(mode).save(tmp_path / "a.tif", compression=compression)
    (frame,) = frames_of(tmp_path / "a.tif")
    with Pillow.open(tmp_path / "a.tif") as image:
        assert np.abs(frame.rgb.astype(int) - np.asarray(image.convert("RGB"))).max() <= 1


def test_damaged_tiff_and_samples_that_have_no_eight_bits_are_named(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    Pillow.fromarray(image).save(tmp_path / "a.tif", compression="jpeg", quality=95)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[200:-600] = bytes(len(data) - 800)
    (tmp_path / "a.tif").write_bytes(data)
    assert refusal(tmp_path / "a.tif").startswith("picture a.tif: ")
    Pillow.fromarray(image[..., 0].astype(np.float32)).save(tmp_path / "b.tif", compression="zstd")
    assert refusal(tmp_path / "b.tif") == (
        "picture b.tif: holds samples of a kind that is not read (F); save it with 8 bits per sample; replace it, or "
        "remove it"
    )
    Pillow.new("1", (8200, 8200)).save(tmp_path / "c.tif", compression="zstd")
    assert "8200x8200, more than the" in refusal(tmp_path / "c.tif")


def test_a_turned_tiff_with_jpeg_inside_is_upright(tmp_path):
    image = picture(3, width=64, height=48)
    Pillow.fromarray(image).save(tmp_path / "a.tif", compression="jpeg", quality=95, tiffinfo={274: 6})
    (frame,) = frames_of(tmp_path / "a.tif")
    assert frame.rgb.shape == (64, 48, 3)
    assert np.abs(frame.rgb.astype(int) - np.rot90(image, -1)).mean() < 8
