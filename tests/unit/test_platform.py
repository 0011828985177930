"""Where vidrnn runs: on POSIX systems; Windows is told so at once, instead of by the first module that is missing."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["vidrnn", "vidrnn.cli"])
def test_windows_is_told_at_once(name):
    code = f"import importlib, sys; sys.platform = 'win32'; importlib.import_module({name!r})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "ImportError: vidrnn needs Linux or macOS; on Windows, install it in WSL, the Windows Subsystem for Linux"
    )
