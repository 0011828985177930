"""Whatever happens to an extraction: no half file is read, nothing finished is done again, the rest is done later.

The command runs as a process of its own, because a test cannot kill itself.
"""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.media import pictures, write_clip
from vidrnn.store import manifest
from vidrnn.store.feature_store import FeatureStore

VIDEOS = 300
KILLS = 20


class Folder:
    """Many small videos, one broken file among them, and a configuration."""

    def __init__(self, path: Path) -> None:
        self.path = path
        clips = [write_clip(path / f"{length}.mp4", pictures(length)).read_bytes() for length in (5, 9, 14)]
        for number in range(VIDEOS):
            video = path / "videos" / "run" / f"{number:03d}.mp4"
            video.parent.mkdir(parents=True, exist_ok=True)
            video.write_bytes(clips[number % 3])
        (path / "videos" / "run" / "broken.mp4").write_text("no video")

    def start(self, store: str, **options: Callable[[], None]) -> "subprocess.Popen[str]":
        """Begin to extract, in a process group of its own."""
        config = self.path / f"{store}.yaml"
        tree = {
            "data": {"root": str(self.path / "videos")},
            "features": {"backbone": "timm/test_resnet", "weights": "random", "image_size": 32, "sampling": "every"},
            "extraction": {"store": str(self.path / store), "workers": 2},
        }
        config.write_text(yaml.safe_dump(tree))
        return subprocess.Popen(
            [sys.executable, "-m", "vidrnn", "extract", "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        )

    def files(self, store: str) -> dict[str, bytes]:
        """Everything that a reader of the store would look at."""
        root = self.path / store
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file() and not path.name.startswith(".") and path.name not in {"failures.csv", manifest.FILE}
        }

    def count(self, store: str) -> int:
        return sum(1 for _ in (self.path / store).rglob("*.safetensors"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("interruptions"))


@pytest.fixture(scope="module")
def whole(folder: Folder) -> dict[str, bytes]:
    """The store of a run that nobody disturbed."""
    process = folder.start("whole")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 3, err
    assert out.splitlines()[-1] == f"extracted {VIDEOS}, reused 0, failed 1"
    files = folder.files("whole")
    assert len(files) == VIDEOS + 1
    return files


def wait_until(condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def group_is_gone(process: "subprocess.Popen[str]") -> bool:
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_twenty_kills_end_in_the_store_of_an_undisturbed_run(folder: Folder, whole: dict[str, bytes]) -> None:
    """Killed at random moments of its work; no process of it lives on, and what it finished is not done again."""
    chance = np.random.default_rng(0)
    for _ in range(KILLS):
        before = folder.count("killed")
        process = folder.start("killed")
        goal = before + int(chance.integers(1, 5))
        wait_until(lambda goal=goal, process=process: folder.count("killed") >= goal or process.poll() is not None)
        time.sleep(chance.random() * 0.01)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it had ended before"
        wait_until(lambda process=process: group_is_gone(process))
    finished = folder.count("killed")
    assert KILLS <= finished < VIDEOS
    process = folder.start("killed")
    out, _ = process.communicate(timeout=120)
    assert out.splitlines()[-1] == f"extracted {VIDEOS - finished}, reused {finished}, failed 1"
    assert folder.files("killed") == whole


def _like_a_terminal() -> None:
    """What runs the tests in the background may ignore Ctrl-C, and what it starts inherits that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.nice(15)  # less important than this test, which must see it half done on a busy machine too


def test_ctrl_c_says_what_is_done_and_leaves_no_process(folder: Folder, whole: dict[str, bytes]) -> None:
    process = folder.start("stopped", preexec_fn=_like_a_terminal)
    wait_until(lambda: folder.count("stopped") >= 5)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to every process of the group
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    said = re.search(r"extracted (\d+), reused 0, failed [01], (\d+) left\nstopped; what was finished stays", err)
    assert said, err
    assert "Traceback" not in err
    assert int(said[1]) == folder.count("stopped")
    wait_until(lambda: group_is_gone(process), seconds=10)
    process = folder.start("stopped")
    out, _ = process.communicate(timeout=120)
    assert out.splitlines()[-1] == f"extracted {VIDEOS - int(said[1])}, reused {said[1]}, failed 1"
    assert folder.files("stopped") == whole


def test_two_extractions_into_one_store_share_the_work(folder: Folder, whole: dict[str, bytes]) -> None:
    """Each video is extracted once, and both end with all of them."""
    processes = [folder.start("shared") for _ in range(2)]
    ends = [process.communicate(timeout=120)[0].splitlines()[-1] for process in processes]
    counts = [tuple(map(int, re.findall(r"\d+", end))) for end in ends]
    assert sum(extracted for extracted, _, _ in counts) == VIDEOS
    assert all((extracted + reused, failed) == (VIDEOS, 1) for extracted, reused, failed in counts)
    assert folder.files("shared") == whole


def test_a_disk_that_fills_up_ends_the_run_without_half_a_file(folder: Folder, whole: dict[str, bytes]) -> None:
    """A limit on the size of files stands for the disk: the longest videos do not fit any more."""
    sizes = sorted(len(content) for name, content in whole.items() if name.endswith(".safetensors"))
    limit = (sizes[0] + sizes[-1]) // 2

    def fill_up() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = folder.start("full", preexec_fn=fill_up)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "File too large; what was finished before stays valid" in err.replace("[Errno 27] ", "")
    wait_until(lambda: group_is_gone(process), seconds=10)
    (kept,) = FeatureStore(folder.path / "full").folders()
    for video in kept.videos():
        kept.read(video, check=True)
    assert not list(kept.path.rglob("*.part"))
    process = folder.start("full")
    process.communicate(timeout=120)
    assert folder.files("full") == whole
