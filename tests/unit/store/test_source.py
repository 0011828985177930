"""What features came from: any change of a picture in a folder is noticed, and nothing else."""

import os
import shutil
from pathlib import Path

import pytest

from tests.media import picture, pictures, write_pictures
from vidrnn.store.source import Source, state_of


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


CHANGES = {
    "added": add,
    "removed": lambda folder: (folder / "f_2.bmp").unlink(),
    "renamed": lambda folder: (folder / "f_4.bmp").rename(folder / "f_9.bmp"),
    "swapped": swap,
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
    assert (after.size, after.mtime_ns) == state_of(folder) != (before.size, before.mtime_ns)


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
