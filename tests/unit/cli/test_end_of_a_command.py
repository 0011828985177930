"""A command ends at once when its work is done."""

import subprocess
import sys

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
