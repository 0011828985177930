"""A program that ends while it holds the results of a run ends at once, with its own error and without its decoders."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.media import pictures, write_clip

REPOSITORY = Path(__file__).parents[3]
BEGINNING = """
import itertools, os, signal, sys, threading, time
from multiprocessing import active_children
from pathlib import Path
from tests.fake_backbone import AverageColour
from vidrnn.extraction.jobs import Job
from vidrnn.extraction.pipeline import embed_videos
from vidrnn.settings.extraction import ExtractionSettings
clip = Path(sys.argv[1])
jobs = itertools.repeat(Job("clip", clip))
results = embed_videos(jobs, AverageColour(), settings=ExtractionSettings(batch_size=4, workers=3))

def settle():  # until the decoders can hand over nothing more
    time.sleep(0.5)
    assert len(active_children()) == 3
"""
TAKEN = "next(results)\nsettle()\n"
ENDS = {
    "an error": (TAKEN + "raise LookupError('mine')", 1),
    "its last line": (TAKEN, 0),
    "Ctrl-C": (TAKEN + "signal.signal(signal.SIGINT, signal.default_int_handler)\nos.kill(os.getpid(), 2)\n", -2),
    "results that were dropped": (TAKEN + "del results\nassert not active_children(), active_children()", 0),
    "the last line of a thread that outlives the main one": (
        (
            "def late():\n    threading.main_thread().join()\n"
            "    settings = ExtractionSettings(workers=2)\n"
            "    assert len(list(embed_videos([Job('clip', clip)] * 9, AverageColour(), settings=settings))) == 9\n"
            "threading.Thread(target=late).start()"
        ),
        0,
    ),
    "an error beside a thread": (
        "threading.Thread(target=lambda: list(results), daemon=True).start()\ntime.sleep(2)\nraise LookupError('mine')",
        1,
    ),
    "an error while the next job is long in coming": (
        (
            "def waiting():\n    yield from [Job('clip', clip)] * 9\n    threading.Event().wait()\n"
            "results = embed_videos(waiting(), AverageColour(), settings=ExtractionSettings(batch_size=4, workers=3))\n"
            "next(results)\ntime.sleep(0.5)\nraise LookupError('mine')"
        ),
        1,
    ),
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("ends") / "clip.mkv", pictures(8))


@pytest.mark.parametrize("end", ENDS)
def test_nothing_outlives_a_program_that_holds_results(clip: Path, end: str) -> None:
    rest, code = ENDS[end]
    process = subprocess.Popen(
        [sys.executable, "-c", BEGINNING + rest, str(clip)],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, err = process.communicate(timeout=60)
        assert process.returncode == code, err
        raised = "LookupError: mine" in err or "KeyboardInterrupt" in err
        assert raised == ("LookupError" in rest or code < 0), err
        assert err.count("Traceback") == raised, err
        assert "ignored" not in err
        until = time.monotonic() + 10
        while _lives(process):
            assert time.monotonic() < until, "a process of it lives on"
            time.sleep(0.05)
    finally:
        if _lives(process):
            os.killpg(process.pid, signal.SIGKILL)


def _lives(process: "subprocess.Popen[str]") -> bool:
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True
