"""What features came from: any change of a picture in a folder is noticed, and nothing else."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from tests.media import picture, pictures, write_clip, write_pictures
from tests.sounds import tone, write_sound
from vidrnn.extraction.drawing import draw_video
from vidrnn.frames.fitting import Drawing
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.store.source import Source, state_of
from vidrnn.streams.audio import ReadSound
from vidrnn.video.sampling import Sampling


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "clip", pictures(4), template="f_{}.bmp")


def add(folder: Path) -> None:
    write_pictures(folder, [picture(5)], template="f_{}.bmp", numbers=[5])


def swap(folder: Path) -> None:
    (folder / "f_1.bmp").rename(folder / "x.bmp")
    (folder / "f_2.bmp").rename(folder / "f_1.bmp")
    (folder / "x.bmp").rename(folder / "f_2.bmp")


def overwrite_with_an_older_one_of_equal_size(folder: Path) -> None:
    newest = (folder / "f_4.bmp").stat().st_mtime_ns
    other = folder.parent / "other"
    write_pictures(other, [picture(9)], template="f_{}.bmp")
    os.utime(other / "f_1.bmp", ns=(newest - 10**12, newest - 10**12))
    with (folder / "f_2.bmp").open("r+b") as file:  # in place: the folder keeps its time
        file.write((other / "f_1.bmp").read_bytes())
    shutil.copystat(other / "f_1.bmp", folder / "f_2.bmp")


def swap_with_all_times_kept(folder: Path) -> None:
    """As a program does that puts frames into another order and copies what comes out with its times."""
    times = folder.stat()
    swap(folder)
    os.utime(folder, ns=(times.st_atime_ns, times.st_mtime_ns))


def swap_in_place(folder: Path) -> None:
    """No name is added or removed, so the folder keeps its time; sizes and times are the same, at other names."""
    first, second = folder / "f_1.bmp", folder / "f_2.bmp"
    contents = {first: (second.read_bytes(), second.stat()), second: (first.read_bytes(), first.stat())}
    for path, (content, status) in contents.items():
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES = {
    "added": add,
    "removed": lambda folder: (folder / "f_2.bmp").unlink(),
    "renamed": lambda folder: (folder / "f_4.bmp").rename(folder / "f_9.bmp"),
    "swapped": swap,
    "swapped with all times kept": swap_with_all_times_kept,
    "swapped in place": swap_in_place,
    "overwritten": overwrite_with_an_older_one_of_equal_size,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_folder_is_another_source(folder, change):
    before = Source.of(folder)
    assert before.is_still(folder)
    CHANGES[change](folder)
    after = Source.of(folder)
    assert not before.is_still(folder)
    assert after.sha256 != before.sha256
    assert after.state == state_of(folder) != before.state


def test_other_times_and_hidden_files_are_no_change(folder):
    before = Source.of(folder)
    (folder / "Thumbs.db").write_bytes(b"thumbnails")
    (folder / "._f_1.bmp").write_bytes(b"of macOS")
    os.utime(folder / "f_3.bmp", ns=(1, 1))
    assert before.is_still(folder)
    copied = shutil.copytree(folder, folder.parent / "copy", copy_function=shutil.copyfile)
    assert before.is_still(copied)


def test_the_size_is_that_of_all_pictures(folder):
    assert Source.of(folder).size == sum(path.stat().st_size for path in folder.iterdir())


@pytest.mark.parametrize("size", [0, 1, 2_500_000])
def test_the_digest_is_that_of_sha256_and_each_piece_is_told(tmp_path, size):
    content, told = os.urandom(size), []
    (tmp_path / "a").write_bytes(content)
    assert Source.of(tmp_path / "a", on_read=told.append).sha256 == hashlib.sha256(content).hexdigest()
    assert sum(told) == size and max(told, default=0) <= 1 << 20


def test_each_piece_of_the_pictures_of_a_folder_is_told(folder):
    told = []
    Source.of(folder, on_read=told.append)
    assert sum(told) == sum(path.stat().st_size for path in folder.iterdir())


def test_hashing_is_progress_for_who_waits_for_a_decoder(tmp_path, monkeypatch):
    """A file of 100 GB on a slow drive takes longer than extraction.stall_limit_s."""
    monkeypatch.setattr("vidrnn.store.source._PIECE", 10)
    clip = write_clip(tmp_path / "a.mkv", pictures(5), codec="ffv1")
    sound = write_sound(tmp_path / "a.wav", tone(440, 0.2))
    told = []
    drawing = Drawing(Sampling("every", stride=1), Preprocessing(32, 32, "warp", "bilinear", (0.5,) * 3, (0.5,) * 3))
    list(draw_video(clip, {0: drawing}, 8, lambda: told.append(1)))
    assert len(told) > clip.stat().st_size / 10
    told.clear()
    list(ReadSound(64, 10.0)(sound, lambda: told.append(1)))
    assert len(told) > sound.stat().st_size / 10
