"""New videos to predictions: each is opened once for all that a model takes of it, and nothing is written."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path

import numpy as np
import torch

from vidrnn.annotations import Annotation, LabelMap
from vidrnn.errors import ConfigError, StoreError
from vidrnn.evaluation.segmentation import likeliest
from vidrnn.extraction.embedder import Embedder, Pass
from vidrnn.extraction.jobs import ABSENT, Failure, Job
from vidrnn.extraction.pipeline import embed_passes
from vidrnn.inference.as_trained import Changes, extraction_for, features_for, refuse_other
from vidrnn.inference.live import LiveStream
from vidrnn.inference.new_videos import find_videos
from vidrnn.inference.one_sequence import sequence_of
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.prediction_rows import Clock, probabilities_of, rows_of
from vidrnn.inference.side_files import SideFiles, absolute, find_side_files
from vidrnn.models.model_file import TrainedModel
from vidrnn.sequences.alignment import reference_of
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.streams import PICTURE_STREAMS
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.video_features import VideoFeatures
from vidrnn.streams.passes import file_passes, load_passes
from vidrnn.streams.text import TextReader, embed_text
from vidrnn.streams.text_encoder import TextEncoder
from vidrnn.training.predict import predict, predict_options

_LABELS = LabelMap(("any",))  # the targets are never asked for
AnyPath = str | PathLike[str]


@dataclass
class _Seen:
    """What there is of one video.

    Attributes:
        features: by stream and by whether it is the mirrored view.
        absent: stream to why the video does not have it.
        failed: the first cause for which there is no prediction.
    """

    features: dict[tuple[str, bool], VideoFeatures] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    failed: str | None = None

    def add(self, spec: FeatureSpec, made: VideoFeatures | Failure) -> None:
        """Take what one pass made of it."""
        if isinstance(made, VideoFeatures):
            self.features[spec.stream, spec.is_mirrored] = made
            if not np.isfinite(made.features).all():
                self.failed = self.failed or "its features hold nan or inf; use another features.precision"
        elif made.stage == ABSENT:
            self.absent[spec.stream] = made.cause
        else:
            stream = "" if spec.stream in PICTURE_STREAMS else f"{spec.stream}: "
            self.failed = self.failed or f"{stream}{made.cause}"

    def times(self) -> dict[str, VideoFeatures]:
        """The streams that it has, in the order of the passes."""
        return {stream: video for (stream, mirrored), video in self.features.items() if not mirrored}


@dataclass(frozen=True)
class _Ways:
    """How the features of new videos are made: by reading the video, and from ``texts`` where the model reads them."""

    passes: Sequence[Pass]
    texts: TextReader | None
    side_files: SideFiles


class Recogniser:
    """A trained model with the networks in front of it, ready for new videos.

    Attributes:
        model: the trained model.

    Args:
        model: from `vidrnn.models.model_file.load_model`.
        features: keys of the model's feature settings that differ here, such as ``weights``.
        extraction: the same of its extraction settings, such as ``device``.
        pictures: passes over the pictures, where they are loaded already.

    Raises:
        ModelFileError: the features computed here differ from the features of the training.
        ConfigError, WeightsError: as from `load_passes`.
    """

    def __init__(
        self,
        model: TrainedModel,
        *,
        features: Changes | None = None,
        extraction: Changes | None = None,
        pictures: Sequence[Embedder] | None = None,
    ) -> None:
        self.model = model
        self._extraction = extraction_for(model, extraction or {})
        device = self._extraction.device
        self._features = features_for(model, features or {}, device=device)
        self._pictures = load_passes(self._features, self._extraction) if pictures is None else tuple(pictures)
        self._live: tuple[Embedder, ...] | None = None
        named = SideFiles().applied_to(self._features, model.specs)  # the spec holds the name of texts in a folder
        self._encoder = TextEncoder(named, device=device) if "text" in named.streams else None
        for embedder in self._pictures:
            if not embedder.spec.is_mirrored:
                self._refuse_other(embedder.spec)
        if self._encoder is not None:
            self._refuse_other(self._encoder.spec)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty for a model that predicts numbers."""
        return self.model.label_map.names

    def __repr__(self) -> str:
        streams = "+".join(self._features.streams)
        return f"<Recogniser: {self.model.settings.model.head} of {len(self.classes)} classes from {streams}>"

    def predict(self, path: AnyPath, *, text: str | None = None, arrays: AnyPath | None = None) -> Prediction:
        """The prediction for one video; one that cannot be read gives a prediction that says why.

        Args:
            path: a video file, a still image, or a folder of frames.
            text: of the video, for a model that reads a column of texts.
            arrays: a folder that holds the array of the video, for a model that takes arrays.

        Raises:
            MissingPathError: it does not exist. ConfigError: a folder of several videos, or see `SideFiles`.
        """
        video = Path(path)
        found = find_videos([video], media=self.model.settings.data.media)
        if len(found) != 1:
            raise ConfigError(f"{str(video)!r} holds {len(found)} videos; call predict_all for all of them")
        texts = None if text is None else {found[0]: text}
        (prediction,) = self.predict_all([video], texts=texts, arrays=arrays)
        return prediction

    def predict_all(
        self,
        paths: AnyPath | Iterable[AnyPath],
        *,
        texts: AnyPath | Mapping[Path, str] | None = None,
        arrays: AnyPath | None = None,
    ) -> Generator[Prediction, None, None]:
        """Predictions for many videos, one after the other as they finish; memory does not grow with their number.

        What cannot be done is refused by the call; videos are opened when the first prediction is asked for.

        Args:
            paths: files and folders, or one of them.
            texts: a CSV ``path,text``, the folder of the text files, or path to text.
            arrays: the folder of the arrays, which lie as the videos do.

        Raises:
            MissingPathError: a path does not exist, or there is no video. ConfigError: see `SideFiles`.
        """
        given = [paths] if isinstance(paths, str | PathLike) else list(paths)
        places = [Path(path) for path in given]
        videos = find_videos(places, media=self.model.settings.data.media)
        told = texts if texts is None or isinstance(texts, Mapping) else Path(texts)
        side_files = find_side_files(places, videos, texts=told, arrays=None if arrays is None else Path(arrays))
        return self.predict_found(videos, side_files=side_files)

    def predict_found(
        self, videos: Iterable[Path], *, side_files: SideFiles | None = None
    ) -> Generator[Prediction, None, None]:
        """As `predict_all`, for videos and side files that were found already.

        A video without a stream, such as sound, is judged by the others, and its prediction says so. A video that fails
        in any stream fails, and the others go on.

        Raises:
            ConfigError: see `SideFiles.refuse_unfit`. ModelFileError: the arrays or the sound are read in another way.
        """
        beside = side_files or SideFiles()
        settings = beside.applied_to(self._features, self.model.specs)
        beside.refuse_unfit(settings)
        files = file_passes((), root=beside.root, settings=settings)
        for file_pass in files:
            self._refuse_other(file_pass.spec)
        texts = None if self._encoder is None else TextReader(settings.text, beside.root)
        return self._predict_each(videos, _Ways((*self._pictures, *files), texts, beside))

    def stream(self, *, delay_s: float | None = None, window_s: float | None = None) -> LiveStream:
        """Answers while a video still comes: push its pictures to what this gives. docs/live.md says more.

        Networks are loaded once more for batches of single steps, which answer sooner.

        Args:
            delay_s: how many seconds an answer may wait; for models that read in both directions, which need it.
            window_s: how many seconds are looked at together, for models with one answer per video; None: 4.

        Raises:
            ConfigError: the model cannot answer while the video still comes; the message says what to train.
        """
        if self._live is None:
            size = max(len(self._pictures), 1)
            extraction = self._extraction.model_copy(update={"batch_size": size})
            same = self._extraction.batch_size == size
            self._live = self._pictures if same else load_passes(self._features, extraction)
        return LiveStream(self.model, self._live, delay_s=delay_s, window_s=window_s)

    def _refuse_other(self, here: FeatureSpec) -> None:
        wanted = next(spec for spec in self.model.specs if spec.stream == here.stream)
        refuse_other(here, wanted.at_frame_rate(self._features.frame_rate))

    def _predict_each(self, videos: Iterable[Path], ways: _Ways) -> Generator[Prediction, None, None]:
        numbers = tuple(range(len(ways.passes)))
        if not numbers:  # texts alone: no video is opened
            for video in videos:
                yield self._predict(str(video), self._read_text(video, _Seen(), ways), ways)
            return
        jobs = (Job(str(video), absolute(video), numbers) for video in videos)
        with closing(embed_passes(jobs, ways.passes, settings=self._extraction)) as results:
            for path, made in results:
                seen = _Seen()
                for number in sorted(made):
                    seen.add(ways.passes[number].spec, made[number])
                yield self._predict(path, self._read_text(Path(path), seen, ways), ways)

    def _read_text(self, video: Path, seen: _Seen, ways: _Ways) -> _Seen:
        if self._encoder is not None and ways.texts is not None and seen.failed is None:
            found = ways.texts.read(_annotated(video, ways.side_files))
            seen.add(self._encoder.spec, found if isinstance(found, Failure) else embed_text(self._encoder, found))
        return seen

    def _predict(self, path: str, seen: _Seen, ways: _Ways) -> Prediction:
        head, streams, there = self.model.settings.model.head, self._features.streams, seen.times()
        if seen.failed is None and not there:
            causes = "; ".join(seen.absent.values())
            seen.failed = causes if len(streams) == 1 else f"has none of the streams {', '.join(streams)}: {causes}"
        if seen.failed is not None:
            return Prediction(path, "failed", error=seen.failed, head=head)
        try:
            (outputs,) = predict(
                self.model.classifier, self._sequences(seen, ways), predict_options(self.model.settings)
            )
        except StoreError as error:  # no chosen step shows anything of it
            return Prediction(path, "failed", error=str(error), head=head)
        reference = there[reference_of({name: video.timestamps_s for name, video in there.items()})]
        clock = Clock(reference.timestamps_s, reference.metadata.duration_s)
        lacking = tuple(name for name in streams if name not in there)
        return replace(prediction_of(path, outputs, self.model, clock=clock), lacking=lacking)

    def _sequences(self, seen: _Seen, ways: _Ways) -> SequenceSet:
        """The video as a set of one."""
        specs = [one_pass.spec for one_pass in ways.passes]
        specs += [self._encoder.spec] if self._encoder is not None else []
        return sequence_of(self.model, specs, seen.features, streams=self._features.streams)


def prediction_of(path: str, outputs: torch.Tensor, model: TrainedModel, *, clock: Clock) -> Prediction:
    """The outputs of a model for one video as a prediction."""
    head, values = model.settings.model.head, outputs.numpy()
    rows = rows_of(
        head,
        values,
        labels=model.label_map.names,
        clock=clock,
        thresholds=model.thresholds,
        temperature=model.temperature,
        unknown_below=model.unknown_below,
        read=model.read_steps or likeliest,
    )
    scores = probabilities_of(head, values, temperature=model.temperature)
    return Prediction(
        path,
        "ok",
        tuple(rows),
        head=head,
        classes=model.label_map.names,
        probabilities=scores if scores.size else None,
        bounds_s=clock.bounds(),
    )


def _annotated(video: Path, side_files: SideFiles) -> Annotation:
    """A new video, whose label is not known; where texts are given, a video without one has an empty text."""
    place = absolute(video)
    text = None if side_files.texts is None else side_files.texts.get(place, "")
    return Annotation(str(place), "any", None, "any", text=text)
