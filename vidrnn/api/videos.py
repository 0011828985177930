"""New videos: what a model says of them, drawn on them or cut out of them."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from vidrnn.api.decoders import AnyPath, warm_up

if TYPE_CHECKING:
    from vidrnn.annotations import Annotation
    from vidrnn.inference.annotate import AnnotatedVideo
    from vidrnn.inference.cut import VideoCut
    from vidrnn.inference.prediction import Prediction
    from vidrnn.inference.recogniser import Recogniser
    from vidrnn.settings.run import RunSettings


def load(
    model: AnyPath,
    *,
    device: str = "auto",
    weights: str | None = None,
    unknown_below: float | None = None,
    frame_rate: float | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
) -> "Recogniser":
    """A trained model with the networks in front of it, ready for new videos.

    Args:
        model: a model.safetensors.
        device: ``auto``, ``cpu`` or ``cuda``.
        weights: the backbone's weights file, when it has moved since the training.
        unknown_below: score below which the label is ``unknown``, in place of the model's own.
        frame_rate: pictures per second in folders of frames, when not as in the training.
        batch_size: frames that the backbone is given at once; None: as in the training.
        workers: videos that are decoded at once; None: as in the training.

    Raises:
        MissingPathError: there is no such file. ModelFileError: it is no model, or takes other features than the
            backbone here computes. ConfigError, WeightsError: an option cannot be used.
    """
    warm_up()
    from vidrnn.device import choose_device
    from vidrnn.inference.new_videos import with_unknown_below
    from vidrnn.inference.recogniser import Recogniser
    from vidrnn.models.model_file import load_model

    trained = load_model(Path(model), device=choose_device(device))
    if unknown_below is not None:
        trained = with_unknown_below(trained, unknown_below)
    features = {"weights": weights, "frame_rate": frame_rate}
    extraction = {"device": device, "batch_size": batch_size, "workers": workers}
    return Recogniser(trained, features=features, extraction=extraction)


def classify(
    paths: AnyPath | Iterable[AnyPath],
    model: "Recogniser | AnyPath",
    *,
    texts: AnyPath | Mapping[Path, str] | None = None,
    arrays: AnyPath | None = None,
) -> "Generator[Prediction, None, None]":
    """Answers for new videos, one after the other as they finish; nothing is opened before the first is asked for.

    Args:
        paths: files and folders, or one of them.
        model: from `load`, or a model.safetensors.
        texts: of the videos, for models that read texts: a CSV ``path,text``, the folder of the text files, or path
            to text.
        arrays: the folder of the videos' arrays, for models with the stream ``external``.

    Raises:
        MissingPathError: a path does not exist, or there is no video. ConfigError: the model lacks texts or arrays, or
            has no use for them. As `load`.
    """
    recogniser = load(model) if isinstance(model, str | PathLike) else model
    return recogniser.predict_all(paths, texts=texts, arrays=arrays)


def annotate(
    video: AnyPath,
    prediction: "Prediction | Recogniser | AnyPath",
    *,
    output: AnyPath,
    truth: "Annotation | AnyPath | None" = None,
    font: AnyPath | None = None,
    frame_rate: float | None = None,
) -> "AnnotatedVideo":
    """Write a copy of a video with what is said of it, and what is true, drawn on and below its pictures.

    Args:
        video: a file, or a folder of frames.
        prediction: what is said of it; or a model that is asked, from `load` or as a model.safetensors.
        output: the MP4 to write.
        truth: its annotation; or a YAML configuration or a CSV of annotations in which it stands.
        font: a .ttf or .otf for class names that DejaVu Sans cannot show.
        frame_rate: pictures per second in a folder of frames.

    Raises:
        MissingPathError, ConfigError: something is not there or not fit. VideoError: the video cannot be read to its
            end, or its prediction failed. OSError: the output cannot be written.
    """
    warm_up()
    from vidrnn.display.lettering import Lettering
    from vidrnn.inference.annotate import annotate_video
    from vidrnn.inference.prediction import Prediction
    from vidrnn.inference.truth import truth_of

    place = Path(video)
    known = truth_of(place, Path(truth)) if isinstance(truth, str | PathLike) else truth
    if isinstance(prediction, str | PathLike):
        prediction = load(prediction, frame_rate=frame_rate)
    if not isinstance(prediction, Prediction):
        prediction = prediction.predict(place)
    lettering = Lettering(None if font is None else Path(font))
    return annotate_video(
        place, prediction, output=Path(output), truth=known, lettering=lettering, frame_rate=frame_rate
    )


def cut(
    source: "RunSettings | AnyPath | Iterable[Prediction]",
    *,
    output: AnyPath,
    exact: bool = False,
    background: bool = False,
    overwrite: bool = False,
) -> "Iterator[VideoCut]":
    """Cut the segments of videos into clips, with a CSV to train from, as ``vidrnn cut`` does; one outcome per video.

    Args:
        source: whose segments: a configuration, a CSV of annotations, or predictions.
        output: folder for the clips.
        exact: encode every clip anew, so that it holds nothing but its segment.
        background: also what lies between the segments.
        overwrite: make clips anew that are there.

    Raises:
        ConfigError: there are no segments with labels. AnnotationError, MissingPathError: the annotations cannot be
            read. OSError: the output cannot be written.
    """
    warm_up()
    from vidrnn.inference.cut import cut_videos
    from vidrnn.inference.pieces import pieces_of

    pieces = pieces_of(Path(source) if isinstance(source, str | PathLike) else source, background=background)
    return cut_videos(pieces, output=Path(output), exact=exact, overwrite=overwrite)
