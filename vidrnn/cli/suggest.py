"""The verb ``vidrnn suggest``: which unlabelled videos to label next."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from vidrnn.cli.options import Config, Overrides, load_settings, print_note
from vidrnn.errors import ExitCode
from vidrnn.names import writable

_SHOWN = 20  # videos without features


def suggest(
    config: Config,
    output: Annotated[Path, typer.Option("--output", help="CSV file: path,rank,score and why.")],
    videos: Annotated[
        list[Path] | None,
        typer.Argument(help="Videos, folders, CSV lists with a column path; default: all below data.root."),
    ] = None,
    models: Annotated[
        list[Path] | None, typer.Option("--model", help="A model.safetensors that is asked; may be repeated.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Most videos that are suggested.")] = 50,
    rule: Annotated[str, typer.Option(help="auto, typical, diverse, uncertain, uncertain_diverse or badge.")] = "auto",
    measure: Annotated[str, typer.Option(help="Uncertainty: auto, entropy, mutual_information or margin.")] = "auto",
    extract: Annotated[
        bool, typer.Option("--extract/--no-extract", help="Make missing features, or only name such videos.")
    ] = True,
    overrides: Overrides = None,
) -> int:
    """Rank unlabelled videos by what labelling them would teach; without a model by how much they differ."""
    from vidrnn.extraction.processes import warm_up

    warm_up()
    from tqdm import tqdm

    from vidrnn.api import suggest as suggest_videos
    from vidrnn.experiments.suggestion_file import refuse_other_table, write_suggestions

    refuse_other_table(output)
    settings = load_settings(config, overrides)
    with tqdm(unit="video", disable=None) as bar:
        found = suggest_videos(
            settings,
            videos or (),
            models=models or (),
            rule=rule,
            measure=measure,
            count=count,
            extract=extract,
            on_total=bar.reset,
            on_video=bar.update,
        )
    for note in found.notes:
        print_note(note)
    for path, cause in list(found.missing.items())[:_SHOWN]:
        print(f"failed: {writable(path)}: {cause}", file=sys.stderr)
    if len(found.missing) > _SHOWN:
        print(f"failed: and {len(found.missing) - _SHOWN} more", file=sys.stderr)
    write_suggestions(output, found.rows)
    print(
        f"suggested {len(found.rows)} by rule {found.rule}, labelled {found.labelled}, extracted {found.extracted}, "
        f"failed {len(found.missing)}; wrote {writable(str(output))}"
    )
    return ExitCode.SOME_FAILED if found.missing else ExitCode.OK
