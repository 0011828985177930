"""The verb ``vidrnn report``: one HTML page of a run, to look at and to show around."""

from pathlib import Path
from typing import Annotated

import typer

from vidrnn.cli.options import print_note
from vidrnn.errors import ExitCode


def report(
    run: Annotated[
        Path, typer.Argument(help="Folder of crossval, evaluate or train; or a file of compare or classify.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", help="HTML to write; else report.html in the folder.")
    ] = None,
    videos: Annotated[
        Path | None, typer.Option(help="Folder that the paths of the videos begin in, when they have moved.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="Model of an evaluation, to show which moments count; else the model in the folder above."),
    ] = None,
    clips: Annotated[int, typer.Option(min=0, help="Most clips that are shown as filmstrips.")] = 150,
) -> int:
    """Write a page that opens from disk: how good, compared with what, what is confused, and the clips to see it."""
    from vidrnn.extraction.processes import warm_up

    warm_up()
    from tqdm import tqdm

    from vidrnn.reporting.options import ReportOptions
    from vidrnn.reporting.report import write_report

    with tqdm(unit="clip", disable=None) as bar:

        def expect(total: int) -> None:
            bar.total = total

        options = ReportOptions(videos=videos, clips=clips, model=model, on_total=expect, on_clip=bar.update)
        written = write_report(run, output=output, options=options)
    for note in written.notes:
        print_note(note)
    print(f"wrote {written.path}: {written.size / 1e6:.1f} MB, {written.num_strips} clips to see")
    return ExitCode.OK
