"""The verb ``crossval``: cross-validation by group, with the baselines beside it."""

from typing import TYPE_CHECKING, NoReturn

from vidrnn.cli.options import Config, Jobs, Output, Overrides, load_settings, print_note, warn_missing
from vidrnn.errors import ExitCode

if TYPE_CHECKING:
    from tqdm import tqdm


def crossval(
    config: Config,
    output: Output,
    overrides: Overrides = None,
    jobs: Jobs = None,
) -> int:
    """Cross-validate by group over several seeds, with the baselines beside it.

    One that was stopped goes on where it was when it is run again.
    """
    from tqdm import tqdm

    from vidrnn.evaluation.metrics import HEADLINES
    from vidrnn.evaluation.report import format_interval, format_table
    from vidrnn.experiments.crossval import run_crossval

    settings = load_settings(config, overrides)
    with tqdm(unit="fit", disable=None) as bar:
        result = run_crossval(
            settings, output=output, jobs=jobs, on_total=bar.reset, on_fit=lambda: _advance(bar), on_note=print_note
        )
    values, name = result.as_dict(), HEADLINES[result.head].name
    means, deviations = {"model": values[f"{name}_mean"]} | values["baselines"], values["baselines_std"]
    deviations = {"model": values[f"{name}_std"]} | deviations
    rows = [
        [key, f"{mean:.3f}", "" if deviations[key] is None else f"{deviations[key]:.3f}"] for key, mean in means.items()
    ]
    print(format_table([HEADLINES[result.head].title, "mean", "std"], rows))
    print(format_interval("first seed", result.pooled[0].interval))
    for line in filter(None, [result.averaging(settings.inference.average), result.verdict()]):
        print(line)
    warn_missing(result.missing)
    print(f"n = {values['n']}; protocol: {values['protocol']}")
    drawn = ", confusion.png" if result.head == "label" else ""
    print(f"wrote {output / 'crossval.json'}, and beside it predictions.csv, config.yaml{drawn}")
    return ExitCode.OK


def _advance(bar: "tqdm[NoReturn]") -> None:
    bar.update()
