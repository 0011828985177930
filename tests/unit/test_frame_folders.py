"""Which pictures of a folder are the frames of one video: by their names, in numeric order, or an error."""

import os
from pathlib import Path

import pytest

from vidrnn.errors import ConfigError, VideoError
from vidrnn.frame_folders import list_frames
from vidrnn.settings.base import validate
from vidrnn.settings.features import FeatureSettings


def folder_of(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).write_bytes(b"never opened")
    return path


def refusal(folder: Path, template: str | None = None) -> str:
    with pytest.raises(VideoError) as caught:
        list_frames(folder, template=template)
    return str(caught.value)


@pytest.mark.parametrize(
    "names",
    [
        ("img_00001.jpg", "img_00002.jpg", "img_00010.jpg"),
        ("frame_9.png", "frame_10.png", "frame_100.png"),
        ("0.jpeg", "1.jpeg", "20.jpeg"),
        ("cam2-0007.webp", "cam2-0008.webp", "cam2-0009.webp"),
        ("f (1).bmp", "f (2).bmp", "f (12).bmp"),
        ("1_small.tif", "2_small.tif", "10_small.tif"),
        ("a9.JPG", "a10.jpg", "a11.Jpg"),
    ],
)
def test_any_numbered_names_are_taken_in_numeric_order(tmp_path, names):
    found = list_frames(folder_of(tmp_path, *sorted(names, reverse=True)))
    assert [path.name for path in found.paths] == list(names)
    assert list(found.numbers) == sorted(found.numbers)


def test_a_missing_number_is_counted_and_other_pictures_are_left_out(tmp_path):
    found = list_frames(folder_of(tmp_path, "img_3.jpg", "img_4.jpg", "img_7.jpg", "cover.jpg", "poster.png", "a.txt"))
    assert (found.numbers, found.missing, found.left_out) == ((3, 4, 7), 2, 2)


def test_hidden_files_folders_and_what_is_no_file_are_no_pictures(tmp_path):
    folder_of(tmp_path, "img_1.jpg", "._img_1.jpg", "._img_2.jpg", "Thumbs.db")
    (tmp_path / "img_2.jpg").mkdir()
    os.mkfifo(tmp_path / "img_3.jpg")
    (tmp_path / "img_4.jpg").symlink_to("/dev/zero")
    (tmp_path / "img_5.jpg").symlink_to(tmp_path / "img_1.jpg")
    found = list_frames(tmp_path)
    assert (found.numbers, found.left_out) == ((1, 5), 0)


def test_several_series_are_refused_until_a_template_names_one(tmp_path):
    folder_of(tmp_path, *(f"{kind}_0000{number}.jpg" for kind in ("flow_x", "flow_y", "img") for number in (1, 2)))
    assert refusal(tmp_path) == (
        "holds 3 series of pictures (2 as 'img_00001.jpg', 2 as 'flow_y_00001.jpg', 2 as 'flow_x_00001.jpg'); say "
        "which are the frames with features.frame_template, for instance 'img_{:05}.jpg'"
    )
    for template in ("img_{:05}.jpg", "img_{:05d}.jpg", "img_{}.jpg"):
        found = list_frames(tmp_path, template=template)
        assert [path.name for path in found.paths] == ["img_00001.jpg", "img_00002.jpg"]
        assert found.left_out == 0
    assert refusal(tmp_path, "image_{}.jpg").startswith("is a folder without a picture named as 'image_{}.jpg' (6 pict")


def test_two_suffixes_are_two_series(tmp_path):
    assert "holds 2 series" in refusal(folder_of(tmp_path, "1.jpg", "2.jpg", "1.png"))


def test_two_pictures_of_one_number_are_refused(tmp_path):
    assert refusal(folder_of(tmp_path, "f_1.png", "f_01.png")) == (
        "has two pictures of number 1: f_01.png and f_1.png; keep one"
    )


def test_a_folder_without_numbered_pictures_is_no_video(tmp_path):
    message = (
        "is a folder without numbered pictures such as img_00001.jpg ({} pictures in it); a video is a file, or a "
        "folder that holds its frames"
    )
    assert refusal(tmp_path) == message.format(0)
    assert refusal(folder_of(tmp_path, "cover.jpg", "a.mp4", "7.txt")) == message.format(1)


@pytest.mark.parametrize("template", ["img.jpg", "img_{}_{}.jpg", "a/{}.jpg", "img_{:05}.mp4", "img_{:x}.jpg", "{}"])
def test_a_template_that_is_none_is_refused_where_it_is_set(template):
    with pytest.raises(ConfigError) as caught:
        validate(FeatureSettings, {"frame_template": template})
    assert f"features.frame_template: {template!r} must be the name of a picture with the number in braces" in str(
        caught.value
    )


@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan"), "25 fps"])
def test_a_frame_rate_is_a_positive_number(rate):
    with pytest.raises(ConfigError):
        validate(FeatureSettings, {"frame_rate": rate})
