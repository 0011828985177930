"""What would a leaky split have claimed? The same model on random folds of clips and on folds of whole groups.

    vidrnn extract --config configs/weizmann_lite0_mingru.yaml
    OMP_NUM_THREADS=1 python -m benchmarks.leaky_split configs/weizmann_lite0_mingru.yaml [--pieces 2]

Random folds are as many and as large as the configuration's own, and drawn anew for each seed, so that the spread holds
the luck of the draw. Nothing else differs. With ``--pieces`` each video is first cut into clips of equal length (its
stored features are), as data sets are made from long recordings. ``nearest_neighbour`` answers with the label of the
training clip whose average feature is nearest; ``--no-fits`` asks nothing else. The last line is JSON.
"""

import csv
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.common import make_parser, print_json, print_machine
from vidrnn.annotations import read_annotations
from vidrnn.annotations.splits import make_folds
from vidrnn.experiments.crossval import run_crossval
from vidrnn.experiments.crossval_fits import seeds_of
from vidrnn.settings.base import load
from vidrnn.settings.run import RunSettings
from vidrnn.store.feature_store import FeatureStore

Scores = dict[str, list[float]]


def cut_into_pieces(config: Path, overrides: list[str], pieces: int, folder: Path) -> list[str]:
    """Write a store and annotations of the pieces; the overrides that lead to them."""
    settings = load(RunSettings, config, overrides)
    store, features = FeatureStore(settings.extraction.store), settings.features
    rows = []
    for stored in [store.find(features), *([store.find_mirrored(features)] if features.mirrored else [])]:
        target = FeatureStore(folder / "features").create(stored.spec)
        rows = [["path", "label", "group"]]
        for annotation in read_annotations(settings.data):
            video = stored.read(annotation.path)
            for number, steps in enumerate(np.array_split(np.arange(len(video.features)), pieces)):
                facts = replace(
                    video.metadata,
                    num_frames=len(steps),
                    duration_s=video.metadata.duration_s * len(steps) / len(video.features),
                )
                piece = replace(
                    video, features=video.features[steps], timestamps_s=video.timestamps_s[steps], metadata=facts
                )
                rows.append([f"{annotation.path}_{number}", annotation.label, annotation.group])
                target.write(rows[-1][0], piece)
    with (folder / "pieces.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    places = [f"data.root={folder}", "data.format=csv", "data.annotations=pieces.csv"]
    return [*overrides, *places, f"extraction.store={folder / 'features'}"]


def nearest_neighbour(settings: RunSettings) -> float:
    """Accuracy on the folds of the configuration."""
    annotations = read_annotations(settings.data)
    folder = FeatureStore(settings.extraction.store).find(settings.features)
    means = np.stack([folder.read(video.path).features.astype(np.float32).mean(axis=0) for video in annotations])
    distances = np.square(means[:, None] - means[None]).sum(axis=2)
    folds = make_folds(annotations, settings.evaluation, root=settings.data.root, accept=settings.data.accept)
    right = [
        annotations[position].label == annotations[fold.train[distances[position, fold.train].argmin()]].label
        for fold in folds
        for position in fold.test
    ]
    return float(np.mean(right))


def on_random_folds(config: Path, overrides: list[str], output: Path, *, fits: bool) -> Scores:
    """Each seed on folds of its own."""
    settings = load(RunSettings, config, overrides)
    annotations = read_annotations(settings.data)
    number = len(make_folds(annotations, settings.evaluation, root=settings.data.root))
    scores: Scores = {}
    for seed in seeds_of(settings.evaluation, settings.training):
        paths = [annotation.path for annotation in annotations]
        random.Random(seed).shuffle(paths)  # noqa: S311  a reproducible split, not a secret
        folds = output / f"folds_{seed}.csv"
        with folds.open("w", newline="", encoding="utf-8") as file:
            rows = [[path, f"fold{position % number + 1}"] for position, path in enumerate(paths)]
            csv.writer(file).writerows([["path", "fold"], *rows])
        leaky = ["protocol=folds_csv", f"folds={folds.absolute()}", f"seeds=[{seed}]"]
        changes = [*overrides, *(f"evaluation.{change}" for change in leaky), "data.accept=[shared_groups]"]
        for name, values in run(load(RunSettings, config, changes), output / f"random_{seed}", fits=fits).items():
            scores.setdefault(name, []).extend(values)
    return scores


def run(settings: RunSettings, output: Path, *, fits: bool) -> Scores:
    """Accuracy of each seed, for the model and for each baseline."""
    neighbour = {"nearest_neighbour": [nearest_neighbour(settings)]}
    if not fits:
        return neighbour
    result = run_crossval(settings, output=output)
    return {"model": [pooled.top1 for pooled in result.pooled], **result.baselines, **neighbour}


def main() -> None:
    parser = make_parser(__doc__, overrides=True)
    parser.add_argument("configs", type=Path, nargs="+")
    parser.add_argument("--pieces", type=int, default=1)
    parser.add_argument("--no-fits", action="store_true")
    parser.add_argument("--output", type=Path, default=None, help="keeps the results of every run")
    arguments = parser.parse_args()
    print_machine("torch")
    print(f"videos cut into {arguments.pieces}\n")
    print("| configuration | answers of | random folds | folds of groups |")
    print("|---|---|---|---|")
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for config in arguments.configs:
            output = (arguments.output or Path(scratch)) / config.stem
            output.mkdir(parents=True, exist_ok=True)
            overrides = arguments.overrides
            if arguments.pieces > 1:
                overrides = cut_into_pieces(config, overrides, arguments.pieces, Path(tempfile.mkdtemp(dir=scratch)))
            fits = not arguments.no_fits
            leaky = on_random_folds(config, overrides, output, fits=fits)
            honest = run(load(RunSettings, config, overrides), output / "grouped", fits=fits)
            for name, values in leaky.items():
                cells = [f"{np.mean(top1):.3f} ± {np.std(top1):.3f}" for top1 in (values, honest[name])]
                print(f"| {config.stem} | {name} | " + " | ".join(cells) + " |", flush=True)
                figures[f"{config.stem}_{name}_random"] = float(np.mean(values))
                figures[f"{config.stem}_{name}_grouped"] = float(np.mean(honest[name]))
    print_json(figures, 4)


if __name__ == "__main__":
    main()
