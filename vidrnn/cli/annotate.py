"""The verb ``vidrnn annotate``: a copy of a video with what is said of it on its pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidrnn.cli.options import Device, FrameRate, UnknownBelow, Weights, print_note
from vidrnn.errors import ConfigError
from vidrnn.names import quoted

if TYPE_CHECKING:
    from vidrnn.inference.prediction import Prediction

_Predictions = Annotated[Path | None, typer.Option(help="A file that `vidrnn classify` wrote, in place of a model.")]
_Truth = Annotated[Path | None, typer.Option(help="What is true: a YAML configuration, or a CSV of annotations.")]
_Font = Annotated[Path | None, typer.Option(help="A .ttf or .otf for class names that DejaVu Sans cannot show.")]


def annotate(
    video: Annotated[Path, typer.Argument(help="A video file, or a folder of frames.")],
    output: Annotated[Path, typer.Option("--output", help="MP4 to write.")],
    model: Annotated[Path | None, typer.Option("--model", help="A model.safetensors that is asked.")] = None,
    predictions: _Predictions = None,
    truth: _Truth = None,
    font: _Font = None,
    weights: Weights = None,
    device: Device = "auto",
    unknown_below: UnknownBelow = None,
    frame_rate: FrameRate = None,
) -> None:
    """Draw label, score, likeliest classes and a timeline onto a copy of a video, the truth beside it."""
    from vidrnn.extraction.processes import warm_up

    warm_up()
    from tqdm import tqdm

    from vidrnn.display.lettering import Lettering
    from vidrnn.inference.annotate import Progress, annotate_video, refuse_unfit
    from vidrnn.inference.truth import truth_of

    if (model is None) == (predictions is None):
        raise ConfigError("give either --model, which is asked, or --predictions, a file that `vidrnn classify` wrote")
    refuse_unfit(video, output)
    lettering = Lettering(font)
    known = None if truth is None else truth_of(video, truth)
    if predictions is not None:
        prediction = _written(video, predictions)
    else:
        assert model is not None
        options = {"weights": weights, "unknown_below": unknown_below, "frame_rate": frame_rate}
        prediction = _asked(video, model, device=device, **options)
    with tqdm(total=None, unit="picture", disable=None) as bar:

        def show(progress: Progress) -> None:
            bar.total = progress.total
            bar.update(progress.done - bar.n)

        made = annotate_video(
            video, prediction, output=output, truth=known, lettering=lettering, frame_rate=frame_rate, on_progress=show
        )
    for note in made.notes:
        print_note(note)
    written = made.written
    print(
        f"wrote {output}: {written.num_frames} pictures of {written.width}x{written.height}, {written.duration_s:.1f} s"
    )


def _asked(video: Path, model: Path, **options: Any) -> "Prediction":  # noqa: ANN401  as `load` takes them
    from vidrnn.api import load
    from vidrnn.inference.new_videos import find_videos

    recogniser = load(model, **options)
    if len(found := find_videos([video], media=recogniser.model.settings.data.media)) > 1:
        raise ConfigError(f"{quoted(video)} holds {len(found)} videos; give one of them")
    return recogniser.predict(video)


def _written(video: Path, predictions: Path) -> "Prediction":
    from vidrnn.inference.written_predictions import prediction_of, read_predictions

    return prediction_of(video, read_predictions(predictions), listed_in=predictions)
