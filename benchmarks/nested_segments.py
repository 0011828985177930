"""Settings of a model of steps, chosen inside the folds: frame accuracy, edit score and F1 of segments together.

    vidrnn extract --config configs/salads_mstcn.yaml
    OMP_NUM_THREADS=1 python -m benchmarks.nested_segments configs/salads_mstcn.yaml --keep runs/nested \
        --try "inference.decoding=argmax" --try "inference.decoding=viterbi"

For every fold k of the configuration, folds k - 1 and k + 1 (the last is beside the first) are answered by models that
learned from neither them nor k. The candidate with the best mean of frame accuracy, edit score and F1@50 on these is
fitted on all folds but k, and answers for k. So no tested video chooses; what made them candidates is another matter.
One fit leaves out two neighbours, and serves both. Candidates that differ in ``inference`` alone share their fits, and
``--keep`` names a folder in which fits outlast an interruption. The last line is JSON.
"""

import argparse
import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.common import make_parser, print_json, print_machine
from vidrnn.annotations import read_annotations
from vidrnn.annotations.splits import Fold, make_folds
from vidrnn.evaluation.metrics import Output, measure_outputs
from vidrnn.evaluation.segmentation import SegmentationMetrics
from vidrnn.experiments.stored_sets import find_folders, load_set
from vidrnn.experiments.variants import fit_and_predict
from vidrnn.sequences.targets import label_map_of
from vidrnn.settings.base import load
from vidrnn.settings.run import RunSettings
from vidrnn.training.segments import learn_segments

FIGURES = ("frame_accuracy", "edit", "f1_10", "f1_25", "f1_50")
CHOOSE_BY = ("frame_accuracy", "edit", "f1_50")


class Candidate:
    """One set of overrides, and its sequences."""

    def __init__(self, config: Path, overrides: Sequence[str], changes: str, *, keep: Path) -> None:
        self.changes = changes or "(as configured)"
        self.settings = load(RunSettings, config, [*overrides, *changes.split()])
        annotations = read_annotations(self.settings.data)
        self.classes = label_map_of(annotations, self.settings.model.head)
        folders = find_folders(self.settings.features, store=self.settings.extraction.store)
        self.sequences = load_set(annotations, settings=self.settings, folders=folders, label_map=self.classes)
        self._keep = keep

    def answers(self, left_out: Sequence[int]) -> dict[int, tuple[Output, np.ndarray]]:
        """Outputs and step labels of some videos, by position, from a model that learned from all others."""
        learned = [i for i in range(len(self.sequences)) if i not in set(left_out)]
        train, test = self.sequences.subset(learned), self.sequences.subset(list(left_out))
        settings, classes = self.settings, len(self.classes)
        asked = settings.inference.model_dump_json(exclude={"decoding", "decoding_weight"})
        fitted = [settings.model.model_dump_json(), settings.training.model_dump_json(), asked, str(learned)]
        path = self._keep / f"{hashlib.sha256(''.join(fitted).encode()).hexdigest()[:16]}.npz"
        if not path.exists():
            seed = settings.training.seed
            found = fit_and_predict("model", train, test, num_classes=classes, settings=settings, seed=seed)
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, *found.averaged)
        with np.load(path) as kept:
            outputs = [kept[name] for name in kept.files]
        read = partial(np.argmax, axis=1)
        decoder = learn_segments(train, settings.model.head, num_classes=classes)
        if settings.inference.decoding == "viterbi" and decoder is not None:
            read = partial(decoder.decode, weight=settings.inference.decoding_weight)
        return {position: (output, read(output)) for position, output in zip(left_out, outputs, strict=True)}

    def measure(self, answers: dict[int, tuple[Output, np.ndarray]]) -> dict[str, float]:
        """The figures of some videos together."""
        positions = sorted(answers)
        truth = self.sequences.targets.per_video(self.sequences.totals)
        predicted = [np.eye(len(self.classes))[answers[position][1]] for position in positions]
        metrics = measure_outputs(
            self.settings.model.head,
            predicted,
            [truth[position] for position in positions],
            labels=self.classes.names,
            groups=[self.sequences.annotations[position].group for position in positions],
            bootstrap=1,
        )
        assert isinstance(metrics, SegmentationMetrics), "the benchmark is for step_labels"
        return {name: getattr(metrics, name) for name in FIGURES}


def inner_figures(candidate: Candidate, folds: Sequence[Fold], outer: int) -> dict[str, float]:
    """Figures of the two neighbours of a fold, from models that learned from neither them nor the fold."""
    answers = {}
    for beside in ((outer - 1) % len(folds), (outer + 1) % len(folds)):
        left_out = sorted((*folds[outer].test, *folds[beside].test))
        answers |= {i: answer for i, answer in candidate.answers(left_out).items() if i in set(folds[beside].test)}
    return candidate.measure(answers)


def main() -> None:
    parser = make_parser(__doc__, overrides=True)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("config", type=Path)
    parser.add_argument("--try", action="append", required=True, dest="candidates", metavar="'KEY=VALUE KEY=VALUE'")
    parser.add_argument("--keep", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--inner-only", action="store_true", help="choose, and fit nothing for the tested folds")
    parser.add_argument("--only-tested", action="store_true", help="take the first candidate for every fold")
    arguments = parser.parse_args()
    candidates = [
        Candidate(arguments.config, arguments.overrides, changes, keep=arguments.keep)
        for changes in arguments.candidates
    ]
    first = candidates[0]
    evaluation, data = first.settings.evaluation, first.settings.data
    folds = make_folds(first.sequences.annotations, evaluation, root=data.root, accept=data.accept)
    values = np.zeros((len(candidates), len(folds)))
    if not arguments.only_tested:
        print(f"| inside the folds | {' | '.join(FIGURES)} |\n|---|{'---|' * len(FIGURES)}")
        for row, candidate in enumerate(candidates):
            found = [inner_figures(candidate, folds, outer) for outer in range(len(folds))]
            values[row] = [np.mean([figures[name] for name in CHOOSE_BY]) for figures in found]
            means = [np.mean([figures[name] for figures in found]) for name in FIGURES]
            print(f"| `{candidate.changes}` | {' | '.join(f'{100 * mean:.1f}' for mean in means)} |", flush=True)
    chosen = [candidates[row] for row in values.argmax(axis=0)]
    print(f"chosen: {', '.join(f'{fold.name}: {best.changes}' for fold, best in zip(folds, chosen, strict=True))}")
    print_machine("torch")
    if arguments.inner_only:
        return
    answers = {}
    for fold, best in zip(folds, chosen, strict=True):
        answers |= best.answers(sorted(fold.test))
    print_json({"chosen": [best.changes for best in chosen], **first.measure(answers)}, 4)


if __name__ == "__main__":
    main()
