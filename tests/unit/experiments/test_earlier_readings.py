"""Training, evaluating and searching say how many features an earlier version made, and what to do about it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from tests.old_features import make_old
from tests.worlds import CPU, LABELS, annotate, fill_store, make_run, make_search
from vidrnn.experiments.crossval import run_crossval
from vidrnn.experiments.evaluate import evaluate
from vidrnn.experiments.train import train
from vidrnn.experiments.tune import tune
from vidrnn.sequences.loading import load_sequences
from vidrnn.settings.run import RunSettings
from vidrnn.settings.streams import Stream
from vidrnn.store import pack_reader
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.manifest import Found, Manifest, state
from vidrnn.store.pack_update import pack
from vidrnn.store.reader import READER

NOTE = (
    "features of {} videos are of an earlier version, which may have read them in another way, first {!r}; run "
    "`vidrnn extract`, which looks at these videos and makes anew what differs"
)


def store_of(settings: RunSettings, *old: str) -> FeatureFolder:
    """The store of a run, in which an earlier version made the features of some videos."""
    folder = FeatureStore(settings.extraction.store).find(settings.features)
    for path in old:
        make_old(folder, path)
    return folder


def test_train_and_crossval_say_it_in_one_line(tmp_path: Path) -> None:
    """Over all splits that they read; the test split is none of them."""
    settings = make_run(tmp_path, splits=True)
    store_of(settings, "actor0/clip 1.mp4", "actor1/clip 0.mp4", "actor2/clip 0.mp4", "actor3/clip 0.mp4")
    notes: list[str] = []
    train(settings, output=tmp_path / "run", on_note=notes.append)
    assert notes == [NOTE.format(3, "actor0/clip 1.mp4")]
    notes.clear()
    run_crossval(settings, output=tmp_path / "crossval", on_note=notes.append)
    assert notes[-1] == NOTE.format(4, "actor0/clip 1.mp4")


def test_evaluate_and_tune_say_it(tmp_path: Path) -> None:
    settings = make_search(tmp_path)
    train(settings, output=tmp_path / "run")
    store_of(settings, "actor4/clip 2.mp4", "actor0/clip 0.mp4")
    model = tmp_path / "run" / "model.safetensors"
    assert evaluate(model, settings, split="test", output=tmp_path / "test").notes[0] == (
        "note: " + NOTE.format(1, "actor4/clip 2.mp4")
    )
    assert NOTE.format(1, "actor0/clip 0.mp4") in tune(settings, output=tmp_path / "tuned").notes


def outdated(folder: FeatureFolder) -> tuple[str, ...]:
    rows = [(path, LABELS.names[number % 2]) for number, path in enumerate(NAMES)]
    return load_sequences(annotate(*rows), folder, LABELS, device=CPU).outdated


NAMES = ("a.mp4", "b/c.mp4", "d.mp4")


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., FeatureFolder]:
    def make(*old: str, stream: Stream = "rgb", reader: int = 0) -> FeatureFolder:
        sequences = {name: np.full((4, 2), number) for number, name in enumerate(NAMES)}
        folder = fill_store(tmp_path / stream, sequences, dim=2, stream=stream)
        for path in old:
            make_old(folder, path, reader=reader)
        return folder

    return make


def confirm(folder: FeatureFolder, path: str) -> None:
    stored = folder.state_of(path)
    assert stored is not None
    with Manifest(folder.path) as manifest:
        manifest.enter(path, Found("1 2", "3", state(stored), READER))


def without_a_column_of_versions(folder: FeatureFolder) -> None:
    """The index as an earlier version wrote it."""
    path = folder.path / pack_reader.FOLDER / pack_reader.INDEX
    metadata, tensors = pack_reader.map_tensors(path)
    del tensors["reader"]
    metadata["sha256"] = pack_reader.checksum_of(metadata["vidrnn_pack"], tensors)
    path.write_bytes(save({name: np.array(values) for name, values in tensors.items()}, metadata=metadata))


@pytest.mark.parametrize("packed", ["files", "pack", "pack of an earlier version"])
def test_which_videos_these_are(make_folder: Callable[..., FeatureFolder], packed: str) -> None:
    folder = make_folder("b/c.mp4", "d.mp4")
    if packed != "files":
        pack(folder, remove_files=True)
    if packed == "pack of an earlier version":
        without_a_column_of_versions(folder)
    assert outdated(folder) == ("b/c.mp4", "d.mp4")
    confirm(folder, "d.mp4")
    assert outdated(folder) == ("b/c.mp4",)


def test_what_was_found_right_is_as_new(make_folder: Callable[..., FeatureFolder]) -> None:
    folder = make_folder(*NAMES)
    for name in NAMES:
        confirm(folder, name)
    assert outdated(folder) == ()
    make_old(folder, "d.mp4", later_s=1.0)  # another file by now
    assert outdated(folder) == ("d.mp4",)


@pytest.mark.parametrize(
    ("stream", "reader", "number"), [("text", 0, 0), ("audio", 1, 0), ("audio", 0, 1), ("rgb", 1, 1)]
)
def test_only_streams_that_a_change_concerns(
    make_folder: Callable[..., FeatureFolder], stream: Stream, reader: int, number: int
) -> None:
    assert len(outdated(make_folder("a.mp4", stream=stream, reader=reader))) == number


def test_no_manifest_is_made_by_reading(make_folder: Callable[..., FeatureFolder]) -> None:
    folder = make_folder("a.mp4")
    assert outdated(folder) == ("a.mp4",)
    assert sorted(path.name for path in folder.path.iterdir() if path.is_file()) == [
        "a.mp4.safetensors", "d.mp4.safetensors", "spec.json"
    ]  # fmt: skip
