"""`vidrnn.experiments.train`: configuration and store in, a run folder out."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from tests.integration.world import call
from tests.worlds import CPU, make_run, tiny_model
from vidrnn.annotations import SPLITS, read_annotations
from vidrnn.errors import AnnotationError, ConfigError, MissingPathError, StoreError, TrainingError
from vidrnn.experiments.crossval import run_crossval
from vidrnn.experiments.evaluate import evaluate
from vidrnn.experiments.provenance import config_digest
from vidrnn.experiments.stored_sets import require_split
from vidrnn.experiments.train import train
from vidrnn.models.model_file import load_model
from vidrnn.sequences.loading import load_sequences
from vidrnn.settings.base import load, validate
from vidrnn.settings.evaluation import InferenceSettings
from vidrnn.settings.run import RunSettings
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.pack_update import pack
from vidrnn.training.predict import predict, predict_options


def changed(settings: RunSettings, section: str, **values: object) -> RunSettings:
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=values)})


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_json(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values


class StoppedError(Exception):
    """What a test raises in the middle of a run."""


def stop(row: dict[str, float]) -> None:
    if row["epoch"] == 2:
        raise StoppedError


def test_a_run_folder_holds_everything(tmp_path: Path) -> None:
    settings = make_run(tmp_path, splits=True)
    result = train(settings, output=tmp_path / "run")
    names = {file.name for file in (tmp_path / "run").iterdir()}
    assert names == {
        "model.safetensors", "best.safetensors", "last.safetensors", "checkpoint.safetensors",
        "config.yaml", "log.csv", "metrics.json",
    }  # fmt: skip
    assert {file.name for file in result.files} == names
    assert load(RunSettings, tmp_path / "run" / "config.yaml") == settings
    metrics = read_json(tmp_path / "run" / "metrics.json")
    assert metrics == result.metrics
    assert metrics["n"] == {"train": 8, "val": 4, "test": 4}
    assert metrics["config_digest"] == config_digest(settings)
    assert "epoch chosen on the validation split" in metrics["protocol"]
    log = read_csv(tmp_path / "run" / "log.csv")
    assert [float(row["epoch"]) for row in log] == [1.0, 2.0, 3.0]
    assert float(log[metrics["epoch"] - 1]["val_loss"]) == metrics["val_loss"]
    assert metrics["val_loss"] == min(float(row["val_loss"]) for row in log)


def test_the_saved_model_gives_the_validation_loss_of_the_metrics(tmp_path: Path) -> None:
    settings = make_run(tmp_path, splits=True)
    result = train(settings, output=tmp_path / "run")
    model = load_model(tmp_path / "run" / "model.safetensors", device=CPU)
    assert model.label_map.names == ("falls", "rises")
    shown = {"data": {"root"}, "extraction": {"store"}}  # of these folders the file holds the last part alone
    assert model.settings.model_dump(exclude=shown) == settings.model_dump(exclude=shown)
    assert (model.settings.data.root, model.settings.extraction.store) == (Path("videos"), Path("features"))
    val = [annotation for annotation in read_annotations(settings.data) if annotation.split == "val"]
    folder = FeatureStore(settings.extraction.store).find(settings.features)
    sequences = load_sequences(val, folder, model.label_map, device=CPU)
    loss = torch.nn.functional.cross_entropy(
        torch.stack(predict(model.classifier, sequences, predict_options(settings))), sequences.targets.values
    )
    assert float(loss) == pytest.approx(result.metrics["val_loss"], rel=1e-6)
    best, chosen = (load_file(tmp_path / "run" / f"{name}.safetensors") for name in ("best", "model"))
    assert all(torch.equal(value, best[name]) for name, value in chosen.items())


def test_training_needs_no_video(tmp_path: Path) -> None:
    """The data root holds a list and no clip: the store is all that training reads."""
    settings = make_run(tmp_path, splits=True)
    assert [file.name for file in (tmp_path / "videos").iterdir()] == ["list.csv"]
    train(settings, output=tmp_path / "run")


def test_resume_continues_to_the_same_model(tmp_path: Path) -> None:
    settings = make_run(tmp_path, splits=True)
    whole = train(settings, output=tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(settings, output=tmp_path / "run", on_epoch=stop)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    epochs: list[float] = []
    resumed = train(settings, output=tmp_path / "run", resume=True, on_epoch=lambda row: epochs.append(row["epoch"]))
    assert epochs == [3.0]
    for name in ("model", "best", "last"):
        first, second = (load_file(tmp_path / folder / f"{name}.safetensors") for folder in ("whole", "run"))
        assert all(torch.equal(value, second[key]) for key, value in first.items())
    assert resumed.metrics == whole.metrics
    assert len(read_csv(tmp_path / "run" / "log.csv")) == 3


@pytest.mark.parametrize(("section", "values"), [("training", {"learning_rate": 0.5}), ("model", {"hidden_size": 4})])
def test_a_run_of_other_settings_is_refused_and_left_alone(
    tmp_path: Path, section: str, values: dict[str, object]
) -> None:
    settings = make_run(tmp_path, splits=True)
    train(settings, output=tmp_path / "run")
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    with pytest.raises(TrainingError, match="belongs to another configuration or other features"):
        train(changed(settings, section, **values), output=tmp_path / "run", resume=True)
    assert {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()} == before


def test_a_run_with_another_validation_split_is_refused(tmp_path: Path) -> None:
    """Its epochs would be compared on losses of different videos."""
    settings = make_run(tmp_path, splits=True)
    train(settings, output=tmp_path / "run")
    path = tmp_path / "videos" / "list.csv"
    path.write_text(path.read_text().replace(",val,", ",x,").replace(",test,", ",val,").replace(",x,", ",test,"))
    with pytest.raises(TrainingError, match="belongs to another configuration or other features"):
        train(settings, output=tmp_path / "run", resume=True)


def test_a_moved_data_root_may_continue(tmp_path: Path) -> None:
    settings = make_run(tmp_path, splits=True)
    with pytest.raises(StoppedError):
        train(settings, output=tmp_path / "run", on_epoch=stop)
    (tmp_path / "videos").rename(tmp_path / "elsewhere")
    train(changed(settings, "data", root=tmp_path / "elsewhere"), output=tmp_path / "run", resume=True)


def test_without_validation_the_last_epoch_is_the_model(tmp_path: Path) -> None:
    settings = changed(make_run(tmp_path), "data", val_fraction=0.0)
    result = train(settings, output=tmp_path / "run")
    assert not (tmp_path / "run" / "best.safetensors").exists()
    assert result.metrics["epoch"] == 3
    assert not [key for key in result.metrics if key.startswith("val_")]


def test_videos_without_features_are_reported(tmp_path: Path) -> None:
    settings = make_run(tmp_path, splits=True)
    folder = FeatureStore(settings.extraction.store).find(settings.features)
    folder.file_of("actor0/clip 0.mp4").unlink()
    assert train(settings, output=tmp_path / "run").metrics["missing_features"] == ["actor0/clip 0.mp4"]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    settings = make_run(tmp_path, splits=True)
    with pytest.raises(MissingPathError, match=r"feature store .* does not exist; run `vidrnn extract` first"):
        train(changed(settings, "extraction", store=tmp_path / "gone"), output=tmp_path / "run")
    with pytest.raises(StoreError, match=r"sampling: .* asked .*; run `vidrnn extract`"):
        train(changed(settings, "features", rate=3.0), output=tmp_path / "run")
    with pytest.raises(AnnotationError) as caught:
        require_split([], "test")
    assert str(caught.value) == (
        "there is no test split: name it in the annotations, set data.test_fraction, or use crossval"
    )
    assert not (tmp_path / "run").exists()


def test_crossval_writes_its_results(tmp_path: Path) -> None:
    settings = make_run(tmp_path, groups=3)
    totals: list[int] = []
    fits: list[None] = []
    run_crossval(settings, output=tmp_path / "cv", on_total=totals.append, on_fit=lambda: fits.append(None))
    assert totals == [len(fits)] == [3 * (2 + 4)]
    assert {file.name for file in (tmp_path / "cv").iterdir()} == {
        "crossval.json", "predictions.csv", "confusion.png", "config.yaml",
    }  # fmt: skip
    values = read_json(tmp_path / "cv" / "crossval.json")
    assert {"protocol", "folds", "top1_mean", "top1_std", "n", "baselines"} <= set(values)
    assert "leave_one_group_out, 3 folds" in values["protocol"]
    assert "seeds 0, 1" in values["protocol"]
    assert (values["n"], values["missing_features"]) == (12, [])
    rows = read_csv(tmp_path / "cv" / "predictions.csv")
    assert [row["seed"] for row in rows] == ["0"] * 12 + ["1"] * 12
    right = [sum(int(row["correct"]) for row in rows if row["seed"] == seed) for seed in "01"]
    assert [own / 12 for own in right] == pytest.approx(values["top1_per_seed"])
    assert {(row["path"].split("/")[0], row["group"]) for row in rows} == {(f"actor{i}", f"actor{i}") for i in range(3)}
    assert all(float(row["p_falls"]) + float(row["p_rises"]) == pytest.approx(1.0, abs=1e-5) for row in rows)
    assert load(RunSettings, tmp_path / "cv" / "config.yaml") == settings


def test_crossval_goes_on_without_videos_that_failed(tmp_path: Path) -> None:
    settings = make_run(tmp_path, groups=3, seeds=1, baselines=False)
    FeatureStore(settings.extraction.store).find(settings.features).file_of("actor1/clip 2.mp4").unlink()
    run_crossval(settings, output=tmp_path / "cv")
    values = read_json(tmp_path / "cv" / "crossval.json")
    assert (values["n"], values["missing_features"]) == (11, ["actor1/clip 2.mp4"])


def test_the_digest_of_a_configuration_follows_its_settings(tmp_path: Path) -> None:
    settings = make_run(tmp_path)
    other = settings.model_copy(update={"model": tiny_model(hidden_size=9)})
    assert config_digest(settings) == config_digest(settings.model_copy())
    assert config_digest(settings) != config_digest(other)


def test_results_name_no_folder(tmp_path: Path) -> None:
    """They are shown around: of a list and of videos that were given by absolute paths the names are enough."""
    settings = make_run(tmp_path, splits=False)
    rows = list(csv.DictReader((settings.data.root / "list.csv").open()))
    with (tmp_path / "absolute.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows([*rows, rows[0] | {"path": str(tmp_path / "gone.mp4")}])
    data = settings.data.model_copy(update={"annotations": str(tmp_path / "absolute.csv")})
    run_crossval(settings.model_copy(update={"data": data}), output=tmp_path / "result")
    text = (tmp_path / "result" / "crossval.json").read_text()
    written = json.loads(text)
    assert written["protocol"].startswith("absolute.csv; ")
    assert written["missing_features"] == ["gone.mp4"]
    assert str(tmp_path) not in text


def test_a_run_folder_gives_the_same_numbers_again_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The issue's promise, as a user keeps it: relative paths, the verb, another working directory, the same seed."""
    settings = make_run(tmp_path, splits=True)
    tree = settings.model_dump(mode="json")
    tree["data"]["root"], tree["extraction"]["store"] = "videos", "features"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tree))
    monkeypatch.chdir(tmp_path)
    assert call(capsys, "train", "--config", "config.yaml", "--output", "run").code == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert call(capsys, "train", "--config", tmp_path / "run" / "config.yaml", "--output", "again").code == 0
    first, second = read_json(tmp_path / "run" / "metrics.json"), read_json(Path("again/metrics.json"))
    assert first == second
    assert str(tmp_path) not in Path("again/metrics.json").read_text(), "the command line named it"
    one, other = load_file(tmp_path / "run" / "model.safetensors"), load_file("again/model.safetensors")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    logs = [read_csv(file) for file in (tmp_path / "run" / "log.csv", Path("again/log.csv"))]
    timeless = [[{name: row[name] for name in row if name != "seconds"} for row in log] for log in logs]
    assert timeless[0] == timeless[1]


