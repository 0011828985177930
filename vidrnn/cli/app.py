"""The command line: one thin function per verb. Heavy libraries are imported inside the verbs, so that help is fast."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, cast

import typer

from vidrnn.cli.check import check
from vidrnn.cli.classify import classify
from vidrnn.cli.compare import compare
from vidrnn.cli.options import Config, Model, Output, Overrides, load_settings
from vidrnn.cli.store import store_app
from vidrnn.cli.tune import tune
from vidrnn.errors import ConfigError, ExitCode, VidrnnError

if TYPE_CHECKING:
    from tqdm import tqdm


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


@app.command()
def demo(
    output: Output = Path("demo_output"),
    seed: Annotated[int, typer.Option(help="Seed of the clips and of the training.")] = 0,
) -> int:
    """Make labelled clips, extract, train, evaluate and classify: the whole tool in a few minutes, without any data."""
    from vidrnn.cli.demo import run_demo

    return run_demo(output, seed=seed, say=print)


app.command()(check)


@app.command()
def extract(
    config: Config,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also try videos that failed before and have not changed.")
    ] = False,
    overrides: Overrides = None,
) -> int:
    """Videos to features in the store; finished ones are reused, failures are listed."""
    from vidrnn.extraction.processes import warm_up

    warm_up()  # before PyTorch is imported here: both imports then run at the same time
    from vidrnn.cli.extract import run_extraction

    return run_extraction(load_settings(config, overrides), retry_failed=retry_failed)


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

    from vidrnn.evaluation.report import format_calibration
    from vidrnn.experiments.train import train as train_run

    settings = load_settings(config, overrides)
    folder = output or Path("runs") / config.stem
    with tqdm(total=settings.training.epochs, unit="epoch", disable=None) as bar:

        def show(row: dict[str, float]) -> None:
            bar.update(int(row["epoch"]) - bar.n)
            bar.set_postfix_str(", ".join(f"{key} {row[key]:.3f}" for key in row if "loss" in key or "val" in key))

        result = train_run(settings, output=folder, resume=resume, on_epoch=show)
    _warn_missing(result.metrics["missing_features"])
    figures = {key: result.metrics[key] for key in result.metrics if key.startswith(("train_", "val_"))}
    print(
        f"epoch {result.metrics['epoch']}: " + ", ".join(f"{key} {value:.3f}" for key, value in figures.items()), end=""
    )
    print(" (chosen on val_loss, so val is optimistic)" if "val_loss" in figures else ", no validation split")
    if "calibration" in result.metrics:
        print(f"on the validation split that it is fitted to: {format_calibration(result.metrics['calibration'])}")
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
    from vidrnn.evaluation.measures import HEADLINES, headline
    from vidrnn.evaluation.report import format_figures, format_per_class, format_table
    from vidrnn.experiments.evaluate import evaluate as evaluate_model

    if split not in SPLITS:
        raise ConfigError(f"--split {split!r}: allowed are {', '.join(SPLITS)}")
    result = evaluate_model(model, load_settings(config, overrides), split=split, output=output)
    title = HEADLINES[result.head].title
    if table := format_per_class(result.metrics):
        print(f"{table}\n")
    rows = [["model", f"{headline(result.head, result.metrics):.3f}"]]
    rows += [[name, f"{value:.3f}"] for name, value in result.baselines.items()]
    print(format_table(["", title], rows))
    low, high = result.metrics.interval
    print(f"95 % interval of the {title} {low:.3f} to {high:.3f}; {format_figures(result.metrics)}")
    for note in result.notes:
        print(note)
    _warn_missing(result.missing)
    print(f"protocol: {result.protocol}")
    print("wrote " + ", ".join(map(str, result.files)))
    return ExitCode.OK


@app.command()
def crossval(config: Config, output: Output, overrides: Overrides = None) -> int:
    """Cross-validate by group over several seeds, with the baselines beside it."""
    from tqdm import tqdm

    from vidrnn.evaluation.measures import HEADLINES
    from vidrnn.evaluation.report import format_table
    from vidrnn.experiments.crossval import run_crossval

    settings = load_settings(config, overrides)
    with tqdm(unit="fit", disable=None) as bar:
        result = run_crossval(settings, output=output, on_total=bar.reset, on_fit=lambda: _advance(bar))
    values, name = result.as_dict(), HEADLINES[result.head].name
    rows = [["model", f"{values[f'{name}_mean']:.3f}", f"{values[f'{name}_std']:.3f}"]]
    rows += [[key, f"{mean:.3f}", f"{values['baselines_std'][key]:.3f}"] for key, mean in values["baselines"].items()]
    print(format_table([HEADLINES[result.head].title, "mean", "std"], rows))
    low, high = values[f"{name}_interval"]
    print(f"95 % interval of the first seed {low:.3f} to {high:.3f}, bootstrap over groups")
    if line := result.averaging(settings.inference.average):
        print(line)
    _warn_missing(result.missing)
    print(f"n = {values['n']}; protocol: {values['protocol']}")
    drawn = ", confusion.png" if result.head == "label" else ""
    print(f"wrote {output / 'crossval.json'}, and beside it predictions.csv, config.yaml{drawn}")
    return ExitCode.OK


app.command()(tune)
app.command()(compare)


app.command()(classify)


def _advance(bar: "tqdm[NoReturn]") -> None:
    bar.update()


def _warn_missing(missing: Sequence[str]) -> None:
    if missing:
        print(
            f"warning: {len(missing)} annotated videos have no features and were left out, first {missing[0]!r}",
            file=sys.stderr,
        )
