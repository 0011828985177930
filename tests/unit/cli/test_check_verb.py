"""The verb `check` on small rendered clips: what it names, its exit code, and what accepting changes."""

import csv
import shutil
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from tests.fake_backbone import AverageColour
from tests.integration.world import Outcome, call
from tests.media import plain_decode, write_clip
from vidrnn.annotations import Annotation, read_annotations
from vidrnn.bars import nowhere
from vidrnn.experiments.train import describe_data
from vidrnn.extraction.decoder import Decoder
from vidrnn.preflight.annotated import Sides
from vidrnn.preflight.files import find_identical
from vidrnn.preflight.inspect import inspect
from vidrnn.settings.base import load, validate
from vidrnn.settings.run import RunSettings
from vidrnn.streams import passes
from vidrnn.synthetic.clips import render_clip

ACTIONS = ("raise_arms", "open_door")
Row = tuple[str, str, str, str]


class World:
    """Two classes; four actors train, two test."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self.config, self._capsys = folder / "clips", folder / "config.yaml", capsys
        self.root.mkdir()
        self.rows: list[Row] = []
        for actor in range(6):
            for action in ACTIONS:
                split = "train" if actor < 4 else "test"
                self.rows.append((f"{action}_{actor}.mp4", action, split, f"actor{actor}"))
                render_clip(
                    self.root / self.rows[-1][0], action=action, group_seed=actor, clip_seed=actor, width=64, height=48
                )
        tree = {
            "data": {"root": str(self.root), "format": "csv", "annotations": "list.csv", "val_fraction": 0.0},
            "extraction": {"store": str(folder / "features")},
        }
        self.config.write_text(yaml.safe_dump(tree))

    def check(self, *options: str) -> Outcome:
        with (self.root / "list.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("path", "label", "split", "group"), *self.rows])
        return call(self._capsys, "check", "--config", self.config, *options)

    def frames(self, name: str = "raise_arms_0.mp4") -> list[np.ndarray]:
        return plain_decode(self.root / name)

    def add(self, name: str, frames: list[np.ndarray], *, label: str = "raise_arms", **options: str) -> None:
        """A test video of an actor of its own."""
        write_clip(self.root / name, frames, pts=[2 * number for number in range(len(frames))], **options)
        self.rows.append((name, label, "test", name))


@pytest.fixture
def world(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(passes, "load_passes", lambda *_sections: (AverageColour(),))
    return World(tmp_path, capsys)


def findings(outcome: Outcome) -> list[str]:
    levels = ("refused", "accepted", "warning", "failed")
    return [line for line in outcome.out.splitlines() if line.startswith(levels)]


def test_sound_data_pass(world: World) -> None:
    outcome = world.check()
    assert (outcome.code, findings(outcome)) == (0, []), outcome.out
    lines = outcome.out.splitlines()
    assert lines[:4] == [
        f"12 videos in {world.root}",
        "train: 8 videos, 4 groups; videos/groups of open_door 4/4, raise_arms 4/4",
        "val: 0 videos, 0 groups; empty",
        "test: 4 videos, 2 groups; videos/groups of open_door 2/2, raise_arms 2/2",
    ]
    assert lines[4:6] == ["codecs of 12 videos: h264 in mov 12", "sizes: 64x48 12"]
    assert lines[-1] == "nothing stands in the way"
    assert "leaks were looked for between train, val and test" in lines
    assert any(line.startswith("features: 12 videos to extract, about ") for line in lines)


def test_every_kind_of_copy_is_named_with_both_paths(world: World) -> None:
    frames = world.frames()
    shutil.copy(world.root / "open_door_1.mp4", world.root / "bytes.mp4")
    world.rows.append(("bytes.mp4", "open_door", "test", "bytes"))
    world.add("encoded.mp4", frames, crf="32")
    world.add("trimmed.mp4", frames[len(frames) // 4 :], crf="20")
    world.add("mirrored.mp4", [np.ascontiguousarray(frame[:, ::-1]) for frame in frames])
    outcome = world.check()
    assert outcome.code == 2
    assert [line.split(" on two sides")[0] for line in findings(outcome)] == [
        "refused: 1 pairs of identical files",
        "refused: 3 pairs of near-duplicates",
    ]
    assert "  bytes.mp4 (test) and open_door_1.mp4 (train)" in outcome.out.splitlines()
    pairs = {line.split(":")[0].strip(): line for line in outcome.out.splitlines() if "similarity" in line}
    expected = {
        "encoded.mp4 (test) and raise_arms_0.mp4 (train)",
        "mirrored.mp4 (test) and raise_arms_0.mp4 (train)",
        "raise_arms_0.mp4 (train) and trimmed.mp4 (test)",
    }
    assert pairs.keys() == expected
    assert [name.split()[0] for name, line in pairs.items() if line.endswith(", mirrored")] == ["mirrored.mp4"]
    assert "  to go on all the same: data.accept: [near_duplicates]" in outcome.out.splitlines()
    assert "nothing stands in the way" not in outcome.out


def test_what_is_accepted_stays_named_and_stands_in_the_protocol(world: World) -> None:
    world.add("encoded.mp4", world.frames())
    accept = "data.accept=[near_duplicates]"
    outcome = world.check("--set", accept)
    assert outcome.code == 0
    assert [line.split(" pairs")[0] for line in findings(outcome)] == ["accepted: 1"]
    assert describe_data(load(RunSettings, world.config, [accept]), "digest").endswith("ACCEPTED: near_duplicates")
    assert "ACCEPTED" not in describe_data(load(RunSettings, world.config), "digest")


def test_quick_decodes_nothing_and_finds_what_names_and_bytes_tell(world: World) -> None:
    world.add("encoded.mp4", world.frames())
    shutil.copy(world.root / "open_door_1.mp4", world.root / "bytes.mp4")
    world.rows += [("bytes.mp4", "raise_arms", "test", "actor1"), ("gone.mp4", "open_door", "train", "x")]
    outcome = world.check("--quick")
    assert outcome.code == 2
    assert [line.split(" (")[0].split(";")[0] for line in findings(outcome)] == [
        "refused: 1 groups are in more than one split",
        "failed: 1 of 15 videos do not exist or may not be read",
        "refused: 1 pairs of identical files on two sides",
        "warning: 1 pairs of identical files have different labels",
    ]
    assert "  bytes.mp4 (test) and open_door_1.mp4 (train): raise_arms and open_door" in outcome.out
    assert not list(world.root.parent.glob("features/*"))


def test_a_second_check_decodes_nothing_again(world: World) -> None:
    world.check()
    files = {path: path.stat().st_mtime_ns for path in world.root.parent.glob("features/*/**/*.safetensors")}
    assert len(files) == 12
    outcome = world.check()
    assert outcome.code == 0
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_videos_that_cannot_be_used_are_named_and_the_others_checked(world: World) -> None:
    (world.root / "bad.mp4").write_bytes(b"no video")
    world.rows += [("bad.mp4", "open_door", "train", "x"), ("gone.mp4", "open_door", "train", "y"),
                   ("n" * 300, "open_door", "train", "z")]  # fmt: skip
    outcome = world.check()
    assert outcome.code == 3
    lines = outcome.out.splitlines()
    assert [line.split(" (")[0].split(";")[0] for line in findings(outcome)] == [
        "failed: 2 of 15 videos do not exist or may not be read",
        "failed: 1 videos cannot be decoded",
    ]
    assert "  gone.mp4" in lines
    assert any(line.startswith("  bad.mp4: cannot be opened as a video (8 bytes)") for line in lines)
    assert "codecs of 12 videos: h264 in mov 12" in lines


def test_ffmpeg_reads_nothing_in_the_process_of_the_check_and_each_file_is_read_once(world: World, monkeypatch) -> None:
    """What crashes or hangs it costs a decoder, which has limits; seven videos are read again to measure the speed."""
    read: Counter[str] = Counter()
    honest = Decoder.decode

    def decode(self, job, *rest):
        read[job.path] += 1
        return honest(self, job, *rest)

    monkeypatch.setattr(Decoder, "decode", decode)
    monkeypatch.setattr("av.open", lambda *_args, **_options: pytest.fail("a file was opened in this process"))
    (world.root / "bad.mp4").write_bytes(b"no video")
    world.rows.append(("bad.mp4", "open_door", "train", "x"))
    outcome = world.check()
    assert outcome.code == 3
    assert set(read) == {row[0] for row in world.rows}
    assert sum(read.values()) <= len(world.rows) + 7
    assert read["bad.mp4"] == 1


class Bars:
    """Remembers what was shown."""

    def __init__(self) -> None:
        self.shown: dict[str, list[float]] = {}

    @contextmanager
    def __call__(self, *, total, desc, unit, unit_scale=False):
        self.shown[desc] = [total, 0]
        yield SimpleNamespace(update=lambda n=1: self.add(desc, n))

    def add(self, desc, n):
        self.shown[desc][1] += n


def test_bars_show_how_far_hashing_and_decoding_have_come(world: World) -> None:
    shutil.copy(world.root / "open_door_1.mp4", world.root / "bytes.mp4")
    world.rows.append(("bytes.mp4", "open_door", "test", "bytes"))
    world.check("--quick")
    settings, bars = load(RunSettings, world.config), Bars()
    inspect(read_annotations(settings.data), settings, quick=False, bar=bars)
    size = (world.root / "bytes.mp4").stat().st_size
    assert bars.shown == {
        "files of one size": [2 * size, 2 * size],
        "thumbnails": [13, 13],
        "looking for copies": [26, 26],  # read once for the index and once for the search
    }


@pytest.mark.parametrize("kept", [0, 1])
def test_a_list_of_which_almost_nothing_exists_is_no_crash(world: World, kept: int) -> None:
    for path in sorted(world.root.glob("*.mp4"))[kept:]:
        path.unlink()
    outcome = world.check()
    assert outcome.code == 3
    assert findings(outcome)[0].startswith(f"failed: {12 - kept} of 12 videos do not exist")
    assert ("features: nothing left to extract" in outcome.out) == (kept == 0)


def test_one_video_is_no_crash_but_one_class_alone_is_refused(world: World) -> None:
    world.rows = [(*world.rows[0][:2], "train", "actor0")]
    outcome = world.check()
    assert outcome.code == 2
    assert [line.split(":")[0] for line in findings(outcome)] == ["refused"]
    assert "one class" in findings(outcome)[0]


def test_labels_that_follow_from_the_size_are_refused(world: World) -> None:
    for number, (path, label, _, _) in enumerate(world.rows):
        if label == "open_door":
            render_clip(world.root / path, action=label, group_seed=number, clip_seed=0, width=96, height=48)
    outcome = world.check()
    (line,) = findings(outcome)
    assert outcome.code == 2
    assert line.startswith(
        "refused: width, height, length and frame rate alone tell 0.917 of the labels (0.523 to 1.000"
    )
    assert line.endswith("the most frequent class 0.500; cut and encode all classes alike")
    assert world.check("--set", "data.accept=[metadata]").code == 0


def test_numbers_are_checked_without_classes(world: World) -> None:
    with (world.root / "numbers.csv").open("w", newline="") as file:
        rows = [(path, number, split, group) for number, (path, _, split, group) in enumerate(world.rows)]
        csv.writer(file).writerows([("path", "target", "split", "group"), *rows])
    options = ("--set", "data.annotations=numbers.csv", "--set", "model.head=regression")
    assert world.check(*options).code == 0
    outcome = world.check("--set", "data.annotations=numbers.csv")
    assert (outcome.code, outcome.out) == (2, "")
    assert "model.head 'label' needs annotations with label" in outcome.err


def test_streams_without_a_forecast_are_named(world: World) -> None:
    tree = yaml.safe_load(world.config.read_text())
    tree["features"] = {"streams": ["audio", "rows"], "rows": {"image_size": 8}}
    world.config.write_text(yaml.safe_dump(tree))
    lines = world.check().out.splitlines()
    assert lines[-2:] == ["audio: time and disk are not predicted", "nothing stands in the way"]
    assert any(line.startswith("features: 12 videos to extract") for line in lines)


def test_many_identical_files_are_named_by_group(tmp_path):
    """4000 empty files are 8 million pairs: as texts they took gigabytes."""
    videos = [Annotation(f"{number}.mp4", "ab"[number % 2], None, str(number)) for number in range(4000)]
    for video in videos:
        (tmp_path / video.path).touch()
    sides = Sides("halves", tuple(("train", "test")[number % 2] for number in range(4000)))
    settings = validate(RunSettings, {"data": {"root": str(tmp_path)}})
    findings = list(find_identical(videos, sides, settings, bar=nowhere))
    assert [finding.text.split(" (")[0] for finding in findings] == [
        "4000000 pairs of identical files on two sides",
        "3998000 pairs of identical files on one side count twice",
        "4000000 pairs of identical files have different labels; one of the two is wrong",
    ]
    assert findings[0].examples == (
        "0.mp4 (train), 1.mp4 (test), 2.mp4 (train), 3.mp4 (test), 4.mp4 (train) and 3995 more",
    )
