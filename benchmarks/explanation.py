"""Which way of explaining is right: against clips whose event is known, and by removing what it calls important.

    OMP_NUM_THREADS=1 python -m benchmarks.explanation --output runs/explanation
    OMP_NUM_THREADS=1 python -m benchmarks.explanation --config configs/weizmann_lite0_mingru.yaml \
        --set extraction.store=runs/weizmann_features --output runs/explanation

Without a configuration it draws clips of 8 s in which somebody stands, does one of three things for 1.0 to 1.8 s at any
time, and stands again. Nothing else tells the classes apart. Half of the actors train the models, the others are asked.
With a configuration of clips with labels, whose features must be in the store, half of the groups train and the others
are asked.

Only right answers are explained. `hit` is how often the most important moment lies in the event, `chance` the share of
the moments that do. `AUC` is the chance that a moment of the event counts more than another of its clip. `important`
and `elsewhere` are how far the log-odds of the answer fall when a fifth of the clip is cut out, by that way of
explaining and at other places. `worse` is how often the first is larger. Clips in equal parts. The last line is JSON.
"""

import csv
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml

from benchmarks.common import make_parser, print_json, print_machine, print_table, seconds_of

if TYPE_CHECKING:
    from vidrnn.models.model_file import TrainedModel

MODELS: dict[str, dict[str, object]] = {
    "minGRU, max": {"cell": "mingru", "pooling": "max"},
    "minGRU, mean": {"cell": "mingru", "pooling": "mean"},
    "minGRU, mean, change alone": {"cell": "mingru", "pooling": "mean", "inputs": ("change",)},
    "GRU, attention": {"cell": "gru", "pooling": "attention"},
    "LSTM, last": {"cell": "lstm", "pooling": "last"},
    "no recurrence, mean": {"cell": "none", "pooling": "mean"},
}
DIM = 1280  # of features of the default backbone, at one node
SMALL = {"hidden_size": 64, "projection": 64}
ACTORS, TAKES = 24, 3
Truth = Mapping[str, tuple[float, float]]


