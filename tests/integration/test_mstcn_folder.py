"""A folder in the layout of MS-TCN, with features and without videos: checked, extracted, trained, cross-validated."""

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.integration.world import call

CLASSES = ("cut", "peel", "pour")
FOLDS, OF_FOLD, ROWS = 3, 2, 40


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features that tell the class of their row, D x T, stored by columns; three folds of two videos."""
    folder = tmp_path_factory.mktemp("mstcn")
    root, numbers = folder / "set", np.random.default_rng(0)
    for name in ("features", "groundTruth", "splits"):
        (root / name).mkdir(parents=True)
    (root / "mapping.txt").write_text("".join(f"{at} {name}\n" for at, name in enumerate(CLASSES)))
    names = [f"v{number}" for number in range(FOLDS * OF_FOLD)]
    for at, name in enumerate(names):
        rows = np.repeat((np.arange(4) + at) % len(CLASSES), ROWS // 4)
        (root / "groundTruth" / f"{name}.txt").write_text("".join(f"{CLASSES[row]}\n" for row in rows))
        steps = np.eye(len(CLASSES))[rows] + 0.1 * numbers.normal(size=(ROWS, len(CLASSES)))
        np.save(root / "features" / f"{name}.npy", np.asfortranarray(steps.T.astype(np.float32)))
    for fold in range(FOLDS):
        tested = names[fold * OF_FOLD : (fold + 1) * OF_FOLD]
        for split, members in (("test", tested), ("train", [name for name in names if name not in tested])):
            (root / "splits" / f"{split}.split{fold + 1}.bundle").write_text(
                "".join(f"{name}.txt\n" for name in members)
            )
    path = folder / "config.yaml"
    tree = {
        "data": {"root": str(root), "format": "mstcn", "annotations": ".", "frame_rate": 5.0, "val_fraction": 0.0},
        "features": {"streams": ["external"], "external": {"folder": "features", "layout": "DxT", "rate": 5.0}},
        "extraction": {"store": str(folder / "store")},
        "model": {"head": "step_labels", "hidden_size": 16, "projection": 16},
        "training": {"steps": None, "epochs": 15, "batch_size": 2, "learning_rate": 0.01, "select": "last",
                     "class_weight": "none"},
        "evaluation": {"protocol": "leave_one_group_out", "seeds": 1, "bootstrap": 200, "baselines": False},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(tree))
    return path


def test_check_looks_for_the_arrays_and_not_for_videos(config: Path, capsys) -> None:
    outcome = call(capsys, "check", "--config", config)
    assert (outcome.code, outcome.out.splitlines()[-1]) == (0, "nothing stands in the way")
    lost = call(capsys, "check", "--config", config, "--set", "features.external.folder=groundTruth")
    assert lost.code == 3
    assert "failed: 6 of 6 arrays do not exist or may not be read; looked in " in lost.out
    assert lost.out.count("correct the annotations or features.external.folder") == 1


def test_the_labels_of_the_rows_reach_the_model(config: Path, tmp_path: Path, capsys) -> None:
    assert call(capsys, "extract", "--config", config).out.splitlines()[-1] == "extracted 6, reused 0, failed 0"
    assert call(capsys, "train", "--config", config, "--output", tmp_path / "run").code == 0
    model = tmp_path / "run" / "model.safetensors"
    outcome = call(capsys, "evaluate", "--config", config, "--model", model, "--output", tmp_path / "test")
    assert outcome.code == 0
    rows = list(csv.DictReader((tmp_path / "test" / "predictions.csv").open()))
    assert {row["path"] for row in rows} == {"v0.mp4", "v1.mp4"}
    truth = [label for name in ("v0", "v1") for label in _rows(config, name)]
    assert [row["label"] for row in rows] == truth
    assert np.mean([row["predicted"] == row["label"] for row in rows]) > 0.9


def test_leaving_one_group_out_runs_the_official_folds(config: Path, tmp_path: Path, capsys) -> None:
    call(capsys, "extract", "--config", config)
    outcome = call(
        capsys, "crossval", "--config", config, "--output", tmp_path / "result", "--set", "training.epochs=2"
    )
    assert outcome.code == 0
    assert "leave_one_group_out, 3 folds" in outcome.out


def _rows(config: Path, name: str) -> list[str]:
    return (config.parent / "set" / "groundTruth" / f"{name}.txt").read_text().split()
