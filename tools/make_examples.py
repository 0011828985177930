"""Write the four little data sets of docs/examples.md."""

from pathlib import Path
from typing import Annotated

import typer

from vidrnn.cli.app import run
from vidrnn.synthetic.example_sets import write_example_sets


def make_examples(
    folder: Annotated[Path, typer.Argument(help="Where they go, each into a folder of its own.")] = Path("examples"),
    seed: Annotated[int, typer.Option(help="Decides everything that is drawn.")] = 0,
) -> None:
    """Pictures with captions, digits, sounds and mixtures of sounds, each with its annotations.csv."""
    write_example_sets(folder, seed=seed)
    typer.echo(f"wrote {folder}: captions, digits, sounds, mixtures")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(make_examples)
    run(app)
