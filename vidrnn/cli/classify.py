"""The verb ``vidrnn classify``: a trained model answers for new videos."""

import sys
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidrnn.cli.options import Arrays, Device, FrameRate, Model, Texts, UnknownBelow, Weights
from vidrnn.errors import ExitCode
from vidrnn.names import writable

if TYPE_CHECKING:
    from vidrnn.inference.prediction import Prediction
    from vidrnn.inference.prediction_file import Origin, PredictionWriter
    from vidrnn.models.model_file import TrainedModel
    from vidrnn.settings.model import Head

_Resume = Annotated[bool, typer.Option("--resume", help="Keep the rows that are there and add the missing ones.")]
_SortInto = Annotated[
    Path | None, typer.Option("--sort-into", help="Also put each video into a folder of its label in this folder.")
]


def classify(
    paths: Annotated[list[Path], typer.Argument(help="Video files, still images, folders of either or of frames.")],
    model: Model,
    output: Annotated[Path, typer.Option("--output", help="File that ends in .csv, .jsonl or .parquet.")],
    resume: _Resume = False,
    weights: Weights = None,
    device: Device = "auto",
    unknown_below: UnknownBelow = None,
    frame_rate: FrameRate = None,
    texts: Texts = None,
    arrays: Arrays = None,
    sort_into: _SortInto = None,
    copy: Annotated[bool, typer.Option("--copy/--link", help="With --sort-into: copies, or links.")] = False,
) -> int:
    """Answer for new videos: a row each with status, label, score, likeliest classes, or what the head gives."""
    from vidrnn.extraction.processes import warm_up

    warm_up()
    from vidrnn.device import choose_device
    from vidrnn.inference.new_videos import find_videos, with_unknown_below
    from vidrnn.inference.prediction_file import origin_of
    from vidrnn.inference.recogniser import Recogniser
    from vidrnn.inference.side_files import find_side_files
    from vidrnn.inference.sorting import refuse_unsortable
    from vidrnn.models.model_file import load_model

    trained = load_model(model, device=choose_device(device))
    if sort_into is not None:
        refuse_unsortable(trained.settings.model.head, sort_into, paths)
    if unknown_below is not None:
        trained = with_unknown_below(trained, unknown_below)
    videos = find_videos(paths, media=trained.settings.data.media)
    origin = origin_of(model, unknown_below=trained.unknown_below, frame_rate=frame_rate)
    writer, waiting, reused = open_predictions(
        output, videos, trained, head=trained.settings.model.head, resume=resume, origin=origin
    )
    side_files = find_side_files(paths, videos, texts=texts, arrays=arrays)
    features, extraction = {"weights": weights, "frame_rate": frame_rate}, {"device": device}
    predictions = Recogniser(trained, features=features, extraction=extraction).predict_found(
        waiting, side_files=side_files
    )
    failed = write_predictions(predictions, writer, total=len(waiting))
    print(f"classified {len(waiting) - failed}, reused {reused}, failed {failed}; wrote {writable(str(output))}")
    if sort_into is not None:
        _sort(output, sort_into, copy=copy)
    return ExitCode.SOME_FAILED if failed else ExitCode.OK


def _sort(output: Path, folder: Path, *, copy: bool) -> None:
    """Sort all that the output tells, also what an earlier run wrote there."""
    from tqdm import tqdm

    from vidrnn.inference.sorting import sort_videos
    from vidrnn.inference.written_predictions import read_predictions

    found = read_predictions(output)
    with tqdm(total=len(found), desc="sorting", unit="video", disable=None) as bar:
        outcomes = sort_videos(found, folder, copy=copy, on_video=bar.update)
    gone = f", no longer there {outcomes['gone']}" if outcomes["gone"] else ""
    print(
        f"sorted {outcomes['put']} into {writable(str(folder))}, there already {outcomes['there']}, left out "
        f"{outcomes['failed']} that failed{gone}"
    )


def open_predictions(
    output: Path, videos: "Sequence[Path]", model: "TrainedModel", *, head: "Head", resume: bool, origin: "Origin"
) -> "tuple[PredictionWriter, list[Path], int]":
    """The writer of a file of predictions, the videos that it lacks, and how many it keeps.

    Args:
        output: the file.
        videos: that are asked about.
        model: that answers.
        head: of the rows.
        resume: keep the rows that are there.
        origin: what makes the predictions.
    """
    from vidrnn.inference.as_trained import shown_streams
    from vidrnn.inference.prediction_file import PredictionWriter, finished_paths

    done = finished_paths(output) if resume else set()
    waiting = [video for video in videos if str(video) not in done]
    several = len(shown_streams(model)) > 1
    again = map(str, waiting)
    writer = PredictionWriter(output, head=head, several_streams=several, append=resume, again=again, origin=origin)
    return writer, waiting, len(done)


def write_predictions(
    predictions: "Generator[Prediction, None, None]", writer: "PredictionWriter", *, total: int
) -> int:
    """Write predictions as they come, name what is wrong with them, and count the failed ones."""
    from tqdm import tqdm

    failed, lacking = 0, Counter[str]()
    # Closed whatever happens: a generator that is left open keeps its decoders, and the process waits for them.
    with closing(predictions), writer as write, tqdm(total=total, unit="video", disable=None) as bar:
        for prediction in predictions:
            write(prediction)
            bar.update()
            lacking.update(prediction.lacking)
            if prediction.status == "failed":
                failed += 1
                print(f"failed: {writable(prediction.path)}: {prediction.error}", file=sys.stderr)
    for stream, number in lacking.items():
        print(f"lacking: {number} videos have no {stream} and were answered from the others", file=sys.stderr)
    return failed
