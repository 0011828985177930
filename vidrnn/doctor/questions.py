"""Asks `vidrnn.doctor.probes`, in processes that may crash or hang."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_LIMIT_S = 60.0
Answers = dict[str, dict[str, Any]]


def ask(
    groups: Sequence[Sequence[str]], *, limit_s: float = _LIMIT_S, more: Mapping[str, str] | None = None
) -> Answers:
    """Answers by name, one process at a time for each group; groups are asked side by side.

    Args:
        groups: names that `vidrnn.doctor.probes` knows, modules or functions; what shares imports in one group.
        limit_s: a process that has not answered after so many seconds is ended.
        more: variables of their environment.

    Returns:
        For every name an answer. Where a process crashed or hung, the answer to the name it was at holds ``error``, and
        another process goes on with the next.
    """
    with ThreadPoolExecutor(max(len(groups), 1)) as pool:
        found = list(pool.map(lambda names: _ask_one(names, limit_s, more or {}), groups))
    return {name: answer for answers in found for name, answer in answers.items()}


def _ask_one(names: Sequence[str], limit_s: float, more: Mapping[str, str]) -> Answers:
    answers: Answers = {}
    waiting = list(names)
    while waiting:
        text, end = _run(waiting, limit_s, more)
        for line in text.splitlines():
            try:
                found = json.loads(line)
            except ValueError:  # cut off
                continue
            answers[found.pop("name")] = found
        waiting = [name for name in waiting if name not in answers]
        if waiting:
            answers[waiting.pop(0)] = {"error": end}
    return answers


def _run(names: Sequence[str], limit_s: float, more: Mapping[str, str]) -> tuple[str, str]:
    """What a process printed, and how it ended where it did not say everything."""
    # -P: a torch.py in the folder that the user is in is no library. What this process finds, that one does.
    path = os.pathsep.join(place or str(Path.cwd()) for place in sys.path)
    command = [sys.executable, "-P", "-m", "vidrnn.doctor.probes", *names]
    environment = {**os.environ, "PYTHONPATH": path, **more}
    try:
        done = subprocess.run(  # noqa: S603  nothing of the user's is run
            command, env=environment, capture_output=True, text=True, errors="replace", timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        text = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else error.stdout or ""
        return text, f"it did not answer within {limit_s:.0f} s"
    except OSError as error:
        return "", f"no process can be started ({error})"
    if done.returncode < 0:
        return done.stdout, f"it ends the process ({signal.Signals(-done.returncode).name})"
    last = (done.stderr.strip().splitlines() or [""])[-1]
    return done.stdout, f"it ends the process (exit code {done.returncode}){': ' if last else ''}{last}"
