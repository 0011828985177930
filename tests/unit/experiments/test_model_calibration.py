"""Calibration from `train` over `evaluate` to `classify`: chosen on validation, kept in the file, used by both."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import vidrnn.experiments.model_calibration as module
import vidrnn.inference.seen as seen_module
from tests.worlds import CPU, make_run
from vidrnn.errors import AnnotationError
from vidrnn.evaluation.calibration import (
    TEMPERATURES,
    expected_calibration_error,
    fit_temperature,
    risk_coverage,
    threshold_for_risk,
)
from vidrnn.experiments.evaluate import evaluate
from vidrnn.experiments.train import train
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.recogniser import Recogniser
from vidrnn.models.model_file import TrainedModel, load_model
from vidrnn.settings.base import validate
from vidrnn.settings.evaluation import ANSWER_NOTHING
from vidrnn.settings.run import RunSettings
from vidrnn.store.feature_store import FeatureStore

Array = npt.NDArray[Any]


def make_settings(folder: Path, **inference: object) -> RunSettings:
    """Six actors, one of them val and one test; its first video has the wrong label, so no fit is all right."""
    tree = make_run(folder, groups=6, splits=True, baselines=False).model_dump(mode="json")
    path = folder / "videos" / "list.csv"
    rows = list(csv.reader(path.open(newline="")))
    wrong = next(row for row in rows if row[2] == "val")
    wrong[1] = {"falls": "rises", "rises": "falls"}[wrong[1]]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    tree["training"] |= {"epochs": 6, "learning_rate": 0.02}
    tree["inference"] |= inference
    return validate(RunSettings, tree)


def evaluated(
    settings: RunSettings, folder: Path, *, split: str = "test"
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """metrics.json and the rows of predictions.csv."""
    evaluate(folder / "run" / "model.safetensors", settings, split=split, output=folder / split)  # type: ignore[arg-type]
    with (folder / split / "predictions.csv").open(newline="") as file:
        return json.loads((folder / split / "metrics.json").read_text()), list(csv.DictReader(file))


def probabilities(rows: Sequence[dict[str, str]]) -> tuple[Array, Array]:
    """(n, 2) of the classes, and (n,) whether the answer is right."""
    values = np.asarray([[float(row["p_falls"]), float(row["p_rises"])] for row in rows])
    return values, np.asarray([row["correct"] == "1" for row in rows])


def classified(
    monkeypatch: pytest.MonkeyPatch, model: TrainedModel, settings: RunSettings, paths: list[str]
) -> dict[str, Prediction]:
    """What `classify` says of stored features, as if a backbone had just made them."""
    folder = FeatureStore(settings.extraction.store).find(settings.features)
    made = [(path, {0: folder.read(path)}) for path in paths]
    monkeypatch.setattr(seen_module, "embed_passes", lambda *_, **__: (each for each in made))
    recogniser = Recogniser(model, pictures=[SimpleNamespace(spec=model.spec)])  # type: ignore[list-item]
    return {prediction.path: prediction for prediction in recogniser.predict_found([])}


def test_the_temperature_is_that_of_the_validation_videos_and_evaluate_divides_by_it(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    result = train(settings, output=tmp_path / "run")
    figures = result.metrics["calibration"]
    model = load_model(tmp_path / "run" / "model.safetensors", device=CPU)
    assert model.temperature == result.model.temperature == figures["temperature"]
    assert TEMPERATURES[0] < model.temperature < TEMPERATURES[1]
    written = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert written == result.metrics
    assert model.metrics == written
    assert (figures["n"], figures["unknown_below"], figures["coverage"]) == (4, None, 1.0)
    assert figures["nll"] < figures["nll_uncalibrated"]
    metrics, rows = evaluated(settings, tmp_path, split="val")
    for name in ("ece", "ece_uncalibrated", "nll", "nll_uncalibrated", "risk_coverage_area", "coverage", "risk"):
        assert metrics[name] == pytest.approx(figures[name], abs=1e-6), name
    shares, correct = probabilities(rows)
    logits = np.log(shares) * model.temperature
    targets = np.asarray([("falls", "rises").index(row["label"]) for row in rows])
    assert fit_temperature(logits, targets) == pytest.approx(model.temperature, rel=1e-2)
    assert metrics["ece"] == pytest.approx(expected_calibration_error(shares.max(1), correct), abs=1e-4)
    assert (tmp_path / "val" / "reliability.png").read_bytes().startswith(b"\x89PNG")


def test_every_model_file_of_a_run_has_the_temperature_of_its_own_weights(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    longer = settings.training.model_copy(update={"epochs": 25})
    train(settings.model_copy(update={"training": longer}), output=tmp_path / "run")
    files = {name: tmp_path / "run" / f"{name}.safetensors" for name in ("model", "best", "last")}
    found = {name: load_model(path, device=CPU).temperature for name, path in files.items()}
    assert found["model"] == found["best"]
    assert found["best"] != found["last"], "this fit should be best before its end, where it is sure of the wrong label"


def test_classify_answers_unknown_below_the_threshold_that_validation_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(tmp_path, max_risk=0.3)
    result = train(settings, output=tmp_path / "run")
    model = load_model(tmp_path / "run" / "model.safetensors", device=CPU)
    figures = result.metrics["calibration"]
    assert model.unknown_below == figures["unknown_below"]
    assert figures["max_risk"] == 0.3
    assert figures["risk"] is None or figures["risk"] <= 0.3
    metrics, said = evaluated(settings, tmp_path, split="val")
    shares, correct = probabilities(said)
    threshold, bound = threshold_for_risk(shares.max(1), correct, max_risk=0.3)
    assert (model.unknown_below, figures["risk_bound"]) == pytest.approx((threshold, bound), abs=1e-5)
    assert threshold == ANSWER_NOTHING  # four videos can promise no risk of 30 %
    assert metrics["unknown_below"] == model.unknown_below
    found = classified(
        monkeypatch,
        replace(model, unknown_below=float(np.median(shares.max(1)))),
        settings,
        [row["path"] for row in said],
    )
    for row in said:
        (answer,) = found[row["path"]].rows
        assert answer["score"] == pytest.approx(float(row["score"]), abs=1e-5)
        below = answer["score"] < np.median(shares.max(1))
        assert answer["label"] == ("unknown" if below else row["predicted"])
        assert answer["top_k"][0][0] == row["predicted"]
    assert 0 < sum(each.rows[0]["label"] == "unknown" for each in found.values()) < len(said)


def test_the_figures_of_the_test_split_are_those_of_its_own_videos(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, max_risk=0.0)
    train(settings, output=tmp_path / "run")
    metrics, rows = evaluated(settings, tmp_path)
    shares, correct = probabilities(rows)
    kept = shares.max(1) >= metrics["unknown_below"]
    assert metrics["coverage"] == kept.mean()
    assert metrics["risk"] == (pytest.approx(1 - correct[kept].mean()) if kept.any() else None)
    assert metrics["risk_coverage_area"] == pytest.approx(risk_coverage(shares.max(1), correct).area)
    assert metrics["top1"] == correct.mean(), "unknown or not, top-1 counts the class"


def test_clip_accuracy_is_that_of_the_single_answers_and_top1_that_of_their_average(tmp_path: Path) -> None:
    """Against models that are asked for one draw alone; with one answer per video both are the same and unnamed."""
    settings = make_settings(tmp_path, draws=3)
    settings = settings.model_copy(update={"training": settings.training.model_copy(update={"steps": 2})})
    train(settings, output=tmp_path / "run")
    result = evaluate(tmp_path / "run" / "model.safetensors", settings, split="train", output=tmp_path / "train")
    values = json.loads((tmp_path / "train" / "metrics.json").read_text())
    assert values["answers_per_video"] == 3
    assert result.notes[0] == (
        f"clip top-1 {values['clip_top1']:.3f} (each of 3 answers per video by itself), "
        f"video top-1 {values['top1']:.3f} (averaged in probabilities)"
    )
    assert values["clip_top1"] * 3 * values["n"] == pytest.approx(round(values["clip_top1"] * 3 * values["n"]))
    alone = make_settings(tmp_path / "alone")
    train(alone, output=tmp_path / "alone" / "run")
    metrics, _ = evaluated(alone, tmp_path / "alone")
    assert (metrics["answers_per_video"], metrics["clip_top1"]) == (1, metrics["top1"])


def test_no_validation_leaves_the_scores_as_they_are(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    model = train(settings, output=tmp_path / "run").model
    assert module.calibrated(replace(model, temperature=1.0), None).temperature == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ((",val,", ",train,"),
         ("inference.max_risk 0.1 needs validation videos to choose the threshold on, but there is no val split: name "
          "it in the annotations, set data.val_fraction, or set inference.max_risk to null")),
        ((",falls,", ",unknown,"),
         ("a class is called 'unknown', which is also what inference.max_risk 0.1 answers instead of a class; rename "
          "the class, or set inference.max_risk to null")),
    ],
    ids=["no validation", "a class called unknown"],
)  # fmt: skip
def test_a_wish_that_cannot_be_met_is_refused_before_anything_is_fitted(
    tmp_path: Path, changes: tuple[str, str], message: str
) -> None:
    settings = make_settings(tmp_path, max_risk=0.1)
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"val_fraction": 0.0})})
    path = settings.data.root / "list.csv"
    path.write_text(path.read_text().replace(*changes))
    with pytest.raises(AnnotationError) as caught:
        train(settings, output=tmp_path / "run")
    assert str(caught.value) == message
    assert not (tmp_path / "run").exists()
