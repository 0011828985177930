"""How long `vidrnn report` takes for ten thousand predictions, and how large the page is.

    python -m benchmarks.report [--predictions 10000] [--classes 10 1200] [--clips 300]

Each video is one of the drawn clips under a name of its own. The verb runs in a process of its own, with its imports.
Processor time counts the verb's process alone; decoders work beside it, and for a few seconds. The last line is JSON.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

from benchmarks.common import draw_clips, make_parser, print_json, print_machine, print_table
from vidrnn.evaluation.metrics import measure_outputs
from vidrnn.evaluation.predictions import write_predictions
from vidrnn.evaluation.report import write_json


def write_run(folder: Path, clips: list[Path], *, predictions: int, classes: int) -> None:
    """What ``evaluate`` would write of a model that is right in four of five cases."""
    rng = np.random.default_rng(0)
    truth = [np.int64(number % classes) for number in range(predictions)]
    likely = 3.0 * np.eye(classes)
    outputs = [likely[true] + rng.normal(size=classes) for true in truth]
    labels = [f"class {number:04}" for number in range(classes)]
    groups = [f"actor {number % 20}" for number in range(predictions)]
    # The same file under ever more names: a step into its folder and back out of it.
    paths = [f"{'./' * (number // len(clips))}{clips[number % len(clips)].name}" for number in range(predictions)]
    write_predictions(
        folder / "predictions.csv",
        head="label",
        paths=paths,
        groups=groups,
        labels=labels,
        answers=[(0, outputs)],
        truth=truth,
    )
    metrics = measure_outputs("label", outputs, truth, labels=labels, groups=groups, bootstrap=1)
    write_json(folder / "metrics.json", {"split": "test", "head": "label", **metrics.as_dict()})
    data = {"root": str(clips[0].parent), "format": "csv", "annotations": "list.csv"}
    (folder / "config.yaml").write_text(yaml.safe_dump({"data": data}))


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--predictions", type=int, default=10_000)
    parser.add_argument("--classes", type=int, nargs="+", default=[10, 1200])
    parser.add_argument("--clips", type=int, default=300)
    arguments = parser.parse_args()
    print_machine("numpy", "matplotlib", "jinja2")
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = draw_clips(folder / "clips", arguments.clips, width=320, height=240, fps=25)
        for classes in arguments.classes:
            run = folder / f"run{classes}"
            run.mkdir()
            write_run(run, clips, predictions=arguments.predictions, classes=classes)
            started_s, before = time.perf_counter(), os.times()
            subprocess.run([sys.executable, "-m", "vidrnn", "report", str(run)], check=True)
            after = os.times()
            figures[f"{classes} classes, s"] = time.perf_counter() - started_s
            used_s = after.children_user + after.children_system - before.children_user - before.children_system
            figures[f"{classes} classes, processor time, s"] = used_s
            figures[f"{classes} classes, page, MB"] = (run / "report.html").stat().st_size / 1e6
    print_table(figures)
    print_json(figures)


if __name__ == "__main__":
    main()
