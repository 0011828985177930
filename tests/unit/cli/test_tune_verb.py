"""The verb ``vidrnn tune``: what it prints, and that its help stays fast."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.world import call
from tests.worlds import make_search
from vidrnn.settings.base import dump_yaml


def test_the_verb_prints_the_best_and_the_next_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, output = tmp_path / "config.yaml", tmp_path / "an odd {folder} ?%20#"
    config.write_text(dump_yaml(make_search(tmp_path)), encoding="utf-8")
    outcome = call(capsys, "tune", "--config", config, "--output", output, "--trials", "7")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    values = [float(line.replace(" (untuned)", "").split()[1]) for line in lines[2:7]]
    assert values == sorted(values)
    assert sum("(untuned)" in line for line in lines) == 1
    assert lines[-2] == f"next: vidrnn train --config '{output}/best.yaml' --output '{output}/run'"
    assert lines[-1].startswith("then, once: vidrnn evaluate") and lines[-1].count("--split test") == 1


def test_the_verb_says_so_where_no_test_split_can_give_an_honest_number(tmp_path: Path, capsys) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(dump_yaml(make_search(tmp_path, splits=False, model={"cell": "rnn"})), encoding="utf-8")
    outcome = call(capsys, "tune", "--config", config, "--output", tmp_path / "search", "--trials", "1")
    assert "note: tuning.space.model.cell was widened to the configuration's own value 'rnn'" in outcome.out
    summary = json.loads((tmp_path / "search" / "tune.json").read_text(encoding="utf-8"))
    assert summary["protocol"].endswith("; without a test split, so is crossval on these videos afterwards")
    assert "optimistic; for an honest number name a test split or set data.test_fraction" in outcome.out
    outcome = call(capsys, "tune", "--config", config, "--output", tmp_path / "search", "--trials", "0")
    assert (outcome.code, "tuning.trials: got 0" in outcome.err) == (2, True)


def test_help_imports_neither_torch_nor_optuna() -> None:
    code = (
        "import sys; from vidrnn.cli.app import app; app(['tune', '--help'], standalone_mode=False); "
        "print([name for name in ('torch', 'optuna', 'sqlalchemy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--timeout-s" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
