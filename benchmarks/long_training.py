"""Memory of training on long videos: peak resident memory of a fit on whole videos, and in windows.

    OMP_NUM_THREADS=2 python -m benchmarks.long_training --hours 4 --window 60
    OMP_NUM_THREADS=2 python -m benchmarks.long_training --hours 1 --window 0

Draws so many recordings of an hour at 10 steps a second, with 1280 random features and a class at each step. It writes
them to a pack, maps it as `vidrnn train` does, and fits one epoch of a model for head step_labels. Inputs, width and
layers are the default. Run it once for each line of a table: peak memory is measured for a whole process. A window of 0
reads whole videos. The features are random, so nothing is learned; what is measured is seconds and memory. The last
line is JSON.
"""

import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import make_parser, print_json, print_machine
from vidrnn.annotations import Annotation
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.stream_table import StreamTable
from vidrnn.sequences.targets import Targets
from vidrnn.settings.model import ModelSettings
from vidrnn.settings.training import TrainingSettings
from vidrnn.training.fit import fit
from vidrnn.training.predict import PredictOptions, predict

STEPS, RATE, DIM, CLASSES = 36_000, 10.0, 1280, 8


def draw(folder: Path, hours: int) -> SequenceSet:
    """Recordings of an hour, their features mapped from a file."""
    path, rng = folder / "features.npy", np.random.default_rng(0)
    rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(hours * STEPS, DIM))
    for start in range(0, len(rows), 4000):
        rows[start : start + 4000] = rng.standard_normal((4000, DIM), dtype=np.float32)
    rows.flush()
    del rows
    features = torch.from_numpy(np.load(path, mmap_mode="c"))
    totals = torch.full((hours,), STEPS)
    labels = np.repeat(rng.integers(0, CLASSES, hours * STEPS // 100), 100)
    return SequenceSet(
        tuple(Annotation(f"{i}.mp4", "recording", None, str(i)) for i in range(hours)),
        {"rgb": StreamTable(features, totals.cumsum(0) - totals, totals)},
        totals,
        Targets(torch.from_numpy(labels), totals.cumsum(0) - totals),
        np.asarray([(640.0, 480.0, STEPS, STEPS / RATE)] * hours),
    )


def peak_mb() -> float:
    """Peak resident memory of this process so far, mapped pages of the features included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--hours", type=int, default=4, help="recordings of an hour, all in one batch")
    parser.add_argument("--window", type=float, default=60.0, help="seconds; 0 for whole videos")
    parser.add_argument("--bidirectional", action="store_true")
    parser.add_argument("--predict", action="store_true", help="also answer for one of the recordings")
    arguments = parser.parse_args()
    print_machine("torch")
    with tempfile.TemporaryDirectory() as folder:
        train = draw(Path(folder), arguments.hours)
        before = peak_mb()
        settings = TrainingSettings(
            steps=None, epochs=1, batch_size=arguments.hours, window_s=arguments.window or None, device="cpu"
        )
        model = ModelSettings(head="step_labels", bidirectional=arguments.bidirectional)
        started = time.perf_counter()
        fitted = fit(train, None, num_classes=CLASSES, model_settings=model, settings=settings)
        figures = {
            "hours": arguments.hours,
            "window_s": arguments.window,
            "updates": fitted.history[-1]["updates"],
            "seconds_an_epoch": time.perf_counter() - started,
            "peak_mb_before": before,
            "peak_mb": peak_mb(),
        }
        if arguments.predict:
            predict(fitted.model, train.subset([0]), PredictOptions(None))
            figures["peak_mb_after_answering"] = peak_mb()
    print_json(figures, 1)


if __name__ == "__main__":
    main()
