"""Fits of a cross-validation side by side, against one after another in one process with all threads.

    python benchmarks/side_by_side.py [--rounds 3]

Random sequences have the size of UT-Interaction set 1 (ten groups of six videos, 60 steps, D = 1712). One seed of the
model of the default settings is fitted with its baselines, 3 epochs. The three ways take turns, so that other load on
the machine meets all of them; figures are medians. Outputs of the last two are compared bit for bit. The last line is
JSON.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from vidrnn.annotations import Annotation
from vidrnn.annotations.splits import Fold
from vidrnn.experiments.crossval_fits import Fits, make_all, tasks_of
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.stream_table import StreamTable
from vidrnn.sequences.targets import Targets
from vidrnn.settings.data import DataSettings
from vidrnn.settings.evaluation import EvaluationSettings
from vidrnn.settings.run import RunSettings
from vidrnn.settings.training import TrainingSettings

GROUPS, OF_EACH, STEPS, DIM = 10, 6, 60, 1712


def make_fits() -> Fits:
    """Noise in the shape of cached features, and a fold for each group."""
    count = GROUPS * OF_EACH
    totals = torch.full((count,), STEPS)
    features = torch.randn(count * STEPS, DIM, generator=torch.Generator().manual_seed(0)).half()
    sequences = SequenceSet(
        tuple(Annotation(f"{n}.mp4", f"{n % OF_EACH}", None, f"{n // OF_EACH}") for n in range(count)),
        {"rgb": StreamTable(features, totals.cumsum(0) - totals, totals)},
        totals,
        Targets(torch.arange(count) % OF_EACH),
        np.zeros((count, 4)),
    )
    folds = [Fold(str(group), tuple(range(OF_EACH * group, OF_EACH * (group + 1))), count) for group in range(GROUPS)]
    settings = RunSettings(
        data=DataSettings(root=Path()),
        training=TrainingSettings(epochs=3),
        evaluation=EvaluationSettings(seeds=1),
    )
    return Fits(sequences, folds, OF_EACH, settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    fits, cores = make_fits(), len(os.sched_getaffinity(0))
    tasks = tasks_of(fits)
    print(f"{platform.machine()}, {cores} cores, PyTorch {torch.__version__}, {len(tasks)} fits", flush=True)

    def side_by_side(jobs: int) -> object:
        return make_all(fits, jobs=jobs, finished=None, on_fit=lambda: None)[0]

    ways: dict[str, Callable[[], object]] = {
        "all_threads": lambda: [fits(task) for task in tasks],
        "jobs_1": lambda: side_by_side(1),
        f"jobs_{cores}": lambda: side_by_side(cores),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    outputs: dict[str, object] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            outputs[name] = way()
            seconds[name].append(time.perf_counter() - started)
            print(f"{name}: {seconds[name][-1]:.1f} s", flush=True)
    np.testing.assert_equal(outputs[f"jobs_{cores}"], outputs["jobs_1"])
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratio = medians["all_threads"] / medians[f"jobs_{cores}"]
    print(json.dumps({name: round(value, 1) for name, value in medians.items()} | {"times_as_fast": round(ratio, 2)}))


if __name__ == "__main__":
    main()
