"""Every head but ``label`` (`test_pipeline_verbs.py`) from clips and a CSV to answers, through the command line."""

import csv
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from tests.integration.head_worlds import COLOURS, HEADERS, HeadWorld, make_head_world, run_verbs, step_bounds
from tests.integration.world import call
from vidrnn.settings.model import STEP_HEADS, Head

# The headline of each head, and the name of the best constant answer.
HEADLINE = {
    "multilabel": ("mean_average_precision", "majority"),
    "step_labels": ("frame_accuracy", "majority"),
    "step_multilabel": ("mean_average_precision", "majority"),
    "transcript": ("label_error_rate", "majority"),
    "regression": ("mae", "median"),
    "step_regression": ("mae", "median"),
}
ERRORS = {"label_error_rate", "mae"}
SHARED = {
    "answers_per_video",
    "protocol",
    "split",
    "head",
    "n",
    "baselines",
    "no_better_than",
    "missing_features",
    "model",
    "config_digest",
    "versions",
}
FIGURES = {
    "multilabel": {"mean_average_precision", "macro_f1", "micro_f1", "exact_match", "per_class"},
    "step_labels": {"steps", "frame_accuracy", "edit", "f1_10", "f1_25", "f1_50", "per_class"},
    "step_multilabel": {
        "steps",
        "mean_average_precision",
        "macro_f1",
        "micro_f1",
        "f1_10",
        "f1_25",
        "f1_50",
        "per_class",
    },
    "transcript": {"true_labels", "label_error_rate", "insertions", "deletions", "substitutions", "exact_match"},
    "regression": {"mae", "rmse", "r2", "spearman", "pearson"},
    "step_regression": {"mae", "rmse", "r2", "spearman", "pearson"},
}
BASELINES = {
    "multilabel": {
        "mean_pool",
        "own_inputs_mean",
        "own_inputs_max",
        "shuffled_time",
        "single_frame",
        "majority",
        "metadata_only",
    },
    "step_labels": {"single_step", "own_inputs_step", "shuffled_time", "majority"},
    "step_multilabel": {"single_step", "own_inputs_step", "shuffled_time", "majority"},
    "transcript": {"single_step", "own_inputs_step", "shuffled_time", "majority"},
    "regression": {
        "mean_pool",
        "own_inputs_mean",
        "own_inputs_max",
        "shuffled_time",
        "single_frame",
        "median",
        "metadata_only",
    },
    "step_regression": {"single_step", "own_inputs_step", "shuffled_time", "median"},
}
CLASSES = {
    "multilabel": sorted(COLOURS),
    "step_labels": ["background", *sorted(COLOURS)],
    "step_multilabel": sorted(COLOURS),
    "transcript": sorted(COLOURS),
    "regression": [],
    "step_regression": [],
}

SEGMENT_HEADS = "multilabel or step_labels or step_multilabel or transcript"
# Head to one that its annotations do not fit, what that one needs, what they have, and the heads that fit them.
MISFITS: dict[Head, tuple[Head, str, str, str]] = {
    "multilabel": ("label", "label", "labels", "multilabel or transcript"),
    "step_labels": ("regression", "target", "start,end,label", SEGMENT_HEADS),
    "step_multilabel": ("regression", "target", "start,end,label", SEGMENT_HEADS),
    "transcript": ("step_labels", "start,end,label", "labels", "multilabel or transcript"),
    "regression": ("transcript", "labels or label or start,end,label", "target", "regression"),
    "step_regression": ("multilabel", "labels or label or start,end,label", "start,end,target", "step_regression"),
}


