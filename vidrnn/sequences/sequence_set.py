"""All feature sequences of a split, and batches of them by indexing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.annotations import Annotation, LabelMap
from vidrnn.errors import StoreError
from vidrnn.features.store import FeatureFolder
from vidrnn.sequences.steps import StepChoice
from vidrnn.sequences.stream_table import StreamTable, find_stream, load_table
from vidrnn.sequences.targets import Targets, make_targets
from vidrnn.settings import Head, ModelSettings


@dataclass(frozen=True)
class Batch:
    """What a model is fed.

    Attributes:
        features: (B, S, inputs times D), zero beyond ``lengths``.
        lengths: (B,) int64 on the CPU.
        targets: (B, ...) per video or (B, S) per step, see `Targets`.
    """

    features: torch.Tensor
    lengths: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True)
class SequenceSet:
    """Sequences of many videos.

    Attributes:
        annotations: the n videos, in order.
        streams: name to features of a stream.
        totals: (n,) int64 steps of each video, on the CPU.
        targets: what they should be answered with.
        metadata: (n, 4) float64 width, height, frames, seconds of the source videos, for the metadata-only baseline.
        missing: annotated videos that have no features.
    """

    annotations: tuple[Annotation, ...]
    streams: Mapping[str, StreamTable]
    totals: torch.Tensor
    targets: Targets
    metadata: npt.NDArray[np.float64]
    missing: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.annotations)

    @property
    def dims(self) -> dict[str, int]:
        """Length D of a feature vector of each stream."""
        return {name: table.dim for name, table in self.streams.items()}

    @property
    def device(self) -> torch.device:
        """Where batches are put."""
        return next(iter(self.streams.values())).features.device

    @property
    def has_both_views(self) -> bool:
        """Whether the videos can be seen in a mirror."""
        return any(table.mirrored is not None for table in self.streams.values())

    def subset(self, positions: Sequence[int]) -> "SequenceSet":
        """Some of the videos; the features are shared, not copied."""
        chosen = torch.as_tensor(positions, dtype=torch.int64)
        return replace(
            self,
            annotations=tuple(self.annotations[position] for position in positions),
            streams={name: table.subset(chosen) for name, table in self.streams.items()},
            totals=self.totals[chosen],
            targets=self.targets.subset(chosen),
            metadata=self.metadata[list(positions)],
            missing=(),
        )

    def batch(
        self,
        positions: torch.Tensor,
        choice: StepChoice,
        model: ModelSettings,
        *,
        mirrored: torch.Tensor | None = None,
    ) -> Batch:
        """Gather what a model sees of some videos.

        Args:
            positions: (B,) int64 videos.
            choice: which steps of each, from `choose_steps` on ``totals[positions]``.
            model: says what a step shows.
            mirrored: (B,) bool, which of them are taken from the mirrored view; None takes none.
        """
        (table,) = self.streams.values()
        steps = table.gather(positions, choice, model, mirrored=mirrored)
        return Batch(steps, choice.lengths, self.targets.of(positions, choice))


def load_sequences(
    annotations: Sequence[Annotation],
    folder: FeatureFolder,
    label_map: LabelMap,
    *,
    device: torch.device,
    head: Head = "label",
    mirrored: FeatureFolder | None = None,
) -> SequenceSet:
    """Find the features of all annotated videos: mapped where a pack holds them, else read into memory.

    Videos without features (they failed in extraction) are left out and listed in ``missing``.

    Args:
        annotations: the videos.
        folder: holds their features.
        label_map: order of the classes.
        device: of the model.
        head: what is answered.
        mirrored: holds the features of their mirrored view, for models that see both.

    Raises:
        StoreError: no video has features, or see `load_table`.
        AnnotationError: the annotations do not fit the head, or name a class that the label map does not know.
    """
    found = find_stream(annotations, folder)
    if not found.present.any():
        raise StoreError(
            f"none of the {len(annotations)} annotated videos has features in {folder.path}; "
            "run `vidrnn extract` with this config"
        )
    kept = np.flatnonzero(found.present)
    missing = tuple(annotations[position].path for position in np.flatnonzero(~found.present).tolist())
    own, found = [annotations[position] for position in kept.tolist()], found.subset(kept)
    table, metadata = load_table(found, own, device=device, mirrored=mirrored)
    targets = make_targets(own, head, label_map, found.timestamps_s, device=device)
    return SequenceSet(tuple(own), {folder.spec.stream: table}, table.totals, targets, metadata, missing)
