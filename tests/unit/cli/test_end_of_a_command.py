"""A command ends at once when its work is done, and says how to go on when it was stopped."""

import subprocess
import sys

import pytest

from vidrnn.cli.app import run
from vidrnn.errors import ExitCode

_PROGRAM = """
import atexit, gc, sys
atexit.register(lambda: print("left alone:", gc.get_freeze_count() > 0))
from vidrnn.cli.app import main
sys.argv = ["vidrnn", "--help"]
main()
"""


def test_what_is_loaded_is_not_looked_through_at_the_end():
    """Hundreds of thousands of objects, once PyTorch is there; handlers that were there before run after."""
    ended = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "left alone: True"


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ("classify clips --model m.safetensors", "run the same command again with --resume to go on"),
        ("segments night.mp4 --model m.safetensors", "run the same command again with --resume to go on"),
        ("train --config a.yaml", "run the same command again with --resume to go on"),
        ("classify clips --resume --model m.safetensors", "run the same command again to go on"),
        ("--verbose train --config a.yaml", "run the same command again with --resume to go on"),
        ("extract --config a.yaml", "run the same command again to go on"),
        ("", "run the same command again to go on"),
    ],
)
def test_what_is_said_after_ctrl_c_keeps_what_was_finished(arguments: str, advice: str, monkeypatch, capsys) -> None:
    """Some verbs begin anew without --resume."""

    def stopped(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.argv", ["vidrnn", *arguments.split()])
    with pytest.raises(SystemExit):
        run(stopped)
    assert capsys.readouterr().err == f"stopped; what was finished stays, {advice}\n"


@pytest.mark.parametrize("arguments", [["classify", ""], ["extract", "--config", "a.yaml", "--output", ""]])
def test_an_empty_argument_is_not_taken_for_the_current_folder(arguments: list[str], monkeypatch, capsys) -> None:
    """`vidrnn classify "$CLIPS"`, with nothing in CLIPS."""
    monkeypatch.setattr("sys.argv", ["vidrnn", *arguments])
    with pytest.raises(SystemExit) as ended:
        run(lambda **_: pytest.fail("the verb ran"))
    assert ended.value.code == ExitCode.USAGE
    assert "an empty argument was given" in capsys.readouterr().err