def test_the_digest_is_that_of_what_decides_the_numbers(tmp_path: Path) -> None:
    settings = make_run(tmp_path)
    moved = changed(changed(settings, "data", root=Path("/elsewhere")), "extraction", store=Path("other"), workers=7)
    assert config_digest(moved) == config_digest(settings)
    assert config_digest(changed(settings, "training", seed=1)) != config_digest(settings)


def test_last_and_best_say_their_own_epoch_and_figures(tmp_path: Path) -> None:
    """Not those of the selected weights: each file is a model of its own."""
    settings = changed(make_run(tmp_path, splits=True), "training", epochs=6, learning_rate=0.02)
    path = tmp_path / "videos" / "list.csv"
    text = path.read_text(encoding="utf-8")  # the more is learned, the worse are answers to swapped labels
    text = text.replace("falls,val", "x").replace("rises,val", "falls,val").replace("x", "rises,val")
    path.write_text(text, encoding="utf-8")
    train(settings, output=tmp_path / "run")
    rows = read_csv(tmp_path / "run" / "log.csv")
    best = min(rows, key=lambda row: float(row["val_loss"]))
    assert best is not rows[-1], "this fit should be best before its end"
    for name, row in (("model", best), ("best", best), ("last", rows[-1])):
        metrics = load_model(tmp_path / "run" / f"{name}.safetensors", device=CPU).metrics
        assert metrics["epoch"] == int(float(row["epoch"]))
        for figure in ("train_loss", "val_loss", "val_top1"):
            assert metrics[figure] == pytest.approx(float(row[figure]), rel=1e-5), (name, figure)