def draw_events(folder: Path) -> tuple[Path, Truth]:
    """A configuration of drawn clips, and from when to when the event of each lasts."""
    from vidrnn.synthetic.events import EVENTS, render_event

    events = folder / "events.csv"
    if events.exists():  # drawn before
        with events.open(newline="") as file:
            return folder / "config.yaml", {path: (float(start), float(end)) for path, start, end in csv.reader(file)}
    rows, truth = [["path", "label", "group"]], {}
    for actor in range(ACTORS):
        for event in EVENTS:
            for take in range(TAKES):
                path = f"{event}/{actor}_{take}.mp4"
                seed = take + TAKES * EVENTS.index(event)
                clip = render_event(folder / "clips" / path, event=event, group_seed=actor, clip_seed=seed)
                rows.append([path, event, f"actor{actor:02}"])
                truth[path] = clip.start_s, clip.end_s
    with (folder / "clips" / "annotations.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    tree = {
        "data": {"root": str(folder / "clips"), "format": "csv", "annotations": "annotations.csv"},
        "features": {"sampling": "fps", "rate": 5},
        "extraction": {"store": str(folder / "features")},
        "training": {"epochs": 30},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    with events.open("w", newline="") as file:
        csv.writer(file).writerows([path, *times] for path, times in truth.items())
    return folder / "config.yaml", truth


def ways() -> dict[str, Callable[..., np.ndarray | None]]:
    """Name to a function of a question."""
    from vidrnn.explanation.importance import by_attention, by_gradients, by_occlusion

    found: dict[str, Callable[..., np.ndarray | None]] = {
        f"occlusion, {name}, {fill}": partial(_occluded, by_occlusion, share, fill)
        for fill in ("mean", "held", "cut")
        for name, share in (("single", 0.0), ("eighth", 1 / 8), ("quarter", 1 / 4))
    }
    return found | {"gradients": by_gradients, "attention": by_attention}


def _occluded(occlude: Callable[..., np.ndarray], share: float, fill: str, question: object) -> np.ndarray:
    window = max(1, round(share * question.num_moments))  # type: ignore[attr-defined]
    return occlude(question, window=window, fill=fill)


def measure(settings: object, truth: Truth, *, seed: int) -> Iterator[tuple[str, dict[str, float]]]:
    """The figures of each way of explaining, over the right answers of one model."""
    from vidrnn.annotations import read_annotations
    from vidrnn.experiments.stored_sets import find_folders, load_set
    from vidrnn.explanation.question import ask_why
    from vidrnn.explanation.removal import remove_important
    from vidrnn.models.model_file import TrainedModel
    from vidrnn.sequences.targets import label_map_of
    from vidrnn.training.members import fit_members

    annotations = read_annotations(settings.data)  # type: ignore[attr-defined]
    labels = label_map_of(annotations, "label")
    folders = find_folders(settings.features, store=settings.extraction.store)  # type: ignore[attr-defined]
    whole = load_set(annotations, settings=settings, folders=folders, label_map=labels)
    groups = sorted({annotation.group for annotation in whole.annotations})
    learning = set(np.random.default_rng(seed).permutation(groups)[: len(groups) // 2].tolist())
    split = [annotation.group in learning for annotation in whole.annotations]
    train = whole.subset(np.flatnonzero(split).tolist())
    test = whole.subset(np.flatnonzero(~np.array(split)).tolist())
    fitting = settings.training.model_copy(update={"seed": seed})  # type: ignore[attr-defined]
    fitted = fit_members(train, None, num_classes=len(labels), model_settings=settings.model, settings=fitting)
    model = TrainedModel(fitted.model.eval(), labels, folders[0].spec, settings, {}, {})
    times = {a.path: folders[0].read(a.path).timestamps_s for a in test.annotations}
    questions = [(test.annotations[number], ask_why(model, test, number)) for number in range(len(test))]
    right = [(a, q) for a, q in questions if labels.names[q.target] == a.label]
    yield "", {"top-1": len(right) / len(questions), "n": float(len(right))}
    for name, way in ways().items():
        rows = []
        for annotation, question in right:
            importance = way(question)
            if importance is None:
                break
            row = dict.fromkeys(("important", "elsewhere"), 0.0)
            removal = remove_important(question, importance)
            row["important"], row["elsewhere"] = removal.headline
            row["worse"] = float(row["important"] > row["elsewhere"])
            if annotation.path in truth:
                row |= _against(importance, question.places, times[annotation.path], truth[annotation.path])
            rows.append(row)
        if rows:
            yield name, {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def _default_model() -> "TrainedModel":
    """Ten classes from features of one node, with random weights."""
    from vidrnn.annotations import LabelMap
    from vidrnn.models.classifier import SequenceClassifier
    from vidrnn.models.model_file import TrainedModel
    from vidrnn.settings.base import validate
    from vidrnn.settings.run import RunSettings
    from vidrnn.store.spec import FeatureSpec

    settings = validate(RunSettings, {"data": {"root": "."}})
    labels = LabelMap(tuple(f"class {number}" for number in range(10)))
    classifier = SequenceClassifier(settings.model, dim=DIM, num_classes=len(labels)).eval()
    spec = FeatureSpec(
        stream="external",
        backbone="",
        weights="",
        weights_digest="",
        node="",
        dim=DIM,
        grid=1,
        preprocessing={},
        sampling={},
        precision="",
    )
    return TrainedModel(classifier, labels, spec, settings, {}, {})


def speed() -> dict[str, float]:
    """Processor seconds for one clip of a default model of one node: the median of ten.

    Processor time, because other work on the machine hardly changes it; with one thread it is the time that passes on a
    free core.
    """
    import torch

    from vidrnn.explanation.importance import by_gradients, by_occlusion
    from vidrnn.explanation.question import Question
    from vidrnn.explanation.removal import remove_important
    from vidrnn.sequences.sequence_set import Batch

    model = _default_model()
    steps, width = model.settings.training.steps or 24, DIM * len(model.settings.model.inputs)
    shown = Batch(torch.randn(1, steps, width), torch.tensor([steps]), torch.zeros(1))

    def asked() -> Question:
        return Question(model, (shown,), 0, np.arange(steps + 1))

    importance = by_occlusion(asked())
    calls: dict[str, Callable[[], object]] = {
        "occlusion": lambda: by_occlusion(asked()),
        "check": lambda: remove_important(asked(), importance),
        "gradients": lambda: by_gradients(asked()),
    }
    found = {}
    for name, call in calls.items():
        times = []
        for _ in range(10):
            before = time.process_time()
            call()
            times.append(time.process_time() - before)
        found[f"{name}, s per clip"] = float(np.median(times))
    return found


def _against(
    importance: np.ndarray, places: np.ndarray, times_s: np.ndarray, event: tuple[float, float]
) -> dict[str, float]:
    middles = times_s[(places[:-1] + places[1:]) // 2]
    inside = (middles >= event[0]) & (middles < event[1])
    above = (importance[inside][:, None] > importance[~inside]).mean()
    equal = (importance[inside][:, None] == importance[~inside]).mean()
    return {"hit": float(inside[importance.argmax()]), "chance": inside.mean(), "AUC": above + equal / 2}


def main() -> None:
    parser = make_parser(__doc__, overrides=True)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS), metavar="MODEL")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    from vidrnn.api import extract
    from vidrnn.settings.base import load
    from vidrnn.settings.run import RunSettings

    print_machine("torch", "captum")
    arguments.output.mkdir(parents=True, exist_ok=True)
    truth: Truth = {}
    config = arguments.config
    if config is None:
        config, truth = draw_events(arguments.output)
    settings = load(RunSettings, config, arguments.overrides)
    print(f"features: {seconds_of(lambda: extract(settings)):.0f} s", flush=True)
    figures: dict[str, dict[str, dict[str, float]]] = {"speed": {"": speed()}}
    print_table(figures["speed"][""])
    for model in arguments.models:
        changes = MODELS[model]
        asked = settings.model_copy(update={"model": settings.model.model_copy(update={**SMALL, **changes})})
        found: dict[str, list[dict[str, float]]] = {}
        for seed in range(arguments.seeds):
            for name, row in measure(asked, truth, seed=seed):
                found.setdefault(name, []).append(row)
        figures[model] = {name: _mean(rows) for name, rows in found.items()}
        _print(model, figures[model])
    print_json(figures)


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def _print(model: str, figures: Mapping[str, Mapping[str, float]]) -> None:
    about = figures[""]
    print(f"\n{model}: top-1 {about['top-1']:.2f}, {about['n']:.0f} right answers per seed\n")
    columns = [key for key in next(row for name, row in figures.items() if name) if key != "chance"]
    chance = next(row for name, row in figures.items() if name).get("chance")
    print(f"| way | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for name, row in figures.items():
        if name:
            print(f"| {name} | {' | '.join(f'{row[key]:.2f}' for key in columns)} |")
    if chance is not None:
        print(f"\nchance {chance:.2f}", flush=True)


if __name__ == "__main__":
    main()
