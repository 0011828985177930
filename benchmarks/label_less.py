"""How many labels does it take? Accuracy against labelled clips per class: drawn at random, suggested, pretrained.

    python -m benchmarks.label_less --data "$VIDRNN_DATA" --work runs/defaults --seeds 10

Features lie in ``--work`` as `benchmarks.defaults --prepare` puts them there. In every seed a third of the groups
(actors, recordings) is for testing alone: none of its clips is ever labelled, suggested or pretrained on. Of the other
clips as many as there are classes times 1, 2, 5, 10 are labelled, and all. ``random`` draws them. A rule of
`vidrnn.active_learning.rules` chooses them step by step: the first step without a model, each further one with the
model that learned from the labels before. ``pretrained`` has the random labels, and a model whose layers over time
learned from all those clips without labels first; ``frozen`` ones stay as they are then. What was fitted already is
read from ``--output``. The last line is JSON.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import make_parser, print_json, print_machine
from benchmarks.defaults import settings_of
from vidrnn.active_learning.rules import Pool, Rule, choose
from vidrnn.active_learning.uncertainty import Measure, as_probabilities, uncertainty
from vidrnn.annotations import LabelMap, read_annotations
from vidrnn.experiments.stored_sets import find_folders, load_set
from vidrnn.explanation.nearest import vectors_of
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.ensemble import Ensemble, Model
from vidrnn.models.model_file import TrainedModel
from vidrnn.models.pretrained_file import save_pretrained
from vidrnn.sequences.descriptors import Floats, Raw, Scale
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.targets import label_map_of
from vidrnn.settings.run import RunSettings
from vidrnn.store.spec import FeatureSpec
from vidrnn.training.masking import Masking
from vidrnn.training.members import fit_members
from vidrnn.training.predict import predict, predict_options
from vidrnn.training.pretraining import pretrain

SETS = ("weizmann", "ut_interaction_set1", "ut_interaction_set2")
PER_CLASS = (1, 2, 5, 10)
PRETRAINING_UPDATES = 300
DRAWN = ("random", "pretrained", "pretrained, frozen")  # which clips are labelled is drawn at random
# A small model, so that many fits are done in little time, and as many updates for few clips as for many.
RECIPE = (
    "model.inputs=[features,centred,change] model.pooling=max model.hidden_size=64 model.projection=64 "
    "training.mixup=0 training.steps=16 training.epochs=20 training.min_updates=60 training.learning_rate=0.003 "
    "training.members=2 features.mirrored=false training.device=cpu"
)
# Name of a way to label to the rule, the measure of uncertainty, and the rule of the first step, without a model.
WAYS: dict[str, tuple[Rule, Measure, Rule]] = {
    "typical": ("typical", "entropy", "typical"),
    "diverse": ("diverse", "entropy", "diverse"),
    "entropy": ("uncertain", "entropy", "typical"),
    "margin": ("uncertain", "margin", "typical"),
    "bald": ("uncertain", "mutual_information", "typical"),
    "entropy x distance": ("uncertain_diverse", "entropy", "typical"),
    "margin x distance": ("uncertain_diverse", "margin", "typical"),
    "bald x distance": ("uncertain_diverse", "mutual_information", "typical"),
    "badge": ("badge", "entropy", "typical"),
}


@dataclass(frozen=True, eq=False)
class World:
    """The clips of a set, with all that does not depend on a seed."""

    settings: RunSettings
    clips: SequenceSet
    descriptors: Floats
    label_map: LabelMap
    specs: tuple[FeatureSpec, ...]

    @property
    def num_classes(self) -> int:
        """Of the set."""
        return len(self.label_map)


def load_world(name: str, arguments: argparse.Namespace) -> World:
    settings = settings_of(name, RECIPE, arguments)
    annotations = read_annotations(settings.data)
    folders = find_folders(settings.features, store=settings.extraction.store)
    label_map = label_map_of(annotations, settings.model.head)
    clips = load_set(annotations, settings=settings, folders=folders, label_map=label_map)
    raw = [
        {folder.spec.stream: Raw.of(folder.read(clip.path).features) for folder in folders}
        for clip in clips.annotations
    ]
    specs = tuple(folder.spec for folder in folders)
    return World(settings, clips, Scale.of(raw).descriptors(raw), label_map, specs)


def divide(world: World, seed: int) -> tuple[list[int], list[int]]:
    """Clips that may be labelled, and those of a third of the groups, which test."""
    groups = sorted({clip.group for clip in world.clips.annotations})
    tested = set(np.random.default_rng([seed, 1]).permutation(groups)[: len(groups) // 3].tolist())
    places = range(len(world.clips))
    is_test = [clip.group in tested for clip in world.clips.annotations]
    return [place for place in places if not is_test[place]], [place for place in places if is_test[place]]


def fit_on(world: World, places: Sequence[int], seed: int, *, init: Path | None = None, frozen: bool = False) -> Model:
    changes = {"seed": seed, "init": init, "frozen": frozen}
    training = world.settings.training.model_copy(update=changes)
    return fit_members(
        world.clips.subset(places),
        None,
        num_classes=world.num_classes,
        model_settings=world.settings.model,
        settings=training,
    ).model


def top1(world: World, model: Model, places: Sequence[int]) -> float:
    test = world.clips.subset(places)
    logits = torch.stack(predict(model, test, predict_options(world.settings)))
    return float((logits.argmax(1) == test.targets.values).float().mean())


def pretrain_on(world: World, places: Sequence[int], seed: int, path: Path) -> None:
    """Masked steps of the clips that may be labelled; the labels are not looked at."""
    training = world.settings.training.model_copy(update={"seed": seed, "min_updates": PRETRAINING_UPDATES})
    clips, model = world.clips.subset(places), world.settings.model
    made = pretrain(clips, None, model_settings=model, settings=training, masking=Masking())
    specs = {spec.stream: spec.digest for spec in world.specs}
    save_pretrained(path, made.weights, settings=model, specs=specs, facts={})


def pool_of(world: World, left: Sequence[int], labelled: Sequence[int], model: Model | None, measure: Measure) -> Pool:
    vectors, known = world.descriptors[list(left)], world.descriptors[list(labelled)]
    if model is None:
        return Pool(vectors, known)
    clips = world.clips.subset(left)
    members = list(model.members) if isinstance(model, Ensemble) else [model]
    outputs = []
    for member in members:
        assert isinstance(member, SequenceClassifier)
        logits = torch.stack(predict(member, clips, predict_options(world.settings))).numpy()
        outputs.append(as_probabilities(logits, "label"))
    said = np.stack(outputs)
    values = np.array([uncertainty(said[:, place], measure) for place in range(len(left))])
    trained = TrainedModel(model, world.label_map, world.specs[0], world.settings, {}, {}, others=world.specs[1:])
    return Pool(vectors, known, values, said.mean(axis=0), vectors_of(trained, clips))


def budgets(world: World, pool: Sequence[int]) -> list[int]:
    """Numbers of labelled clips; the last is all of them."""
    return [count for each in PER_CLASS if (count := each * world.num_classes) < len(pool)] + [len(pool)]


@lru_cache
def first_step(world: World, rule: Rule, seed: int) -> tuple[list[int], Model]:
    """The first labels and the model that learned from them, which several ways share."""
    pool, _ = divide(world, seed)
    asked = pool_of(world, pool, [], None, "entropy")
    labelled = [pool[choice.position] for choice in choose(asked, rule, count=budgets(world, pool)[0])]
    return labelled, fit_on(world, labelled, seed)


def curve(world: World, way: str, seed: int, scratch: Path) -> list[float]:
    """Top-1 on the clips of the test groups for each number of labels."""
    pool, test = divide(world, seed)
    init = scratch / f"pretrained-{seed}.safetensors" if way.startswith("pretrained") else None
    if init is not None:
        pretrain_on(world, pool, seed, init)
    counts, labelled, model, figures = budgets(world, pool), list[int](), None, list[float]()
    if way in WAYS:
        labelled, model = first_step(world, WAYS[way][2], seed)
        figures, counts = [top1(world, model, test)], counts[1:-1]  # with all labels there is nothing to choose
    order = np.random.default_rng([seed, 2]).permutation(pool).tolist()
    for count in counts:
        if way not in WAYS:
            labelled = order[:count]
        else:
            rule, measure, _ = WAYS[way]
            left = [place for place in pool if place not in set(labelled)]
            asked = pool_of(world, left, labelled, model, measure)
            chosen = choose(asked, rule, count=count - len(labelled))
            labelled = [*labelled, *(left[choice.position] for choice in chosen)]
        model = fit_on(world, labelled, seed, init=init, frozen=way.endswith("frozen"))
        figures.append(top1(world, model, test))
    return figures


def measured(arguments: argparse.Namespace) -> Iterator[tuple[str, str, int, list[float]]]:
    """Set, way, seed and curve; what was fitted before is read."""
    known = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        worlds = {} if arguments.known else {name: load_world(name, arguments) for name in arguments.sets}
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            for name in arguments.sets:
                for way in arguments.ways:
                    key = f"{name}, {way}, {seed}"
                    if key not in known and arguments.known:
                        continue
                    if key not in known:
                        known[key] = curve(worlds[name], way, seed, Path(scratch))
                        arguments.output.write_text(json.dumps(known))
                        print(f"{key}: {' '.join(f'{value:.3f}' for value in known[key])}", flush=True)
                    yield name, way, seed, known[key]


def counts_of(name: str, arguments: argparse.Namespace) -> list[int]:
    """Numbers of labels of a set; with all of them, those of the first seed."""
    clips = read_annotations(settings_of(name, RECIPE, arguments).data)
    groups = [clip.group for clip in clips]
    tested = set(np.random.default_rng([0, 1]).permutation(sorted(set(groups)))[: len(set(groups)) // 3].tolist())
    pool, classes = sum(group not in tested for group in groups), len({clip.label for clip in clips})
    return [count for each in PER_CLASS if (count := each * classes) < pool] + [pool]


def at(count: float, counts: Sequence[int], curve_: Sequence[float]) -> float:
    """Accuracy at a number of labels, on straight lines between those that were measured."""
    return float(np.interp(count, counts[: len(curve_)], curve_))


def tables(curves: dict[str, dict[str, dict[int, list[float]]]], arguments: argparse.Namespace) -> Iterator[str]:
    """Lines of Markdown: the curves, and how far a way with half the labels is from random labels with all of them.

    Each way is compared with ``random`` on the seeds that both have.
    """
    for name, ways in curves.items():
        counts = counts_of(name, arguments)
        yield f"\n{name}, top-1 by number of labels:\n"
        yield "| way | seeds | " + " | ".join(map(str, counts)) + " | mean minus random | half the labels |"
        yield "|---" * (len(counts) + 4) + "|"
        for way, of_seed in ways.items():
            means = np.mean(list(of_seed.values()), axis=0)
            both = [seed for seed in of_seed if seed in ways.get("random", {})]
            pairs = [(of_seed[seed], ways["random"][seed]) for seed in both]
            chosen = len(counts) - 1  # with all labels there is nothing to choose
            gains = [np.mean(one[:chosen]) - np.mean(other[:chosen]) for one, other in pairs]
            halves = [at(n / 2, counts, one) - at(n, counts, other) for one, other in pairs for n in counts[1:chosen]]
            shown = [f"{mean:.3f}" for mean in means] + [""] * (len(counts) - len(means))
            ends = [f"{np.mean(values):+.3f}" if values else "" for values in (gains, halves)]
            yield f"| {way} | {len(of_seed)} | " + " | ".join([*shown, *ends]) + " |"


def main() -> None:
    parser = make_parser(__doc__, overrides=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of the clips and their lists")
    parser.add_argument("--work", type=Path, required=True, help="folder whose store holds the features")
    parser.add_argument("--output", type=Path, required=True, help="JSON file that keeps what was fitted")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--known", action="store_true", help="fit nothing, show what was fitted")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--ways", nargs="+", choices=[*DRAWN, *WAYS], default=[*DRAWN, *WAYS])
    parser.set_defaults(folds=5)
    arguments = parser.parse_args()
    print_machine("torch", "numpy", "scikit-learn")
    curves: dict[str, dict[str, dict[int, list[float]]]] = {}
    for name, way, seed, figures in measured(arguments):
        curves.setdefault(name, {}).setdefault(way, {})[seed] = figures
    print(*tables(curves, arguments), sep="\n")
    print_json(curves)


if __name__ == "__main__":
    main()
