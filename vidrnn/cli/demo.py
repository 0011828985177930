"""The verb ``demo``: the whole way from clips to labels on a task that only the order of frames can solve."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidrnn.cli.options import Output
from vidrnn.cli.train import train_with_bars

if TYPE_CHECKING:
    from vidrnn.experiments.evaluate import Evaluation
    from vidrnn.settings.run import RunSettings

_GROUPS = {"train": 16, "val": 2, "test": 6}  # one group is one actor in one room
_CLIPS_PER_GROUP = 2  # of each action
_UNSEEN_SEED = 1000  # other actors and rooms than any of the above

_CONFIG = """\
data:
  root: {root}
features:
  image_size: 128
  sampling: uniform
  count: 12
extraction:
  store: {store}
model:
  inputs: [features]  # a step shows no motion of its own: the order of the steps alone tells
training:
  steps: 12
  seed: {seed}
"""


def demo(
    output: Output = Path("demo_output"),
    seed: Annotated[int, typer.Option(help="Seed of the clips and of the training.")] = 0,
) -> int:
    """Make labelled clips, extract, train, evaluate and classify: the whole tool in a few minutes, without any data."""
    return run_demo(output, seed=seed, say=print)


def run_demo(output: Path, *, seed: int, say: Callable[[str], None]) -> int:
    """Render, extract, train, evaluate and classify below ``output``; returns the exit code.

    Writes ``summary.json`` with ``top1``, ``n`` and ``baselines`` beside clips, store, run, evaluation and predictions.

    Args:
        output: folder; features that are there already are reused.
        seed: of the clips and of the training.
        say: gets each line for the terminal.
    """
    from tqdm import tqdm

    from vidrnn.annotations import read_annotations
    from vidrnn.backbones.backbone import load_backbone
    from vidrnn.bars import on_screen
    from vidrnn.experiments.evaluate import evaluate
    from vidrnn.extraction.extract import extract
    from vidrnn.inference.prediction_file import PredictionWriter
    from vidrnn.inference.recogniser import Recogniser
    from vidrnn.synthetic.clips import ACTIONS, render_clips

    started = time.perf_counter()
    settings = _prepare(output, seed=seed, say=say)
    say("2 of 5  frozen CNN features, once per video")
    annotations = read_annotations(settings.data)
    backbone = load_backbone(settings.features, settings.extraction)
    with tqdm(total=len(annotations), unit="video", disable=None) as bar:
        report = extract(
            annotations,
            [backbone],
            root=settings.data.root,
            settings=settings.extraction,
            weights=settings.features.weights,
            on_video=lambda: _advance(bar),
        )
    say(f"        {report.whole.summary()}")
    say("3 of 5  a bidirectional recurrent network over the cached features")
    run = train_with_bars(settings, output=output / "run")
    say("4 of 5  actors and rooms that were never seen in training, with the baselines")
    model = output / "run" / "model.safetensors"
    result = evaluate(model, settings, split="test", output=output / "evaluation", bar=on_screen)
    say("5 of 5  labels for a folder of new clips")
    render_clips(output / "new_clips", groups=1, clips_per_group=1, seed=_UNSEEN_SEED + seed)
    answers = Recogniser(run.model, pictures=[backbone]).predict_all(output / "new_clips")
    with PredictionWriter(output / "predictions.csv") as write:
        for prediction in tqdm(answers, total=len(ACTIONS), unit="video", disable=None):
            write(prediction)
    _report(result, output, seconds=time.perf_counter() - started, say=say)
    return 0


def _advance(bar: Any) -> None:  # noqa: ANN401  tqdm's bar is generic in what it iterates, this one iterates nothing
    bar.update()


def _prepare(output: Path, *, seed: int, say: Callable[[str], None]) -> "RunSettings":
    """Render the clips and write the configuration that any other verb can be called with."""
    from tqdm import tqdm

    from vidrnn.settings.base import load
    from vidrnn.settings.run import RunSettings
    from vidrnn.synthetic.clips import ACTIONS, render_clips

    clips = output / "clips"
    config = output / "demo.yaml"
    total = sum(_GROUPS.values()) * len(ACTIONS) * _CLIPS_PER_GROUP
    say(f"1 of 5  {total} clips of {len(ACTIONS)} actions; each has a twin that is the same frames in reverse order")
    with tqdm(total=total, unit="clip", disable=None) as bar:
        render_clips(
            clips,
            groups=sum(_GROUPS.values()),
            clips_per_group=_CLIPS_PER_GROUP,
            seed=seed,
            splits=_GROUPS,
            on_clip=lambda: _advance(bar),
        )
    config.write_text(_CONFIG.format(root=clips, store=output / "features", seed=seed), encoding="utf-8")
    return load(RunSettings, config)


def _report(result: "Evaluation", output: Path, *, seconds: float, say: Callable[[str], None]) -> None:
    from vidrnn.evaluation.metrics import headline
    from vidrnn.evaluation.report import format_per_class, format_table, write_json

    metrics, baselines, top1 = result.metrics, result.baselines, headline(result.head, result.metrics)
    say("")
    say(format_per_class(metrics))
    rows = [["recurrent", f"{top1:.3f}", "the order of the frames"]]
    notes = {
        "mean_pool": "the same features, averaged over time",
        "shuffled_time": "the same network, frames in random order",
        "single_frame": "one frame from the middle",
        "metadata_only": "size, length and frame rate of the file",
        "majority": "nothing",
    }
    rows += [[name, f"{baselines[name]:.3f}", note] for name, note in notes.items()]
    say("")
    say(format_table([f"accuracy on {metrics.n} clips", "top-1", "what it sees"], rows))
    write_json(
        output / "summary.json",
        {"top1": top1, "n": metrics.n, "baselines": baselines, "protocol": result.protocol, "seconds": seconds},
    )
    say(f"\n{seconds:.0f} seconds. Everything is in {output}:")
    described = {
        "clips": "the labelled clips, in <split>/<class>/",
        "demo.yaml": "the configuration of this run",
        "features": "the feature store",
        "run/model.safetensors": "the trained model, one file with all it needs",
        "run/log.csv": "loss, accuracy and gradient norm per epoch",
        "run/metrics.json": "training and validation numbers",
        "evaluation/metrics.json": "the numbers above",
        "evaluation/predictions.csv": "each test clip with its probabilities",
        "evaluation/confusion.png": "what is taken for what",
        "evaluation/reliability.png": "what the probabilities are worth",
        "new_clips": "clips without labels",
        "predictions.csv": "their labels",
        "summary.json": "the table above for programs",
    }
    say(format_table(["file", "content"], [[str(output / name), text] for name, text in described.items()]))
    say(
        "\nNext, on a folder of your own, with one folder of videos per class (configs/folder.yaml explains each line):"
    )
    for verb in ("check", "extract", "crossval --output runs/mine"):
        say(f"  vidrnn {verb} --config configs/folder.yaml --set data.root=MY_VIDEOS")
