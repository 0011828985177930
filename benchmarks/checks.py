"""What do the checks and baselines cost beside the training that they guard?

    OMP_NUM_THREADS=1 python benchmarks/checks.py configs/ut_interaction_set1_lite0_mingru.yaml

`vidrnn check` runs without and with decoding, and again, as a process on a new store; then one fold is fitted, the
model and each baseline, on stored features. There are as many fits as folds times seeds. The last line is JSON.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from vidrnn.annotations import read_annotations
from vidrnn.config import load
from vidrnn.features.store import FeatureStore
from vidrnn.sequences.splits import make_folds
from vidrnn.sequences.targets import label_map_of
from vidrnn.settings import RunSettings
from vidrnn.training.crossval import answer_without_pixels, fit_and_answer, no_time_name, seeds_of
from vidrnn.training.run import load_set


def check(config: Path, overrides: list[str], store: str, *options: str) -> float:
    """Seconds of `vidrnn check`."""
    changes = [word for each in [*overrides, f"features.store={store}"] for word in ("--set", each)]
    call = "import sys; from vidrnn.cli import main; sys.argv[0] = 'vidrnn'; main()"
    started = time.perf_counter()
    command = [sys.executable, "-c", call, "check", "--config", str(config), *options, *changes]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def fits(settings: RunSettings) -> tuple[dict[str, float], int]:
    """Seconds of a fold for the model and each baseline, and the number of such fits in the cross-validation."""
    annotations, head = read_annotations(settings.data), settings.model.head
    label_map = label_map_of(annotations, head)
    folder = FeatureStore(settings.features.store).find(settings.features)
    sequences = load_set(annotations, settings=settings, folder=folder, label_map=label_map)
    folds = make_folds(sequences.annotations, settings.evaluation, root=settings.data.root)
    train, test = sequences.subset(folds[0].train), sequences.subset(folds[0].test)
    started = time.perf_counter()
    answer_without_pixels(train, test, head=head, num_classes=len(label_map))
    seconds = {"without_pixels": time.perf_counter() - started}
    for variant in ("model", no_time_name(head), "shuffled_time"):
        started = time.perf_counter()
        fit_and_answer(variant, train, test, num_classes=len(label_map), settings=settings, seed=0)
        seconds[variant] = time.perf_counter() - started
    return seconds, len(folds) * len(seeds_of(settings.evaluation, settings.training))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="SECTION.KEY=VALUE")
    arguments = parser.parse_args()
    config, overrides = arguments.config, arguments.overrides
    with tempfile.TemporaryDirectory() as store:
        figures = {
            "check_quick_s": check(config, overrides, store, "--quick"),
            "check_first_s": check(config, overrides, store),
            "check_again_s": check(config, overrides, store),
        }
    seconds, number = fits(load(RunSettings, config, overrides))
    figures |= {f"fold_{name}_s": value for name, value in seconds.items()}
    figures["fits"] = number
    figures["model_all_fits_s"] = number * seconds["model"]
    figures["check_first_over_training"] = figures["check_first_s"] / figures["model_all_fits_s"]
    figures["baselines_over_training"] = (sum(seconds.values()) - seconds["model"]) / seconds["model"]
    print(f"Python {platform.python_version()}, PyTorch {torch.__version__}, {os.cpu_count()} cores,")
    print(f"{torch.get_num_threads()} threads; {config.stem}\n\n| what | value |\n|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value:.3g} |")
    print(f"\n{json.dumps({name: round(value, 3) for name, value in figures.items()})}")


if __name__ == "__main__":
    main()