@pytest.mark.parametrize(
    ("training", "splits", "said"),
    [
        ({}, True, "epoch chosen on the validation split, so val numbers are optimistic"),
        ({"select": "last"}, True, "last epoch, not chosen on the validation split"),
        (
            {"select": "last", "patience": 2},
            True,
            "last epoch, and the validation split decided when to stop, so val numbers are optimistic",
        ),
        ({}, False, "no validation split, last epoch"),
    ],
)
def test_the_protocol_says_what_was_chosen_on_validation(
    tmp_path: Path, training: dict[str, object], splits: bool, said: str
) -> None:
    settings = changed(make_run(tmp_path, splits=splits), "training", **training)
    if not splits:
        settings = changed(settings, "data", val_fraction=0.0, test_fraction=0.0)
    result = train(settings, output=tmp_path / "run")
    assert f"; {said}; seed 0" in result.metrics["protocol"]
    assert ("val_loss" in result.metrics) == splits


def test_evaluate_obeys_how_it_is_told_to_ask_and_refuses_another_risk(tmp_path: Path) -> None:
    settings = make_run(tmp_path, splits=True, baselines=False)
    settings = changed(changed(settings, "training", steps=3), "inference", draws=2)
    train(settings, output=tmp_path / "run")
    model = tmp_path / "run" / "model.safetensors"

    def answers(**inference: object) -> dict[str, object]:
        asked = settings.model_copy(update={"inference": validate(InferenceSettings, inference)})
        evaluate(model, asked, split="test", output=tmp_path / "test")
        return read_json(tmp_path / "test" / "metrics.json")

    assert answers()["answers_per_video"] == 2  # as it was trained to be asked
    assert answers(draws=5)["answers_per_video"] == 5
    assert "averaged over 5 draws of steps" in str(answers(draws=5)["protocol"])
    assert "in logits" in str(answers(average="logits")["protocol"])
    assert answers(max_risk=None)["answers_per_video"] == 2
    with pytest.raises(ConfigError) as caught:
        answers(max_risk=0.1)
    assert str(caught.value) == (
        "inference.max_risk 0.1: the model was trained with None, which chose its threshold on validation videos; "
        "leave it out, or train with it"
    )


