"""The verb ``vidrnn search``: moments in feature stores that are like a moment of a video."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidrnn.cli.options import Overrides, load_settings
from vidrnn.errors import ConfigError, ExitCode
from vidrnn.names import writable

if TYPE_CHECKING:
    from vidrnn.settings.run import RunSettings


def search(
    like: Annotated[str, typer.Option(help="A video, or a moment of it in seconds: clip.mp4@1.5-4.")],
    stores: Annotated[
        list[Path] | None, typer.Argument(help="Feature stores; default: the one of the configuration.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML file that names the features.")] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="Compare what this model.safetensors makes of the features.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Most moments that are named.")] = 10,
    window: Annotated[float, typer.Option(min=0.1, help="Seconds; length of the moments in long videos.")] = 4.0,
    output: Annotated[Path | None, typer.Option("--output", help="Also write them into this CSV file.")] = None,
    index: Annotated[
        Path | None, typer.Option("--index", help="Folder of the index; default: _search in the store.")
    ] = None,
    update: Annotated[
        bool, typer.Option("--update/--no-update", help="Bring the index up to date, or search it as it is.")
    ] = True,
    overrides: Overrides = None,
) -> int:
    """Find moments that are like a given one among stored features; the direction of time counts."""
    from vidrnn.api import search as search_stores
    from vidrnn.bars import on_screen
    from vidrnn.inference.moment_file import refuse_other_table, write_moments

    if output is not None:
        refuse_other_table(output)
    found = search_stores(
        like,
        stores or (),
        settings=_settings(config, overrides),
        model=model,
        count=count,
        window_s=window,
        index=index,
        update=update,
        bar=on_screen,
    )
    for store, moment in found:
        place = f" in {writable(str(store))}" if len(stores or ()) > 1 else ""
        print(f"{moment.similarity:.3f}  {writable(moment.path)}  {moment.start_s:.2f} to {moment.end_s:.2f} s{place}")
    wrote = ""
    if output is not None:
        write_moments(output, found)
        wrote = f"; wrote {writable(str(output))}"
    print(f"found {len(found)}{wrote}")
    return ExitCode.OK


def _settings(config: Path | None, overrides: list[str] | None) -> "RunSettings | None":
    if config is None:
        if overrides:
            raise ConfigError("--set changes a configuration; give --config too")
        return None
    return load_settings(config, overrides)
