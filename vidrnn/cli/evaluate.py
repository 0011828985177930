"""The verb ``evaluate``: the score of a model on a split, with the baselines beside it."""

from typing import Annotated

import typer

from vidrnn.cli.options import Config, Jobs, Model, Output, Overrides, load_settings, warn_missing
from vidrnn.errors import ConfigError, ExitCode


def evaluate(
    model: Model,
    config: Config,
    output: Output,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    overrides: Overrides = None,
    jobs: Jobs = None,
) -> int:
    """Score a model on a split, with the baselines beside it."""
    from vidrnn.annotations import SPLITS
    from vidrnn.bars import on_screen
    from vidrnn.evaluation.metrics import HEADLINES, headline
    from vidrnn.evaluation.report import format_figures, format_interval, format_per_class, format_table
    from vidrnn.experiments.evaluate import evaluate as evaluate_model

    if split not in SPLITS:
        raise ConfigError(f"--split {split!r}: allowed are {', '.join(SPLITS)}")
    settings = load_settings(config, overrides)
    result = evaluate_model(model, settings, split=split, output=output, jobs=jobs, bar=on_screen)
    title = HEADLINES[result.head].title
    if table := format_per_class(result.metrics):
        print(f"{table}\n")
    rows = [["model", f"{headline(result.head, result.metrics):.3f}"]]
    rows += [[name, f"{value:.3f}"] for name, value in result.baselines.items()]
    print(format_table(["", title], rows))
    print(f"{format_interval(title, result.metrics.interval)}; {format_figures(result.metrics)}")
    for note in result.notes:
        print(note)
    warn_missing(result.missing)
    print(f"protocol: {result.protocol}")
    print("wrote " + ", ".join(map(str, result.files)))
    return ExitCode.OK