def test_a_test_video_that_was_trained_on_is_refused(tmp_path: Path) -> None:
    settings = make_run(tmp_path, splits=True)
    train(settings, output=tmp_path / "run")
    rows = (tmp_path / "videos" / "list.csv").read_text().replace(",train,actor0", ",test,actor0")
    (tmp_path / "videos" / "list.csv").write_text(rows)
    model = tmp_path / "run" / "model.safetensors"
    with pytest.raises(AnnotationError, match=r"^4 of the 8 test videos were in the training or validation split"):
        evaluate(model, settings, split="test", output=tmp_path / "test")
    accepted = changed(settings, "data", accept=("shared_groups",))
    result = evaluate(model, accepted, split="test", output=tmp_path / "test")
    assert result.metrics.n == 8
    assert "ACCEPTED: shared_groups" in result.protocol


@pytest.mark.parametrize("packed", [False, True])
def test_a_copy_of_a_training_video_under_another_name_is_refused(tmp_path: Path, packed: bool) -> None:
    """The same bytes, renamed and sorted into the test split: the guard knows content, not only paths."""
    settings = make_run(tmp_path, splits=True)
    folder = FeatureStore(settings.extraction.store).folders()[0]
    path = tmp_path / "videos" / "list.csv"
    rows = path.read_text(encoding="utf-8").splitlines()
    first = next(row for row in rows if ",train," in row).split(",")
    folder.write("new name.mp4", folder.read(first[0]))
    path.write_text("\n".join([*rows, f"new name.mp4,{first[1]},test,actor9"]) + "\n", encoding="utf-8")
    if packed:
        pack(folder)
    train(settings, output=tmp_path / "run")
    model = tmp_path / "run" / "model.safetensors"
    message = r"^1 of the 5 test videos were in the training or validation split of this model, by name or by content; "
    with pytest.raises(AnnotationError, match=message):
        evaluate(model, settings, split="test", output=tmp_path / "test")


