"""The verbs as functions, for notebooks and programs: `import vidrnn` gives them. Imports nothing heavy.

Each takes paths as text or as `pathlib.Path`, raises `VidrnnError` for what it refuses, and prints nothing.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidrnn.annotations import Annotation, Split
    from vidrnn.experiments.crossval_result import CrossValidation
    from vidrnn.experiments.evaluate import Evaluation
    from vidrnn.experiments.train import TrainingRun
    from vidrnn.extraction.extract import Report
    from vidrnn.inference.annotate import AnnotatedVideo
    from vidrnn.inference.cut import VideoCut
    from vidrnn.inference.prediction import Prediction
    from vidrnn.inference.recogniser import Recogniser
    from vidrnn.preflight.inspect import Inspection
    from vidrnn.reporting.options import WrittenReport
    from vidrnn.settings.run import RunSettings

AnyPath = str | PathLike[str]


def load_settings(config: AnyPath, overrides: Sequence[str] = ()) -> "RunSettings":
    """Read a configuration.

    Args:
        config: a YAML file.
        overrides: ``section.key=value``, as for ``--set`` on the command line.

    Raises:
        ConfigError: it is not valid; each wrong value is named. MissingPathError: there is no such file.
    """
    from vidrnn.settings.base import load
    from vidrnn.settings.run import RunSettings

    return load(RunSettings, Path(config), overrides)


def check(settings: "RunSettings", *, quick: bool = False) -> "Inspection":
    """Look before anything runs, as ``vidrnn check`` does; time and disk of the extraction are not among it.

    Args:
        settings: the configuration.
        quick: decode nothing.

    Returns:
        What there is (``lines``) and what deserves attention (``findings``).

    Raises:
        AnnotationError, ConfigError, MissingPathError: the annotations cannot be used. OSError: the store cannot be
            written.
    """
    if not quick:
        _warm_up()
    from vidrnn.annotations import read_annotations
    from vidrnn.preflight.inspect import inspect
    from vidrnn.sequences.targets import label_map_of

    annotations = read_annotations(settings.data)
    if annotations:
        label_map_of(annotations, settings.model.head)  # raises where they do not fit, before anything is decoded
    return inspect(annotations, settings, quick=quick)


def extract(settings: "RunSettings", *, retry_failed: bool = False) -> "Report":
    """Videos to features in the store; finished ones are reused, failures are in the report.

    Args:
        settings: the configuration.
        retry_failed: also try videos that failed before and have not changed.

    Returns:
        For each stream and view its folder in the store and what became of the videos; ``report.whole`` is the sum.

    Raises:
        AnnotationError, ConfigError, WeightsError: nothing was extracted. OSError: the store cannot be written.
    """
    _warm_up()
    from vidrnn.annotations import read_annotations
    from vidrnn.streams.extract_all import extract_all
    from vidrnn.streams.passes import all_passes

    features, extraction, root = settings.features, settings.extraction, settings.data.root
    annotations = read_annotations(settings.data)
    passes = all_passes(annotations, root=root, features=features, extraction=extraction)
    return extract_all(
        annotations, passes, root=root, features=features, extraction=extraction, retry_failed=retry_failed
    )


def train(settings: "RunSettings", *, output: AnyPath, resume: bool = False) -> "TrainingRun":
    """Features in the store to a trained model in the run folder ``output``, as ``vidrnn train`` does.

    Args:
        settings: the configuration.
        output: folder for the model and its figures.
        resume: continue from the checkpoint that is there.

    Raises:
        AnnotationError, StoreError, MissingPathError, TrainingError: see `vidrnn.experiments.train.train`.
    """
    from vidrnn.experiments.train import train as train_run

    return train_run(settings, output=Path(output), resume=resume)


def crossval(settings: "RunSettings", *, output: AnyPath, jobs: int | None = None) -> "CrossValidation":
    """Cross-validate by group over several seeds, with the baselines beside it, as ``vidrnn crossval`` does.

    Args:
        settings: the configuration.
        output: folder for the results.
        jobs: fits at the same time, each with one thread; None: one per core. The numbers do not depend on it.

    Raises:
        AnnotationError, StoreError, MissingPathError: see `vidrnn.experiments.crossval.run_crossval`.
    """
    from vidrnn.experiments.crossval import run_crossval

    return run_crossval(settings, output=Path(output), jobs=jobs)


def evaluate(model: AnyPath, settings: "RunSettings", *, output: AnyPath, split: "Split" = "test") -> "Evaluation":
    """Score a model on a split, with the baselines beside it, as ``vidrnn evaluate`` does.

    Args:
        model: a model.safetensors.
        settings: the configuration, whose store holds the features of the split.
        output: folder for the results.
        split: ``train``, ``val`` or ``test``.

    Raises:
        AnnotationError, ConfigError, StoreError, ModelFileError, MissingPathError: see
            `vidrnn.experiments.evaluate.evaluate`.
    """
    from vidrnn.annotations.records import as_split
    from vidrnn.experiments.evaluate import evaluate as evaluate_model

    return evaluate_model(Path(model), settings, split=as_split(split), output=Path(output))


def report(
    run: AnyPath, *, output: AnyPath | None = None, videos: AnyPath | None = None, clips: int = 150
) -> "WrittenReport":
    """Write the report of a run as one HTML page, as ``vidrnn report`` does.

    Args:
        run: a folder that ``crossval``, ``evaluate`` or ``train`` wrote; or a file of ``compare`` or ``classify``.
        output: the page; None: ``report.html`` in the folder, ``NAME.report.html`` beside a file.
        videos: folder that the paths of the videos begin in; None: as the configuration of the run says.
        clips: most clips that are shown as filmstrips.

    Raises:
        MissingPathError: there is nothing that can be reported. ConfigError: the file is of another kind. OSError: the
            page cannot be written.
    """
    _warm_up()
    from vidrnn.reporting.options import ReportOptions
    from vidrnn.reporting.report import write_report

    options = ReportOptions(videos=None if videos is None else Path(videos), clips=clips)
    return write_report(Path(run), output=None if output is None else Path(output), options=options)


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
    _warm_up()
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
    _warm_up()
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
    _warm_up()
    from vidrnn.annotations import read_annotations
    from vidrnn.annotations.csv_file import read_csv
    from vidrnn.inference.cut import cut_videos
    from vidrnn.inference.pieces import annotated_pieces, predicted_pieces
    from vidrnn.settings.run import RunSettings

    if isinstance(source, RunSettings):
        data = source.data
        pieces = annotated_pieces(read_annotations(data), data.root, background=background)
    elif isinstance(source, str | PathLike):
        listed = Path(source)
        pieces = annotated_pieces(read_csv(listed), listed.parent, background=background)
    else:
        pieces = predicted_pieces(source, background=background)
    return cut_videos(pieces, output=Path(output), exact=exact, overwrite=overwrite)


def _warm_up() -> None:
    """Decoders import PyTorch in a process of their own, beside this one."""
    from vidrnn.extraction.processes import warm_up

    warm_up()
