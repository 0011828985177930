"""The verb ``check``: look before anything runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from vidrnn.cli.options import Config, Overrides, load_settings, print_note
from vidrnn.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vidrnn.annotations import Annotation
    from vidrnn.settings.run import RunSettings
    from vidrnn.store.video_features import VideoMetadata


def check(
    config: Config,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Decode nothing: no near-duplicates, sizes and lengths, no time and disk."),
    ] = False,
    overrides: Overrides = None,
) -> int:
    """Look before anything runs: paths, classes, groups, leaks between splits, time and disk of the extraction."""
    if not quick:
        from vidrnn.extraction.processes import warm_up

        warm_up()
    from vidrnn.annotations import read_annotations
    from vidrnn.bars import on_screen
    from vidrnn.preflight.findings import exit_code
    from vidrnn.preflight.inspect import inspect
    from vidrnn.sequences.targets import label_map_of

    settings = load_settings(config, overrides)
    notes: list[str] = []
    annotations = read_annotations(settings.data, notes)
    if annotations:
        label_map_of(annotations, settings.model.head)  # raises where they do not fit, before anything is decoded
    seen = inspect(annotations, settings, quick=quick, bar=on_screen)
    for line in seen.lines:
        print(line)
    for note in notes:
        print_note(note)
    for finding in seen.findings:
        for line in finding.lines():
            print(line)
    if not quick:
        for line in _forecasts(annotations, settings, seen.videos):
            print(line)
    code = exit_code(seen.findings)
    if code == ExitCode.OK:
        print("nothing stands in the way")
    return code


def _forecasts(
    annotations: "Sequence[Annotation]", settings: "RunSettings", videos: "Mapping[str, VideoMetadata]"
) -> "Iterator[str]":
    from vidrnn.bars import on_screen
    from vidrnn.preflight.forecast import forecast
    from vidrnn.streams.passes import load_passes, unseen_streams

    if passes := load_passes(settings.features, settings.extraction):
        expected = forecast(
            annotations,
            passes,
            root=settings.data.root,
            settings=settings.extraction,
            videos=videos,
            bar=on_screen,
        )
        yield from expected.lines()
    if others := unseen_streams(settings.features):
        yield f"{', '.join(others)}: time and disk are not predicted"
