"""Options that several verbs take, each described once."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path, typer.Option("--config", help="YAML configuration file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one setting; may be repeated."),
]
Output = Annotated[Path, typer.Option("--output", help="Folder for the results.")]
