"""All feature sequences of a split, resident in one tensor, and batches of them by indexing."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.annotations import Annotation, LabelMap
from vidrnn.errors import MissingPathError, StoreError
from vidrnn.features.store import FeatureFolder
from vidrnn.sequences.inputs import gather_inputs, mean_features
from vidrnn.sequences.steps import StepChoice
from vidrnn.settings import ModelSettings


@dataclass(frozen=True)
class Batch:
    """What a model is fed.

    Attributes:
        features: (B, S, inputs times D), zero beyond ``lengths``.
        lengths: (B,) int64 on the CPU.
        targets: (B,) int64.
    """

    features: torch.Tensor
    lengths: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True)
class SequenceSet:
    """Sequences of many videos, stacked in time.

    Attributes:
        annotations: the n videos, in order.
        features: (sum of T, D) float16 on the device of the model.
        offsets: (n,) int64 first row of each video.
        totals: (n,) int64 rows of each video, on the CPU.
        targets: (n,) int64 class positions.
        metadata: (n, 4) float64 width, height, frames, seconds of the source videos, for the metadata-only baseline.
        missing: annotated videos that have no features.
    """

    annotations: tuple[Annotation, ...]
    features: torch.Tensor
    offsets: torch.Tensor
    totals: torch.Tensor
    targets: torch.Tensor
    metadata: npt.NDArray[np.float64]
    missing: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.annotations)

    @property
    def dim(self) -> int:
        """Length D of a feature vector."""
        return self.features.shape[1]

    def subset(self, positions: Sequence[int]) -> "SequenceSet":
        """Some of the videos; the features are shared, not copied."""
        chosen = torch.as_tensor(positions, dtype=torch.int64)
        return SequenceSet(
            tuple(self.annotations[position] for position in positions),
            self.features,
            self.offsets[chosen],
            self.totals[chosen],
            self.targets[chosen.to(self.targets.device)],
            self.metadata[list(positions)],
        )

    @cached_property
    def means(self) -> torch.Tensor:
        """(n, D) float32 mean over all cached steps of each video."""
        return mean_features(self.features, self.offsets, self.totals)

    def batch(self, positions: torch.Tensor, choice: StepChoice, model: ModelSettings) -> Batch:
        """Gather what a model sees of some videos.

        Args:
            positions: (B,) int64 videos.
            choice: which steps of each, from `choose_steps` on ``totals[positions]``.
            model: says what a step shows.
        """
        steps = gather_inputs(
            self.features,
            offsets=self.offsets[positions],
            totals=self.totals[positions],
            means=self.means[positions.to(self.features.device)] if "centred" in model.inputs else None,
            choice=choice,
            model=model,
        )
        return Batch(steps, choice.lengths, self.targets[positions.to(self.targets.device)])


def load_sequences(
    annotations: Sequence[Annotation], folder: FeatureFolder, label_map: LabelMap, *, device: torch.device
) -> SequenceSet:
    """Read the features of all annotated videos into memory.

    Videos without features (they failed in extraction) are left out and listed in ``missing``.

    Raises:
        StoreError: no video has features, a file is damaged, or one holds nan or inf.
    """
    found: list[Annotation] = []
    arrays: list[npt.NDArray[np.float16]] = []
    metadata: list[tuple[float, float, float, float]] = []
    missing: list[str] = []
    for annotation in annotations:
        try:
            video = folder.read(annotation.path)
        except MissingPathError:
            missing.append(annotation.path)
            continue
        if not len(video.features):
            raise StoreError(f"features of {annotation.path!r} have no step; delete its feature file and extract again")
        if not np.isfinite(video.features).all():
            raise StoreError(f"features of {annotation.path!r} hold nan or inf; extract again with another precision")
        found.append(annotation)
        arrays.append(video.features)
        facts = video.metadata
        metadata.append((facts.width, facts.height, facts.num_frames, facts.duration_s))
    if not found:
        raise StoreError(
            f"none of the {len(missing)} annotated videos has features in {folder.path}; "
            "run `vidrnn extract` with this config"
        )
    totals = torch.tensor([len(array) for array in arrays], dtype=torch.int64)
    return SequenceSet(
        tuple(found),
        torch.from_numpy(np.concatenate(arrays)).to(device),
        totals.cumsum(0) - totals,
        totals,
        torch.tensor([label_map.index(annotation.label) for annotation in found], device=device),
        np.asarray(metadata, dtype=np.float64),
        tuple(missing),
    )
