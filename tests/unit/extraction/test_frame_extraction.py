"""Folders of frames and still images to the store: as videos are, with changes noticed and failures named."""

from pathlib import Path

import numpy as np
import pytest

from tests.fake_backbone import AverageColour
from tests.media import cut, picture, pictures, write_clip, write_pictures
from vidrnn.annotations import Annotation
from vidrnn.errors import MissingPathError
from vidrnn.extraction.extract import extract
from vidrnn.extraction.progress import Progress
from vidrnn.inference.new_videos import find_videos, place_of
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.verification import examine
from vidrnn.store.video_features import VideoFeatures

RATE = 25.0


class World:
    """A folder of frames, the same as a video, and a still image."""

    def __init__(self, path: Path) -> None:
        self.root, self.store = path / "videos", path / "store"
        self.frames = write_pictures(self.root / "run" / "a", pictures(9))
        write_clip(self.root / "run" / "b.mkv", pictures(9), codec="ffv1", pix_fmt="bgr0")
        write_pictures(self.root / "run", [picture(3)], template="{}.png")
        self.names = ["run/a", "run/b.mkv", "run/1.png"]
        self.listed: dict[str, int] = {}

    def extract(self, **sampling: object) -> tuple[FeatureFolder, Progress]:
        report = extract(
            [Annotation(name, "run", None, name, listed_frames=self.listed.get(name)) for name in self.names],
            [AverageColour(sampling={"kind": "fps", "rate": 10.0, "frame_rate": RATE} | sampling)],
            root=self.root,
            settings=ExtractionSettings(store=self.store, batch_size=4),
            weights="default",
        )
        return report.folders[0], report.passes[0]

    def frames_after(self, change: str) -> VideoFeatures:
        folder, progress = self.extract()
        assert progress.summary() == "extracted 1, reused 2, failed 0", change
        return folder.read("run/a")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_features_of_a_folder_are_those_of_the_same_lossless_video(world):
    folder, progress = world.extract()
    assert progress.summary() == "extracted 3, reused 0, failed 0"
    here, there, still = (folder.read(name, check=True) for name in world.names)
    np.testing.assert_array_equal(here.features, there.features)
    np.testing.assert_allclose(here.timestamps_s, there.timestamps_s, atol=1e-3)
    assert here.metadata == there.metadata
    assert folder.file_of("run/a") == folder.path / "run" / "a.safetensors"
    assert (still.features.shape, still.timestamps_s.tolist()) == ((1, 3), [0.0])
    np.testing.assert_allclose(still.features[0], picture(3).mean(axis=(0, 1)) / 255, atol=0.01)
    assert world.extract()[1].summary() == "extracted 0, reused 3, failed 0"


def test_changed_added_and_removed_pictures_are_extracted_again(world):
    world.extract()
    write_pictures(world.frames, [picture(20)], numbers=[1])
    assert world.frames_after("changed").metadata.num_frames == 9
    write_pictures(world.frames, [picture(10)], numbers=[10])
    assert world.frames_after("added").metadata.num_frames == 10
    (world.frames / "img_00004.png").unlink()
    assert world.frames_after("removed").notes == (
        "1 numbers between the first and the last picture are missing: gaps in time",
    )


def test_the_store_is_verified_against_the_folder(world):
    folder, _ = world.extract()
    assert examine(folder, "run/a", roots=[world.root]).health == "ok"
    (world.frames / "img_00004.png").unlink()
    assert examine(folder, "run/a", roots=[world.root]).health == "stale"


def test_bad_pictures_and_folders_are_failures_of_their_video_alone(world):
    cut(world.frames / "img_00003.png", 0.5)
    (world.root / "empty").mkdir()
    world.names.append("empty")
    _, progress = world.extract(kind="every", rate=None, stride=1)
    assert progress.summary() == "extracted 2, reused 0, failed 2"
    causes = {failure.path: (failure.stage, failure.cause.split(":")[0]) for failure in progress.failures}
    assert causes == {
        "empty": ("probe", progress.failures[0].cause),
        "run/a": ("decode", "picture img_00003.png"),
    }
    write_pictures(world.frames, [picture(2)], numbers=[3])
    assert world.extract(kind="every", rate=None, stride=1)[1].summary() == "extracted 1, reused 2, failed 1"


def test_without_a_rate_folders_fail_and_other_videos_do_not(world):
    _, progress = world.extract(frame_rate=None)
    assert progress.summary() == "extracted 2, reused 0, failed 1"
    assert "set features.frame_rate" in progress.failures[0].cause


def test_a_template_chooses_among_several_series(world):
    write_pictures(world.frames, [picture(7)], template="flow_x_{:05}.png")
    assert "holds 2 series" in world.extract()[1].failures[0].cause
    folder, progress = world.extract(frame_template="img_{:05}.png")
    assert progress.summary() == "extracted 3, reused 0, failed 0"
    assert folder.read("run/a").notes == ()


def test_frames_of_several_sizes_are_noted(world):
    write_pictures(world.frames, [picture(3, width=64, height=16)], numbers=[4])
    folder, _ = world.extract(kind="every", rate=None, stride=1)
    assert folder.read("run/a").notes == ("its frames have 2 sizes (32x24, 64x16), each fitted alone",)


def test_another_number_of_frames_than_the_list_says_is_noted(world):
    world.listed = {"run/a": 12, "run/b.mkv": 9}
    folder, progress = world.extract()
    note = "the list says 12 frames, there are 9; all of these count"
    assert progress.notes == [("run/a", note)]
    assert folder.read("run/a").notes == (note,)


def test_classify_finds_in_folders_what_a_model_was_trained_on_and_takes_anything_by_name(world):
    root = world.root
    assert find_videos([root]) == [root / "run" / "b.mkv"]
    assert find_videos([root / "run" / "a", root / "run" / "1.png"]) == [root / "run" / "a", root / "run" / "1.png"]
    (root / "run" / "1.png").unlink()
    assert find_videos([root], media="frames") == [root / "run" / "a"]
    assert find_videos([root / "run" / "a"], media="frames") == [root / "run" / "a"]
    assert len(find_videos([root / "run" / "a"], media="pictures")) == 9
    (root / "none").mkdir()
    with pytest.raises(MissingPathError, match=r"^no path was given; give video files or folders$"):
        find_videos([])
    with pytest.raises(MissingPathError, match=r"^an empty path was given"):
        place_of("")
    with pytest.raises(MissingPathError, match=r"no pictures below .*; known suffixes: \.bmp \.jpeg"):
        find_videos([root / "none"], media="pictures")