def test_the_validation_split_says_what_its_numbers_are_worth(tmp_path: Path) -> None:
    settings = make_run(tmp_path, splits=True)
    train(settings, output=tmp_path / "run")
    model = tmp_path / "run" / "model.safetensors"
    said = {split: evaluate(model, settings, split=split, output=tmp_path / split).protocol for split in SPLITS}
    assert "TRAINED ON THIS SPLIT" in said["train"]
    assert "this split chose the epoch and the temperature, so its numbers are optimistic" in said["val"]
    assert "optimistic" not in said["test"]


def test_results_replace_results_and_nothing_else(tmp_path: Path) -> None:
    """A folder with files of the same names by somebody else is refused before any work, and stays as it is."""
    settings, run = make_run(tmp_path, splits=True), tmp_path / "run"
    train(settings, output=run)
    train(settings, output=run)
    evaluate(run / "model.safetensors", settings, split="test", output=run)
    verbs = {
        "log.csv": lambda folder: train(settings, output=folder),
        "confusion.png": lambda folder: evaluate(run / "model.safetensors", settings, split="test", output=folder),
        "predictions.csv": lambda folder: run_crossval(settings, output=folder),
    }
    for name, call_verb in verbs.items():
        folder = tmp_path / name.replace(".", "_")
        folder.mkdir()
        (folder / name).write_text("mine", encoding="utf-8")
        with pytest.raises(ConfigError, match=rf"vidrnn did not write them: \['{name}'\]"):
            call_verb(folder)
        assert [file.read_text() for file in folder.iterdir()] == ["mine"]
        (folder / name).unlink()
        call_verb(folder)
        call_verb(folder)
