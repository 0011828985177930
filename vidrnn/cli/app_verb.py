"""The verb ``vidrnn app``: a page in the browser, to look at clips and to say what they show."""

from pathlib import Path
from typing import Annotated

import typer

from vidrnn.errors import ConfigError, ExitCode


def app_verb(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[FOLDER]...", help="Folders of videos; no other file is read.")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", help="Folder of crossval or evaluate, or a file of classify or segments, to look through."
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="A model.safetensors to ask about clips and about files that you drop."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="YAML whose labels are shown and whose store has the features; else the run's."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="File that keeps what you say; else vidrnn_labels.jsonl in the run or folder."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: one that is free.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> int:
    """Open a page on this machine: look through clips, correct what a model said by keyboard, label from nothing."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"vidrnn app needs the package {error.name}; pip install 'vidrnn[app]'") from error
    from vidrnn.extraction.processes import warm_up

    warm_up()
    from vidrnn.app.serving import Asked, serve, session_of

    with session_of(Asked(tuple(folders or ()), run, model, config, labels)) as session:
        for note in session.notes:
            print(f"note: {note}")
        serve(session, port=port, browser=not no_browser)
    return ExitCode.OK
