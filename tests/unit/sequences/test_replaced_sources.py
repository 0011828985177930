"""What stored features mean once their video was replaced or deleted: see docs/feature_store.md."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.fake_backbone import AverageColour
from tests.media import pictures, write_clip
from tests.worlds import CPU, annotate, tiny_spec, video_features
from vidrnn.annotations import LabelMap
from vidrnn.errors import StoreError
from vidrnn.extraction.extract import Report, extract
from vidrnn.extraction.failures import MissingLists
from vidrnn.extraction.jobs import ABSENT, Failure
from vidrnn.sequences.loading import load_sequences
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.source_notes import note_sources
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.pack_update import pack
from vidrnn.store.source import Source

NAMES = ("a.mkv", "b.mkv", "c.mkv")
ANNOTATIONS = annotate(*((name, "x") for name in NAMES))


class World:
    """Three videos with features of them, and what extractions say later."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, FeatureStore(root / "store").create(tiny_spec(dim=3))
        for name in NAMES:
            (root / name).write_bytes(name.encode())
            features = replace(video_features(np.ones((4, 3))), source=Source.of(root / name))
            self.folder.write(name, features)

    def fail(self, name: str, *, stage: str = "probe", tidy: bool = True) -> None:
        lists = MissingLists(self.folder.path)
        lists.add(Failure(name, stage, "no video"), self.root / name)
        if tidy:
            lists.tidy()

    def load(self) -> SequenceSet:
        return load_sequences(ANNOTATIONS, self.folder, LabelMap(("x",)), device=CPU)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("stage", ["probe", ABSENT])
@pytest.mark.parametrize("deleted_later", [False, True])
def test_features_of_a_file_whose_newer_one_failed_are_not_used(
    world: World, packed: bool, stage: str, deleted_later: bool
) -> None:
    if packed:
        pack(world.folder, remove_files=True)
    (world.root / "b.mkv").write_bytes(b"something broken")
    world.fail("b.mkv", stage=stage)
    if deleted_later:
        (world.root / "b.mkv").unlink()
        world.fail("b.mkv", stage=stage)
    sequences = world.load()
    assert [one.path for one in sequences.annotations] == ["a.mkv", "c.mkv"]
    assert sequences.missing == ("b.mkv",)
    assert note_sources(sequences) == (
        (
            "stored features of 1 videos are not used: the files have changed and the new ones gave none, first "
            "'b.mkv': no video"
        ),
    )


@pytest.mark.parametrize("packed", [False, True])
def test_features_of_a_deleted_file_are_used_and_named(world: World, packed: bool) -> None:
    if packed:
        pack(world.folder, remove_files=True)
    for name in NAMES[1:]:
        (world.root / name).unlink()
        world.fail(name)
    sequences = world.load()
    assert (len(sequences), sequences.missing) == (3, ())
    (note,) = note_sources(sequences)
    assert note.startswith("2 videos were gone when they were last to be extracted, first 'b.mkv'")


def test_a_failure_of_the_very_file_that_gave_the_features_later_means_nothing(world: World) -> None:
    """A run that was killed after it had retried a file leaves that behind."""
    world.fail("b.mkv", tidy=False)
    assert (len(world.load()), note_sources(world.load())) == (3, ())


def test_a_failure_is_taken_back_with_the_first_features(world: World) -> None:
    """Not at the end of the run, which may be killed."""
    (world.root / "b.mkv").write_bytes(b"something broken")
    world.fail("b.mkv")
    lists = MissingLists(world.folder.path)
    (world.root / "b.mkv").write_bytes(b"mended")
    world.folder.write("b.mkv", replace(video_features(np.ones((4, 3))), source=Source.of(world.root / "b.mkv")))
    lists.solve("b.mkv")
    assert len(world.load()) == 3
    assert MissingLists(world.folder.path).known("b.mkv", world.root / "b.mkv") is None
    lists.tidy()
    assert not (world.folder.path / "failures.csv").exists()


def test_where_no_features_are_left_the_cause_is_named(world: World) -> None:
    for name in NAMES:
        (world.root / name).write_bytes(b"something broken")
        world.fail(name)
    with pytest.raises(StoreError, match=r"the file of 'a.mkv' has changed and the new one gave none: no video; run"):
        world.load()


def test_an_extraction_and_a_training_agree(tmp_path: Path) -> None:
    """From the videos on: replaced by something broken, put back, and extracted once more."""
    original = {name: write_clip(tmp_path / name, pictures(4)).read_bytes() for name in NAMES}

    def extracted() -> tuple[str, FeatureFolder]:
        settings = ExtractionSettings(store=tmp_path / "store", workers=1)
        report: Report = extract(ANNOTATIONS, [AverageColour()], root=tmp_path, settings=settings, weights="default")
        return report.whole.summary(), report.folders[0]

    def found(folder: FeatureFolder) -> tuple[str, ...]:
        sequences = load_sequences(ANNOTATIONS, folder, LabelMap(("x",)), device=CPU)
        return tuple(one.path for one in sequences.annotations)

    summary, folder = extracted()
    assert (summary, found(folder)) == ("extracted 3, reused 0, failed 0", NAMES)
    (tmp_path / "a.mkv").write_bytes(b"broken")
    (tmp_path / "c.mkv").unlink()
    assert (extracted()[0], found(folder)) == ("extracted 0, reused 1, failed 2", NAMES[1:])
    for name in ("a.mkv", "c.mkv"):
        (tmp_path / name).write_bytes(original[name])
    assert (extracted()[0], found(folder)) == ("extracted 0, reused 3, failed 0", NAMES)
