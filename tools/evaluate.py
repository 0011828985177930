"""The same as `vidrnn evaluate`."""

import typer

from vidrnn.cli.app import run
from vidrnn.cli.evaluate import evaluate

if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(evaluate)
    run(app)
