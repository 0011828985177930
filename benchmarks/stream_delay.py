"""Accuracy of live answers against their delay: a one-direction model, and one of both directions that waits.

    python -m benchmarks.stream_delay --config configs/salads_mstcn.yaml --plot stream_delay.png

For each official fold both models are trained on the others. The one-direction model answers about a step when it comes
(delay 0; waiting changes nothing). The model of both directions answers about step t when step t + delay has come, from
the steps it then still remembers: `--context` steps before t, or all. That is what `vidrnn stream --delay` does.
"offline" sees the whole video. Accuracy is over the labelled steps of a video; figures are means over all videos.
The last line is JSON.
"""

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

import vidrnn
from benchmarks.common import make_parser, print_json, print_machine
from vidrnn.annotations.splits import split_annotations
from vidrnn.evaluation.report import format_table
from vidrnn.evaluation.segmentation import edit_score
from vidrnn.experiments.stored_sets import find_folders, load_set
from vidrnn.inference.live_windows import CONTEXT_S
from vidrnn.models.ensemble import Model
from vidrnn.sequences.sequence_set import Batch
from vidrnn.sequences.steps import choose_steps

DELAYS = (0, 1, 2, 5, 10, 20, 40)
WINDOWS_AT_ONCE = 32
Scores = dict[str, list[tuple[float, float]]]  # what answered to accuracy and edit score of each video


@torch.inference_mode()
def delayed(model: Model, features: torch.Tensor, *, delay: int, context: int) -> torch.Tensor:
    """(T,) classes of the steps (T, C), each from the steps from ``context`` before it to ``delay`` after it."""
    total = len(features)
    now = torch.arange(total)
    first, last = (now - context).clamp(min=0), (now + delay).clamp(max=total - 1)
    lengths = last - first + 1
    rows = (first.unsqueeze(1) + torch.arange(int(lengths.max()))).clamp(max=total - 1)
    classes = []
    for part in torch.split(now, WINDOWS_AT_ONCE):
        outputs = model(features[rows[part]], lengths[part])
        classes.append(outputs[torch.arange(len(part)), (now - first)[part]].argmax(1))
    return torch.cat(classes)


def scores_of(classes: torch.Tensor, truth: torch.Tensor) -> tuple[float, float]:
    known = truth >= 0
    guess, true = classes[known].numpy(), truth[known].numpy()
    return float((guess == true).mean()), edit_score(guess, true, background=None)


def trained(options: Sequence[str], config: Path, folder: Path, *, split: int) -> tuple[Model, list[Batch]]:
    """A model of the videos that are not in a fold, and what it is shown of each video of the fold."""
    settings = vidrnn.load_settings(config, [f"data.split_number={split}", *options])
    run = vidrnn.train(settings, output=folder)
    annotations = split_annotations(vidrnn.read_annotations(settings.data), settings.data)["test"]
    folders = find_folders(settings.features, store=settings.extraction.store)
    sequences = load_set(annotations, settings=settings, folders=folders, label_map=run.model.label_map)
    batches = []
    for number in range(len(sequences)):
        position = torch.tensor([number])
        batches.append(sequences.batch(position, choose_steps(sequences.totals[position], None), settings.model))
    return run.model.classifier.eval(), batches


def measure(
    config: Path, folder: Path, overrides: Sequence[str], *, folds: Sequence[int], contexts: Sequence[int]
) -> Scores:
    here = [f"extraction.store={folder / 'features'}", "training.device=cpu"]
    shared = [*overrides, *here, "model.inputs=[features]", "evaluation.baselines=false"]
    vidrnn.extract(vidrnn.load_settings(config, shared))
    found: Scores = {}
    for split in folds:
        for both in (False, True):
            way = [*shared, f"model.bidirectional={'true' if both else 'false'}"]
            model, batches = trained(way, config, folder / f"{split}_{both}", split=split)
            for batch in batches:
                features, truth = batch.features[0], batch.targets[0]
                with torch.inference_mode():
                    whole = model(batch.features, batch.lengths)[0].argmax(1)
                found.setdefault("both, offline" if both else "one direction", []).append(scores_of(whole, truth))
                for context, delay in [(c, d) for c in contexts for d in DELAYS] if both else []:
                    steps = context or len(features)
                    classes = delayed(model, features, delay=delay, context=steps)
                    found.setdefault(f"{context} {delay}", []).append(scores_of(classes, truth))
        print(f"fold {split}", flush=True)
    return found


def plot(means: dict[str, tuple[float, float]], contexts: Sequence[int], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for number, (axis, label) in enumerate(zip(axes, ("accuracy of steps", "edit score"), strict=True)):
        for context in contexts:
            values = [means[f"{context} {delay}"][number] for delay in DELAYS]
            axis.plot(DELAYS, values, marker=".", label=f"both directions, {name_of(context)}")
        axis.axhline(means["both, offline"][number], color="grey", linestyle=":", label="both directions, offline")
        axis.axhline(means["one direction"][number], color="black", linestyle="--", label="one direction, at once")
        axis.set(xlabel="delay, steps", ylabel=label)
        axis.grid(visible=True, alpha=0.3)
    axes[0].legend(fontsize="small")
    figure.savefig(path, dpi=110)


def name_of(context: int) -> str:
    return f"{context} steps remembered" if context else "all remembered"


def main() -> None:
    parser = make_parser(__doc__, overrides=True)
    parser.add_argument("--config", type=Path, default=Path("configs/salads_mstcn.yaml"))
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2, 3, 4, 5], help="official ones to test on")
    parser.add_argument(
        "--context", type=int, nargs="+", default=[round(CONTEXT_S), 0], help="steps that are remembered; 0: all"
    )
    parser.add_argument("--plot", type=Path, help="PNG to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options.config, Path(folder), options.overrides, folds=options.folds, contexts=options.context)
    print_machine("torch")
    means = {
        name: (statistics.fmean(pair[0] for pair in pairs), statistics.fmean(pair[1] for pair in pairs))
        for name, pairs in found.items()
    }
    rows = [["one direction, at once", *[f"{value:.3f}" for value in means["one direction"]]]]
    for context in options.context:
        for delay in DELAYS:
            values = [f"{value:.3f}" for value in means[f"{context} {delay}"]]
            rows.append([f"both, {name_of(context)}, delay {delay}", *values])
    rows.append(["both, offline", *[f"{value:.3f}" for value in means["both, offline"]]])
    print(format_table(["answer", "accuracy", "edit score"], rows))
    if options.plot:
        plot(means, options.context, options.plot)
    print_json({name: list(pair) for name, pair in means.items()}, 4)


if __name__ == "__main__":
    main()
