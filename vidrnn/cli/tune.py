"""The verb ``vidrnn tune``: search settings of the model and the training on the cached features."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidrnn.cli.options import Config, Jobs, Output, Overrides, warn_missing
from vidrnn.errors import ExitCode

if TYPE_CHECKING:
    from vidrnn.experiments.search import TrialRecord
    from vidrnn.experiments.tune import Tuning


def tune(
    config: Config,
    output: Output,
    trials: Annotated[
        int | None, typer.Option(help="Replaces tuning.trials; those already in the folder count.")
    ] = None,
    timeout_s: Annotated[
        float | None, typer.Option("--timeout-s", min=0.0, help="Start no further trial after so many seconds.")
    ] = None,
    overrides: Overrides = None,
    jobs: Jobs = None,
) -> int:
    """Search settings by validation inside the training split; started again, it goes on where it was."""
    from tqdm import tqdm

    from vidrnn.experiments.tune import tune as tune_settings
    from vidrnn.settings.base import load
    from vidrnn.settings.run import RunSettings

    settings = load(RunSettings, config, [*(overrides or ()), *([] if trials is None else [f"tuning.trials={trials}"])])
    with tqdm(unit="fit", disable=None) as bar:

        def show(record: "TrialRecord") -> None:
            value = f" {record.value:.4f}" if record.value is not None else ""
            bar.set_postfix_str(f"trial {record.number} {record.outcome}{value}")

        def expect(fits: int) -> None:
            bar.total = fits
            bar.refresh()

        result = tune_settings(
            settings,
            output=output,
            timeout_s=timeout_s,
            jobs=jobs,
            on_total=expect,
            on_fold=bar.update,
            on_trial=show,
        )
    _print_outcome(result)
    _print_next(result, output)
    return ExitCode.OK


def _print_outcome(result: "Tuning") -> None:
    from vidrnn.evaluation.report import format_table

    for note in result.notes:
        print(f"note: {note}")
    warn_missing(result.missing)
    keys = list(result.untuned.values)
    shown = list(result.ranking[:5])
    if result.untuned not in shown:
        shown.append(result.untuned)
    rows = [_row(record, keys, is_untuned=record == result.untuned) for record in shown]
    print(format_table(["trial", "val loss", "val metric", *keys], rows))
    outcomes = [record.outcome for record in result.records]
    counts = ", ".join(f"{outcomes.count(name)} {name}" for name in dict.fromkeys(outcomes))
    print(f"{len(outcomes)} trials: {counts}; protocol: {result.protocol}")


def _row(record: "TrialRecord", keys: list[str], *, is_untuned: bool) -> list[str]:
    name = f"{record.number} (untuned)" if is_untuned else str(record.number)
    metric = "" if record.metric_mean is None else f"{record.metric_mean:.3f}"
    values = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in map(record.values.get, keys)]
    return [name, f"{record.value:.4f}", metric, *values]


def _print_next(result: "Tuning", output: Path) -> None:
    best, run = shlex.quote(str(result.best_config)), shlex.quote(str(output / "run"))
    print(f"next: vidrnn train --config {best} --output {run}")
    if result.has_test:
        model = shlex.quote(str(output / "run" / "model.safetensors"))
        print(f"then, once: vidrnn evaluate --model {model} --config {best} --split test --output {run}")
    else:
        print(
            "there is no test split, and crossval with these settings would score videos that chose them, which is "
            "optimistic; for an honest number name a test split or set data.test_fraction and search again"
        )
