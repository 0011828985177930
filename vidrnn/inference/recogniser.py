"""New videos to predictions: each is opened once for all that a model takes of it, and nothing is written."""

import math
import tempfile
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from vidrnn.errors import VideoError
from vidrnn.explanation.explanation import Explanation
from vidrnn.explanation.importance import Method
from vidrnn.explanation.nearest import TrainingVideos
from vidrnn.explanation.question import refuse_unexplainable
from vidrnn.extraction.embedder import Embedder
from vidrnn.extraction.gathering import OnDisk
from vidrnn.inference.as_trained import Changes, extraction_for, features_for, refuse_other
from vidrnn.inference.events import EventOptions
from vidrnn.inference.explained_videos import ExplainedVideo, explain_videos
from vidrnn.inference.given_videos import AnyPath, find_all, find_one
from vidrnn.inference.live import LiveStream
from vidrnn.inference.predicted_videos import predict_videos
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.prediction_rows import PredictionRow
from vidrnn.inference.seen import Ways
from vidrnn.inference.segments import SegmentOptions, check_options, rows_of_one, segment_videos
from vidrnn.inference.side_files import SideFiles
from vidrnn.inference.spread import is_spread, spread_over
from vidrnn.inference.stored_videos import StoredVideos
from vidrnn.models.model_file import TrainedModel
from vidrnn.settings.run import RunSettings
from vidrnn.store.spec import FeatureSpec
from vidrnn.streams.passes import file_passes, load_passes
from vidrnn.streams.text import TextReader
from vidrnn.streams.text_encoder import TextEncoder


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
        model.refuse_earlier_mirror()
        self.model = model
        self._media = model.settings.data.media
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
        more = "call predict_all for all of them"
        video, side_files = find_one(path, media=self._media, text=text, arrays=arrays, instead=more)
        (prediction,) = self.predict_found([video], side_files=side_files)
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
        videos, side_files = find_all(paths, media=self._media, texts=texts, arrays=arrays)
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
        ways = self._ways(side_files or SideFiles())
        return predict_videos(self.model, videos, ways, streams=self._features.streams)

    def _ways(self, beside: SideFiles) -> Ways:
        settings = beside.applied_to(self._features, self.model.specs)
        beside.refuse_unfit(settings)
        files = file_passes((), root=beside.root, settings=settings)
        for file_pass in files:
            self._refuse_other(file_pass.spec)
        texts = None if self._encoder is None else TextReader(settings.text, beside.root)
        return Ways((*self._pictures, *files), texts, self._encoder, beside, self._extraction)

    def segments(
        self,
        path: AnyPath,
        *,
        window_s: float | None = None,
        hop_s: float | None = None,
        hysteresis: float = 0.0,
        min_length_s: float = 0.0,
        min_gap_s: float = 0.0,
        text: str | None = None,
        arrays: AnyPath | None = None,
    ) -> Generator[PredictionRow, None, None]:
        """What happens from when to when in a video of any length, in order of the starts. See docs/long_videos.md.

        What cannot be done is refused by the call; the video is opened when the first segment is asked for. Its
        features lie in the folder for temporary files meanwhile.

        Args:
            path: a video file, or a folder of frames.
            window_s: length of windows, for models of clips; None: the median length of the training videos.
            hop_s: distance of windows; None: a quarter of a window.
            hysteresis: see `vidrnn.inference.events.EventOptions`.
            min_length_s: see `vidrnn.inference.events.EventOptions`.
            min_gap_s: see `vidrnn.inference.events.EventOptions`.
            text: as in `predict`.
            arrays: as in `predict`.

        Yields:
            ``start``, ``end``, ``label``, ``score``; from regressions ``start``, ``end``, ``target`` of each step.

        Raises:
            VideoError: it cannot be read. ConfigError: the model cannot say when something happens, or an option has no
                meaning. MissingPathError: it does not exist.
        """
        events = EventOptions(hysteresis, min_length_s, min_gap_s)
        options = check_options(self.model, SegmentOptions(window_s, hop_s, events))
        video, side_files = find_one(path, media=self._media, text=text, arrays=arrays, instead="give one of them")
        return rows_of_one(self.segments_found([video], options=options, side_files=side_files))

    def segments_found(
        self,
        videos: Iterable[Path],
        *,
        options: SegmentOptions,
        side_files: SideFiles | None = None,
        stored: StoredVideos | None = None,
        scratch: Path | None = None,
    ) -> Generator[Prediction, None, None]:
        """The segments of many videos, each in a prediction of a head that answers at every step.

        Args:
            videos: that were found already.
            options: how they are looked at.
            side_files: their texts and arrays.
            stored: where features may lie already, see `stored_in`; not for windows of a model whose frames are
                spread over whole videos.
            scratch: folder for the features of videos that are being read; None: the one for temporary files.

        Raises:
            ConfigError: as from `segments`, and see `SideFiles.refuse_unfit`.
        """
        folder = Path(tempfile.gettempdir()) if scratch is None else scratch
        limits = self._extraction.model_copy(update={"time_limit_s": math.inf})  # a recording takes as long as it takes
        ways = replace(self._ways(side_files or SideFiles()), extraction=limits, gather=partial(OnDisk, folder))
        checked = check_options(self.model, options)
        streams = self._features.streams
        if checked.window_s is not None:
            ways = replace(ways, passes=spread_over(ways.passes, checked.window_s))
            if any(is_spread(one_pass.spec) for one_pass in self._pictures):
                stored = None  # its frames are spread over whole videos
        return segment_videos(self.model, videos, ways, streams=streams, options=checked, stored=stored)

    def explain(
        self,
        path: AnyPath,
        *,
        label: str | None = None,
        method: Method = "occlusion",
        text: str | None = None,
        arrays: AnyPath | None = None,
    ) -> Explanation:
        """Why the model answers as it does for a video: how much each moment of it counts. See docs/why.md.

        Args:
            path: as in `predict`.
            label: the class in question; None: the likeliest one.
            method: ``occlusion``, ``attention`` or ``gradients``.
            text: as in `predict`.
            arrays: as in `predict`.

        Raises:
            VideoError: the video cannot be read. ConfigError: the model answers at every step, does not know the class,
                or has nothing that the method needs. MissingPathError: it does not exist.
        """
        refuse_unexplainable(self.model)
        more = "call explain for each of them"
        video, side_files = find_one(path, media=self._media, text=text, arrays=arrays, instead=more)
        with closing(self.explain_found([video], label=label, method=method, side_files=side_files)) as found:
            made = next(found)
        if made.explanation is None:
            raise VideoError(f"{made.path}: {made.error}")
        return made.explanation

    def explain_found(
        self,
        videos: Iterable[Path],
        *,
        label: str | None = None,
        method: Method = "occlusion",
        side_files: SideFiles | None = None,
        training: TrainingVideos | None = None,
    ) -> Generator[ExplainedVideo, None, None]:
        """As `explain`, for many videos that were found already; one that cannot be read says why.

        The ``training`` videos that are most alike are named, where these are given.
        """
        ways = self._ways(side_files or SideFiles())
        return explain_videos(
            self.model, videos, ways, streams=self._features.streams, label=label, method=method, training=training
        )

    def stored_in(self, settings: RunSettings) -> StoredVideos:
        """Where the features of videos may lie already, by the store and the folder of videos of a configuration."""
        specs = [spec.at_frame_rate(self._features.frame_rate) for spec in self.model.specs]
        return StoredVideos.of(
            settings, specs, streams=self._features.streams, both_views=bool(self._features.mirrored)
        )

    def stream(self, *, delay_s: float | None = None, window_s: float | None = None) -> LiveStream:
        """Answers while a video still comes: push its pictures to what this gives. docs/live.md says more.

        Networks are loaded once more, for batches of a single step, unless ``load`` was told ``batch_size=1``.

        Args:
            delay_s: how many seconds an answer may wait; for models that read in both directions, which need it.
            window_s: how many seconds are looked at together, for models with one answer per video; None: the median
                length of the training videos.

        Raises:
            ConfigError: the model cannot answer while the video still comes; the message says what to train.
        """
        if self._live is None:
            size, loaded = max(len(self._pictures), 1), self._extraction.batch_size
            extraction = self._extraction.model_copy(update={"batch_size": size})
            fits = loaded is not None and loaded <= size
            self._live = self._pictures if fits else load_passes(self._features, extraction)
        return LiveStream(self.model, self._live, delay_s=delay_s, window_s=window_s)

    def _refuse_other(self, here: FeatureSpec) -> None:
        wanted = next(spec for spec in self.model.specs if spec.stream == here.stream)
        refuse_other(here, wanted.at_frame_rate(self._features.frame_rate))
