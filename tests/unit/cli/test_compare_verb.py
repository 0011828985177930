"""The verb ``vidrnn compare``: what it prints and writes, and that its help stays fast."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.integration.world import call
from vidrnn.evaluation.predictions import write_predictions


def write(folder: Path, right: str, *, seeds: tuple[int, int] = (0, 1)) -> Path:
    """Answers to eight videos of four groups: 1 where right, alike for both seeds."""
    folder.mkdir()
    truth = [np.int64(number % 2) for number in range(8)]
    outputs = [np.eye(2)[true if own == "1" else 1 - true] for own, true in zip(right, truth, strict=True)]
    write_predictions(
        folder / "predictions.csv",
        head="label",
        paths=[f"{number}.mp4" for number in range(8)],
        groups=list("aabbccdd"),
        labels=("jump", "run"),
        answers=[(seed, outputs) for seed in seeds],
        truth=truth,
    )
    return folder


def test_the_verb_prints_a_table_and_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = write(tmp_path / "a", "11001010"), write(tmp_path / "b", "11101101", seeds=(5, 6))
    outcome = call(capsys, "compare", a, b, "--output", tmp_path / "new" / "found.json")
    assert (outcome.code, outcome.err) == (0, "")
    header, _, *rows, last, sentence = outcome.out.splitlines()
    assert header.split("  ")[0] == "seed"
    assert [row.split() for row in rows] == [
        ["0", "and", "5", "0.5", "0.75", "0.25", "1", "3", "0.62"],
        ["1", "and", "6", "0.5", "0.75", "0.25", "1", "3", "0.62"],
    ]
    assert last.split() == ["all", "0.5", "0.75", "0.25", "2", "6"]
    assert sentence.startswith("B is right on 25.0 points more of the 8 videos than A (95 % interval ")
    values = json.loads((tmp_path / "new" / "found.json").read_text(encoding="utf-8"))
    assert values["sentence"] == sentence
    assert (values["difference"], values["told_apart"], values["folder_b"]) == (0.25, False, str(b))
    assert values["pairs"][1] == {
        "seeds": [1, 6], "a": 0.5, "b": 0.75, "only_a": 1, "only_b": 3, "p_value": 0.625,
    }  # fmt: skip


def test_what_cannot_be_compared_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = write(tmp_path / "a", "11001010"), write(tmp_path / "b", "11101101")
    (b / "predictions.csv").unlink()
    outcome = call(capsys, "compare", a, b)
    assert (outcome.code, outcome.out) == (2, "")
    assert f"{b / 'predictions.csv'} does not exist" in outcome.err


def test_help_does_not_import_torch() -> None:
    code = (
        "import sys; from vidrnn.cli.app import app; app(['compare', '--help'], standalone_mode=False); "
        "print([name for name in ('torch', 'numpy', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--output" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
