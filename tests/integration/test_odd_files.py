"""What users of other tools reported, tried through the verbs: docs/odd_files.md says which report each file is from.

Each video is compared with the pictures and times that were put into it, each list with what it says.
"""

import csv
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.annotation_files import data_settings
from tests.integration.world import Outcome, call, write_config
from tests.media import Image, pictures, write_clip
from tests.odd_media import ODD, Odd
from vidrnn.annotations import Annotation, Segment, read_annotations
from vidrnn.errors import AnnotationError
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.synthetic.clips import render_clip
from vidrnn.video.decode import decode
from vidrnn.video.probe import probe


@dataclass(frozen=True)
class World:
    """A folder of odd videos, what is right for each, and the features that `extract` made of them."""

    videos: Path
    config: Path
    right: dict[str, Odd]
    features: FeatureFolder


def configure(folder: Path, **data: object) -> Path:
    data = {"root": str(folder / "videos"), **data}
    return write_config(folder, data=data, features={"sampling": "every", "stride": 1}, epochs=1)


def vidrnn(*arguments: str | Path) -> Outcome:
    command = [sys.executable, "-m", "vidrnn", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("odd")
    videos = folder / "videos"
    videos.mkdir()
    right = {name: make(videos / name) for name, make in ODD.items()}
    rows = [[name, "ab"[number % 2], name] for number, name in enumerate(right)]
    with (videos / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "group"], *rows])
    config = configure(folder, format="csv", annotations="list.csv", accept=["near_duplicates"])
    checked, extracted = vidrnn("check", "--config", config), vidrnn("extract", "--config", config)
    assert (checked.code, extracted.code) == (0, 0), checked.out + checked.err + extracted.err
    assert extracted.out.splitlines()[-1] == f"extracted {len(ODD)}, reused 0, failed 0"
    (features,) = (each for each in FeatureStore(folder / "store").folders() if each.spec.backbone != "thumbnail")
    return World(videos, config, right, features)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_video_has_the_times_and_pictures_that_were_put_in(world: World, name: str) -> None:
    right, stored = world.right[name], world.features.read(name, check=True)
    np.testing.assert_allclose(stored.timestamps_s, right.times, atol=1e-3)
    assert any(note.startswith(right.note) for note in stored.notes) or not right.note, stored.notes
    frames = [frame.rgb for frame in decode(probe(world.videos / name), np.arange(len(right.images)))]
    assert [frame.shape for frame in frames] == [image.shape for image in right.images]
    assert max(map(difference, frames, right.images)) <= right.error
    for number, frame in enumerate(frames):  # nothing else that was put in is more like it
        alike = [difference(frame, image) if image.shape == frame.shape else np.inf for image in right.images]
        assert min(alike) == alike[number]


def difference(frame: Image, image: Image) -> float:
    """Mean over all values, in grey levels."""
    return float(np.abs(frame.astype(float) - image).mean())


def test_a_narrow_picture_that_is_turned_is_wide(world: World) -> None:
    """50 x 90 pixels of 16:9 are 88.9 x 90."""
    name = "turned_narrow_pixels.mp4"
    (frame,) = decode(probe(world.videos / name), np.array([0]))
    square = Preprocessing(90, 90, "pad", "bilinear", (0.0,) * 3, (0.0,) * 3)
    fitted = square.fit(frame.rgb, pixel_aspect=frame.pixel_aspect)
    assert int((fitted.amax(dim=(0, 1)) > 0).sum()) == pytest.approx(88.9, abs=1)


def test_chosen_frames_of_vp8_are_those_of_decoding_all(tmp_path: Path) -> None:
    images = pictures(200)
    video = probe(write_clip(tmp_path / "a.webm", images, codec="libvpx", b="400k"))
    everything = [frame.rgb for frame in decode(video, np.arange(200))]
    chosen = np.array([3, 50, 51, 120, 199])
    for frame, index in zip(decode(video, chosen), chosen, strict=True):
        np.testing.assert_array_equal(frame.rgb, everything[index])


def test_odd_videos_train_and_are_answered(world: World, tmp_path: Path) -> None:
    trained = vidrnn("train", "--config", world.config, "--output", tmp_path / "run")
    assert trained.code == 0, trained.err
    model, answers = tmp_path / "run" / "model.safetensors", tmp_path / "answers.csv"
    answered = vidrnn("classify", "--model", model, world.videos, "--output", answers)
    assert answered.code == 0, answered.err
    with answers.open(newline="", encoding="utf-8") as file:
        assert {Path(row["path"]).name: row["status"] for row in csv.DictReader(file)} == dict.fromkeys(ODD, "ok")


