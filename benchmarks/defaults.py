"""Which recipe holds on a set that it was not chosen on? For each set of videos the other sets choose.

    python -m benchmarks.defaults --data "$VIDRNN_DATA" --work runs/defaults --prepare
    python -m benchmarks.defaults --data "$VIDRNN_DATA" --work runs/defaults --seeds 2

Every candidate is `configs/folder.yaml` with overrides, cross-validated by groups on every set; what lies in ``--work``
is not run again. ``--prepare`` renders and extracts what is missing there. The table has the mean over seeds for each
set and over all sets. For each set the candidate is named that has the highest mean over the other sets, the first of
equals. So no video of the set that answers helps to choose it. The last line is JSON.

Three sets are made here. ``demo`` is drawn by `vidrnn.synthetic`: pairs of actions that only the order of frames tells
apart. ``events`` has an action of a second or two somewhere in eight seconds. In the rest the same person is on the
move: clips of Weizmann, one after the other, joined as features. ``egogestar_half`` has the clips of every other scene.
"""

import argparse
import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import torch

import vidrnn
from benchmarks.leave_one_set_out import choose_elsewhere, describe
from vidrnn.annotations import read_annotations
from vidrnn.experiments.crossval import run_crossval
from vidrnn.experiments.provenance import config_digest
from vidrnn.experiments.stored_sets import find_folders, find_mirrored_folders
from vidrnn.settings.base import load
from vidrnn.settings.run import RunSettings
from vidrnn.store.video_features import VideoFeatures
from vidrnn.synthetic.clips import render_clips

CONFIG = Path(__file__).parent.parent / "configs" / "folder.yaml"
_MADE = ("events", "egogestar_half")  # lists that are written here
_LISTED = ("weizmann", "ut_interaction_set1", "ut_interaction_set2", *_MADE)
SETS = (*_LISTED, "demo")

# What all candidates share, written out so that a later change of a default changes no candidate.
_START = (
    "features.streams=[rgb,flow] features.mirrored=true model.inputs=[centred,change] model.pooling=mean "
    "model.fusion=concat model.cell=mingru training.mixup=0.4 training.class_weight=balanced"
)
CANDIDATES = {
    "folder.yaml of 2026-11-26": "features.streams=[rgb] model.inputs=[features,centred,change] training.mixup=0",
    "rgb and flow": "",
    "flow alone": "features.streams=[flow]",
    "rgb alone": "features.streams=[rgb]",
    "inputs with features": "model.inputs=[features,centred,change]",
    "pooling max": "model.pooling=max",
    "max, mirror chosen": "model.pooling=max features.mirrored=auto",
    "pooling log_sum_exp": "model.pooling=log_sum_exp",
    "pooling mixture": "model.pooling=mixture",
    "pooling attention": "model.pooling=attention",
    "fusion late": "model.fusion=late",
    "fusion gated": "model.fusion=gated",
    "200 updates": "training.min_updates=200",
    "one view": "features.mirrored=false",
    "mixup 0": "training.mixup=0",
    "gru": "model.cell=gru",
    "gru and max": "model.cell=gru model.pooling=max",
    "gru and max, rate 0.003": "model.cell=gru model.pooling=max training.learning_rate=0.003",
    "lstm and max": "model.cell=lstm model.pooling=max",
    "gated and max": "model.fusion=gated model.pooling=max",
    "max, features": "model.pooling=max model.inputs=[features,centred,change]",
    "folder.yaml, both views": "model.pooling=max model.inputs=[features,centred,change] training.mixup=0",
    "folder.yaml": ("model.pooling=max model.inputs=[features,centred,change] training.mixup=0 features.mirrored=auto"),
    "folder.yaml, one view": (
        "model.pooling=max model.inputs=[features,centred,change] training.mixup=0 features.mirrored=false"
    ),
}

_EVENTS = ("bend", "jack", "pjump", "wave1", "wave2")
_ON_THE_MOVE = ("jump", "run", "side", "skip", "walk")
_EVENT_S, _TAKES = 1.5, 2
_DEMO_GROUPS = 6


def settings_of(name: str, changes: str, arguments: argparse.Namespace) -> RunSettings:
    """The configuration of a set with a candidate's overrides."""
    work, listed = arguments.work.resolve(), name in _LISTED
    where = work if name in _MADE else arguments.data.resolve()
    if listed:
        data = [f"data.root={arguments.data.resolve()}", "data.format=csv", f"data.annotations={where / name}.csv"]
    else:
        data = [f"data.root={work / name}", r"data.group_pattern=(g\d+)_"]
    fits = [f"evaluation.folds={arguments.folds}", "evaluation.baselines=false", *arguments.overrides]
    overrides = [f"extraction.store={work / 'store'}", *data, *_START.split(), *fits, *changes.split()]
    return load(RunSettings, CONFIG, overrides)


def prepare(arguments: argparse.Namespace) -> None:
    """Render, extract and join what is not there yet."""
    if not (arguments.work / "demo").exists():
        render_clips(arguments.work / "demo", groups=_DEMO_GROUPS, clips_per_group=1)
    header, *rows = (arguments.data / "egogestar.csv").read_text(encoding="utf-8").splitlines()
    kept = [row for row in rows if int(row.rsplit("scene", 1)[1]) % 2 == 0]
    (arguments.work / "egogestar_half.csv").write_text("\n".join([header, *kept]) + "\n", encoding="utf-8")
    for name in SETS:
        if name != "events":
            print(f"{name}: {vidrnn.extract(settings_of(name, '', arguments)).whole.summary()}", flush=True)
    join_events(arguments)