@pytest.fixture(scope="module", params=HEADERS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HeadWorld:
    return make_head_world(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture
def world(made: HeadWorld, capsys: pytest.CaptureFixture[str]) -> HeadWorld:
    return run_verbs(made, capsys)


def test_every_verb_ends_well_and_says_what_it_did(world: HeadWorld) -> None:
    assert {name: outcome.code for name, outcome in world.outcomes.items()} == dict.fromkeys(world.outcomes, 0)
    videos = world.videos()
    assert world.outcomes["extract"].out.splitlines()[-1] == f"extracted {len(videos)}, reused 0, failed 0"
    tested = sum(path.startswith("test/") for path in videos)
    assert world.outcomes["classify"].out.startswith(f"classified {tested}, reused 0, failed 0; wrote ")


def test_it_beats_the_constant_answer_clearly(world: HeadWorld) -> None:
    """An error is at most half that of the best constant answer, and so is what an accuracy lacks to 1."""
    name, constant = HEADLINE[world.head]
    metrics = world.metrics()
    chance = metrics["baselines"][constant]
    assert chance > 0.4 if name in ERRORS else 0.2 < chance < 0.7, "a baseline that leaves something to learn"
    if name in ERRORS:
        assert metrics[name] <= chance / 2
    else:
        assert 1 - metrics[name] <= (1 - chance) / 2


def test_metrics_hold_what_the_documentation_names(world: HeadWorld) -> None:
    metrics = world.metrics()
    name, _ = HEADLINE[world.head]
    assert set(metrics) == SHARED | FIGURES[world.head] | {f"{name}_interval", f"clip_{name}"}
    assert (metrics["answers_per_video"], metrics[f"clip_{name}"]) == (1, metrics[name])
    assert set(metrics["baselines"]) == BASELINES[world.head]
    assert metrics["head"] == world.head
    assert f", {'all' if world.head in STEP_HEADS else 24} steps per video; " in metrics["protocol"]
    assert metrics["n"] == len({row["path"] for row in world.rows("test/predictions.csv")})
    low, high = metrics[f"{name}_interval"]
    assert low <= metrics[name] <= high


def test_the_model_file_knows_its_head_classes_and_thresholds(world: HeadWorld) -> None:
    with safe_open(world.model, framework="np") as file:
        header = json.loads(file.metadata()["vidrnn_model"])
    assert header["config"]["model"]["head"] == world.head
    assert header["label_map"] == CLASSES[world.head]
    if world.head in {"multilabel", "step_multilabel"}:
        measured = {row["label"]: row["threshold"] for row in world.metrics()["per_class"]}
        assert dict(zip(header["label_map"], header["thresholds"], strict=True)) == measured
        assert all(0 < threshold < 1 for threshold in header["thresholds"])
    else:
        assert header["thresholds"] is None


def test_classify_answers_as_predictions_csv_does(world: HeadWorld) -> None:
    """Contract 7, for every head: new videos are answered as the same ones from the store."""
    by_video = itertools.groupby(world.rows("test/predictions.csv"), key=lambda row: row["path"])
    expected = {Path(path).name: list(rows) for path, rows in by_video}
    said = world.said()
    assert said.keys() == expected.keys()
    for name, rows in expected.items():
        assert (said[name]["status"], said[name]["error"]) == ("ok", None)
        answers = said[name]["segments"] if rows[0].keys() >= {"step"} else [said[name]]
        wanted = list(_wanted(world.head, rows, world.clips / "test" / name))
        assert len(answers) == len(wanted)
        for answer, values in zip(answers, wanted, strict=True):
            for key, value in values.items():
                # Features are the same bits; the temporal model sums the steps of a larger batch in another order.
                assert answer[key] == (pytest.approx(value, rel=1e-4) if isinstance(value, float) else value), key


def _wanted(head: Head, rows: list[dict[str, str]], clip: Path) -> Iterator[dict[str, Any]]:
    """The answers that the rows of predictions.csv for one video amount to."""
    if head in {"multilabel", "transcript"}:
        yield {"labels": rows[0]["predicted"].split("|") if rows[0]["predicted"] else []}
    elif head == "regression":
        yield {"target": float(rows[0]["predicted"])}
    else:
        bounds = step_bounds(clip)
        assert [int(row["step"]) for row in rows] == list(range(len(bounds) - 1)), "a row for every cached step"
        if head == "step_multilabel":
            going = [row["predicted"].split("|") for row in rows]
            runs = [
                (steps[0], steps[-1] + 1, name)
                for name in COLOURS
                for is_on, run in itertools.groupby(range(len(rows)), key=lambda step: name in going[step])
                if is_on and (steps := list(run))
            ]
            for first, last, name in sorted(runs):
                yield {"start": bounds[first], "end": bounds[last], "label": name}
        elif head == "step_regression":
            for start, end, row in zip(bounds[:-1], bounds[1:], rows, strict=True):
                yield {"start": start, "end": end, "target": float(row["predicted"])}
        else:
            for label, run in itertools.groupby(range(len(rows)), key=lambda step: rows[step]["predicted"]):
                steps = list(run)
                if label != "background":
                    yield {"start": bounds[steps[0]], "end": bounds[steps[-1] + 1], "label": label}


def test_both_kinds_of_answer_files_say_the_same(world: HeadWorld) -> None:
    """A .csv has a row per video, or one per segment with the columns of the annotation CSV."""
    found = world.rows("answers.csv")
    assert found[0].keys() >= {"path", "status", *HEADERS[world.head], "error"}
    for name, answer in world.said().items():
        rows = [row for row in found if Path(row["path"]).name == name]
        answers = answer.get("segments", [answer])
        assert len(rows) == max(len(answers), 1)
        for row, own in zip(rows, answers, strict=False):
            for column in HEADERS[world.head]:
                if isinstance(own[column], float):
                    assert float(row[column]) == pytest.approx(own[column])
                else:
                    assert row[column] == (own[column] if column == "label" else "|".join(own[column]))


@pytest.mark.parametrize("made", ["transcript", "step_regression"], indirect=True)
def test_crossval_tests_every_video_and_beats_the_constant_answer(world: HeadWorld, capsys) -> None:
    output = world.folder / "crossval"
    outcome = call(
        capsys, "crossval", "--config", world.config, "--output", output, "--set", "evaluation.baselines=false"
    )
    assert outcome.code == 0
    values = json.loads((output / "crossval.json").read_text())
    name, constant = HEADLINE[world.head]
    assert values["n"] == sum(fold["n"] for fold in values["folds"]) == len(world.videos())
    assert values[f"{name}_mean"] <= values["baselines"][constant] / 2
    assert outcome.out.splitlines()[0].split()[-2:] == ["mean", "std"]


def test_a_head_that_does_not_fit_the_annotations_is_refused_with_those_that_do(world: HeadWorld, capsys) -> None:
    """Each head's annotations are given to another: exit code 2, and nothing is written; ``check`` knows before."""
    wrong, needs, given, fitting = MISFITS[world.head]
    output = world.folder / "misfit"
    verbs = {"check": ("test/00.mp4", "--quick"), "train": ("train/00.mp4", "--output", output)}
    for verb, (first, *options) in verbs.items():
        outcome = call(capsys, verb, "--config", world.config, *options, "--set", f"model.head={wrong}")
        assert outcome.code == 2
        assert outcome.err == (
            f"error: model.head {wrong!r} needs annotations with {needs}, but {first!r} has {given}; "
            f"change the columns, or model.head to {fitting}\n"
        )
    assert not output.exists()


def test_the_head_of_a_model_comes_from_its_file(world: HeadWorld, capsys) -> None:
    """Another one in the configuration changes nothing, and annotations for another one are refused."""
    again = world.folder / "again"
    arguments = ("evaluate", "--model", world.model, "--config", world.config, "--output", again)
    other = ("--set", f"model.head={MISFITS[world.head][0]}", "--set", "evaluation.baselines=false")
    assert call(capsys, *arguments, *other).code == 0
    assert (again / "predictions.csv").read_text() == (world.folder / "test" / "predictions.csv").read_text()
    given, value = ("labels", "red|blue") if "target" in HEADERS[world.head] else ("target", "1.5")
    with (world.clips / "other.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", given, "split"), *((each, value, "train") for each in world.videos())])
    outcome = call(capsys, *arguments, "--split", "train", "--set", "data.annotations=other.csv")
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: model.head {world.head!r} needs annotations with ")
    assert f"has {given}; change the columns, or model.head to " in outcome.err
