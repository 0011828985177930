"""`vidrnn --verbose`: what is done and how long it took, beside output that stays as it is."""

import logging
import re
from pathlib import Path

import pytest

from tests.integration.world import call
from tests.worlds import make_run
from vidrnn.experiments.provenance import write_config
from vidrnn.stages import LOG, shown_stages, stage


def test_a_stage_says_when_it_begins_and_how_long_it_took(caplog: pytest.LogCaptureFixture) -> None:
    @stage("count")
    def count(number: int) -> int:
        return number + 1

    with caplog.at_level(logging.INFO, "vidrnn"):
        assert count(2) == 3
        with pytest.raises(KeyError), stage("look"):
            raise KeyError("x")
    begun, done, tried, failed = (record.getMessage() for record in caplog.records)
    assert (begun, tried) == ("count ...", "look ...")
    assert re.fullmatch(r"count: \d+\.\d\d s", done)
    assert re.fullmatch(r"look: KeyError after \d+\.\d\d s", failed)


def test_the_verb_tells_its_stages_on_standard_error_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the verb, in either form; nothing without it, and the same answer."""
    write_config(tmp_path / "a.yaml", make_run(tmp_path, splits=True))
    plain = call(capsys, "train", "--config", tmp_path / "a.yaml", "--output", tmp_path / "run")
    assert plain.code == 0 and "fit" not in plain.err and "load features" not in plain.err
    told = call(capsys, "-v", "train", "--config", tmp_path / "a.yaml", "--output", tmp_path / "run")
    assert told.out == plain.out
    lines = told.err.splitlines()
    assert all(re.match(r"\[ *\d+\.\d\d s\] ", line) for line in lines), told.err
    said = [line.split("] ", 1)[1] for line in lines]
    wanted = ["read the annotations ...", "load features ...", "fit ...", "fit gru on 8 videos, seed 0"]
    wanted += ["write a model file ..."]
    assert list(dict.fromkeys(line for line in said if line in wanted)) == wanted
    assert any(re.fullmatch(r"fit: \d+\.\d\d s", line) for line in said)
    assert call(capsys, "train", "--config", tmp_path / "a.yaml", "--output", tmp_path / "run").err == plain.err


def test_nothing_is_shown_once_the_block_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    """A verb leaves nothing behind for the next one of the same process."""
    level = LOG.level
    with shown_stages(), stage("work"):
        pass
    with stage("more"):
        pass
    err = capsys.readouterr().err
    assert err.count("work ...") == 1 and "more" not in err
    assert (LOG.level, LOG.handlers) == (level, [])
