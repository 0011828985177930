"""`training.tensorboard`: curves that TensorBoard reads, beside numbers that do not know of them."""

import csv
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from tests.worlds import make_run
from vidrnn.errors import ConfigError
from vidrnn.experiments.crossval import run_crossval
from vidrnn.experiments.train import train
from vidrnn.settings.base import validate
from vidrnn.settings.run import RunSettings
from vidrnn.training.curves import tag_of

Points = dict[str, list[tuple[int, float]]]


def drawn(settings: RunSettings, **training: object) -> RunSettings:
    tree = settings.model_dump(mode="json")
    tree["training"] |= {"tensorboard": True, **training}
    return validate(RunSettings, tree)


def reader(folder: Path) -> EventAccumulator:
    """TensorBoard's own reader, with room for every point."""
    return EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()


def curves(folder: Path) -> Points:
    found = reader(folder)
    return {tag: [(point.step, point.value) for point in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def logged(path: Path) -> Points:
    """The columns of log.csv, rounded to the 32 bits that an event has."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        tag_of(name): [(int(float(row["epoch"])), float(torch.tensor(float(row[name])))) for row in rows]
        for name in rows[0]
        if name not in {"epoch", "member"}
    }


def stop_after(epoch: int):
    def stop(row: dict[str, float]) -> None:
        if row["epoch"] == epoch:
            raise KeyboardInterrupt

    return stop


def test_the_curves_are_the_log_and_change_no_number(tmp_path: Path) -> None:
    settings = make_run(tmp_path, splits=True)
    train(settings, output=tmp_path / "plain")
    train(drawn(settings), output=tmp_path / "drawn")
    assert not (tmp_path / "plain" / "tensorboard").exists()
    found = curves(tmp_path / "drawn" / "tensorboard")
    assert found == logged(tmp_path / "drawn" / "log.csv")
    assert {"loss/train", "loss/val", "top1/val", "gradient_norm/mean", "gradient_norm/max", "learning_rate"} <= set(
        found
    )
    plain, same = (load_file(tmp_path / name / "model.safetensors") for name in ("plain", "drawn"))
    assert plain.keys() == same.keys() and all(torch.equal(plain[name], same[name]) for name in plain)


def test_a_fit_that_goes_on_has_every_epoch_once(tmp_path: Path) -> None:
    """Also the epochs of a checkpoint whose events a kill has lost."""
    settings = drawn(make_run(tmp_path, splits=True), epochs=4)
    train(settings, output=tmp_path / "whole")
    for name in ("stopped", "lost"):
        with pytest.raises(KeyboardInterrupt):
            train(settings, output=tmp_path / name, on_epoch=stop_after(2))
    assert [step for step, _ in curves(tmp_path / "stopped" / "tensorboard")["loss/val"]] == [1, 2]
    for events in (tmp_path / "lost" / "tensorboard").iterdir():
        events.unlink()
    expected = logged(tmp_path / "whole" / "log.csv")
    for name in ("stopped", "lost"):
        train(settings, output=tmp_path / name, resume=True)
        found = curves(tmp_path / name / "tensorboard")
        assert {tag: points for tag, points in found.items() if tag != "seconds"} == {
            tag: points for tag, points in expected.items() if tag != "seconds"
        }


def test_a_fit_that_begins_anew_in_the_same_folder_replaces_the_curves(tmp_path: Path) -> None:
    settings = make_run(tmp_path, splits=True)
    train(drawn(settings, epochs=5), output=tmp_path / "run")
    train(drawn(settings, epochs=2, seed=1), output=tmp_path / "run")
    assert curves(tmp_path / "run" / "tensorboard") == logged(tmp_path / "run" / "log.csv")


def test_turned_on_or_off_a_run_goes_on(tmp_path: Path) -> None:
    """The checkpoint of a run without curves is no other run's."""
    settings = make_run(tmp_path, splits=True)
    with pytest.raises(KeyboardInterrupt):
        train(settings, output=tmp_path / "run", on_epoch=stop_after(2))
    train(drawn(settings), output=tmp_path / "run", resume=True)
    assert [step for step, _ in curves(tmp_path / "run" / "tensorboard")["loss/train"]] == [1, 2, 3]


def test_hyperparameters_stand_in_the_table_of_runs(tmp_path: Path) -> None:
    train(drawn(make_run(tmp_path, splits=True)), output=tmp_path / "run")
    content = reader(tmp_path / "run" / "tensorboard").summary_metadata["_hparams_/session_start_info"]
    values = HParamsPluginData.FromString(content.plugin_data.content).session_start_info.hparams
    assert values["model.cell"].string_value == "gru"
    assert values["training.learning_rate"].number_value == pytest.approx(0.01)
    assert values["model.inputs"].string_value == '["features"]'


def test_members_and_the_fits_of_a_cross_validation_have_curves_of_their_own(tmp_path: Path) -> None:
    settings = make_run(tmp_path, baselines=False)
    train(drawn(make_run(tmp_path / "b", splits=True), members=2), output=tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run" / "tensorboard").iterdir()) == ["member_1", "member_2"]
    plain = run_crossval(settings, output=tmp_path / "plain", jobs=2)
    result = run_crossval(drawn(settings), output=tmp_path / "cv", jobs=2)
    assert result.as_dict() == plain.as_dict()
    folders = sorted(path.relative_to(tmp_path / "cv" / "tensorboard") for path in (tmp_path / "cv").glob("*/*/*"))
    assert [str(folder) for folder in folders] == [
        f"seed_{seed}/{number + 1:03}_actor{number}" for seed in (0, 1) for number in range(4)
    ]
    assert [step for step, _ in curves(tmp_path / "cv" / "tensorboard" / folders[0])["loss/train"]] == [1, 2, 3]


@pytest.mark.parametrize("work", [train, run_crossval])
def test_without_the_package_nothing_runs(work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error comes before the annotations are read."""
    settings = drawn(make_run(tmp_path, splits=True))
    (tmp_path / "videos" / "list.csv").unlink()
    find = importlib.util.find_spec
    absent = SimpleNamespace(find_spec=lambda name, *rest: None if name == "tensorboard" else find(name, *rest))
    monkeypatch.setattr("vidrnn.training.curves.importlib", SimpleNamespace(util=absent))
    with pytest.raises(ConfigError, match=r"training\.tensorboard: true needs TensorBoard; .*vidrnn\[tensorboard\]"):
        work(settings, output=tmp_path / "run")
