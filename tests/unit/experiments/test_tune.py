"""`vidrnn tune`: what a trial measures, that it sees the training split alone, and that it survives being killed."""

import csv
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold

from tests.worlds import CPU, make_search, tiny_spec
from vidrnn.annotations import LabelMap, read_annotations
from vidrnn.errors import AnnotationError, ConfigError, StoreError, TrainingError
from vidrnn.experiments.train import train
from vidrnn.experiments.tune import Tuning, tune
from vidrnn.sequences.loading import load_sequences
from vidrnn.settings.base import dump_yaml, load, validate
from vidrnn.settings.run import RunSettings
from vidrnn.store.feature_store import FeatureStore
from vidrnn.training.fit import fit


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def tried(result: Tuning) -> list[tuple[dict[str, Any], tuple[float, ...]]]:
    """What was tried to its end, in order, with the loss of each fold."""
    return [(record.values, record.losses) for record in result.records if record.outcome != "interrupted"]


@pytest.mark.parametrize("select", ["best", "last"])
def test_the_first_trial_is_the_configuration_validated_by_group_inside_the_training_split(
    tmp_path: Path, select: str
) -> None:
    settings = make_search(tmp_path, training={"select": select}, tuning={"trials": 1})
    result = tune(settings, output=tmp_path / "search")
    members = [annotation for annotation in read_annotations(settings.data) if annotation.split == "train"]
    groups = [annotation.group for annotation in members]
    folder = FeatureStore(settings.extraction.store).find(settings.features)
    sequences = load_sequences(members, folder, LabelMap.from_annotations(members), device=CPU)
    expected = []
    for train_side, val_side in GroupKFold(n_splits=3).split(groups, groups=groups):
        sides = sequences.subset(train_side.tolist()), sequences.subset(val_side.tolist())
        history = fit(*sides, num_classes=2, model_settings=settings.model, settings=settings.training).history
        losses = [row["val_loss"] for row in history]
        expected.append(min(losses) if select == "best" else losses[-1])
    assert sorted(result.untuned.losses) == pytest.approx(sorted(expected))
    assert result.untuned.value == pytest.approx(np.mean(expected))
    assert result.untuned.values == {"training.learning_rate": 0.01, "model.cell": "gru"}


def test_validation_and_test_videos_are_never_read(tmp_path: Path) -> None:
    settings = make_search(tmp_path)
    undisturbed = tune(settings, output=tmp_path / "before")
    folder = FeatureStore(settings.extraction.store).find(settings.features)
    for annotation in read_annotations(settings.data):
        if annotation.split != "train":
            folder.file_of(annotation.path).write_bytes(b"unreadable")
    result = tune(settings, output=tmp_path / "after")
    assert result.missing == ()
    assert tried(result) == tried(undisturbed)
    val = [annotation for annotation in read_annotations(settings.data) if annotation.split == "val"]
    with pytest.raises(StoreError):  # the files are indeed unreadable
        load_sequences(val, folder, LabelMap.from_annotations(val), device=CPU)


def test_the_best_configuration_is_no_worse_than_the_untuned_one_and_trains(tmp_path: Path) -> None:
    settings = make_search(tmp_path, tuning={"trials": 6})
    result = tune(settings, output=tmp_path / "search")
    best = load(RunSettings, tmp_path / "search" / "best.yaml")
    rows = read_csv(tmp_path / "search" / "trials.csv")
    complete = [row for row in rows if row["state"] == "complete"]
    lowest = min(complete, key=lambda row: float(row["value"]))
    assert best.training.learning_rate == float(lowest["training.learning_rate"])
    assert best.model.cell == lowest["model.cell"]
    assert best.model_copy(update={"model": settings.model, "training": settings.training}) == settings
    summary = json.loads((tmp_path / "search" / "tune.json").read_text(encoding="utf-8"))
    assert summary["best_value"] == float(lowest["value"]) <= summary["untuned_value"] == float(rows[0]["value"])
    assert summary["best_trial"] == int(lowest["number"]) == result.ranking[0].number
    assert summary["n"] == sum(fold["n"] for fold in summary["folds"]) == 12
    states = [row["state"] for row in rows]
    assert summary["trials"] == {
        state: states.count(state) for state in ("complete", "pruned", "failed", "interrupted")
    }
    assert "training split only (12 videos of 3 groups; not read: 4 val videos and 4 test videos)" in result.protocol
    assert train(best, output=tmp_path / "run").metrics["n"]["train"] == 12


