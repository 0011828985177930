"""Folders of frames and still images go the whole way, from lists and folders to answers."""

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.integration.world import ACTIONS, GROUPS, call
from tests.media import flat, plain_decode, write_pictures
from vidrnn.synthetic.clips import render_clip

RATE = 12.0  # of the rendered clips


def write_config(folder: Path, **sections: dict[str, object]) -> Path:
    tree = {
        "features": {"image_size": 32, "rate": 6.0},
        "extraction": {"store": str(folder / "features")},
        "model": {"hidden_size": 16, "projection": 32},
        "training": {"steps": 4, "epochs": 3},
        "evaluation": {"bootstrap": 50},
    }
    for name, values in sections.items():
        tree[name] = tree.get(name, {}) | values
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(tree))
    return config


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Clips as folders of JPEGs beside optical flow, with lists as MMAction2 makes them; returns the configuration."""
    root = tmp_path / "rawframes"
    for split, groups in GROUPS.items():
        rows = []
        for group in range(groups):
            for label, action in enumerate(ACTIONS):
                name = f"{action}/{split}_{group}"
                seed = 10 * list(GROUPS).index(split) + group
                render_clip(tmp_path / "a.mp4", action=action, group_seed=seed, clip_seed=seed, width=64, height=48)
                images = plain_decode(tmp_path / "a.mp4")
                write_pictures(root / name, images, template="img_{:05}.jpg")
                write_pictures(root / name, images[:1], template="flow_x_{:05}.jpg")
                rows.append(f"{name} {len(images) + (split == 'val')} {label}")
        (root / "lists").mkdir(exist_ok=True)
        (root / "lists" / f"{split}_rawframes.txt").write_text("\n".join(rows))
    (root / "names.txt").write_text("\n".join(ACTIONS))
    data = {"root": str(root), "format": "mmaction", "media": "frames", "annotations": "lists", "classes": "names.txt"}
    return write_config(tmp_path, data=data, features={"frame_rate": RATE, "frame_template": "img_{:05}.jpg"})


def test_frame_folders_from_lists_to_answers(frames: Path, capsys) -> None:
    folder, root = frames.parent, frames.parent / "rawframes"
    checked = call(capsys, "check", "--config", frames)
    assert checked.code == 0, checked.err
    assert "train: 12 videos, 12 groups; videos/groups of open_door 4/4, raise_arms 4/4, sit_down 4/4" in checked.out
    assert "features: 21 videos to extract" in checked.out
    assert "cannot be read" not in checked.out
    extracted = call(capsys, "extract", "--config", frames)
    assert (extracted.code, extracted.out.splitlines()[-1]) == (0, "extracted 21, reused 0, failed 0")
    assert extracted.out.count("the list says") == 3
    assert "extracted 0, reused 21, failed 0" in call(capsys, "extract", "--config", frames).out
    assert call(capsys, "train", "--config", frames, "--output", folder / "run").code == 0
    model = ("--model", folder / "run" / "model.safetensors")
    evaluated = call(capsys, "evaluate", *model, "--config", frames, "--output", folder / "evaluation")
    assert evaluated.code == 0, evaluated.err
    assert call(capsys, "classify", root, *model, "--output", folder / "all.csv").code == 0
    with (folder / "all.csv").open() as file:
        answers = {row["path"]: row["label"] for row in csv.DictReader(file)}
    with (folder / "evaluation" / "predictions.csv").open() as file:
        predictions = {str(root / row["path"]): row["predicted"] for row in csv.DictReader(file)}
    assert len(answers) == 21
    assert {path: answers[path] for path in predictions} == predictions
    assert call(capsys, "store", "verify", folder / "features", "--root", root).out.startswith(
        "42 ok, 0 damaged"
    )  # and thumbnails


def test_a_model_takes_frames_of_another_rate_and_single_pictures_by_name(frames: Path, capsys) -> None:
    folder = frames.parent
    call(capsys, "extract", "--config", frames)
    inputs = ("--set", "model.inputs=[features]")
    assert call(capsys, "train", "--config", frames, "--output", folder / "run", *inputs).code == 0
    doubled = write_pictures(folder / "new", [flat((9 * number, 0, 0)) for number in range(24)], template="img_{}.jpg")
    still = write_pictures(folder, [flat((9, 0, 0))], template="still_{}.png") / "still_1.png"
    named = ("classify", doubled, still, "--model", folder / "run" / "model.safetensors", "--output")
    for rate, name in ((), "as_trained.jsonl"), (("--frame-rate", "24"), "doubled.jsonl"):
        outcome = call(capsys, *named, folder / name, *rate)
        assert outcome.code == 0, outcome.err
        assert "classified 2, reused 0, failed 0" in outcome.out
    assert call(capsys, *named, folder / "none.csv", "--frame-rate", "0").code == 2


def test_frames_without_a_rate_are_refused_before_any_work(frames: Path, capsys) -> None:
    outcome = call(capsys, "extract", "--config", frames, "--set", "features.frame_rate=null")
    assert outcome.code == 2
    assert "data.media 'frames' needs features.frame_rate, the pictures per second in the folders" in outcome.err
    assert not (frames.parent / "features").exists()


def test_still_images_from_folders_to_answers(tmp_path: Path, capsys) -> None:
    rng = np.random.default_rng(0)
    for label, colour in {"red": (230, 20, 20), "green": (20, 230, 20)}.items():
        shades = [flat(tuple(np.clip(np.array(colour) + rng.integers(-20, 20, 3), 0, 255))) for _ in range(10)]
        write_pictures(tmp_path / "photos" / label, shades, template="photo {}.png")
    data = {"root": str(tmp_path / "photos"), "media": "pictures", "test_fraction": 0.3}
    config = write_config(
        tmp_path, data=data, model={"inputs": ["features"]}, training={"epochs": 30, "learning_rate": 0.01}
    )
    extracted = call(capsys, "extract", "--config", config)
    assert (extracted.code, extracted.out.splitlines()[-1]) == (0, "extracted 20, reused 0, failed 0"), extracted.err
    trained = call(capsys, "train", "--config", config, "--output", tmp_path / "run")
    assert trained.code == 0, trained.err
    answered = call(
        capsys, "classify", tmp_path / "photos", "--model", tmp_path / "run" / "model.safetensors",
        "--output", tmp_path / "answers.csv",
    )  # fmt: skip
    assert answered.code == 0, answered.err
    with (tmp_path / "answers.csv").open() as file:
        rows = [(Path(row["path"]).parent.name, row["label"]) for row in csv.DictReader(file)]
    assert len(rows) == 20
    assert all(truth == label for truth, label in rows)
