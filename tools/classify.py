"""The same as `vidrnn classify`."""

import typer

from vidrnn.classify_cli import classify
from vidrnn.cli import run

if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(classify)
    run(app)