def join_events(arguments: argparse.Namespace) -> None:
    """Write the features of ``events`` into the store, and the list of its videos."""
    settings = settings_of("weizmann", "", arguments)
    store = settings.extraction.store
    folders = [*find_folders(settings.features, store=store), *find_mirrored_folders(settings.features, store=store)]
    clips = {(clip.group, clip.label): clip.path for clip in read_annotations(settings.data)}
    rng, rows = np.random.default_rng(0), ["path,label,group"]
    for group, event, take in product(sorted({group for group, _ in clips}), _EVENTS, range(_TAKES)):
        parts = [clips[group, label] for label in rng.permutation(_ON_THE_MOVE)[:3] if (group, label) in clips]
        place = int(rng.integers(len(parts) + 1))
        path = f"events/{event}/{group}_{take}.avi"
        rows.append(f"{path},{event},{group}")
        for folder in folders:
            videos = [folder.read(part) for part in parts]
            folder.write(path, joined([*videos[:place], middle_of(folder.read(clips[group, event])), *videos[place:]]))
    (arguments.work / "events.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def middle_of(video: VideoFeatures) -> VideoFeatures:
    """The features of the `_EVENT_S` seconds in the middle."""
    times = video.timestamps_s
    inside = np.abs(times - (times[0] + times[-1]) / 2) <= _EVENT_S / 2
    return replace(video, features=video.features[inside], timestamps_s=times[inside] - times[inside][0])


def joined(parts: Sequence[VideoFeatures]) -> VideoFeatures:
    """One after the other, a tenth of a second between them."""
    starts = np.cumsum([0.0, *(part.timestamps_s[-1] - part.timestamps_s[0] + 0.1 for part in parts)])
    times = np.concatenate(
        [part.timestamps_s - part.timestamps_s[0] + start for part, start in zip(parts, starts, strict=False)]
    )
    features = np.concatenate([part.features for part in parts])
    facts = replace(parts[0].metadata, num_frames=len(times), duration_s=float(starts[-1]))
    return replace(parts[0], features=features, timestamps_s=times, metadata=facts)


Fit = tuple[str, str, int]  # set, candidate, seed


def top1_of(fit: Fit, arguments: argparse.Namespace) -> float:
    """Top-1 over all folds, from the folder of this fit where it lies already.

    Raises:
        SystemExit: the folder holds a fit with other settings.
    """
    name, candidate, seed = fit
    settings = settings_of(name, f"{CANDIDATES[candidate]} evaluation.seeds=[{seed}]", arguments)
    folder = arguments.work / f"fits_{arguments.folds}_folds" / name / candidate.replace(" ", "_") / str(seed)
    if not (folder / "crossval.json").exists():
        run_crossval(settings, output=folder, jobs=arguments.jobs)
    result = json.loads((folder / "crossval.json").read_text(encoding="utf-8"))
    if result["config_digest"] != config_digest(settings):
        raise SystemExit(f"{folder} was run with other settings; name another --work")
    return float(result["top1_mean"])


def measure(arguments: argparse.Namespace) -> dict[tuple[str, str], list[float]]:
    """Set and candidate to the top-1 of each seed."""
    fits = [
        (name, candidate, seed)
        for seed, candidate, name in product(range(arguments.seeds), arguments.candidates, arguments.sets)
    ]
    scores: dict[tuple[str, str], list[float]] = {}
    for fit in fits:
        scores.setdefault(fit[:2], []).append(top1_of(fit, arguments))
        print(f"{', '.join(map(str, fit))}: {scores[fit[:2]][-1]:.4f}", flush=True)
    return scores


def table_of(scores: dict[tuple[str, str], list[float]], arguments: argparse.Namespace) -> Iterator[str]:
    """Lines of Markdown: the mean over seeds of each set, the mean over sets, and its difference to the first row."""
    yield "| candidate | " + " | ".join(arguments.sets) + " | mean | difference |"
    yield "|---" * (len(arguments.sets) + 3) + "|"
    first = None
    for candidate in arguments.candidates:
        means = [float(np.mean(scores[name, candidate])) for name in arguments.sets]
        first = np.mean(means) if first is None else first
        shown = " | ".join(f"{value:.3f}" for value in [*means, np.mean(means)])
        yield f"| {candidate} | {shown} | {np.mean(means) - first:+.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the clips and their lists")
    parser.add_argument("--work", type=Path, required=True, help="folder for features and results")
    parser.add_argument("--prepare", action="store_true", help="render and extract what is missing, fit nothing")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="SECTION.KEY=VALUE")
    parser.add_argument("--jobs", type=int, help="fits at the same time; default: one per core")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--candidates", nargs="+", choices=list(CANDIDATES), default=list(CANDIDATES))
    arguments = parser.parse_args()
    if arguments.prepare:
        prepare(arguments)
        return
    scores = measure(arguments)
    print(f"\nPython {platform.python_version()}, PyTorch {torch.__version__}, {os.cpu_count()} cores")
    print(*table_of(scores, arguments), sep="\n")
    chosen = {name: choose_elsewhere(scores, name, arguments.candidates) for name in arguments.sets}
    for name, candidate in chosen.items():
        best = max(arguments.candidates, key=lambda candidate: float(np.mean(scores[name, candidate])))
        chosen = (
            (f"{name}: the other sets choose", candidate),
            ("its own best", best),
            ("today", arguments.candidates[0]),
        )
        print("; ".join(f"{text} {candidate} {describe(scores[name, candidate])}" for text, candidate in chosen))
    print(
        json.dumps(
            {
                name: {candidate: scores[name, candidate] for candidate in arguments.candidates}
                for name in arguments.sets
            }
        )
    )


if __name__ == "__main__":
    main()
