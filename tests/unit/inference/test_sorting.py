"""`vidrnn.inference.sorting`: each video in a folder of its label, and nothing lost on the way."""

import os
from collections import Counter
from pathlib import Path

import pytest

from vidrnn.errors import ConfigError
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.sorting import refuse_unsortable, sort_videos
from vidrnn.names import file_name


def labelled(video: Path, label: str) -> Prediction:
    return Prediction(str(video), "ok", ({"label": label, "score": 0.5, "top_k": []},))


@pytest.fixture
def videos(tmp_path: Path) -> list[Prediction]:
    """Two of one name and one label, one whose label and name are awkward, one that is unknown, one that failed."""
    said = [("a/x.mp4", "walk"), ("b/x.mp4", "walk"), ("a/caf\udce9 y.mp4", "sit/stand: up"), ("a/u.mp4", "unknown")]
    for number, (name, _) in enumerate(said):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"video %d" % number)
    return [
        *(labelled(tmp_path / name, label) for name, label in said),
        Prediction("a/bad.mp4", "failed", error="torn"),
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("copy", [False, True])
def test_every_video_is_in_the_folder_of_its_label_once(tmp_path: Path, videos: list[Prediction], copy: bool) -> None:
    out = tmp_path / "sorted"
    assert sort_videos(videos, out, copy=copy) == Counter(put=4, failed=1)
    found = contents(out)
    walks = {name: content for name, content in found.items() if name.startswith("walk/")}
    assert sorted(walks.values()) == [b"video 0", b"video 1"] and "walk/x.mp4" in walks
    assert found[f"{file_name('sit/stand: up')}/caf\udce9 y.mp4"] == b"video 2"
    assert found["unknown/u.mp4"] == b"video 3"
    assert all(path.is_symlink() != copy for path in out.rglob("*") if path.is_file())
    assert sort_videos(reversed(videos), out, copy=copy) == Counter(there=4, failed=1)
    assert contents(out) == found
    assert not list(out.rglob(".*"))


@pytest.mark.parametrize("copy", [False, True])
def test_what_is_there_is_never_replaced(tmp_path: Path, videos: list[Prediction], copy: bool) -> None:
    """A file of that name, a link of that name, and both names taken."""
    walk = tmp_path / "sorted" / "walk"
    walk.mkdir(parents=True)
    (walk / "x.mp4").write_bytes(b"mine")
    assert sort_videos(videos[:1], tmp_path / "sorted", copy=copy) == Counter(put=1)
    (other,) = [path for path in walk.iterdir() if path.name != "x.mp4"]
    assert ((walk / "x.mp4").read_bytes(), other.read_bytes()) == (b"mine", b"video 0")
    assert other.name.startswith("x~") and other.suffix == ".mp4"
    other.unlink()
    other.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match="are there and hold other things; name another --sort-into"):
        sort_videos(videos[:1], tmp_path / "sorted", copy=copy)
    assert other.readlink() == tmp_path / "nowhere"


def test_another_video_of_the_same_name_size_and_time_is_copied_too(tmp_path: Path) -> None:
    for number, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.mp4").write_bytes(b"video %d" % number)
        os.utime(tmp_path / folder / "x.mp4", (1_000_000_000, 1_000_000_000))
    both = [labelled(tmp_path / folder / "x.mp4", "walk") for folder in ("a", "b")]
    assert sort_videos(both, tmp_path / "sorted", copy=True) == Counter(put=2)
    assert sorted(contents(tmp_path / "sorted").values()) == [b"video 0", b"video 1"]
    assert sort_videos(both, tmp_path / "sorted", copy=True) == Counter(there=2)


def test_a_video_that_has_gone_is_counted(tmp_path: Path, videos: list[Prediction]) -> None:
    Path(videos[0].path).unlink()
    assert sort_videos(videos[:2], tmp_path / "sorted", copy=False) == Counter(put=1, gone=1)


@pytest.mark.parametrize("copy", [False, True])
def test_folders_of_frames_are_sorted_whole(tmp_path: Path, copy: bool) -> None:
    for name in ("a/clip", "b/clip"):
        (tmp_path / name).mkdir(parents=True)
        for number in range(3):
            (tmp_path / name / f"{number}.png").write_bytes(f"{name} {number}".encode())
    both = [labelled(tmp_path / name, "walk") for name in ("a/clip", "b/clip")]
    assert sort_videos(both, tmp_path / "sorted", copy=copy) == Counter(put=2)
    assert sort_videos(both, tmp_path / "sorted", copy=copy) == Counter(there=2)
    assert (tmp_path / "sorted" / "walk" / "clip" / "2.png").read_bytes() == b"a/clip 2"
    assert len(list((tmp_path / "sorted" / "walk").iterdir())) == 2


def test_a_name_of_full_length_finds_room_for_its_digits(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / ("я" * 125 + ".mp4")).write_bytes(folder.encode())
    both = [labelled(next((tmp_path / folder).iterdir()), "walk") for folder in ("a", "b")]
    assert sort_videos(both, tmp_path / "sorted", copy=True) == Counter(put=2)
    assert sorted(contents(tmp_path / "sorted").values()) == [b"a", b"b"]


def test_what_cannot_be_sorted_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "file").write_text("")
    refuse_unsortable("label", tmp_path / "sorted", [tmp_path / "new"])
    with pytest.raises(ConfigError, match="needs one label per video, and the model answers with head 'step_labels'"):
        refuse_unsortable("step_labels", tmp_path / "sorted", [])
    with pytest.raises(ConfigError, match="is no folder"):
        refuse_unsortable("label", tmp_path / "file", [])
    for folder in (tmp_path / "new", tmp_path / "new" / "sorted"):
        with pytest.raises(ConfigError, match=r"lies in .*, where videos are looked for"):
            refuse_unsortable("label", folder, [tmp_path / "new"])
