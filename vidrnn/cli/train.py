"""The verb ``train``: features in the store to a trained model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidrnn.cli.options import Config, Overrides, load_settings, print_note, warn_missing
from vidrnn.errors import ExitCode

if TYPE_CHECKING:
    from vidrnn.experiments.train import TrainingRun
    from vidrnn.settings.run import RunSettings


def train(
    config: Config,
    output: Annotated[
        Path | None, typer.Option("--output", help="Run folder; default runs/<name of the config>.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint in the run folder.")] = False,
    overrides: Overrides = None,
) -> int:
    """Features in the store to a trained model."""
    from vidrnn.evaluation.report import format_calibration
    from vidrnn.experiments.train import describe_choice

    settings = load_settings(config, overrides)
    folder = output or Path("runs") / config.stem
    result = train_with_bars(settings, output=folder, resume=resume)
    warn_missing(result.metrics["missing_features"])
    figures = {key: result.metrics[key] for key in result.metrics if isinstance(result.metrics[key], float)}
    print(
        f"epoch {result.metrics['epoch']}: " + ", ".join(f"{key} {value:.3f}" for key, value in figures.items()), end=""
    )
    print(f" ({describe_choice(settings.training, 'val_loss' in figures)})")
    if "calibration" in result.metrics:
        print(f"on the validation split that it is fitted to: {format_calibration(result.metrics['calibration'])}")
    print(result.convergence)
    if result.verdict:
        print(result.verdict)
    print(f"model: {folder / 'model.safetensors'}")
    return ExitCode.OK


def train_with_bars(settings: "RunSettings", *, output: Path, resume: bool = False) -> "TrainingRun":
    """Train, and show how far the epochs, and then the baselines, have come."""
    from tqdm import tqdm

    from vidrnn.bars import on_screen
    from vidrnn.experiments.train import train as train_run

    with tqdm(unit="epoch", disable=None) as bar:
        epochs_each = 0

        def show(row: dict[str, float]) -> None:
            done = int(row["epoch"]) + (int(row.get("member", 1)) - 1) * epochs_each
            bar.update(done - bar.n)
            bar.set_postfix_str(", ".join(f"{key} {row[key]:.3f}" for key in row if "loss" in key or "val" in key))

        def expect(epochs: int) -> None:
            nonlocal epochs_each
            epochs_each, bar.total = epochs, epochs * settings.training.members

        return train_run(
            settings,
            output=output,
            resume=resume,
            on_total=expect,
            on_epoch=show,
            on_note=print_note,
            bar=on_screen,
        )
