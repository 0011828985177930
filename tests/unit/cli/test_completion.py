"""Shell completion: verbs and options at the touch of a key, without loading what only a verb needs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import atexit, sys
atexit.register(lambda: print("heavy:", sorted({"torch", "numpy"} & set(sys.modules)), file=sys.stderr))
from vidrnn.cli.app import main
sys.argv = ["vidrnn"]
main()
"""


def complete(*words: str) -> tuple[list[str], str]:
    """What bash offers for the last of the words, and what was loaded for it."""
    variables = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1), "_VIDRNN_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=os.environ | variables, capture_output=True, text=True, check=True
    )
    return done.stdout.split(), done.stderr


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("vidrnn", "extr"), ["extract"]),
        (("vidrnn", "store", "ve"), ["verify"]),
        (("vidrnn", "train", "--res"), ["--resume"]),
    ],
)
def test_the_words_that_fit_are_offered_and_nothing_heavy_is_loaded(words: tuple[str, ...], offered: list[str]) -> None:
    found, loaded = complete(*words)
    assert found == offered
    assert loaded == "heavy: []\n"


def test_it_installs_itself_where_the_shell_looks(tmp_path: Path) -> None:
    """Into the home of the user alone; the shell then completes by itself."""
    vidrnn = tmp_path / "vidrnn"
    vidrnn.write_text(f"#!{sys.executable}\nfrom vidrnn.cli.app import main\n\nmain()\n")
    vidrnn.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".bashrc").write_text("alias mine=yours")
    environment = os.environ | {"HOME": str(home), "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    script = (
        "vidrnn --install-completion && source ~/.bashrc; complete -p vidrnn; "
        'COMP_WORDS=(vidrnn cros); COMP_CWORD=1; _vidrnn_completion vidrnn; echo "offered: ${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "offered: crossval", done.stdout + done.stderr
    assert (home / ".bashrc").read_text().startswith("alias mine=yours\n")
