"""Nested cross-validation: settings are chosen anew in each fold, on its training side alone.

    vidrnn extract --config configs/ut_interaction_set2_lite0_rgb_flow.yaml
    OMP_NUM_THREADS=1 python -m benchmarks.nested_crossval configs/ut_interaction_set2_lite0_rgb_flow.yaml \
        --try training.mixup=0 --try training.mixup=0.4

For every fold of the configuration its training groups are cut into inner folds, each of one group unless
``--inner-folds`` says how many. Each candidate, the configuration with one set of overrides, is fitted and scored on
these. The best, the first of equals, is fitted on the whole training side and answers for the tested group. No tested
video helps to choose among the candidates; what made them candidates is another matter. The last line is JSON.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import make_parser, print_json, print_machine
from vidrnn.annotations import read_annotations
from vidrnn.annotations.splits import Fold, make_folds
from vidrnn.experiments.crossval_fits import seeds_of
from vidrnn.experiments.stored_sets import find_folders, load_set
from vidrnn.experiments.variants import fit_and_predict
from vidrnn.sequences.targets import label_map_of
from vidrnn.settings.base import load
from vidrnn.settings.run import RunSettings


class Candidate:
    """One set of overrides, and its sequences."""

    def __init__(self, config: Path, overrides: Sequence[str], changes: str) -> None:
        self.changes = changes
        self.settings = load(RunSettings, config, [*overrides, *changes.split()])
        annotations = read_annotations(self.settings.data)
        self.classes = label_map_of(annotations, self.settings.model.head)
        folders = find_folders(self.settings.features, store=self.settings.extraction.store)
        self.sequences = load_set(annotations, settings=self.settings, folders=folders, label_map=self.classes)
        self._known: dict[tuple[int, tuple[int, ...]], dict[int, bool]] = {}

    def right(self, fold: "Fold | InnerFold", *, seed: int) -> list[bool]:
        """Whether each tested video of a fold is answered rightly.

        A fit is kept for all that it has not seen: what leaves out A and then B is what leaves out B and then A.
        """
        key = seed, tuple(sorted(fold.train))
        if key not in self._known:
            unseen = sorted(set(range(len(self.sequences))) - set(fold.train))
            train, test = self.sequences.subset(key[1]), self.sequences.subset(unseen)
            classes = len(self.classes)
            found = fit_and_predict("model", train, test, num_classes=classes, settings=self.settings, seed=seed)
            answers = zip(unseen, found.averaged, test.targets.values.tolist(), strict=True)
            self._known[key] = {position: int(np.argmax(output)) == target for position, output, target in answers}
        return [self._known[key][position] for position in fold.test]


@dataclass(frozen=True)
class InnerFold:
    """A fold of the training side: it leaves the outer test videos out of both."""

    name: str
    train: tuple[int, ...]
    test: tuple[int, ...]


def inner_folds(candidate: Candidate, outer: Fold, *, number: int) -> list[InnerFold]:
    """Folds of whole groups of the training side, as positions in the whole set; 0 leaves out one group at a time."""
    settings, annotations = candidate.settings, [candidate.sequences.annotations[i] for i in outer.train]
    protocol = "group_kfold" if number else "leave_one_group_out"
    inner = settings.evaluation.model_copy(update={"protocol": protocol, "folds": number or None})
    return [
        InnerFold(fold.name, tuple(outer.train[i] for i in fold.train), tuple(outer.train[i] for i in fold.test))
        for fold in make_folds(annotations, inner, root=settings.data.root)
    ]


def choose(candidates: Sequence[Candidate], outer: Fold, *, number: int, seed: int) -> int:
    """Index of the candidate that is right most often on the inner folds."""
    folds = inner_folds(candidates[0], outer, number=number)
    scores = [sum(sum(candidate.right(fold, seed=seed)) for fold in folds) for candidate in candidates]
    return scores.index(max(scores))


def main() -> None:
    parser = make_parser(__doc__, overrides=True)
    parser.add_argument("config", type=Path)
    parser.add_argument("--try", action="append", required=True, dest="candidates", metavar="'KEY=VALUE KEY=VALUE'")
    parser.add_argument("--inner-folds", type=int, default=0, help="0: leave out one group at a time")
    arguments = parser.parse_args()
    candidates = [Candidate(arguments.config, arguments.overrides, changes) for changes in arguments.candidates]
    first = candidates[0]
    evaluation, data = first.settings.evaluation, first.settings.data
    folds = make_folds(first.sequences.annotations, evaluation, root=data.root, accept=data.accept)
    top1, chosen = [], Counter[str]()
    for seed in seeds_of(evaluation, first.settings.training):
        right: list[bool] = []
        for fold in folds:
            best = candidates[choose(candidates, fold, number=arguments.inner_folds, seed=seed)]
            chosen[best.changes] += 1
            right += best.right(fold, seed=seed)
            print(f"seed {seed}, {fold.name}: {best.changes}, {sum(right)} of {len(right)} right so far", flush=True)
        top1.append(float(np.mean(right)))
    print_machine("torch")
    inner = f"{arguments.inner_folds} inner folds of groups" if arguments.inner_folds else "inside, each group left out"
    print(f"n = {len(first.sequences)}, {len(folds)} folds, {inner}")
    print(f"top-1 {np.mean(top1):.3f} ± {np.std(top1):.3f}; chosen: {dict(chosen)}")
    print_json({"top1_mean": float(np.mean(top1)), "top1_per_seed": top1, "chosen": chosen}, 4)


if __name__ == "__main__":
    main()
