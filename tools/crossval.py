"""The same as `vidrnn crossval`."""

import typer

from vidrnn.cli.app import run
from vidrnn.cli.crossval import crossval

if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(crossval)
    run(app)
