"""`train`, `evaluate` and `crossval` with every head, from the annotation CSV to files that other programs read."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.worlds import CPU, fill_store, tiny_model, tiny_training
from vidrnn.annotations import read_annotations
from vidrnn.annotations.splits import split_annotations
from vidrnn.errors import AnnotationError, ConfigError, TrainingError
from vidrnn.evaluation.comparison import compare
from vidrnn.evaluation.metrics import HEADLINES
from vidrnn.evaluation.multilabel import best_thresholds
from vidrnn.evaluation.video_figures import read_figures
from vidrnn.experiments.crossval import run_crossval
from vidrnn.experiments.evaluate import evaluate
from vidrnn.experiments.stored_sets import find_folders, load_set
from vidrnn.experiments.train import train
from vidrnn.models.model_file import load_model
from vidrnn.settings.base import validate
from vidrnn.settings.model import Head
from vidrnn.settings.run import RunSettings
from vidrnn.training.predict import predict, predict_options

HEADS: tuple[Head, ...] = (
    "multilabel", "step_labels", "step_multilabel", "transcript", "regression", "step_regression"
)  # fmt: skip
BASELINES: dict[Head, set[str]] = {
    "multilabel": {"majority", "metadata_only", "mean_pool", "own_inputs_max", "shuffled_time", "single_frame"},
    "step_labels": {"majority", "single_step", "shuffled_time"},
    "step_multilabel": {"majority", "single_step", "shuffled_time"},
    "transcript": {"majority", "single_step", "shuffled_time"},
    "regression": {"median", "metadata_only", "mean_pool", "own_inputs_max", "shuffled_time", "single_frame"},
    "step_regression": {"median", "single_step", "shuffled_time"},
}
HEADERS: dict[Head, list[str]] = {
    "multilabel": ["path", "labels"],
    "step_labels": ["path", "start", "end", "label"],
    "step_multilabel": ["path", "start", "end", "label"],
    "transcript": ["path", "labels"],
    "regression": ["path", "target"],
    "step_regression": ["path", "start", "end", "target"],
}


def rows_of(head: Head, number: int, total: int) -> list[list[str]]:
    """What the CSV says of a video; each fourth shows nothing, and each says something of the first second at most."""
    shown = [("run", "jump"), ("jump",), ("run", "run"), ()][number % 4]
    if head in {"multilabel", "transcript"}:
        return [["|".join(shown)]]
    if head == "regression":
        return [[f"{total / 10}"]]
    if head == "step_multilabel":  # the second begins before the first ends, but where it is the same
        return [
            [f"{0.1 * place:g}", f"{0.1 * place + 0.25:g}", name] for place, name in enumerate(dict.fromkeys(shown))
        ] or [["", "", ""]]
    said = shown if head == "step_labels" else ["1.5", "-2"][: len(shown)]
    return [[f"{0.2 * place:g}", f"{0.2 * place + 0.15:g}", each] for place, each in enumerate(said)] or [["", "", ""]]


def make_world(folder: Path, head: Head, *, videos: int = 16) -> RunSettings:
    """A store and a CSV: of each four videos one is val and one test; groups are the videos."""
    rng = np.random.default_rng(0)
    rows, sequences = [], {}
    for number in range(videos):
        path, total = f"{number}.mp4", 6 + number % 5
        sequences[path] = rng.normal(size=(total, 6))
        split = ("train", "train", "val", "test")[number // 4 % 4]
        rows += [[path, *own, split, f"g{number // 2}"] for own in rows_of(head, number, total)]
    (folder / "videos").mkdir(parents=True)
    write_csv(folder / "videos" / "list.csv", [[*HEADERS[head], "split", "group"], *rows])
    fill_store(folder / "features", sequences, dim=6)
    tree = {
        "data": {"root": str(folder / "videos"), "format": "csv", "annotations": "list.csv"},
        "features": {"nodes": {"last": 1}},
        "extraction": {"store": str(folder / "features")},
        "model": tiny_model(head=head).model_dump(mode="json"),
        "training": tiny_training(epochs=2).model_dump(mode="json"),
        "evaluation": {"protocol": "group_kfold", "folds": 4, "seeds": 1, "bootstrap": 20},
    }
    return validate(RunSettings, tree)


def write_csv(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_json(path: Path) -> dict[str, Any]:
    """As a program would that takes the standard at its word."""
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    return values


@pytest.mark.parametrize("head", HEADS)
def test_a_head_goes_from_the_csv_to_its_figures(tmp_path: Path, head: Head) -> None:
    settings, name = make_world(tmp_path, head), HEADLINES[head].name
    run = train(settings, output=tmp_path / "run")
    assert math.isfinite(read_json(tmp_path / "run" / "metrics.json")[f"val_{name}"])
    model = load_model(tmp_path / "run" / "model.safetensors", device=CPU)
    expected = {"step_labels": ("background", "jump", "run")}.get(head, ("jump", "run"))
    assert model.label_map.names == (() if "regression" in head else expected)
    assert (model.thresholds is not None) == (head in {"multilabel", "step_multilabel"})
    assert run.model.thresholds == model.thresholds
    found = evaluate(tmp_path / "run" / "model.safetensors", settings, split="test", output=tmp_path / "test")
    values = read_json(tmp_path / "test" / "metrics.json")
    assert (values["n"], values["head"], set(values["baselines"])) == (4, head, BASELINES[head])
    assert math.isfinite(values[name])
    assert {file.name for file in found.files} == {"metrics.json", "predictions.csv", "config.yaml"}
    rows = read_rows(tmp_path / "test" / "predictions.csv")
    per_step = head in {"step_labels", "step_multilabel", "step_regression"}
    assert len(rows) == (sum(6 + number % 5 for number in range(12, 16)) if per_step else 4)
    assert {row["path"] for row in rows} == {f"{number}.mp4" for number in range(12, 16)}


def test_the_baselines_of_evaluate_are_the_same_for_any_number_of_jobs(tmp_path: Path) -> None:
    settings = make_world(tmp_path, "multilabel")
    train(settings, output=tmp_path / "run")
    model = tmp_path / "run" / "model.safetensors"
    one, three = (
        evaluate(model, settings, split="test", output=tmp_path / str(jobs), jobs=jobs).baselines for jobs in (1, 3)
    )
    assert one == three
    with pytest.raises(ConfigError, match="jobs: got 0"):
        evaluate(model, settings, split="test", output=tmp_path / "none", jobs=0)


@pytest.mark.parametrize("head", HEADS)
def test_metrics_and_log_hold_the_same_validation_loss(tmp_path: Path, head: Head) -> None:
    """Numbers in units of the training deviation in both, which is not that of the validation videos."""
    train(make_world(tmp_path, head), output=tmp_path / "run")
    values, rows = read_json(tmp_path / "run" / "metrics.json"), read_rows(tmp_path / "run" / "log.csv")
    assert values["val_loss"] == pytest.approx(min(float(row["val_loss"]) for row in rows), rel=1e-6)


def test_the_thresholds_of_last_and_best_are_those_of_their_own_weights(tmp_path: Path) -> None:
    settings = make_world(tmp_path, "multilabel", videos=48)
    training = settings.training.model_copy(update={"epochs": 12, "learning_rate": 0.05})
    settings = settings.model_copy(update={"training": training})
    train(settings, output=tmp_path / "run")
    found = {}
    for name in ("model", "best", "last"):
        model = load_model(tmp_path / "run" / f"{name}.safetensors", device=CPU)
        val = load_set(
            split_annotations(read_annotations(settings.data), settings.data)["val"],
            settings=settings,
            folders=find_folders(settings.features, store=settings.extraction.store),
            label_map=model.label_map,
        )
        logits = torch.stack(predict(model.classifier, val, predict_options(settings))).double().numpy()
        expected = best_thresholds(1 / (1 + np.exp(-logits)), val.targets.values.numpy() > 0.5)
        assert model.thresholds == pytest.approx(tuple(expected), rel=1e-5)
        found[name] = model.thresholds
    assert found["model"] == found["best"] != found["last"]


@pytest.mark.parametrize("head", HEADS)
def test_a_head_is_cross_validated(tmp_path: Path, head: Head) -> None:
    settings, name = make_world(tmp_path, head), HEADLINES[head].name
    result = run_crossval(settings, output=tmp_path / "cv")
    values = read_json(tmp_path / "cv" / "crossval.json")
    assert values["n"] == 16
    assert set(values["baselines"]) == BASELINES[head]
    assert values[f"{name}_mean"] == result.as_dict()[f"{name}_mean"]
    assert {row["path"] for row in read_rows(tmp_path / "cv" / "predictions.csv")} == {f"{i}.mp4" for i in range(16)}
    figures = read_figures(tmp_path / "cv")
    assert (figures.head, set(figures.groups)) == (head, {f"g{number}" for number in range(8)})
    assert list(figures.seeds) == values["seeds"]
    found = compare(figures, figures)
    assert found.is_equal and found.n == 16
    if head in {"transcript", "regression"}:  # whose headline is the figure that is compared
        assert [pair.b for pair in found.pairs] == pytest.approx(values[f"{name}_per_seed"], rel=1e-6)


@pytest.mark.parametrize("head", ["multilabel", "step_labels", "step_multilabel", "transcript"])
def test_a_class_that_the_model_never_met_is_refused_in_evaluation(tmp_path: Path, head: Head) -> None:
    """Also where the annotations have grown since, and name videos of it for training."""
    settings = make_world(tmp_path, head)
    train(settings, output=tmp_path / "run")
    path = tmp_path / "videos" / "list.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("jump", "leap"), encoding="utf-8")
    with pytest.raises(AnnotationError) as caught:
        evaluate(tmp_path / "run" / "model.safetensors", settings, split="test", output=tmp_path / "test")
    known = "background, jump, run" if head == "step_labels" else "jump, run"
    assert str(caught.value) == f"label 'leap' is unknown; known: {known}"
    assert not (tmp_path / "test").exists()


def test_annotations_of_another_kind_than_the_model_are_refused(tmp_path: Path) -> None:
    settings = make_world(tmp_path / "a", "regression")
    train(settings, output=tmp_path / "run")
    other = make_world(tmp_path / "b", "multilabel")
    with pytest.raises(
        AnnotationError, match=r"^model.head 'regression' needs annotations with target, but '12.mp4' has"
    ):
        evaluate(tmp_path / "run" / "model.safetensors", other, split="test", output=tmp_path / "test")


def show_nothing_in(split: str, settings: RunSettings) -> None:
    """Empty what the CSV says of the videos of a split."""
    path = settings.data.root / "list.csv"
    rows = [list(row.values()) for row in read_rows(path)]
    kept: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        blank = [row[0], *[""] * (len(row) - 3), *row[-2:]] if row[-2] == split else row
        kept.setdefault(tuple(blank), blank)
    write_csv(path, [[*HEADERS[settings.model.head], "split", "group"], *kept.values()])


SPLIT_AND_HEAD = [
    *(
        (split, head)
        for split in ("val", "test")
        for head in ("multilabel", "step_labels", "step_multilabel", "transcript")
    ),
    ("test", "step_regression"),
]


@pytest.mark.parametrize(("split", "head"), SPLIT_AND_HEAD)
def test_a_split_in_which_nothing_is_shown_ends_nothing(tmp_path: Path, head: Head, split: str) -> None:
    """Figures that are not defined are null in the files; the rest of the run is as ever."""
    settings = make_world(tmp_path, head)
    show_nothing_in(split, settings)
    train(settings, output=tmp_path / "run")
    found = evaluate(tmp_path / "run" / "model.safetensors", settings, split="test", output=tmp_path / "test")
    name = HEADLINES[head].name
    val, test = read_json(tmp_path / "run" / "metrics.json"), read_json(tmp_path / "test" / "metrics.json")
    assert found.metrics.n == 4
    defined = {"val": val[f"val_{name}"] is not None, "test": test[name] is not None}
    assert defined == dict.fromkeys(("val", "test"), True) | {split: head == "step_labels"}


def look_away(settings: RunSettings, split: str, *, start: str = "0", end: str = "9") -> None:
    """Replace what the CSV of segments says of the videos of a split by a stretch at which nobody looked."""
    path = settings.data.root / "list.csv"
    rows = [list(row.values()) for row in read_rows(path)]
    kept = [row for row in rows if row[-2] != split]
    unseen = sorted({(row[0], start, end, "", *row[-2:]) for row in rows if row[-2] == split})
    write_csv(path, [[*HEADERS[settings.model.head], "split", "group"], *kept, *map(list, unseen)])


@pytest.mark.parametrize("head", ["step_labels", "step_multilabel"])
def test_stretches_at_which_nobody_looked_pass_through_every_verb(tmp_path: Path, head: Head) -> None:
    """A whole split of them is measured as nothing known; its videos still have their rows and their place in n."""
    settings = make_world(tmp_path, head)
    look_away(settings, "test")
    notes: list[str] = []
    train(settings, output=tmp_path / "run", on_note=notes.append)
    assert not notes
    found = evaluate(tmp_path / "run" / "model.safetensors", settings, split="test", output=tmp_path / "test")
    values = read_json(tmp_path / "test" / "metrics.json")
    assert (found.metrics.n, values["steps"], values[HEADLINES[head].name]) == (4, 0, None)
    result = run_crossval(settings, output=tmp_path / "cv", on_note=notes.append)
    known, total = (sum(6 + number % 5 for number in range(videos)) for videos in (12, 16))
    share = 100 * (1 - known / total)
    assert notes == [f"nobody looked at {share:.1f} % of the steps: they are neither learned nor measured"]
    assert [metrics.as_dict()["steps"] for metrics in result.pooled] == [known]
    figures = read_figures(tmp_path / "cv")
    assert sorted(figures.wholes.tolist()) == [0.0] * 4 + [1.0] * 12
    assert compare(figures, figures).is_equal


@pytest.mark.parametrize("head", ["step_labels", "step_multilabel", "step_regression"])
def test_steps_of_which_validation_knows_none_are_refused(tmp_path: Path, head: Head) -> None:
    """Every epoch would be as good as the first, which is the worst."""
    settings = make_world(tmp_path, head)
    if head == "step_regression":
        show_nothing_in("val", settings)
    else:
        look_away(settings, "val")
    with pytest.raises(TrainingError) as caught:
        train(settings, output=tmp_path / "run")
    assert str(caught.value) == (
        "an epoch is chosen by the known answers of the validation videos, and no step has one; annotate some, or set "
        "data.val_fraction to 0"
    )
