"""New videos to predictions, by the way that a model needs; the command line adds the file and the bar."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vidrnn.annotations import UNKNOWN, find_media
from vidrnn.annotations.folders import SUFFIXES
from vidrnn.device import choose_device
from vidrnn.errors import ConfigError, MissingPathError
from vidrnn.inference.answer_file import Prediction
from vidrnn.inference.one_stream import SHORT_FLOATS, backbone_of, classify
from vidrnn.inference.several_streams import classify_streams, needs_streams
from vidrnn.inference.side_files import SideFiles
from vidrnn.models.model_file import TrainedModel
from vidrnn.settings.base import validate
from vidrnn.settings.data import Media
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.streams import BACKBONE_STREAMS


def find_videos(paths: Sequence[Path], *, media: Media = "videos") -> list[Path]:
    """Files as they are given, and all videos below folders, sorted; each once.

    A folder without any video that holds pictures itself is taken as the frames of one.

    Args:
        paths: files and folders.
        media: what to look for in folders.

    Raises:
        MissingPathError: a path does not exist, or there is no video at all.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise MissingPathError(f"{str(path)!r} does not exist; give video files or folders")
        if path.is_dir():
            inside = find_media(path, media) or [each for each in find_media(path, "frames") if each == path]
            found.update(dict.fromkeys(inside))
        else:
            found[path] = None
    if not found:
        raise MissingPathError(
            f"no {media} below {', '.join(map(str, paths))}; known suffixes: {' '.join(sorted(SUFFIXES[media]))}"
        )
    return list(found)


def with_unknown_below(model: TrainedModel, threshold: float) -> TrainedModel:
    """The model with another threshold for ``unknown`` than the one in its file.

    Raises:
        ConfigError: it is no probability, the model does not answer one class per video, or a class has that name.
    """
    head = model.settings.model.head
    if not 0.0 <= threshold <= 1.0:
        raise ConfigError(f"--unknown-below {threshold}: give a probability between 0 and 1")
    if head != "label":
        raise ConfigError(f"--unknown-below {threshold} needs a model of head 'label', this one has {head!r}; leave it")
    if UNKNOWN in model.label_map.names:
        raise ConfigError(f"--unknown-below {threshold}: the model has a class called {UNKNOWN!r}; leave it")
    return replace(model, unknown_below=threshold)


def predict_videos(
    videos: Sequence[Path], model: TrainedModel, *, side_files: SideFiles, changes: Mapping[str, str | float]
) -> Generator[Prediction, None, None]:
    """Predictions by the way that the model needs; what cannot be done is refused at once.

    Args:
        videos: from `find_videos`.
        model: the classifier.
        side_files: the texts and arrays of the videos.
        changes: keys of the model's feature settings that differ here, such as its device.

    Raises:
        ConfigError, ModelFileError, WeightsError: nothing was predicted.
    """
    tree = model.settings.features.model_dump(mode="json") | dict(changes)
    features = _in_arithmetic_of(model, validate(FeatureSettings, tree, origin="options"))
    if needs_streams(model):
        return classify_streams(videos, model, settings=features, side_files=side_files)
    side_files.refuse_unfit(features)
    return classify(videos, model, backbone_of(model, features), settings=features)


def _in_arithmetic_of(model: TrainedModel, settings: FeatureSettings) -> FeatureSettings:
    """The settings with the precision that the model learned from; a CPU, which is slow in short floats, takes float32.

    What ``auto`` is depends on the machine.
    """
    through_network = [spec for spec in model.specs if spec.stream in BACKBONE_STREAMS]
    if not through_network:
        return settings
    precision = through_network[0].precision.split("/", maxsplit=1)[0]
    if precision in SHORT_FLOATS and choose_device(settings.device).type == "cpu":
        precision = "float32"
    return settings.model_copy(update={"precision": precision})