def test_a_search_that_goes_on_tries_what_an_undisturbed_one_would_have_tried(tmp_path: Path) -> None:
    """Beyond ten trials the sampler uses what it has learned, beyond five it prunes."""
    settings = make_search(tmp_path, tuning={"trials": 13})
    whole = tune(settings, output=tmp_path / "whole")
    for trials in (4, 11, 13):
        parts = tune(with_tuning(settings, trials=trials), output=tmp_path / "parts")
        assert len(parts.records) == trials
    assert tried(parts) == tried(whole)
    assert (tmp_path / "parts" / "trials.csv").read_bytes() == (tmp_path / "whole" / "trials.csv").read_bytes()
    again = tune(settings, output=tmp_path / "parts", on_fold=lambda: pytest.fail("a finished search fitted again"))
    assert again.records == parts.records


def with_tuning(settings: RunSettings, **tuning: Any) -> RunSettings:
    """The same world with other settings of the search."""
    return settings.model_copy(update={"tuning": settings.tuning.model_copy(update=tuning)})


def test_a_killed_search_goes_on_and_a_second_process_is_refused_meanwhile(tmp_path: Path) -> None:
    settings = make_search(tmp_path, training={"epochs": 80})
    config, output = tmp_path / "config.yaml", tmp_path / "killed"
    config.write_text(dump_yaml(settings), encoding="utf-8")
    command = [sys.executable, "-m", "vidrnn", "tune", "--config", str(config), "--output", str(output)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: (output / "trials.csv").exists() and running_trials(output) == 1, process)
        process.send_signal(signal.SIGSTOP)  # it stays where it is while the second process looks
        with pytest.raises(TrainingError, match="another process searches in"):
            tune(settings, output=output)
    finally:
        process.kill()
        process.communicate()
    first = read_csv(output / "trials.csv")
    assert [row["state"] for row in first] == ["complete"]
    assert running_trials(output) == 1, "killed too late for this test"
    folds = []
    result = tune(settings, output=output, on_fold=lambda: folds.append(1))
    assert [record.outcome for record in result.records] == ["complete", "interrupted", "complete", "complete"]
    assert len(folds) == 2 * 3, "the finished trial was fitted again"
    assert read_csv(output / "trials.csv")[0] == first[0]
    assert tried(result) == tried(tune(settings, output=tmp_path / "whole"))


