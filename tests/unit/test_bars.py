"""What takes long shows how far it has come: every bar has a total, and ends there. Nothing is drawn into a file."""

import io
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.worlds import make_run, make_search
from vidrnn.bars import on_screen
from vidrnn.experiments.evaluate import evaluate
from vidrnn.experiments.train import train
from vidrnn.experiments.tune import tune
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.garbage import find_garbage
from vidrnn.store.pack_update import pack
from vidrnn.store.verification import verify


class Bars:
    """Counts instead of drawing: (description, total, how much was done) of each bar."""

    def __init__(self) -> None:
        self.seen: list[list[object]] = []

    @contextmanager
    def __call__(self, *, total: float, desc: str, unit: str, unit_scale: bool = False):
        self.seen.append([desc, total, 0])
        yield self

    def update(self, n: float | None = 1) -> None:
        self.seen[-1][2] += n

    @property
    def are_complete(self) -> bool:
        return bool(self.seen) and all(total == done for _, total, done in self.seen)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(make_run(tmp_path).extraction.store)


def test_verify_and_gc_count_files_and_shards(store: FeatureStore) -> None:
    (folder,) = store.folders()
    bars = Bars()
    assert len(list(verify(folder, bar=bars))) == 16
    assert bars.seen == [[folder.spec.digest, 16, 16]]
    totals: list[int] = []
    steps: list[int] = []
    pack(folder, shard_bytes=500, on_total=totals.append, on_video=lambda: steps.append(1))
    assert totals == [len(steps)] == [16]
    bars = Bars()
    assert len(list(verify(folder, bar=bars))) == 16
    assert bars.are_complete and bars.seen[0][0] == "pack" and bars.seen[0][1] > 1
    bars = Bars()
    list(find_garbage(store, bar=bars))
    assert bars.are_complete and [desc for desc, *_ in bars.seen] == [folder.spec.digest, "pack"]


def test_a_pack_that_is_written_again_counts_what_it_copies(store: FeatureStore) -> None:
    """New videos and those of shards that are hardly in use."""
    (folder,) = store.folders()
    pack(folder)
    for video in list(folder.videos())[:3]:
        folder.write(video, folder.read(video))
    totals: list[int] = []
    steps: list[int] = []
    pack(folder, on_total=totals.append, on_video=lambda: steps.append(1))
    assert steps and totals[0] >= len(steps) >= 3


def test_training_and_evaluation_count_the_fits_of_baselines(tmp_path: Path) -> None:
    settings, bars = make_run(tmp_path, splits=True), Bars()
    train(settings, output=tmp_path / "run", bar=bars)
    evaluate(tmp_path / "run" / "model.safetensors", settings, split="test", output=tmp_path / "e", jobs=1, bar=bars)
    assert bars.are_complete
    assert [desc for desc, *_ in bars.seen] == ["baselines", "baselines"]
    assert all(total >= 1 for _, total, _ in bars.seen)


def test_a_search_expects_all_folds_of_the_trials_that_are_left(tmp_path: Path) -> None:
    totals: list[int] = []
    steps: list[int] = []
    settings = make_search(tmp_path, tuning={"trials": 2})
    tune(settings, output=tmp_path / "s", jobs=1, on_total=totals.append, on_fold=lambda: steps.append(1))
    assert totals[0] == 2 * 3 and len(totals) == 2
    assert totals[-1] == len(steps)


def test_nothing_is_drawn_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr("sys.stderr", screen)
    with on_screen(total=3, desc="work", unit="video") as shown:
        shown.update()
    assert screen.getvalue() == ""
