"""The verb ``vidrnn doctor``: what is installed, what the machine has, and what is missing."""

import json
from pathlib import Path
from typing import Annotated

import typer

from vidrnn.cli.options import Overrides
from vidrnn.errors import ConfigError


def doctor(
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML configuration file: is there what it needs?")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    overrides: Overrides = None,
) -> int:
    """Say what is installed, what the machine has and what is missing, with what to do about it."""
    if overrides and config is None:
        raise ConfigError("--set changes a configuration: give it with --config")
    from vidrnn.doctor.examine import examine

    found = examine(config, overrides or ())
    if as_json:
        print(json.dumps(found.as_dict(), indent=2))
    else:
        print("\n".join(found.lines()))
    return found.exit_code
