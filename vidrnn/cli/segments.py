"""The verb ``vidrnn segments``: what happens from when to when in long videos."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidrnn.cli.classify import open_predictions, write_predictions
from vidrnn.cli.options import (
    Arrays,
    Device,
    FrameRate,
    Hysteresis,
    MinGap,
    MinLength,
    Model,
    Texts,
    Weights,
    load_settings,
    print_note,
)
from vidrnn.errors import ExitCode
from vidrnn.names import writable

if TYPE_CHECKING:
    from vidrnn.inference.prediction_file import Origin
    from vidrnn.inference.segments import SegmentOptions

_Window = Annotated[
    float | None,
    typer.Option(
        help="Seconds that are looked at together, as if they were a clip; of models of clips the median clip."
    ),
]
_Hop = Annotated[float | None, typer.Option(help="Seconds from one window to the next; a quarter of a window.")]
_Resume = Annotated[bool, typer.Option("--resume", help="Keep the videos that are there and add the missing ones.")]
_Config = Annotated[
    Path | None, typer.Option(help="YAML file whose store holds features of the videos, which are used again.")
]
_UnknownBelow = Annotated[
    float | None, typer.Option(help="Score below which nothing is said to happen; for models of clips.")
]


def segments(
    paths: Annotated[list[Path], typer.Argument(help="Video files, folders of them, or folders of frames.")],
    model: Model,
    output: Annotated[Path, typer.Option("--output", help="File that ends in .csv, .jsonl or .parquet.")],
    window: _Window = None,
    hop: _Hop = None,
    hysteresis: Hysteresis = 0.0,
    min_length: MinLength = 0.0,
    min_gap: MinGap = 0.0,
    resume: _Resume = False,
    config: _Config = None,
    weights: Weights = None,
    device: Device = "auto",
    unknown_below: _UnknownBelow = None,
    frame_rate: FrameRate = None,
    texts: Texts = None,
    arrays: Arrays = None,
) -> int:
    """Find what happens in long videos: a row for each start, end, label and score. docs/long_videos.md explains it."""
    from vidrnn.api import load
    from vidrnn.inference.events import EventOptions
    from vidrnn.inference.live_models import note_usual_window
    from vidrnn.inference.new_videos import find_videos
    from vidrnn.inference.prediction_file import origin_of
    from vidrnn.inference.segments import SegmentOptions, check_options, head_of_rows
    from vidrnn.inference.side_files import find_side_files

    settings = None if config is None else load_settings(config, None)
    events = EventOptions(hysteresis, min_length, min_gap)
    recogniser = load(model, device=device, weights=weights, unknown_below=unknown_below, frame_rate=frame_rate)
    trained = recogniser.model
    options = check_options(trained, SegmentOptions(window, hop, events))
    if note := note_usual_window(trained, window):
        print_note(note)
    videos = find_videos(paths, media=trained.settings.data.media)
    side_files = find_side_files(paths, videos, texts=texts, arrays=arrays)
    origin = {
        **origin_of(model, unknown_below=trained.unknown_below, frame_rate=frame_rate),
        **_origin_of(options),
    }
    head = head_of_rows(trained.settings.model.head)
    writer, waiting, reused = open_predictions(output, videos, trained, head=head, resume=resume, origin=origin)
    output.parent.mkdir(parents=True, exist_ok=True)
    found = recogniser.segments_found(
        waiting,
        options=options,
        side_files=side_files,
        stored=None if settings is None else recogniser.stored_in(settings),
        scratch=output.parent,
    )
    failed = write_predictions(found, writer, total=len(waiting))
    print(f"looked at {len(waiting) - failed}, reused {reused}, failed {failed}; wrote {writable(str(output))}")
    return ExitCode.SOME_FAILED if failed else ExitCode.OK


def _origin_of(options: "SegmentOptions") -> "Origin":
    """What decides segments beside the model."""
    events = options.events
    return {
        "window_s": options.window_s,
        "hop_s": options.hop_s,
        "hysteresis": events.hysteresis,
        "min_length_s": events.min_length_s,
        "min_gap_s": events.min_gap_s,
    }
