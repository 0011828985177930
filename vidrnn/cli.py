"""The command line: one thin function per verb. Heavy libraries are imported inside the verbs, so that help is fast."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, cast

import typer

from vidrnn.cli_options import Config, Output, Overrides
from vidrnn.errors import ConfigError, ExitCode, VidrnnError
from vidrnn.store_cli import store_app
from vidrnn.tune_cli import tune

if TYPE_CHECKING:
    from tqdm import tqdm

    from vidrnn.features.extraction import Progress
    from vidrnn.settings import RunSettings

app = typer.Typer(
    name="vidrnn",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Turn a folder of videos into an action recogniser: frozen CNN features, cached once, and a recurrent model.",
)
app.add_typer(store_app, name="store")


# Newer releases of typer carry their own click and do not export this class under a name.
UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])


_INTERRUPTED = 130  # what newer releases of typer return after Ctrl-C; older ones raise


Model = Annotated[Path, typer.Option("--model", help="A model.safetensors written by `vidrnn train`.")]


def main() -> None:
    """Entry point of the ``vidrnn`` command."""
    run(app)


def run(command: Callable[..., object]) -> None:
    """Call a verb with the arguments of the process and turn its outcome into an exit code of the contract."""
    try:
        outcome = command(standalone_mode=False)
    except VidrnnError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except UsageError as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except OSError as error:
        print(f"error: {error}; what was finished before stays valid", file=sys.stderr)
        sys.exit(ExitCode.ERROR)
    except (KeyboardInterrupt, typer.Abort):
        outcome = _INTERRUPTED
    if outcome == _INTERRUPTED:
        print("stopped; what was finished stays, run the same command again to go on", file=sys.stderr)
        sys.exit(ExitCode.ERROR)
    sys.exit(outcome if isinstance(outcome, int) else ExitCode.OK)


def _load(config: Path, overrides: list[str] | None) -> "RunSettings":
    from vidrnn.config import load
    from vidrnn.settings import RunSettings

    return load(RunSettings, config, overrides or ())


@app.command()
def demo(
    output: Output = Path("demo_output"),
    seed: Annotated[int, typer.Option(help="Seed of the clips and of the training.")] = 0,
) -> int:
    """Make labelled clips, extract, train, evaluate and classify: the whole tool in a few minutes, without any data."""
    from vidrnn.demo import run_demo

    return run_demo(output, seed=seed, say=print)


@app.command()
def check(
    config: Config,
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not extract from a few videos to predict time and disk.")
    ] = False,
    overrides: Overrides = None,
) -> int:
    """Look before anything runs: paths, classes per split, groups; time and disk that the extraction will take."""
    from vidrnn.annotations import read_annotations
    from vidrnn.sequences.preflight import inspect

    settings = _load(config, overrides)
    annotations = read_annotations(settings.data)
    findings = inspect(annotations, settings.data)
    for line in findings.lines:
        print(line)
    if not quick:
        from vidrnn.features.backbones import load_backbone
        from vidrnn.features.forecast import forecast

        backbone = load_backbone(settings.features)
        expected = forecast(annotations, root=settings.data.root, settings=settings.features, backbone=backbone)
        for line in expected.lines():
            print(line)
    return ExitCode.OK if not findings.missing_files else ExitCode.SOME_FAILED


@app.command()
def extract(
    config: Config,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also try videos that failed before and have not changed.")
    ] = False,
    overrides: Overrides = None,
) -> int:
    """Videos to features in the store; finished ones are reused, failures are listed."""
    from vidrnn.features.processes import warm_up

    warm_up()  # before PyTorch is imported here: both imports then run at the same time
    from tqdm import tqdm

    from vidrnn.annotations import read_annotations
    from vidrnn.features.backbones import load_backbone
    from vidrnn.features.extraction import Progress
    from vidrnn.features.extraction import extract as extract_features

    settings = _load(config, overrides)
    annotations = read_annotations(settings.data)
    backbone = load_backbone(settings.features)
    progress = Progress()
    with tqdm(total=len(annotations), unit="video", disable=None) as bar:

        def show() -> None:
            bar.set_postfix_str(progress.speed(), refresh=False)
            bar.update()

        try:
            folder, _ = extract_features(
                annotations,
                root=settings.data.root,
                settings=settings.features,
                backbone=backbone,
                retry_failed=retry_failed,
                progress=progress,
                on_video=show,
            )
        except KeyboardInterrupt:
            bar.close()
            print(f"{progress.summary()}, {len(annotations) - progress.done} left", file=sys.stderr)
            raise
    _print_extraction(progress, folder.path / "failures.csv")
    for note in backbone.notes:
        print(f"note: {note}")
    print(f"features: {folder.path}")
    print(progress.summary())
    return ExitCode.SOME_FAILED if progress.failures else ExitCode.OK


def _print_extraction(progress: "Progress", listed: Path) -> None:
    for path, note in progress.notes[:10]:
        print(f"note: {path}: {note}")
    if len(progress.notes) > 10:
        print(f"note: and {len(progress.notes) - 10} more, kept in the feature files")
    for failure in progress.failures[:20]:
        print(f"failed: {failure.path}: {failure.cause}", file=sys.stderr)
    if progress.failures:
        print(f"all {len(progress.failures)} failures: {listed}", file=sys.stderr)
    if progress.not_retried:
        print(
            f"{progress.not_retried} of them failed before and were not tried again; --retry-failed tries them",
            file=sys.stderr,
        )
    if progress.extracted:
        print(progress.speed())


@app.command()
def train(
    config: Config,
    output: Annotated[
        Path | None, typer.Option("--output", help="Run folder; default runs/<name of the config>.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint in the run folder.")] = False,
    overrides: Overrides = None,
) -> int:
    """Features in the store to a trained model."""
    from tqdm import tqdm

    from vidrnn.training.run import train as train_run

    settings = _load(config, overrides)
    folder = output or Path("runs") / config.stem
    with tqdm(total=settings.training.epochs, unit="epoch", disable=None) as bar:

        def show(row: dict[str, float]) -> None:
            bar.update(int(row["epoch"]) - bar.n)
            bar.set_postfix_str(f"loss {row['train_loss']:.3f} val top-1 {row.get('val_top1', float('nan')):.3f}")

        result = train_run(settings, output=folder, resume=resume, on_epoch=show)
    _warn_missing(result.metrics["missing_features"])
    val = result.metrics["val_top1"]
    print(f"epoch {result.metrics['epoch']}: train top-1 {result.metrics['train_top1']:.3f}", end="")
    print(f", val top-1 {val:.3f} (chosen on it, so optimistic)" if val is not None else ", no validation split")
    print(f"model: {folder / 'model.safetensors'}")
    return ExitCode.OK


@app.command()
def evaluate(
    model: Model,
    config: Config,
    output: Output,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    overrides: Overrides = None,
) -> int:
    """Score a model on a split, with the baselines beside it."""
    from vidrnn.annotations import SPLITS
    from vidrnn.evaluation.report import format_per_class, format_table
    from vidrnn.inference.evaluate import evaluate as evaluate_model

    if split not in SPLITS:
        raise ConfigError(f"--split {split!r}: allowed are {', '.join(SPLITS)}")
    result = evaluate_model(model, _load(config, overrides), split=split, output=output)
    print(format_per_class(result.metrics))
    low, high = result.metrics.interval
    rows = [
        ["model", f"{result.metrics.top1:.3f}"],
        *([name, f"{top1:.3f}"] for name, top1 in result.baselines.items()),
    ]
    print(f"\n{format_table(['top-1', 'accuracy'], rows)}")
    print(
        f"95 % interval {low:.3f} to {high:.3f}, top-5 {result.metrics.top5:.3f}, "
        f"macro F1 {result.metrics.macro_f1:.3f}"
    )
    _warn_missing(result.missing)
    print(f"protocol: {result.protocol}")
    print("wrote " + ", ".join(map(str, result.files)))
    return ExitCode.OK


@app.command()
def crossval(config: Config, output: Output, overrides: Overrides = None) -> int:
    """Cross-validate by group over several seeds, with the baselines beside it."""
    from tqdm import tqdm

    from vidrnn.evaluation.report import format_table
    from vidrnn.training.run import run_crossval

    settings = _load(config, overrides)
    with tqdm(unit="fit", disable=None) as bar:
        result = run_crossval(settings, output=output, on_total=bar.reset, on_fit=lambda: _advance(bar))
    values = result.as_dict()
    rows = [["model", f"{values['top1_mean']:.3f}", f"{values['top1_std']:.3f}"]]
    rows += [
        [name, f"{top1:.3f}", f"{values['baselines_std'][name]:.3f}"] for name, top1 in values["baselines"].items()
    ]
    print(format_table(["top-1", "mean", "std"], rows))
    _warn_missing(result.missing)
    print(f"n = {values['n']}; protocol: {values['protocol']}")
    print(f"wrote {output / 'crossval.json'}, predictions.csv, confusion.png and config.yaml beside it")
    return ExitCode.OK


app.command()(tune)


@app.command()
def classify(
    paths: Annotated[list[Path], typer.Argument(help="Video files and folders.")],
    model: Model,
    output: Annotated[Path, typer.Option("--output", help="File that ends in .csv or .jsonl.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the rows that are there and add the missing ones.")
    ] = False,
    weights: Annotated[
        str | None, typer.Option(help="Backbone weights file, when it has moved since training.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> int:
    """Label new videos: one row per video with status, label, score and the most likely classes."""
    from vidrnn.features.processes import warm_up

    warm_up()
    from tqdm import tqdm

    from vidrnn.config import validate
    from vidrnn.device import choose_device
    from vidrnn.inference.classify import PredictionWriter, backbone_of, find_videos, finished_paths
    from vidrnn.inference.classify import classify as classify_videos
    from vidrnn.models.model_file import load_model
    from vidrnn.settings import FeatureSettings

    writer = PredictionWriter(output, append=resume)
    videos = find_videos(paths)
    done = finished_paths(output) if resume else set()
    waiting = [video for video in videos if str(video) not in done]
    trained = load_model(model, device=choose_device(device))
    changes = {"device": device} | ({"weights": weights} if weights else {})
    features = validate(FeatureSettings, trained.settings.features.model_dump(mode="json") | changes, origin="options")
    backbone = backbone_of(trained, features)
    failed = 0
    with writer as write, tqdm(total=len(waiting), unit="video", disable=None) as bar:
        for prediction in classify_videos(waiting, trained, backbone, settings=features):
            write(prediction)
            bar.update()
            if prediction.status == "failed":
                failed += 1
                print(f"failed: {prediction.path}: {prediction.error}", file=sys.stderr)
    print(f"classified {len(waiting) - failed}, reused {len(done)}, failed {failed}; wrote {output}")
    return ExitCode.SOME_FAILED if failed else ExitCode.OK


def _advance(bar: "tqdm[NoReturn]") -> None:
    bar.update()


def _warn_missing(missing: Sequence[str]) -> None:
    if missing:
        print(
            f"warning: {len(missing)} annotated videos have no features and were left out, first {missing[0]!r}",
            file=sys.stderr,
        )