def wait_until(condition: Any, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 240  # on a machine with much other work
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def running_trials(output: Path) -> int:
    connection = sqlite3.connect(output / "search.sqlite")
    try:
        return int(connection.execute("SELECT count(*) FROM trials WHERE state = 'RUNNING'").fetchone()[0])
    finally:
        connection.close()


def test_hopeless_trials_are_pruned_by_the_median_of_the_complete_ones(tmp_path: Path) -> None:
    settings = make_search(tmp_path, groups=6, tuning={"trials": 12})
    records = tune(settings, output=tmp_path / "search").records
    pruned = [record for record in records if record.outcome == "pruned"]
    assert pruned
    for record in records[1:]:
        means = np.cumsum(record.losses) / np.arange(1, len(record.losses) + 1)
        others = [each.losses for each in records[: record.number] if each.outcome == "complete"]
        worse = [
            len(others) >= 5 and min(means[:done]) > np.median([np.mean(each[:done]) for each in others])
            for done in range(1, min(len(means), 3) + 1)
        ]
        assert worse == [False] * (len(worse) - 1) + [record.outcome == "pruned"]


@pytest.mark.parametrize("learning_rates", [{"low": 1e-4, "high": 0.1, "log": True}, [0.01, 1e30]])
def test_what_is_tried_and_found_is_the_same_for_any_number_of_jobs(tmp_path: Path, learning_rates: object) -> None:
    """Trials that are given up after some folds and such that fail in one are among them."""
    tuning = {"trials": 9, "space": {"training.learning_rate": learning_rates}}
    settings = make_search(tmp_path, groups=6, tuning=tuning)
    one, three = (tune(settings, output=tmp_path / str(jobs), jobs=jobs).records for jobs in (1, 3))
    assert one == three
    assert {record.outcome for record in one} - {"complete"}


def test_what_cannot_be_fitted_is_a_failed_trial_and_the_search_goes_on(tmp_path: Path) -> None:
    space = {
        "model.attention_heads": [2, 4],
        "model.hidden_size": [8, 12],
    }  # four do not divide 12
    changes = {"cell": "transformer", "bidirectional": False, "attention_heads": 2}
    result = tune(
        make_search(tmp_path, tuning={"trials": 8, "space": space}, model=changes), output=tmp_path / "search"
    )
    failed = [record for record in result.records if record.outcome == "failed"]
    wrong = {"model.attention_heads": 4, "model.hidden_size": 12}
    assert failed == [record for record in result.records if record.values == wrong] != []
    assert all("does not split into 4 heads" in str(record.cause) for record in failed)
    assert len(result.records) == 8


def test_a_loss_that_is_no_number_fails_the_trial_but_not_the_search(tmp_path: Path) -> None:
    space = {"training.learning_rate": [0.01, 1e30]}
    result = tune(make_search(tmp_path, tuning={"trials": 6, "space": space}), output=tmp_path / "search")
    by_rate = {record.values["training.learning_rate"]: record for record in result.records}
    assert by_rate[0.01].outcome == "complete"
    assert by_rate[1e30].outcome == "failed"
    assert "lower training.learning_rate" in str(by_rate[1e30].cause)
    row = read_csv(tmp_path / "search" / "trials.csv")[by_rate[1e30].number]
    assert (row["state"], row["value"], row["cause"]) == ("failed", "", by_rate[1e30].cause)


def test_a_configuration_that_cannot_be_fitted_is_an_error_and_can_be_tried_again(tmp_path: Path) -> None:
    settings = make_search(tmp_path, training={"learning_rate": 1e30})
    for _ in range(2):
        with pytest.raises(TrainingError, match=r"lower training\.learning_rate"):
            tune(settings, output=tmp_path / "search")


def test_a_list_can_be_a_choice(tmp_path: Path) -> None:
    space = {"model.inputs": [["features"], ["centred", "change"]], "training.patience": [None, 2]}
    result = tune(make_search(tmp_path, tuning={"trials": 8, "space": space}), output=tmp_path / "search")
    assert {tuple(record.values["model.inputs"]) for record in result.records} == {("features",), ("centred", "change")}
    assert {record.values["training.patience"] for record in result.records} == {None, 2}
    best = load(RunSettings, tmp_path / "search" / "best.yaml")
    assert list(best.model.inputs) == result.ranking[0].values["model.inputs"]


@pytest.mark.parametrize(
    "change",
    [{"model": {"hidden_size": 4}}, {"training": {"seed": 7}}, {"tuning": {"space": {"model.cell": ["gru", "rnn"]}}},
     {"tuning": {"folds": 2}}, {"features": {"rate": 5.0}}, {"inference": {"draws": 2}}],
    ids=["model", "seed", "space", "folds", "features", "inference"],
)  # fmt: skip
def test_a_folder_of_another_search_is_refused_and_left_alone(tmp_path: Path, change: dict[str, Any]) -> None:
    settings = make_search(tmp_path, tuning={"trials": 1})
    output = tmp_path / "search"
    tune(settings, output=output)
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    tree = settings.model_dump(mode="json")
    for section, values in change.items():
        tree[section] |= values
    other = validate(RunSettings, tree)
    if "features" in change:
        old = FeatureStore(settings.extraction.store).find(settings.features)
        new = FeatureStore(settings.extraction.store).create(other_spec(other))
        for annotation in read_annotations(settings.data):
            new.write(annotation.path, old.read(annotation.path))
    with pytest.raises(TrainingError, match="belongs to another configuration, other features or another space"):
        tune(other, output=output)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before


def other_spec(settings: RunSettings) -> Any:
    return tiny_spec(dim=6, settings=settings.features)


def test_a_damaged_search_is_named(tmp_path: Path) -> None:
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "search.sqlite").write_bytes(b"no database" * 200)
    with pytest.raises(TrainingError, match=r"search\.sqlite is not the file of a search"):
        tune(make_search(tmp_path), output=tmp_path / "search")


def test_there_are_no_more_folds_than_groups_and_at_least_two(tmp_path: Path) -> None:
    result = tune(make_search(tmp_path, tuning={"trials": 1, "folds": 9}), output=tmp_path / "search")
    assert len(result.untuned.losses) == 3
    shutil.rmtree(tmp_path)
    with pytest.raises(AnnotationError, match="at least two groups in the training split, found 1"):
        tune(make_search(tmp_path, groups=3), output=tmp_path / "search")


def test_a_time_limit_still_leaves_the_untuned_configuration(tmp_path: Path) -> None:
    result = tune(make_search(tmp_path), output=tmp_path / "search", timeout_s=0.0)
    assert [record.values["model.cell"] for record in result.records] == ["gru"]


def test_without_optuna_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError) as caught:
        tune(make_search(tmp_path), output=tmp_path / "search")
    assert str(caught.value) == "tune needs Optuna; run `pip install 'vidrnn[tune]'`"


def test_a_folder_with_tables_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "trials.csv").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"vidrnn did not write them: \['trials\.csv'\]"):
        tune(make_search(tmp_path), output=tmp_path / "search")
    assert (tmp_path / "search" / "trials.csv").read_text(encoding="utf-8") == "mine"
