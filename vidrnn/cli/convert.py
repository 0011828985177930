"""The verb ``convert``: annotations, or what a model said, to the files of other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidrnn.cli.options import Overrides, load_settings, print_note
from vidrnn.errors import ExitCode
from vidrnn.names import quoted, writable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from tqdm import tqdm

    from vidrnn.annotations import Annotation
    from vidrnn.annotations.segments import Times
    from vidrnn.annotations.writing import Writing
    from vidrnn.preflight.footage import FootageFinder
    from vidrnn.settings.run import RunSettings
    from vidrnn.store.video_features import VideoFeatures

_Format = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="FORMAT",
        help="csv, activitynet, activitynet_results, thumos14, mstcn, deepethogram, feral, cholec80, boris, eaf, "
        "srt or vtt.",
    ),
]
_Config = Annotated[
    Path | None, typer.Option("--config", help="YAML configuration file whose annotations are written.")
]
_Predictions = Annotated[
    Path | None,
    typer.Option("--predictions", help="The file that `vidrnn classify` wrote, in place of --config."),
]
_FrameRate = Annotated[
    float | None,
    typer.Option(help="Rows per second where a format has rows; else one for each frame of the video."),
]
_Features = Annotated[
    bool, typer.Option("--features", help="To mstcn: the features of the store, D x T, and a row for each step.")
]


def convert(
    to: _Format,
    output: Annotated[Path, typer.Option("--output", help="File, or folder where the format has a file per video.")],
    config: _Config = None,
    predictions: _Predictions = None,
    root: Annotated[
        Path, typer.Option("--root", help="With --predictions: the folder that paths become relative to.")
    ] = Path(),
    frame_rate: _FrameRate = None,
    features: _Features = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    overrides: Overrides = None,
) -> int:
    """Annotations, or what a model said, to the files of other programs: BORIS, ELAN, MS-TCN, subtitles and others."""
    from tqdm import tqdm

    from vidrnn.annotations.writers import write_annotations
    from vidrnn.annotations.writing import Writing
    from vidrnn.errors import ConfigError
    from vidrnn.inference.predicted_annotations import read_predictions
    from vidrnn.preflight.footage import FootageFinder

    if (config is None) == (predictions is None):
        raise ConfigError("convert needs one of --config and --predictions: what is to be written")
    if features and (config is None or to != "mstcn"):
        raise ConfigError("--features goes with --config and --to mstcn")
    notes: list[str] = []
    stored: dict[str, VideoFeatures] = {}
    with tqdm(unit="video", leave=False, disable=None) as bar:  # of the files that have to be opened
        if config is not None:
            settings = load_settings(config, overrides)
            finder, found = _annotations(settings, notes, bar)
            if features:
                stored = _stored(found, settings, notes)
                found = [annotation for annotation in found if annotation.path in stored]
        else:
            assert predictions is not None
            finder = FootageFinder(root, on_look=bar.update)
            found = read_predictions(predictions, root=root, notes=notes)
            bar.total = len(found)
        times: dict[str, Times] = {path: video.timestamps_s for path, video in stored.items()}
        writing = Writing(output, finder.root, finder.find, frame_rate, times, overwrite=overwrite)
        write_annotations(found, to, writing)
    _write_features(stored, found, writing)
    _report(found, to, notes, writing, finder)
    return ExitCode.OK


def _annotations(
    settings: "RunSettings", notes: list[str], bar: "tqdm[NoReturn]"
) -> "tuple[FootageFinder, Sequence[Annotation]]":
    """The annotations of a configuration, and what looks into their videos; the bar counts the files it opens."""
    from vidrnn.annotations import read_annotations
    from vidrnn.preflight.footage import FootageFinder

    shown = settings.features
    finder = FootageFinder(settings.data.root, shown.frame_rate, shown.frame_template, on_look=bar.update)
    found = read_annotations(settings.data, notes, bounds_of=finder.bounds_of)
    bar.total = len(found)
    notes += _contradictions(found, finder)
    return finder, found


def _contradictions(annotations: "Sequence[Annotation]", finder: "FootageFinder") -> "list[str]":
    """Videos that are of another length than their rows say."""
    from vidrnn.annotations.lengths import describe_lengths

    rows = [annotation for annotation in annotations if annotation.listed_s is not None]
    footage = [finder.find(annotation) for annotation in rows]
    text = describe_lengths(rows, [0.0 if seen is None else seen.end_s for seen in footage])
    return [text] if text else []


def _stored(
    annotations: "Sequence[Annotation]", settings: "RunSettings", notes: list[str]
) -> "dict[str, VideoFeatures]":
    """The features of videos in the store. Raises ConfigError, StoreError."""
    from vidrnn.errors import ConfigError, StoreError
    from vidrnn.store.feature_store import FeatureStore

    if len(settings.features.streams) > 1:
        streams = ", ".join(settings.features.streams)
        raise ConfigError(
            f"--features writes one stream, and there are {streams}; choose: --set features.streams=[rgb]"
        )
    folder = FeatureStore(settings.extraction.store).find(settings.features, stream=settings.features.streams[0])
    there = set(folder.videos())
    lacking = [annotation.path for annotation in annotations if annotation.path not in there]
    if len(lacking) == len(annotations):
        raise StoreError(f"{folder.path} holds none of the videos; run vidrnn extract first")
    if lacking:
        notes.append(f"{len(lacking)} videos have no features and were left out, the first {quoted(lacking[0])}")
    return {annotation.path: folder.read(annotation.path) for annotation in annotations if annotation.path in there}


def _write_features(
    stored: "dict[str, VideoFeatures]", annotations: "Sequence[Annotation]", writing: "Writing"
) -> None:
    """``features/<name>.npy`` of D x T in float32, as MS-TCN has them."""
    import io

    import numpy as np

    from vidrnn.annotations.writing import file_names

    names = file_names(annotations, flat=True) if stored else {}
    for path, video in stored.items():
        content = io.BytesIO()
        np.save(content, np.ascontiguousarray(video.features.T, dtype=np.float32))
        writing.write_bytes(writing.output / "features" / f"{names[path]}.npy", content.getvalue())


def _report(
    annotations: "Sequence[Annotation]", to: str, notes: list[str], writing: "Writing", finder: "FootageFinder"
) -> None:
    for note in notes:
        print_note(note)
    for path, cause in finder.failures.items():
        print_note(f"{writable(path)}: {cause}; taken as not there")
    for name, number in writing.losses.items():
        if number:
            print_note(f"{to} has no place for {number} {name}")
    segments = sum(len(annotation.segments or ()) for annotation in annotations)
    print(f"wrote {len(annotations)} videos, {segments} segments: {writing.output}")
