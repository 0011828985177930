"""The verb ``classify`` for models of several streams, or of one that is no picture of the network.

The videos go through the same extraction as for training, some at a time, into a store that is thrown away: so they are
aligned, masked and read as they were when the model learned.
"""

import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from vidrnn.annotations import Annotation, LabelMap
from vidrnn.errors import MissingPathError
from vidrnn.extraction.embedder import Embedder
from vidrnn.extraction.extract import extract
from vidrnn.extraction.progress import Progress
from vidrnn.inference.answer_file import Prediction
from vidrnn.inference.answers import Clock
from vidrnn.inference.one_stream import answered, refuse_other
from vidrnn.inference.side_files import ANYWHERE, SideFiles, absolute
from vidrnn.models.model_file import TrainedModel
from vidrnn.sequences.alignment import reference_of
from vidrnn.sequences.sequence_set import load_sequences
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.streams import BACKBONE_STREAMS, PICTURE_STREAMS, Stream, in_order
from vidrnn.store.folders import FeatureFolder
from vidrnn.store.video_features import VideoFeatures
from vidrnn.streams.passes import file_passes, load_passes
from vidrnn.streams.text import extract_text
from vidrnn.training.predict import asking_of, predict

_AT_ONCE = 64  # videos whose features are kept at the same time
_LABELS = LabelMap(("any",))  # the targets are never asked for


def needs_streams(model: TrainedModel) -> bool:
    """Whether a model takes more, or something else, than one stream through the network."""
    return len(model.specs) > 1 or model.spec.stream not in BACKBONE_STREAMS


def classify_streams(
    videos: Iterable[Path], model: TrainedModel, *, settings: FeatureSettings, side_files: SideFiles
) -> Generator[Prediction, None, None]:
    """Classify videos; each gives one prediction, in order, and a bad one costs only itself.

    A video that does not have a stream, such as sound, is answered from the others, which the prediction says; one that
    fails in any stream fails.

    Args:
        videos: files, and folders of frames.
        model: the classifier.
        settings: the model's feature settings, with device and limits as needed here.
        side_files: the texts and arrays of the videos.

    Raises (at once, before the first prediction is asked for):
        ModelFileError: what is here computes other features than those of the training.
        ConfigError: see `SideFiles.refuse_unfit`.
    """
    own = side_files.applied_to(_as_shown(model, settings), model.specs)
    side_files.refuse_unfit(own)
    passes = load_passes(own)
    wanted = {spec.stream: spec.at_frame_rate(settings.frame_rate) for spec in model.specs}
    for each in passes:
        if not each.spec.is_mirrored:
            refuse_other(each.spec, wanted[each.spec.stream])
    return _in_batches(videos, model, passes, settings=own, side_files=side_files)


def _in_batches(
    videos: Iterable[Path],
    model: TrainedModel,
    passes: Sequence[Embedder],
    *,
    settings: FeatureSettings,
    side_files: SideFiles,
) -> Generator[Prediction, None, None]:
    waiting = iter(videos)
    while some := list(islice(waiting, _AT_ONCE)):
        with tempfile.TemporaryDirectory(prefix="vidrnn_") as folder:
            here = settings.model_copy(update={"store": Path(folder)})
            yield from _classify_some(some, model, passes, settings=here, side_files=side_files)


def shown_streams(model: TrainedModel) -> tuple[Stream, ...]:
    """What a model is shown of a video, in canonical order."""
    return tuple(in_order(model.settings.inference.streams or [spec.stream for spec in model.specs]))


def _as_shown(model: TrainedModel, settings: FeatureSettings) -> FeatureSettings:
    """The feature settings of what the model is shown, whatever its specs are called."""
    both = settings.mirrored and model.settings.inference.views == "both"
    return settings.model_copy(update={"streams": shown_streams(model), "mirrored": both, "spec": None})


