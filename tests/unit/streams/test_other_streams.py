"""``vidrnn extract`` for the streams that are no pictures: what is stored, reused, absent, failed and printed."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests import bad_readers
from tests.integration.world import Outcome, call
from tests.media import pictures, write_clip
from tests.sounds import tone, write_sound
from vidrnn.annotations import read_annotations
from vidrnn.extraction.jobs import Failure, Job
from vidrnn.extraction.pipeline import embed_passes
from vidrnn.extraction.progress import Progress
from vidrnn.settings.base import validate
from vidrnn.settings.run import RunSettings
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.streams.passes import file_passes
from vidrnn.streams.text import extract_text

NAMES = ("loud.mkv", "low.mkv", "silent.mp4")
TEXTS = {"loud.mkv": "a high tone", "low.mkv": "a low tone", "silent.mp4": ""}


@dataclass
class World:
    """Two clips with sound and one without, with texts in the annotations."""

    path: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def root(self) -> Path:
        return self.path / "videos"

    def tree(self, streams: list[str], features: Mapping[str, object]) -> dict[str, dict[str, object]]:
        return {
            "data": {"root": str(self.root), "format": "csv", "annotations": "list.csv"},
            "features": {"streams": streams, **features},
            "extraction": {"store": str(self.path / "store"), "workers": 1, "device": "cpu", "batch_size": 4},
        }

    def settings(self, *streams: str, **features: object) -> RunSettings:
        return validate(RunSettings, self.tree(list(streams), features))

    def extract(self, *streams: str, options: tuple[str, ...] = (), **features: object) -> Outcome:
        (self.path / "config.yaml").write_text(yaml.safe_dump(self.tree(list(streams), features)))
        return call(self.capsys, "extract", "--config", self.path / "config.yaml", *options)

    def folder(self, stream: str, **features: object) -> FeatureFolder:
        return FeatureStore(self.path / "store").find(self.settings(stream, **features).features, stream=stream)

    def annotate(self, texts: Mapping[str, str]) -> None:
        with (self.root / "list.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["path", "label", "text"], *([name, "x", texts[name]] for name in NAMES)])


@pytest.fixture
def world(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> World:
    world = World(tmp_path, capsys)
    for name, hertz in (("loud.mkv", 2000), ("low.mkv", 200)):
        write_sound(world.root / name, tone(hertz, 1.0), images=25)
    write_clip(world.root / "silent.mp4", pictures(5))
    world.annotate(TEXTS)
    return world


def last(outcome: Outcome) -> tuple[int, str]:
    return outcome.code, outcome.out.splitlines()[-1]


def test_sound_is_stored_reused_and_its_absence_remembered(world: World, monkeypatch) -> None:
    outcome = world.extract("audio")
    assert last(outcome) == (0, "extracted 2, reused 0, failed 0, absent 1")
    folder = world.folder("audio")
    assert outcome.out.splitlines()[-2] == f"audio features: {folder.path}"
    assert "absent: audio of silent.mp4: has no sound" in outcome.out.splitlines()
    assert sorted(folder.videos()) == ["loud.mkv", "low.mkv"]
    assert {path: found.cause for path, found in folder.not_made().items()} == {"silent.mp4": "has no sound"}
    bands = [folder.read(name, check=True).features[5, :64].argmax() for name in NAMES[:2]]
    assert bands[0] > bands[1] + 10
    # A reader that would crash shows that neither is read any more.
    monkeypatch.setattr("vidrnn.streams.passes.ReadSound", bad_readers.Crashing)
    assert last(world.extract("audio")) == (0, "extracted 0, reused 2, failed 0, absent 1")


def test_a_video_that_gets_sound_is_looked_at_again(world: World) -> None:
    world.extract("audio")
    (world.root / "silent.mp4").unlink()
    write_sound(world.root / "silent.mp4", tone(440, 0.5), codec="aac", images=5)
    assert last(world.extract("audio")) == (0, "extracted 1, reused 2, failed 0")
    assert world.folder("audio").not_made() == {}


def test_a_bad_file_fails_by_name_and_costs_only_itself(world: World) -> None:
    (world.root / "low.mkv").write_bytes(b"no video")
    (world.root / "loud.mkv").unlink()
    outcome = world.extract("audio")
    assert last(outcome) == (3, "extracted 0, reused 0, failed 2, absent 1")
    assert "failed: loud.mkv: does not exist; correct its path, or put the file there" in outcome.err
    assert "failed: low.mkv: cannot be opened as a video (8 bytes)" in outcome.err


def test_other_settings_of_a_stream_go_to_another_folder(world: World) -> None:
    world.extract("audio")
    assert last(world.extract("audio", audio={"rate": 5.0})) == (0, "extracted 2, reused 0, failed 0, absent 1")
    assert len(world.folder("audio", audio={"rate": 5.0}).read("low.mkv").timestamps_s) == 6
    assert len(world.folder("audio").read("low.mkv").timestamps_s) == 11


def test_pictures_and_sound_are_two_passes(world: World) -> None:
    rgb = {"backbone": "timm/test_resnet", "weights": "random", "image_size": 32}
    outcome = world.extract("rgb", "audio", **rgb)
    assert last(outcome) == (0, "extracted 5, reused 0, failed 0, absent 1")
    assert outcome.out.splitlines()[-2].endswith("(extracted 2, reused 0, failed 0, absent 1)")
    info = call(world.capsys, "store", "info", world.path / "store").out
    assert "  audio, log_mel (none), float64\n" in info
    verified = call(world.capsys, "store", "verify", world.path / "store", "--root", world.root)
    assert (verified.code, verified.out.strip()) == (0, "5 ok, 0 damaged, 0 stale, 0 orphaned")
    assert call(world.capsys, "store", "gc", world.path / "store", "--root", world.root).out.startswith("0 items, ")


def test_arrays_join_and_those_that_do_not_fit_are_named(world: World) -> None:
    folder = world.path / "i3d"
    folder.mkdir()
    external = {"folder": str(folder), "rate": 2.0}
    with_none = world.extract("external", external=external)
    assert with_none.code == 2
    assert f"features.external: no video has an array below {folder}; the array of 'loud.mkv' is named" in with_none.err
    np.save(folder / "loud.npy", np.ones((3, 4), np.float32))
    np.save(folder / "low.mkv.npy", np.ones((3, 5), np.float32))
    outcome = world.extract("external", external=external)
    assert last(outcome) == (3, "extracted 1, reused 0, failed 1, absent 1")
    assert f"failed: low.mkv: {folder / 'low.mkv.npy'} has 5 values per step where the others have 4" in outcome.err
    np.save(folder / "low.mkv.npy", 2 * np.ones((3, 4), np.float32))
    assert last(world.extract("external", external=external)) == (0, "extracted 1, reused 1, failed 0, absent 1")
    stored = world.folder("external", external=external)
    assert (stored.spec.backbone.rpartition("-")[0], stored.spec.dim) == ("i3d", 4)
    np.testing.assert_array_equal(stored.read("low.mkv").features, 2 * np.ones((3, 4)))
    np.save(folder / "silent.npy", np.zeros(4, np.float32))
    np.save(folder / "loud.npy", np.zeros((2, 4), np.float32))
    assert last(world.extract("external", external=external)) == (0, "extracted 2, reused 1, failed 0")
    assert len(stored.read("loud.mkv").features) == 2
    verified = call(world.capsys, "store", "verify", world.path / "store", "--root", world.root)
    assert verified.out.strip() == "3 ok, 0 damaged, 0 stale, 0 orphaned"


def test_a_folder_that_is_not_there_is_refused(world: World) -> None:
    missing = world.extract("external", external={"folder": "nowhere"})
    assert (missing.code, f"{world.root / 'nowhere'}' is not a folder" in missing.err) == (2, True)
    unset = world.extract("external")
    assert (unset.code, "needs features.external.folder, where its arrays are" in unset.err) == (2, True)


def test_texts_of_the_annotations(world: World, text_extra: None) -> None:
    outcome = world.extract("text")
    assert last(outcome) == (0, "extracted 2, reused 0, failed 0, absent 1")
    assert "absent: text of silent.mp4: has an empty text" in outcome.out.splitlines()
    folder = world.folder("text")
    assert [folder.read(name).features.shape for name in NAMES[:2]] == [(1, 384)] * 2
    before = folder.read("low.mkv").features
    world.annotate({**TEXTS, "low.mkv": "somebody whistles", "silent.mp4": "nothing"})
    assert last(world.extract("text")) == (0, "extracted 2, reused 1, failed 0")
    assert np.abs(folder.read("low.mkv").features - before).max() > 0.01
    assert folder.not_made() == {}


def test_texts_of_files(world: World, text_extra: None) -> None:
    (world.root / "loud.srt").write_text(
        "1\n00:00:00,000 --> 00:00:01,000\nhello\n\n2\n00:00:02,0 --> 00:00:03,0\nyou\n"
    )
    (world.root / "low.mkv.srt").write_text("hello")
    outcome = world.extract("text", text={"source": "srt"})
    assert last(outcome) == (3, "extracted 1, reused 0, failed 1, absent 1")
    assert "failed: low.mkv: its .srt file has no cue such as" in outcome.err
    video = world.folder("text", text={"source": "srt"}).read("loud.mkv")
    assert (video.features.shape, video.timestamps_s.tolist()) == ((2, 384), [0.5, 2.5])


def test_annotations_without_texts_are_refused(world: World) -> None:
    (world.root / "list.csv").write_text("path,label\nlow.mkv,x\n")
    outcome = world.extract("text")
    assert (outcome.code, "needs data.format csv and a column 'text'" in outcome.err) == (2, True)


def test_a_new_video_gives_what_extraction_stores(world: World, text_extra: None) -> None:
    """As for a model of several streams: sound from its decoders, and texts into another store."""
    world.extract("audio", "text")
    settings = world.settings("audio", "text")
    annotations, root = read_annotations(settings.data), world.root
    passes = file_passes(annotations, root=root, settings=settings.features)
    jobs = [Job(each.path, each.source(root)) for each in annotations]
    found = {path: results[0] for path, results in embed_passes(jobs, passes, settings=settings.extraction)}
    absent = found.pop("silent.mp4")
    assert isinstance(absent, Failure) and absent.stage == "absent"
    same = {"audio": found}
    elsewhere = settings.extraction.model_copy(update={"store": world.path / "elsewhere"})
    texts = extract_text(annotations, root=root, features=settings.features, extraction=elsewhere, progress=Progress())
    same["text"] = {name: texts.read(name) for name in NAMES[:2]}
    for stream, videos in same.items():
        for name, video in videos.items():
            stored = world.folder(stream).read(name)
            np.testing.assert_array_equal(video.features, stored.features)
            np.testing.assert_array_equal(video.timestamps_s, stored.timestamps_s)


def test_a_crash_while_reading_sound_costs_only_that_video(world: World, monkeypatch) -> None:
    monkeypatch.setattr("vidrnn.streams.passes.ReadSound", bad_readers.Crashing)
    outcome = world.extract("audio")
    assert last(outcome) == (3, "extracted 1, reused 0, failed 2")
    assert "failed: low.mkv: the decoder crashed (SIGSEGV)" in outcome.err


def test_every_block_of_the_page_about_streams_is_a_configuration() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "streams.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    found = [validate(RunSettings, block | {"data": {"root": "."} | block.get("data", {})}) for block in blocks]
    assert {stream for each in found for stream in each.features.streams} >= {"audio", "text", "external"}
