"""The same as `vidrnn extract`."""

import typer

from vidrnn.cli.app import run
from vidrnn.cli.extract import extract

if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(extract)
    run(app)