NAMES = {
    "raise_arms": ["[a](v8n) {b}/drinking (31).mp4", "50%_%04d/clip.mp4", "-rf \U0001f642.mp4", "line\nbreak.mp4"],
    "sit_down": ["*?.mp4", "x#y&z=1;2.mp4", "~.mp4", " end .mp4"],
}


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems refuse some of these names")
def test_odd_names_are_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [f"{action}/{name}" for action, names in NAMES.items() for name in names]
    for number, path in enumerate(paths):
        place = tmp_path / "videos" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        action = path.split("/", 1)[0]
        render_clip(tmp_path / "a.mp4", action=action, group_seed=number, clip_seed=number, width=48, height=32)
        (tmp_path / "a.mp4").rename(place)
    (tmp_path / "videos" / "sit_down" / "._end.mp4").write_bytes(b"\0\5\x16\7" + bytes(99))  # AppleDouble
    config = configure(tmp_path)
    assert call(capsys, "check", "--config", config).code == 0
    assert call(capsys, "extract", "--config", config).out.splitlines()[-1] == "extracted 8, reused 0, failed 0"
    folder = next(each for each in FeatureStore(tmp_path / "store").folders() if each.spec.backbone != "thumbnail")
    assert list(folder.videos()) == sorted(paths)
    assert call(capsys, "train", "--config", config, "--output", tmp_path / "run").code == 0
    monkeypatch.chdir(tmp_path / "videos" / "raise_arms")
    model, answers = tmp_path / "run" / "model.safetensors", tmp_path / "answers.csv"
    asked = ("[a](v8n) {b}", "50%_%04d/clip.mp4", "--", "-rf \U0001f642.mp4", "line\nbreak.mp4")
    assert call(capsys, "classify", "--model", model, "--output", answers, *asked).code == 0
    with answers.open(newline="", encoding="utf-8") as file:
        found = {row["path"]: row["status"] for row in csv.DictReader(file)}
    assert found == dict.fromkeys(NAMES["raise_arms"], "ok")


WALK_AND_RUN = [Annotation("a.mp4", "walk", None, "a.mp4"), Annotation("b.mp4", "run", None, "b.mp4")]


def read(root: Path, content: str, *, kind: str = "csv") -> list[Annotation]:
    (root / "list.txt").write_bytes(content.encode())
    return list(read_annotations(data_settings(root, kind, "list.txt")))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("\ufeffpath,label\r\na.mp4,walk\r\nb.mp4,run\r\n", id="byte order mark"),
        pytest.param("path;label\r\na.mp4;walk\r\nb.mp4;run\r\n", id="semicolons"),
        pytest.param("sep=;\r\npath;label\r\na.mp4;walk\r\nb.mp4;run\r\n", id="separator named for Excel"),
        pytest.param("Path,LABEL\na.mp4,walk\nb.mp4,run\n", id="capitals in the header"),
        pytest.param("path\tlabel\na.mp4\twalk\nb.mp4\trun\n", id="tabs"),
        pytest.param(",path,label\n0,a.mp4,walk\n1,b.mp4,run\n", id="row numbers of pandas"),
        pytest.param("path,label,,\na.mp4,walk,,\nb.mp4,run,,\n,,,\n", id="empty columns and rows of a spreadsheet"),
        pytest.param("path,label\na.mp4, walk \nb.mp4,run\u00a0\n", id="spaces at the end"),
        pytest.param('path,label\n"a.mp4","walk"\n"b.mp4","run"\n', id="quotes"),
    ],
)
def test_a_csv_of_any_program_says_the_same(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, content) == WALK_AND_RUN


def test_decimal_commas_count_where_semicolons_separate(tmp_path: Path) -> None:
    (found,) = read(tmp_path, "path;start;end;label\na.mp4;0,5;0:01,25;walk, slowly\n")
    assert found.segments == (Segment(0.5, 1.25, "walk, slowly"),)
    with pytest.raises(AnnotationError, match=r"start '0,5' is not a number; write it as 12\.5"):
        read(tmp_path, 'path,start,end,label\na.mp4,"0,5",2,walk\n')


@pytest.mark.parametrize(
    ("unseen", "shown"),
    [("\u200b", r"\u200b"), ("\ufeff", r"\ufeff"), ("\u200e", r"\u200e"), ("\u00ad", r"\u00ad"), ("\x07", r"\x07")],
)
def test_names_that_print_alike_are_not_two_classes(tmp_path: Path, unseen: str, shown: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        read(tmp_path, f"path,label\na.mp4,walk\nb.mp4,wa{unseen}lk\n")
    assert f"line 3: 'wa{shown}lk' and, in line 2, 'walk' look like one class" in str(caught.value)


def test_paths_of_windows_are_named_as_the_cause(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(tmp_path / "videos" / "walk" / "a.mp4", pictures(3))
    (tmp_path / "videos" / "list.csv").write_text("path,label\nwalk\\a.mp4,walk\nwalk\\b.mp4,run\n")
    config = configure(tmp_path, format="csv", annotations="list.csv")
    advice = "folders are separated by / and not by the backslashes of 'walk\\a.mp4'"
    assert advice in call(capsys, "check", "--config", config, "--quick").out
    assert advice in call(capsys, "extract", "--config", config).err


@pytest.mark.parametrize("kind", ["mmaction", "pyslowfast"])
def test_lists_with_spaces_and_brackets_in_their_paths_and_at_their_ends(tmp_path: Path, kind: str) -> None:
    rows = "train/drinking (31).mp4 1 \r\n train/a.mp4  0\r\n\r\n"
    assert [(each.path, each.label) for each in read(tmp_path, rows, kind=kind)] == [
        ("train/a.mp4", "0"),
        ("train/drinking (31).mp4", "1"),
    ]


def test_a_workbook_is_named_as_one(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"list.txt' is a workbook or another zip; save the sheet as CSV"):
        read(tmp_path, "PK\x03\x04\x14")
