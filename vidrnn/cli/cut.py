"""The verb ``vidrnn cut``: clips of annotated or predicted segments, or of shots."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidrnn.cli.options import Overrides, load_settings
from vidrnn.errors import ConfigError, ExitCode, VideoError
from vidrnn.names import writable

if TYPE_CHECKING:
    from vidrnn.inference.cut import VideoCut
    from vidrnn.inference.pieces import Pieces


def cut(
    output: Annotated[Path, typer.Option("--output", help="Folder for the clips, one folder per label.")],
    videos: Annotated[list[Path] | None, typer.Argument(help="With --shots: files and folders.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML configuration: its annotations.")] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="A CSV of annotations, path,start,end,label, relative to its folder.")
    ] = None,
    predictions: Annotated[Path | None, typer.Option(help="A file that `vidrnn classify` wrote.")] = None,
    shots: Annotated[bool, typer.Option("--shots", help="Cut where one shot ends and the next begins.")] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="Encode every clip anew, so that it holds nothing but its segment.")
    ] = False,
    background: Annotated[
        bool, typer.Option("--background", help="Also what lies between the segments, as `background`.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make all clips anew, also those that would be kept.")
    ] = False,
    overrides: Overrides = None,
) -> int:
    """Cut videos into clips, without encoding them anew where that shows the same frames, with a CSV to train from."""
    given = sum(map(bool, (config, annotations, predictions, shots)))
    if given != 1:
        raise ConfigError(f"give one of --config, --annotations, --predictions and --shots, not {given}")
    if bool(videos) != shots:
        raise ConfigError("give videos with --shots, and with nothing else: annotations and predictions name theirs")
    if overrides and config is None:
        raise ConfigError("--set changes a configuration: give it with --config")
    from vidrnn.extraction.processes import warm_up
    from vidrnn.inference.cut import cut_videos
    from vidrnn.inference.new_videos import find_videos
    from vidrnn.inference.pieces import pieces_of
    from vidrnn.inference.written_predictions import read_predictions

    warm_up()
    pieces: Iterable[Pieces | VideoCut]
    if shots:
        inside = output.absolute()  # clips of an earlier run
        found = [video for video in find_videos(videos or []) if not video.absolute().is_relative_to(inside)]
        pieces, total = _shots(found), len(found)
    else:
        source = load_settings(config, overrides) if config else annotations or read_predictions(predictions or Path())
        pieces = named = pieces_of(source, background=background)
        total = len(named)
    return _report(cut_videos(pieces, output=output, exact=exact, overwrite=overwrite), output, total=total)


def _report(made: "Iterator[VideoCut]", output: Path, *, total: int) -> ExitCode:
    """Name what fails as it comes, and count the rest."""
    from tqdm import tqdm

    outcomes, failed = Counter[str](), 0
    for one in tqdm(made, total=total, unit="video", disable=None):
        outcomes.update(one.outcomes.values())
        if one.error is not None:
            failed += 1
            print(f"failed: {writable(one.name)}: {one.error}", file=sys.stderr)
    if outcomes["empty"]:
        print(f"note: {outcomes['empty']} segments hold no frame and became no clip")
    print(
        f"cut {outcomes['copied'] + outcomes['encoded']} clips ({outcomes['copied']} copied, {outcomes['encoded']} "
        f"encoded), kept {outcomes['kept']}, failed {failed} videos; wrote {output / 'clips.csv'}"
    )
    return ExitCode.SOME_FAILED if failed else ExitCode.OK


def _shots(videos: list[Path]) -> "Iterator[Pieces | VideoCut]":
    """The shots of each video, found when it is its turn."""
    from vidrnn.inference.cut import VideoCut
    from vidrnn.inference.pieces import shots_as_pieces
    from vidrnn.inference.shots import shot_bounds

    for video in videos:
        try:
            yield shots_as_pieces(video, shot_bounds(video))
        except VideoError as error:
            yield VideoCut(str(video), error=str(error))
