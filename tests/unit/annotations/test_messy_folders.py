"""Folders as people have them: links, spellings of splits, files of all kinds; what is left out is named."""

import os
from collections import Counter
from pathlib import Path

import pytest

from vidrnn.annotations import VIDEO_SUFFIXES, Annotation, find_media, read_annotations
from vidrnn.errors import AnnotationError
from vidrnn.settings.base import validate
from vidrnn.settings.data import DataSettings


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def read(root: Path, **settings: object) -> tuple[tuple[Annotation, ...], list[str]]:
    notes: list[str] = []
    return read_annotations(validate(DataSettings, {"root": str(root), **settings}), notes), notes


@pytest.mark.parametrize(
    "words", [("Training", "Validation", "Testing"), ("TRAIN", "Valid", "Test"), ("train_set", "val-set", "test data")]
)
def test_other_words_for_splits_are_splits(tmp_path, words):
    touch(tmp_path, *(f"{word}/walk/{word}.mp4" for word in words))
    found, notes = read(tmp_path)
    assert {each.path: (each.split, each.label) for each in found} == {
        f"{word}/walk/{word}.mp4": (split, "walk") for word, split in zip(words, ("train", "val", "test"), strict=True)
    }
    assert notes == []


def test_split_folders_beside_others_and_two_of_one_split_are_refused(tmp_path):
    touch(tmp_path / "a", "Training/walk/a.mp4", "Testing/walk/a.mp4", "extra/a.mp4")
    with pytest.raises(AnnotationError, match=r"holds both split folders \(Testing, Training\) and others \(extra\)"):
        read(tmp_path / "a")
    touch(tmp_path / "b", "Training/walk/a.mp4", "train/walk/a.mp4")
    with pytest.raises(AnnotationError, match=r"several folders of one split \(Training, train\); join them"):
        read(tmp_path / "b")


def test_an_action_that_is_called_like_a_split_is_a_class_among_others(tmp_path):
    touch(tmp_path, "Training/a.mp4", "walk/a.mp4")
    found, notes = read(tmp_path)
    assert [each.label for each in found] == ["Training", "walk"]
    assert notes == ["Training: taken for a class, because other folders are"]


def test_linked_folders_are_followed_and_loops_are_not(tmp_path):
    touch(tmp_path, "elsewhere/session/b.mp4", "clips/walk/a.mp4")
    (tmp_path / "clips" / "walk" / "linked").symlink_to(tmp_path / "elsewhere" / "session")
    (tmp_path / "clips" / "run").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "clips" / "walk" / "up").symlink_to(tmp_path / "clips")
    (tmp_path / "elsewhere" / "session" / "self").symlink_to(tmp_path / "elsewhere" / "session")
    found, notes = read(tmp_path / "clips")
    assert {"walk/a.mp4", "walk/linked/b.mp4", "run/session/b.mp4"} <= {each.path for each in found}
    assert notes == []
    assert max(Counter(Path(each.path).name for each in found).values()) < 8, "no path goes around in circles"
    assert find_media(tmp_path / "clips" / "walk" / "linked", "videos")


def test_what_is_left_out_is_counted_and_named(tmp_path):
    touch(
        tmp_path, "walk/a.mp4", "walk/notes.txt", "walk/more.TXT", "jump/deep/b.rar", "loose.mp4", ".hidden", "walk/.x"
    )
    (tmp_path / "sit").mkdir()
    found, notes = read(tmp_path)
    assert [each.path for each in found] == ["walk/a.mp4"]
    assert notes == [
        "2 folders hold no video and are no class: jump, sit",
        "3 files are no videos by their suffix and were left out (.txt 2, .rar 1), the first 'jump/deep/b.rar'",
        "1 videos lie in no folder of a class and were left out: loose.mp4",
    ]


@pytest.mark.parametrize(
    "suffix", ["divx", "m2v", "dv", "3g2", "qt", "mod", "h264", "mpe", "mp4v", "f4v", "DIVX", "265"]
)
def test_suffixes_that_ffmpeg_reads_are_videos(tmp_path, suffix):
    touch(tmp_path, f"walk/a.{suffix}")
    assert [each.path for each in read(tmp_path)[0]] == [f"walk/a.{suffix}"]
    assert f".{suffix.lower()}" in VIDEO_SUFFIXES


def test_folders_without_a_video_beside_splits_are_no_class(tmp_path):
    """What a zip of macOS leaves, and the results of another program."""
    touch(tmp_path, "train/walk/a.mp4", "test/walk/b.mp4", "__MACOSX/train/walk/._a.mp4", "runs/log.csv")
    found, notes = read(tmp_path)
    assert [(each.split, each.label) for each in found] == [("test", "walk"), ("train", "walk")]
    assert "2 folders hold no video and are no class: __MACOSX, runs" in notes


def test_splits_inside_classes_are_refused(tmp_path):
    """They would be one class each, and what was kept for the test would be learned."""
    touch(tmp_path, "walk/train/a.mp4", "walk/test/b.mp4", "run/train/a.mp4", "run/test/b.mp4")
    with pytest.raises(AnnotationError, match=r"the folders of classes \(run/test, run/train\); turn them round"):
        read(tmp_path)
    touch(tmp_path / "b", "walk/train/a.mp4", "run/b.mp4")  # trains that pass, say
    assert [each.label for each in read(tmp_path / "b")[0]] == ["run", "walk"]


def test_videos_in_no_folder_of_a_class_are_named_as_the_cause(tmp_path):
    touch(tmp_path, "a.mp4", "b.mov", "notes.txt")
    with pytest.raises(AnnotationError, match=r"holds 2 videos \(a.mp4, b.mov\) in no folder of a class; put"):
        read(tmp_path)


def test_a_link_to_itself_is_a_video_that_cannot_be_read_and_no_other_is_lost(tmp_path):
    touch(tmp_path, "walk/a.mp4", "run/b.mp4")
    (tmp_path / "walk" / "me.mp4").symlink_to("me.mp4")
    (tmp_path / "walk" / "me").symlink_to("me")
    (tmp_path / "me").symlink_to("me")
    found, _ = read(tmp_path)
    assert [each.path for each in found] == ["run/b.mp4", "walk/a.mp4", "walk/me.mp4"]
    assert find_media(tmp_path, "videos") == [tmp_path / each.path for each in found]


def test_a_folder_that_may_not_be_read_costs_only_itself(tmp_path, monkeypatch):
    """In a class it is a video that fails, beside the classes there is a note. Root may read all, so Python refuses."""
    touch(tmp_path, "walk/a.mp4", "walk/locked/b.mp4", "run/c.mp4", "lost+found/d.mp4")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name in {"locked", "lost+found"}:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found, notes = read(tmp_path)
    assert [each.path for each in found] == ["run/c.mp4", "walk/a.mp4", "walk/locked"]
    assert notes == ["1 folders may not be read and are no class: lost+found"]
    names = ["run/c.mp4", "walk/a.mp4", "lost+found", "walk/locked"]
    assert find_media(tmp_path, "videos") == [tmp_path / name for name in names]
    assert find_media(tmp_path / "walk", "frames") == [tmp_path / "walk/locked"]
