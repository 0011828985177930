"""Leave one data set out: the settings for each set of videos are chosen on the other sets, never on its own.

    OMP_NUM_THREADS=1 python -m benchmarks.leave_one_set_out configs/weizmann_lite0_rgb_flow.yaml \
        configs/ut_interaction_set1_lite0_rgb_flow.yaml configs/ut_interaction_set2_lite0_rgb_flow.yaml \
        --set evaluation.seeds=10 --try training.mixup=0 --try training.mixup=0.4 --output runs/leave_one_set_out

Every configuration is cross-validated as it stands with each candidate, which is one set of overrides (features must be
in the store). Results are left in ``--output``; what lies there already is not run again. For each configuration the
candidate is taken that has the highest mean over the other configurations, the first of equals. So no video of the set
that answers helps to choose among the candidates. The last line is JSON.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import make_parser, print_json, print_machine
from vidrnn.experiments.crossval import run_crossval
from vidrnn.settings.base import load
from vidrnn.settings.run import RunSettings

Scores = dict[tuple[str, str], list[float]]  # configuration and candidate to top-1 of each seed


def top1_of(config: Path, changes: str, overrides: Sequence[str], output: Path) -> list[float]:
    """Top-1 of each seed, from the folder of this cross-validation where it lies already.

    Raises:
        SystemExit: the folder holds a cross-validation with other settings.
    """
    folder = output / config.stem / changes.replace(" ", ",")
    settings = load(RunSettings, config, ["evaluation.baselines=false", *overrides, *changes.split()])
    written = folder / "crossval.json"
    if not written.exists():
        run_crossval(settings, output=folder)
    elif load(RunSettings, folder / "config.yaml", []) != settings:
        raise SystemExit(f"{folder} was run with other settings; name another --output")
    top1: list[float] = json.loads(written.read_text())["top1_per_seed"]
    return top1


def choose_elsewhere(scores: Scores, left_out: str, candidates: Sequence[str]) -> str:
    """The candidate with the highest mean over all configurations but one."""
    others = sorted({name for name, _ in scores} - {left_out})
    means = [np.mean([np.mean(scores[name, candidate]) for name in others]) for candidate in candidates]
    return candidates[int(np.argmax(means))]


def describe(top1: Sequence[float]) -> str:
    return f"{np.mean(top1):.4f} ± {np.std(top1):.4f}"


def main() -> None:
    parser = make_parser(__doc__, overrides=True)
    parser.add_argument("configs", type=Path, nargs="+")
    parser.add_argument("--try", action="append", required=True, dest="candidates", metavar="'KEY=VALUE KEY=VALUE'")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    scores: Scores = {}
    for config in arguments.configs:
        for changes in arguments.candidates:
            top1 = scores[config.stem, changes] = top1_of(config, changes, arguments.overrides, arguments.output)
            print(f"{config.stem}, {changes}: {describe(top1)}", flush=True)
    print_machine("torch")
    chosen = {config.stem: choose_elsewhere(scores, config.stem, arguments.candidates) for config in arguments.configs}
    for name, changes in chosen.items():
        print(f"{name}: the other sets choose {changes}, top-1 {describe(scores[name, changes])}")
    result = {name: {"chosen": changes, "top1_per_seed": scores[name, changes]} for name, changes in chosen.items()}
    print_json(result, 4)


if __name__ == "__main__":
    main()
