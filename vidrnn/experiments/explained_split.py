"""The answers of a model for the videos of a split explained, from stored features alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.annotations import Annotation, Split, read_annotations
from vidrnn.annotations.splits import split_annotations
from vidrnn.experiments.asked_model import folder_of_model, load_for, with_options
from vidrnn.experiments.stored_sets import require_split
from vidrnn.explanation.explanation import Explanation, explain
from vidrnn.explanation.importance import Method
from vidrnn.explanation.nearest import TrainingVideos, known_of
from vidrnn.explanation.question import refuse_unexplainable
from vidrnn.models.model_file import TrainedModel
from vidrnn.sequences.alignment import reference_of
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.run import RunSettings
from vidrnn.store.feature_folder import FeatureFolder


@dataclass(frozen=True)
class ExplainableSplit:
    """The videos of a split as a model takes them, ready to be explained one by one.

    Attributes:
        model: as the configuration asks it.
        sequences: of all videos that have features.
        folders: stream to where its features are.
        training: the videos that the model learned from; None: no neighbours are named.
    """

    model: TrainedModel
    sequences: SequenceSet
    folders: dict[str, FeatureFolder]
    training: TrainingVideos | None = None

    @property
    def paths(self) -> list[str]:
        """Path of each video, in order."""
        return [annotation.path for annotation in self.sequences.annotations]

    @property
    def groups(self) -> list[str]:
        """Group of each video, in order."""
        return [annotation.group for annotation in self.sequences.annotations]

    def explain(self, position: int, *, label: str | None = None, method: Method = "occlusion") -> Explanation:
        """Explain one of the videos. Raises as `vidrnn.explanation.explanation.explain`."""
        annotation = self.sequences.annotations[position]
        return explain(
            self.model,
            self.sequences,
            position,
            self.times_s(annotation.path),
            path=annotation.path,
            truth=known_of(annotation) or None,
            label=label,
            method=method,
            training=self.training,
        )

    def explain_all(
        self,
        *,
        label: str | None = None,
        method: Method = "occlusion",
        on_video: Callable[[], object] = lambda: None,
    ) -> Iterator[Explanation]:
        """Explain all of them, one after the other."""
        for position in range(len(self.sequences)):
            yield self.explain(position, label=label, method=method)
            on_video()

    def times_s(self, path: str) -> npt.NDArray[np.float64]:
        """(T,) seconds of the cached steps of a video: of its one stream, or of the grid of several."""
        found = {}
        for stream, folder in self.folders.items():
            made = folder.mapped(path)
            if made is not None:
                found[stream] = made.timestamps_s
        return found[reference_of(found)]


def load_split(model: TrainedModel, settings: RunSettings, *, split: Split, device: torch.device) -> ExplainableSplit:
    """Find the stored features of a split.

    Raises:
        ConfigError: the model answers at every step, or ``inference`` asks for what it does not know.
        AnnotationError: there is no such split. StoreError: the store lacks the features.
    """
    refuse_unexplainable(model)
    annotations = require_split(split_annotations(read_annotations(settings.data), settings.data)[split], split)
    return load_videos(annotations, model, settings, device=device)


def load_videos(
    annotations: Sequence[Annotation], model: TrainedModel, settings: RunSettings, *, device: torch.device
) -> ExplainableSplit:
    """Find the stored features of some videos. Raises as `load_split`."""
    refuse_unexplainable(model)
    asked = with_options(model, settings)
    asked.refuse_earlier_mirror()
    streams = asked.settings.inference.streams
    sequences = load_for(annotations, model=asked, settings=settings, device=device, streams=streams)
    shown = [spec for spec in asked.specs if streams is None or spec.stream in streams]
    return ExplainableSplit(asked, sequences, {spec.stream: folder_of_model(spec, settings) for spec in shown})


def load_training(model: TrainedModel, settings: RunSettings, *, device: torch.device) -> TrainingVideos:
    """The training split of a configuration, as the model sees it. Raises as `load_split`."""
    return TrainingVideos.of(model, load_split(model, settings, split="train", device=device).sequences)
