"""What do the checks and baselines cost beside the training that they guard?

    OMP_NUM_THREADS=1 python -m benchmarks.checks configs/ut_interaction_set1_lite0_mingru.yaml

`vidrnn check` runs without and with decoding, and again, as a process on a new store. Then one fold is fitted, the
model and each baseline, on stored features. The cross-validation repeats that for its folds and seeds. The last line is
JSON.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import make_parser, print_json, print_machine, print_table, seconds_of
from vidrnn.annotations import read_annotations
from vidrnn.annotations.splits import make_folds
from vidrnn.experiments.crossval_fits import seeds_of_fits
from vidrnn.experiments.stored_sets import find_folders, load_set
from vidrnn.experiments.variants import fit_and_predict, predict_without_pixels
from vidrnn.sequences.targets import label_map_of
from vidrnn.settings.base import load
from vidrnn.settings.run import RunSettings


def check(config: Path, overrides: list[str], store: str, *options: str) -> float:
    """Seconds of `vidrnn check`."""
    changes = [word for change in [*overrides, f"extraction.store={store}"] for word in ("--set", change)]
    call = "import sys; from vidrnn.cli.app import main; sys.argv[0] = 'vidrnn'; main()"
    command = [sys.executable, "-c", call, "check", "--config", str(config), *options, *changes]
    return seconds_of(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))


def fits(settings: RunSettings) -> tuple[dict[str, float], dict[str, int]]:
    """Seconds of a fold for the model and each baseline, and how often the cross-validation fits each."""
    annotations, head = read_annotations(settings.data), settings.model.head
    label_map = label_map_of(annotations, head)
    folders = find_folders(settings.features, store=settings.extraction.store)
    sequences = load_set(annotations, settings=settings, folders=folders, label_map=label_map)
    folds = make_folds(sequences.annotations, settings.evaluation, root=settings.data.root)
    train, test = sequences.subset(folds[0].train), sequences.subset(folds[0].test)
    started = time.perf_counter()
    predict_without_pixels(train, test, head=head, num_classes=len(label_map))
    seconds, times = {"without_pixels": time.perf_counter() - started}, {"without_pixels": len(folds)}
    for variant, seeds in seeds_of_fits(settings).items():
        started = time.perf_counter()
        fit_and_predict(variant, train, test, num_classes=len(label_map), settings=settings, seed=0)
        seconds[variant], times[variant] = time.perf_counter() - started, len(folds) * len(seeds)
    return seconds, times


def main() -> None:
    parser = make_parser(__doc__, overrides=True)
    parser.add_argument("config", type=Path)
    arguments = parser.parse_args()
    config, overrides = arguments.config, arguments.overrides
    with tempfile.TemporaryDirectory() as store:
        figures = {
            "check_quick_s": check(config, overrides, store, "--quick"),
            "check_first_s": check(config, overrides, store),
            "check_again_s": check(config, overrides, store),
        }
    seconds, times = fits(load(RunSettings, config, overrides))
    figures |= {f"fold_{name}_s": value for name, value in seconds.items()}
    in_all = {name: times[name] * value for name, value in seconds.items()}
    figures["training_s"] = in_all.pop("model")
    figures["baselines_s"] = sum(in_all.values())
    figures["checks_and_baselines_over_training"] = (figures["check_first_s"] + figures["baselines_s"]) / figures[
        "training_s"
    ]
    print_machine("torch")
    print_table(figures)
    print_json(figures)


if __name__ == "__main__":
    main()
