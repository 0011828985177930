"""Work in several processes gives what it gives in one, and ends with its owner, an error or Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.experiments.test_crossval import make_sequences, make_settings, run
from vidrnn.device import alone
from vidrnn.errors import ConfigError, TrainingError
from vidrnn.experiments.finished_fits import FinishedFits
from vidrnn.experiments.side_by_side import side_by_side, usual_jobs
from vidrnn.training.predict import Answers

CPU = torch.device("cpu")


def descend(seed: int) -> tuple[int, bytes, int]:
    """Threads, the bits of a sum whose value depends on how many there are, and the process."""
    values = torch.randn(1_000_000, generator=torch.Generator().manual_seed(seed))
    return torch.get_num_threads(), values.sum().numpy().tobytes(), os.getpid()


def test_results_are_the_same_to_the_bit_for_any_number_of_processes():
    found = {jobs: dict(side_by_side(descend, range(7), jobs=jobs, device=CPU)) for jobs in (1, 2, 3)}
    for jobs, results in found.items():
        assert sorted(results) == list(range(7))
        assert all(threads == 1 for threads, _, _ in results.values())
        assert [results[n][1] for n in range(7)] == [found[1][n][1] for n in range(7)]
        processes = {process for _, _, process in results.values()}
        assert (processes == {os.getpid()}) == (jobs == 1)


def test_threads_are_as_before_afterwards():
    before = torch.get_num_threads()
    list(side_by_side(descend, range(2), jobs=1, device=CPU))
    assert torch.get_num_threads() == before


def fail_at_two(number: int) -> int:
    if number == 2:
        raise TrainingError("the loss is not a number")
    return number


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_is_raised_here(jobs):
    with pytest.raises(TrainingError, match="the loss is not a number"):
        list(side_by_side(fail_at_two, range(6), jobs=jobs, device=CPU))


def die_at_two(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_killed_process_is_an_error_and_no_hang():
    with pytest.raises(TrainingError, match=r"ended by itself \(SIGKILL\).*use fewer --jobs"):
        list(side_by_side(die_at_two, range(6), jobs=2, device=CPU))


def die_after_answering(number: int) -> int:
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return number


def test_a_process_that_is_killed_between_two_tasks_is_the_same_error():
    results = side_by_side(die_after_answering, range(6), jobs=2, device=CPU)
    with pytest.raises(TrainingError, match=r"ended by itself \(SIGKILL\)"):
        any(map(time.sleep, (0.5 for _ in results)))  # whoever takes a result is at work when the process dies


@pytest.mark.parametrize("jobs", [0, -1])
def test_less_than_one_job_is_refused(jobs):
    with pytest.raises(ConfigError, match=f"jobs: got {jobs}; use 1 or more, or None for one per core"):
        list(side_by_side(descend, range(3), jobs=jobs, device=CPU))


def test_a_thread_forks_while_another_fits():
    """A lock that the other holds does not come along."""
    with ThreadPoolExecutor(1) as other:
        held, done = threading.Event(), threading.Event()

        def hold() -> None:
            with alone():
                held.set()
                done.wait(30)

        other.submit(hold)
        held.wait(30)
        try:
            assert sorted(side_by_side(draw_alone, range(3), jobs=2, device=CPU)) == [(0, 0), (1, 1), (2, 2)]
        finally:
            done.set()


def draw_alone(number: int) -> int:
    with alone():
        return number


def test_whoever_stops_asking_leaves_no_process():
    results = side_by_side(descend, range(100), jobs=2, device=CPU)
    _, (_, _, process) = next(results)
    results.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_jobs_on_a_gpu_are_few_and_on_a_cpu_one_per_core():
    cores = len(os.sched_getaffinity(0))
    assert usual_jobs(CPU) == cores
    assert usual_jobs(torch.device("cuda")) == min(cores, 4)


def test_a_parent_that_is_killed_takes_its_processes_along(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time, torch\n"
        "from vidrnn.experiments.side_by_side import side_by_side\n"
        "def work(n):\n"
        f"    open(r'{tmp_path}/' + str(os.getpid()) + '.pid', 'w').close()\n"
        "    time.sleep(600)\n"
        "list(side_by_side(work, range(4), jobs=2, device=torch.device('cpu')))\n"
    )
    process = subprocess.Popen([sys.executable, script])
    while len(pids := [int(file.stem) for file in tmp_path.glob("*.pid")]) < 2:
        time.sleep(0.1)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "a process outlived its parent by a minute"
        time.sleep(0.2)


@pytest.mark.parametrize("jobs", [2, 3])
def test_a_cross_validation_has_the_same_numbers(jobs):
    sequences, settings = make_sequences(), make_settings(seeds=2)
    one, several = (run(sequences, settings, jobs=number) for number in (1, jobs))
    assert several.as_dict() == one.as_dict()
    for variant, seeds in one.outputs.items():
        for seed, videos in enumerate(seeds):
            for video, output in enumerate(videos):
                np.testing.assert_array_equal(several.outputs[variant][seed][video], output)


def test_a_stopped_cross_validation_goes_on(tmp_path, monkeypatch):
    sequences, settings = make_sequences(), make_settings(seeds=2)
    expected, fits = run(sequences, settings), []

    def stop_after_five() -> None:
        fits.append(None)
        if len(fits) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(sequences, settings, finished=FinishedFits(tmp_path, "a"), on_fit=stop_after_five)
    made = count_fits(monkeypatch)
    result = run(sequences, settings, finished=FinishedFits(tmp_path, "a"))
    total = len(list(tmp_path.glob("fits/*.npz")))
    assert len(made) == total - 5
    assert result.as_dict() == expected.as_dict()
    made.clear()
    run(sequences, settings, finished=FinishedFits(tmp_path, "b"))
    assert len(made) == total, "fits of other settings do not count"


def count_fits(monkeypatch) -> list[None]:
    import vidrnn.experiments.crossval_fits as module

    made, honest = [], module.fit_and_predict
    monkeypatch.setattr(module, "fit_and_predict", lambda *a, **how: made.append(None) or honest(*a, **how))
    return made


def test_answers_are_kept_as_they_are(tmp_path):
    fits = FinishedFits(tmp_path, "a")
    answers = Answers([np.float32([1, 2]), np.ones((3, 2), np.float64)], ([np.float32([3]), np.float32([4])],))
    fits.add("one", answers)
    found = fits.get("one")
    for kept, given in zip((*found.averaged, *found.single[0]), (*answers.averaged, *answers.single[0]), strict=True):
        np.testing.assert_array_equal(kept, given)
        assert kept.dtype == given.dtype
    assert fits.get("another") is None
    (file,) = tmp_path.glob("fits/*.npz")
    file.write_bytes(file.read_bytes()[:100])
    assert fits.get("one") is None, "half a file is no answer"
    (tmp_path / "fits" / ".0123456789abcdef.part").touch()
    fits.clear()
    assert not (tmp_path / "fits").exists()


def test_only_what_was_kept_here_is_removed(tmp_path):
    """The folder of results may be one that has a folder `fits` of somebody else."""
    mine = [tmp_path / "fits" / name for name in ("mine.npz", "curve.png", "older/0123456789abcdef.npz")]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"mine")
    fits = FinishedFits(tmp_path, "a")
    fits.add("one", Answers([np.float32([1])], ()))
    fits.clear()
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(mine)