@dataclass
class _Extracted:
    """What became of some videos: a folder per stream and view, and the cause for each that failed."""

    plain: list[FeatureFolder] = field(default_factory=list)
    mirrored: list[FeatureFolder] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def _classify_some(
    videos: Sequence[Path],
    model: TrainedModel,
    passes: Sequence[Embedder],
    *,
    settings: FeatureSettings,
    side_files: SideFiles,
) -> Iterator[Prediction]:
    known = {video: _annotated(absolute(video), side_files) for video in videos}
    extracted = _extract(list(known.values()), model, passes, settings=settings, root=side_files.root)
    streams = {path: _streams_of(path, extracted.plain) for path in (each.path for each in known.values())}
    for path, own in streams.items():
        if not own:
            extracted.failed.setdefault(path, f"has none of the streams {', '.join(settings.streams)}")
        elif not all(np.isfinite(each.features).all() for each in own.values()):
            extracted.failed.setdefault(path, "its features hold nan or inf; use another features.precision")
    good = [each for each in known.values() if each.path not in extracted.failed]
    outputs = dict(zip([each.path for each in good], _answer(good, model, extracted), strict=True))
    for video, annotation in known.items():
        path = annotation.path
        if path in extracted.failed:
            yield Prediction(str(video), "failed", error=extracted.failed[path])
            continue
        times = {name: own.timestamps_s for name, own in streams[path].items()}
        reference = streams[path][reference_of(times)]
        clock = Clock(reference.timestamps_s, reference.metadata.duration_s)
        lacking = tuple(name for name in settings.streams if name not in streams[path])
        yield replace(answered(str(video), outputs[path], model, clock=clock), lacking=lacking)


def _annotated(video: Path, side_files: SideFiles) -> Annotation:
    """A new video, whose label is not known; where texts are given, one that has none has an empty one."""
    return Annotation(
        str(video), "any", None, "any", text=None if side_files.texts is None else side_files.texts.get(video, "")
    )


def _answer(good: Sequence[Annotation], model: TrainedModel, extracted: _Extracted) -> list[torch.Tensor]:
    if not good:
        return []
    present = {folder.spec.stream for folder in extracted.plain}
    sequences = load_sequences(
        good,
        extracted.plain,
        _LABELS,
        device=next(model.classifier.parameters()).device,
        mirrored=extracted.mirrored,
        unseen=[spec for spec in model.specs if spec.stream not in present],
        causal=not model.settings.model.bidirectional,
    )
    return predict(model.classifier, sequences, asking_of(model.settings))


def _extract(
    annotations: Sequence[Annotation],
    model: TrainedModel,
    passes: Sequence[Embedder],
    *,
    settings: FeatureSettings,
    root: Path,
) -> _Extracted:
    done, wanted = _Extracted(), {spec.stream: spec for spec in model.specs}
    others = file_passes(annotations, root=root, settings=settings)
    for each in others:
        refuse_other(each.spec, wanted[each.spec.stream])
    report = extract(annotations, [*passes, *others], root=ANYWHERE, settings=settings)
    for folder, progress in zip(report.folders, report.passes, strict=True):
        (done.mirrored if folder.spec.is_mirrored else done.plain).append(folder)
        stream = "" if folder.spec.stream in PICTURE_STREAMS else f"{folder.spec.stream}: "
        done.failed |= {failure.path: f"{stream}{failure.cause}" for failure in progress.failures}
    if "text" in settings.streams:
        texts = Progress()
        done.plain.append(extract_text(annotations, root=root, settings=settings, progress=texts))
        refuse_other(done.plain[-1].spec, wanted["text"])
        done.failed |= {failure.path: f"text: {failure.cause}" for failure in texts.failures}
    return done


def _streams_of(path: str, folders: Sequence[FeatureFolder]) -> dict[str, VideoFeatures]:
    """The streams that a video has, in canonical order."""
    found: dict[str, VideoFeatures] = {}
    for folder in folders:
        try:
            found[folder.spec.stream] = folder.read(path)
        except MissingPathError:
            continue
    return {name: found[name] for name in in_order(found)}
