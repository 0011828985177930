"""Independent pieces of work in several processes, one thread each: what comes out does not depend on how many.

The sums of a fit depend on the number of its threads. So each process has one, also when there is a single process: the
numbers are then the same for any number of processes, and no thread waits for another.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

import torch

from vidrnn.errors import ConfigError, TrainingError
from vidrnn.processes import start, usable_cores

Task = TypeVar("Task")
Result = TypeVar("Result")

_ON_A_GPU = 4  # fits that share a card; benchmarks/gpu.py: 2.4 times as fast as one after another
_GLANCE_S = 1.0
_starting = threading.Lock()  # a fork of another thread would keep their end of the pipe open


def usual_jobs(device: torch.device) -> int:
    """One for each core that this process may use; on a GPU at most four, which share it."""
    cores = usable_cores()
    return min(cores, _ON_A_GPU) if device.type == "cuda" else cores


def side_by_side(
    work: Callable[[Task], Result], tasks: Sequence[Task], *, jobs: int, device: torch.device
) -> Generator[tuple[int, Result], None, None]:
    """Do all tasks, at most ``jobs`` at the same time.

    Processes are forks where that is possible (on Linux, for work on a CPU): what ``work`` holds is shared with them.
    Elsewhere it is pickled for each.

    Args:
        work: a function of a task, which gives the same result in any process.
        tasks: small and picklable.
        jobs: 1 starts no process.
        device: what the work runs on.

    Yields:
        (position of the task, result), in the order in which they are done.

    Raises:
        ConfigError: ``jobs`` is less than 1.
        TrainingError: a process was killed, mostly because memory ran out. And whatever ``work`` raises.
    """
    if jobs < 1:
        raise ConfigError(f"jobs: got {jobs}; use 1 or more, or None for one per core")
    if jobs == 1 or len(tasks) < 2:
        with _one_thread():
            for number, task in enumerate(tasks):
                yield number, work(task)
        return
    crew = _Crew(work, jobs=min(jobs, len(tasks)), forks=sys.platform == "linux" and device.type == "cpu")
    try:
        yield from crew.do(tasks)
    finally:
        crew.end()


def in_order(found: Iterable[tuple[int, Result]]) -> Iterator[Result]:
    """The results in the order of their tasks, each as soon as all before it are there."""
    early: dict[int, Result] = {}
    wanted = 0
    for number, result in found:
        early[number] = result
        while wanted in early:
            yield early.pop(wanted)
            wanted += 1


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class _Done:
    """What a process says of a task."""

    number: int
    result: Any = None
    error: Exception | None = None


class _Crew(Generic[Task, Result]):
    """The processes. Used by one thread."""

    def __init__(self, work: Callable[[Task], Result], *, jobs: int, forks: bool) -> None:
        context: ForkContext | SpawnContext = get_context("fork") if forks else get_context("spawn")
        self._processes: dict[Connection, BaseProcess] = {}
        for _ in range(jobs):
            with _starting:
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(work, theirs, os.getpid()), daemon=True)
                start(process)
                theirs.close()
            self._processes[ours] = process

    def do(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """Hand out all tasks and yield what comes back."""
        waiting = iter(enumerate(tasks))
        busy = [channel for channel in self._processes if _send(channel, next(waiting, None))]
        while busy:
            for channel in connection.wait(busy):
                assert isinstance(channel, Connection)
                done = self._receive(channel)
                if done.error is not None:
                    raise done.error
                if not _send(channel, next(waiting, None)):
                    busy.remove(channel)
                yield done.number, done.result

    def end(self) -> None:
        """End all processes, whatever they are doing."""
        for channel, process in self._processes.items():
            process.kill()
            process.join()
            channel.close()

    def _receive(self, channel: Connection) -> _Done:
        try:
            done: _Done = channel.recv()
        except (EOFError, ConnectionResetError):
            process = self._processes[channel]
            process.join()
            code = process.exitcode or 0
            cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise TrainingError(
                f"the process of a fit ended by itself ({cause}), with SIGKILL mostly because the machine ran out of "
                "memory; use fewer --jobs"
            ) from None
        return done


def _send(channel: Connection, task: tuple[int, Task] | None) -> bool:
    if task is None:
        return False
    with suppress(BrokenPipeError):  # it was killed between two tasks, as reading from it will tell
        channel.send(task)
    return True


def _serve(work: Callable[[Task], Result], channel: Connection, parent: int) -> None:
    """Body of a process: one task after the other, until it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    torch.set_num_threads(1)
    while True:
        number, task = channel.recv()
        try:
            done = _Done(number, result=work(task))
        except Exception as error:  # noqa: BLE001  raised again by the parent
            done = _Done(number, error=error)
        channel.send(done)


def _end_with(parent: int) -> None:
    """Forks hold each other's pipes open, so that the end of the parent shows nowhere else."""
    while os.getppid() == parent:
        time.sleep(_GLANCE_S)
    os._exit(1)
