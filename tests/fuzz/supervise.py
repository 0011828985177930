"""Runs damaged files through a child process, so that a crash or a hang ends only the child and names its file."""

import json
import selectors
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.mutations import mutate, write_clips

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 20.0  # one file; an undamaged one takes some ten milliseconds


@dataclass
class Tally:
    """How the files ended: ``faults`` names seed, clip, mutation and what happened instead of frames or a failure."""

    files: int = 0
    frames: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest: str = ""
    seconds: float = 0.0


class Child:
    """A worker process that is started again after it was lost."""

    def __init__(self, *, limit_s: float = LIMIT_S, program: tuple[str, ...] = ("-m", "tests.fuzz.worker")) -> None:
        self.limit_s, self.program = limit_s, program
        self._process: subprocess.Popen[str] | None = None

    def examine(self, path: Path, clip: Path, number: int) -> dict[str, object]:
        """The outcome of one file; ``fault`` when the process dies of it or takes too long."""
        process = self._process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{path}\t{clip}\t{number}\n")
        process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            answered = selector.select(self.limit_s)
        line = process.stdout.readline() if answered else ""
        if line:
            return json.loads(line)
        code = self.stop()
        return {"fault": f"the process ended with {code}" if answered else f"no answer within {self.limit_s:g} s"}

    def stop(self) -> int:
        """End the process and return its exit code, negative for a signal."""
        process, self._process = self._process, None
        if process is None:
            return 0
        try:
            return process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
        finally:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, *self.program]
        return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def fuzz(folder: Path, seeds: Iterable[int], *, go_on: Callable[[], bool] = lambda: True) -> Tally:
    """Damage and read one file per seed, as long as ``go_on`` says so."""
    clips, child, tally = write_clips(folder), Child(), Tally()
    began = time.perf_counter()
    for seed in seeds:
        if not go_on():
            break
        clip, changes, data = mutate(clips, seed)
        path = folder / f"damaged{clip.suffix}"
        path.write_bytes(data)
        started = time.perf_counter()
        outcome = child.examine(path, clip, seed // len(clips))
        taken_s, name = time.perf_counter() - started, f"seed {seed} ({clip.name}, {changes})"
        tally.files += 1
        if taken_s > tally.slowest_s:
            tally.slowest_s, tally.slowest = taken_s, name
        if "fault" in outcome:
            tally.faults.append(f"{name}: {outcome['fault']}")
        elif "failure" in outcome:
            tally.failures[kind_of(str(outcome["failure"]))] += 1
        else:
            tally.frames += 1
    child.stop()
    tally.seconds = time.perf_counter() - began
    return tally


def kind_of(failure: str) -> str:
    """A message without its numbers, for counting."""
    return "".join("N" if letter.isdigit() else letter for letter in failure).replace("NN", "N").replace("NN", "N")
