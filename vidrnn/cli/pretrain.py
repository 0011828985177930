"""The verb ``vidrnn pretrain``: stored features without labels to weights that a training may start from."""

from typing import Annotated

import typer

from vidrnn.cli.options import Config, Output, Overrides, load_settings, print_note
from vidrnn.errors import ExitCode
from vidrnn.names import writable


def pretrain(
    config: Config,
    output: Output,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint in the folder.")] = False,
    mask_share: Annotated[float, typer.Option(help="Share of the steps that are hidden.")] = 0.4,
    mask_span: Annotated[int, typer.Option(help="Steps of a stretch that is hidden.")] = 4,
    val_fraction: Annotated[float, typer.Option(help="Share of the groups that chooses the epoch.")] = 0.1,
    overrides: Overrides = None,
) -> int:
    """Fit the layers over time on stored features without labels, by predicting hidden steps."""
    from tqdm import tqdm

    from vidrnn.api import pretrain as pretrain_stored

    settings = load_settings(config, overrides)
    with tqdm(unit="epoch", disable=None) as bar:

        def show(row: dict[str, float]) -> None:
            bar.update(int(row["epoch"]) - bar.n)
            bar.set_postfix_str(", ".join(f"{key} {row[key]:.3f}" for key in row if "loss" in key))

        made = pretrain_stored(
            settings,
            output=output,
            mask_share=mask_share,
            mask_span=mask_span,
            val_fraction=val_fraction,
            resume=resume,
            on_total=bar.reset,
            on_epoch=show,
            on_note=print_note,
        )
    print(
        f"learned from {made.num_train} videos, epoch {made.best_epoch} chosen by {made.num_val}, left out "
        f"{made.left_out} that validate or test"
    )
    if made.figures:
        print(
            f"hidden steps: error {made.figures['val_loss']:.3f}; whoever copies the nearest step has "
            f"{made.figures['val_copy']:.3f}, whoever says the mean 1"
        )
    print(f"start from it: --set training.init={writable(str(made.weights))}")
    return ExitCode.OK
