"""``features.mirrored: auto`` takes the mirror where it helps inside the training split, and nothing else chooses."""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from tests.unit.experiments.test_head_runs import write_csv
from tests.worlds import Array, fill_store, sequence_set, tiny_model, tiny_spec, tiny_training, video_features
from vidrnn.annotations.splits import Fold
from vidrnn.experiments import mirror_choice
from vidrnn.experiments.crossval import run_crossval
from vidrnn.experiments.crossval_fits import Fits, _Fit
from vidrnn.experiments.evaluate import evaluate
from vidrnn.experiments.train import train
from vidrnn.experiments.tune import tune
from vidrnn.settings.base import load, validate
from vidrnn.settings.run import RunSettings
from vidrnn.store.feature_store import FeatureStore

DIM, VIDEOS = 6, 24
World = Literal["sides", "noise"]


def features_of(world: World, number: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Both views of a video of class ``number % 2``.

    ``sides``: the classes are left and right, so a mirror shows a video of the other. ``noise``: what hides the class
    has another sign in the mirror, so the mean over both views shows it.
    """
    signal, noise = np.zeros((6, DIM)), rng.normal(size=(1, DIM)) + 0.1 * rng.normal(size=(6, DIM))
    signal[:, 0] = 1.0 - 2.0 * (number % 2)
    if world == "sides":
        return signal + 0.3 * noise, -signal + 0.3 * noise
    return 0.4 * signal + noise, 0.4 * signal - noise


def make_settings(folder: Path, world: World, *, groups: int = 8, mirrored: bool | str = "auto") -> RunSettings:
    rng = np.random.default_rng(0)
    both = {f"{number}.mp4": features_of(world, number, rng) for number in range(VIDEOS)}
    splits = ["val" if number >= VIDEOS - 4 else "train" for number in range(VIDEOS)]
    rows = [
        [path, "ab"[number % 2], splits[number], f"g{number // 2 % groups}" if splits[number] == "train" else "val"]
        for number, path in enumerate(both)
    ]
    (folder / "videos").mkdir(parents=True)
    write_csv(folder / "videos" / "list.csv", [["path", "label", "split", "group"], *rows])
    fill_store(folder / "features", {path: plain for path, (plain, _) in both.items()}, dim=DIM)
    other = FeatureStore(folder / "features").create(tiny_spec(dim=DIM).mirrored())
    for path, (_, mirror) in both.items():
        other.write(path, video_features(mirror))
    tree = {
        "data": {"root": str(folder / "videos"), "format": "csv", "annotations": "list.csv"},
        "features": {"nodes": {"last": 1}, "mirrored": mirrored},
        "extraction": {"store": str(folder / "features")},
        "model": tiny_model().model_dump(mode="json"),
        "training": tiny_training(epochs=12).model_dump(mode="json"),
        "evaluation": {"protocol": "group_kfold", "folds": 3, "seeds": 1, "bootstrap": 20, "baselines": False},
        "tuning": {"trials": 1, "space": {"training.learning_rate": [0.01, 0.02]}},
    }
    return validate(RunSettings, tree)


@pytest.mark.parametrize(("world", "chosen"), [("sides", False), ("noise", True)])
def test_training_takes_the_mirror_where_it_lowers_the_loss_and_says_so(
    tmp_path: Path, world: World, chosen: bool
) -> None:
    notes: list[str] = []
    settings = make_settings(tmp_path, world)
    run = train(settings, output=tmp_path / "run", on_note=notes.append)
    assert run.model.settings.features.mirrored is chosen
    losses = run.metrics["mirrored_losses"]
    assert (losses["true"] < losses["false"]) == chosen
    (note,) = [note for note in notes if "mirrored" in note]
    assert f"features.mirrored: auto is {str(chosen).lower()} here" in note
    found = evaluate(tmp_path / "run" / "model.safetensors", settings, split="val", output=tmp_path / "val")
    assert json.loads((tmp_path / "val" / "metrics.json").read_text())["answers_per_video"] == 1 + chosen
    assert found.missing == ()


@pytest.mark.parametrize("world", ["sides", "noise"])
def test_the_choice_is_that_of_the_setting_and_the_fit_is_the_same_to_the_bit(tmp_path: Path, world: World) -> None:
    """Also that the validation videos, which choose the epoch, choose nothing here."""
    auto = train(make_settings(tmp_path / "auto", world), output=tmp_path / "a")
    settings = make_settings(tmp_path / "set", world, mirrored=bool(auto.model.settings.features.mirrored))
    by_hand = train(settings, output=tmp_path / "b")
    assert without_clock(auto.history) == without_clock(by_hand.history)


def without_clock(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


@pytest.mark.parametrize("world", ["sides", "noise"])
def test_each_fold_of_crossval_chooses_for_itself_and_for_any_number_of_jobs(tmp_path: Path, world: World) -> None:
    counts: list[int] = []
    done: list[None] = []
    settings = make_settings(tmp_path, world)
    one = run_crossval(
        settings, output=tmp_path / "1", jobs=1, on_total=counts.append, on_fit=lambda: done.append(None)
    )
    three = run_crossval(settings, output=tmp_path / "3", jobs=3)
    assert one.mirrored == three.mirrored
    assert set(one.mirrored) == ({False} if world == "sides" else {True, False})
    assert one.as_dict() == three.as_dict()
    assert counts == [len(done)] == [3 * (1 + 2 * 3)]
    assert tuple(fold["mirrored"] for fold in one.as_dict()["folds"]) == one.mirrored
    assert "over both views where the mirror was chosen" in one.protocol


def test_fits_of_a_stopped_run_are_kept_apart_by_their_view(tmp_path: Path) -> None:
    """With the same seed and videos, one shown in a mirror too, one not."""
    fold = Fold("a", (0,), total=3)
    fit = _Fit(0, "model", 0, 7)
    settings = make_settings(tmp_path, "noise")
    sequences = sequence_set([np.zeros((2, 3))] * 3, [0, 1, 0])
    names = {Fits(sequences, [fold], 2, settings, mirrored=views).name_of(fit) for views in [(), (True,), (False,)]}
    assert names == {"model seed 7 tested on 0", "model seed 7 in the plain view tested on 0"}


def test_a_stopped_run_goes_on_with_the_fits_of_the_choice_that_it_has(tmp_path: Path) -> None:
    settings, done = make_settings(tmp_path, "noise"), []

    def stop() -> None:
        done.append(None)
        if len(done) == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_crossval(settings, output=tmp_path / "a", jobs=1, on_fit=stop)
    made = []
    with pytest.MonkeyPatch.context() as patch:
        loss = mirror_choice._loss
        patch.setattr(mirror_choice, "_loss", lambda *arguments: made.append(None) or loss(*arguments))
        gone_on = run_crossval(settings, output=tmp_path / "a", jobs=1)
    assert len(made) == 3 * 6 - 11
    assert gone_on.as_dict() == run_crossval(settings, output=tmp_path / "b", jobs=1).as_dict()


def test_a_single_group_cannot_choose_and_has_no_mirror(tmp_path: Path) -> None:
    notes: list[str] = []
    run = train(make_settings(tmp_path, "noise", groups=1), output=tmp_path / "run", on_note=notes.append)
    assert run.model.settings.features.mirrored is False
    assert "mirrored_losses" not in run.metrics
    assert "features.mirrored: auto is false here: the training split has a single group, which cannot choose" in notes


@pytest.mark.parametrize(("world", "chosen"), [("sides", False), ("noise", True)])
def test_a_search_chooses_first_and_writes_what_it_chose(tmp_path: Path, world: World, chosen: bool) -> None:
    settings = make_settings(tmp_path, world)
    result = tune(settings, output=tmp_path / "search")
    assert load(RunSettings, result.best_config).features.mirrored is chosen
    assert f"features.mirrored: auto is {str(chosen).lower()} here" in result.notes[0]
    again = tune(settings, output=tmp_path / "search")  # the same search
    assert again.records == result.records
